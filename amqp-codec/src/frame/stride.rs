//! A stream of messages that all have the shape of the last one: the common flood.
//!
//! Walking frame by frame, the place of each frame hangs on the size read from the one before: a chain of loads. Where
//! the next message is of the same shape as the last, all its heads and end octets stand at known places and can be
//! read at once. The result is the same as the walk's, call by call; what does not fit is left to the walk.

use super::walker::Observer;
use super::{END, ENVELOPE, HEADER};

/// Where the frames of a message with one body frame end, counted from its beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// End of the method frame.
    pub(super) method: usize,
    /// End of the content header frame.
    pub(super) header: usize,
    /// End of the body frame.
    pub(super) body: usize,
}

impl Shape {
    /// Is it the shape of a message of `length` bytes that stands there whole: method, header and its one body frame?
    #[inline]
    pub(super) fn is_of(self, length: usize) -> bool {
        self.method > 0 && self.header > self.method && self.body == length
    }
}

/// Walks messages of the same shape, method and channel as `message`; returns what is left.
#[inline]
pub(super) fn walk_alike<'a, O: Observer>(
    message: &[u8],
    shape: Shape,
    mut left: &'a [u8],
    observer: &mut O,
) -> &'a [u8] {
    let Some(first) = Heads::read(message, shape) else { return left };
    let channel = u16::from_be_bytes([message[1], message[2]]);
    let id = first.id.swap_bytes();
    while let Some((next, behind)) = left.split_at_checked(shape.body) {
        if !Heads::read(next, shape).is_some_and(|heads| heads.same(&first)) {
            break;
        }
        observer.method(id, channel, &next[HEADER + 4..shape.method - 1]);
        observer.content_header(channel);
        observer.content_body(channel);
        left = behind;
    }
    left
}

/// Kind, channel and size of three frames, the method's id, and their end octets.
struct Heads {
    method: u64,
    header: u64,
    body: u64,
    id: u32,
    ends: [u8; 3],
}

impl Heads {
    #[inline(always)]
    fn read(message: &[u8], shape: Shape) -> Option<Self> {
        let Shape { method, header, body } = shape;
        Some(Self {
            method: head(message, 0)?,
            header: head(message, method)?,
            body: head(message, header)?,
            id: u32::from_le_bytes(*message.get(HEADER..)?.first_chunk()?),
            ends: [*message.get(method - 1)?, *message.get(header - 1)?, *message.get(body - 1)?],
        })
    }

    #[inline(always)]
    fn same(&self, first: &Self) -> bool {
        // Joined without a branch each: almost always all of it holds.
        (self.method == first.method)
            & (self.header == first.header)
            & (self.body == first.body)
            & (self.id == first.id)
            & (self.ends == [END; 3])
    }
}

/// The seven bytes before a payload, as a number to compare.
#[inline(always)]
fn head(message: &[u8], at: usize) -> Option<u64> {
    let bytes = message.get(at..)?.first_chunk::<ENVELOPE>()?;
    Some(u64::from_le_bytes(*bytes) & 0x00ff_ffff_ffff_ffff)
}

//! A stream of messages that all have the shape of the last one: the common flood.
//!
//! Walking frame by frame, the place of each frame hangs on the size read from the one before: a
//! chain of loads. Where the next message is of the same shape as the last, all its heads and end
//! octets stand at known places and can be read at once. The result is the same as the walk's, call
//! by call; what does not fit is left to the walk.

use super::walker::{HOLD, Observer};
use super::{END, ENVELOPE, HEADER};

/// Messages that are walked frame by frame after one that was unlike the one before: where they
/// vary, comparing each costs more than it saves.
const PATIENCE: u32 = 16;

/// The message that is being walked.
#[derive(Debug, Default)]
pub(super) struct Stride<'b> {
    /// From its beginning on.
    message: &'b [u8],
    shape: Shape,
    /// So many messages more are not compared.
    patience: u32,
}

/// Where the frames of a message with one body frame end, counted from its beginning; 0 until
/// known.
#[derive(Debug, Default, Clone, Copy)]
struct Shape {
    method: usize,
    header: usize,
    body: usize,
}

impl<'b> Stride<'b> {
    /// A method frame of `whole` bytes stands at the head of `left`.
    #[inline(always)]
    pub(super) fn method(&mut self, left: &'b [u8], whole: usize) {
        self.message = left;
        self.shape = Shape { method: whole, header: 0, body: 0 };
    }

    /// Then comes a content header frame.
    #[inline(always)]
    pub(super) fn header(&mut self, whole: usize) {
        self.shape.header = self.shape.method + whole;
    }

    /// Then comes a content body frame.
    #[inline(always)]
    pub(super) fn body(&mut self, whole: usize) {
        self.shape.body = self.shape.header + whole;
    }

    /// A frame has ended and `left` is behind it. If that was a message, walks those that are like
    /// it; returns what is left then.
    #[inline(always)]
    pub(super) fn go_on<O: Observer>(&mut self, left: &'b [u8], observer: &mut O) -> &'b [u8] {
        let shape = std::mem::take(&mut self.shape);
        if shape.body == 0 {
            self.shape = shape;
            return left;
        }
        if self.patience > 0 {
            self.patience -= 1;
            return left;
        }
        // Anything more between its frames, or more bodies, and the lengths differ.
        if !shape.is_message() || shape.body != self.message.len() - left.len() {
            return left;
        }
        let rest = walk_alike(self.message, shape, left, observer);
        if rest.len() == left.len() {
            self.patience = PATIENCE;
        }
        rest
    }
}

impl Shape {
    /// Did a header follow a method, and a body the header? Of a longer method an observer is shown
    /// only a part.
    #[inline(always)]
    fn is_message(self) -> bool {
        (1..=HOLD).contains(&self.method) && self.header > self.method
    }
}

/// Walks messages of the same shape, method and channel as `message`; returns what is left.
#[inline]
fn walk_alike<'b, O: Observer>(
    message: &[u8],
    shape: Shape,
    mut left: &'b [u8],
    observer: &mut O,
) -> &'b [u8] {
    let Some(first) = Heads::read(message, shape).filter(Heads::on_one_channel) else {
        return left;
    };
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

    fn on_one_channel(&self) -> bool {
        let channel = |head| head & 0xff_ff00;
        channel(self.method) == channel(self.header) && channel(self.header) == channel(self.body)
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

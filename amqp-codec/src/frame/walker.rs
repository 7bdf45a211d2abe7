//! Walks the frames in bytes that are passing through, in place: where each ends, what kind it is,
//! which method.
//!
//! Nothing is copied and nothing is kept but how much of the current frame is still to come. The
//! walker never says "forward" of a cut-off head: bytes up to [`Walked::len`] end at a frame's end
//! or inside a payload, so whoever forwards them always knows where the stream stands. What lies
//! behind is less than [`HOLD`] bytes, which the caller keeps and shows again in front of the next
//! read. Shown so, a stream gives the same calls, the same bytes to forward and the same stop,
//! however it was cut into reads.

use super::method::{CONNECTION_CLASS, MethodId};
use super::stride::Stride;
use super::{END, ENVELOPE, FrameError, HEADER, kind};

/// A method frame is walked when this many bytes of it are there, or all. Covers every method whose
/// arguments the gateway reads; connection.close takes at most 274 bytes.
pub const HOLD: usize = 512;

/// Class and method at the head of a method's payload.
const METHOD_ID: usize = 4;

/// Size of a method frame without arguments.
const SMALLEST_METHOD: usize = ENVELOPE + METHOD_ID;

/// Told of every frame that is walked.
pub trait Observer {
    /// A method frame of any class but connection. `arguments` are all of them, or those in the
    /// first [`HOLD`] bytes of a longer frame.
    fn method(&mut self, id: MethodId, channel: u16, arguments: &[u8]);
    /// A content header frame.
    fn content_header(&mut self, channel: u16);
    /// A content body frame.
    fn content_body(&mut self, channel: u16);
    /// A heartbeat.
    fn heartbeat(&mut self);
}

/// How far a walk came.
#[derive(Debug, PartialEq, Eq)]
pub struct Walked {
    /// Bytes that may be forwarded.
    pub len: usize,
    /// Why it stopped there.
    pub stop: Stop,
}

/// Why a walk stopped.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// All bytes are walked, or what is left is the head of a frame that is still to come.
    End,
    /// A connection method begins at `len`; nothing of it is counted in `len`. The caller decides:
    /// to drop it, it goes on at `len + size`; to let it pass, it calls [`Walker::enter`] with
    /// `size` and walks on at `len`.
    Connection {
        /// Which one.
        id: MethodId,
        /// Its channel; 0, unless the peer is confused.
        channel: u16,
        /// Its size with envelope. Whole in the bytes, and rightly ended, if it is at most
        /// [`HOLD`].
        size: usize,
    },
    /// No frame begins at `len`, or the frame that ends there ends wrong.
    Bad(FrameError),
}

/// Where the stream of one direction stands.
#[derive(Debug)]
pub struct Walker {
    /// Bytes of the current frame still to come, its end octet included; 0 at a frame boundary.
    rest: u32,
    /// Largest payload.
    limit: u32,
}

impl Walker {
    /// A walker at a frame boundary; a frame's payload has at most `limit` bytes
    /// (see [`Tune::max_payload`](crate::tune::Tune::max_payload)).
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self { rest: 0, limit: limit.min(u32::MAX - ENVELOPE as u32) }
    }

    /// Does what was walked end with a frame's end?
    #[inline]
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.rest == 0
    }

    /// Bytes of the current frame still to come, its end octet included; 0 at a frame boundary.
    #[must_use]
    pub fn rest(&self) -> u32 {
        self.rest
    }

    /// The next `rest` bytes to walk, an end octet the last of them, are of one frame that passes
    /// unseen.
    pub fn enter(&mut self, rest: u32) {
        self.rest = rest;
    }

    /// Walks `bytes`.
    #[inline]
    pub fn walk<O: Observer>(&mut self, bytes: &[u8], observer: &mut O) -> Walked {
        let mut at = 0;
        if self.rest > 0 {
            let rest = self.rest as usize;
            if bytes.len() < rest {
                self.rest -= bytes.len() as u32;
                return Walked { len: bytes.len(), stop: Stop::End };
            }
            if bytes[rest - 1] != END {
                // The end octet is left out: whoever forwards must not make a whole frame of it.
                self.rest = 1;
                return Walked { len: rest - 1, stop: Stop::Bad(FrameError::End(bytes[rest - 1])) };
            }
            self.rest = 0;
            at = rest;
        }
        self.frames(bytes, at, observer)
    }

    /// Walks from a frame boundary at `start`.
    #[inline]
    fn frames<O: Observer>(&mut self, bytes: &[u8], start: usize, observer: &mut O) -> Walked {
        let mut left = &bytes[start..];
        let mut stride = Stride::default();
        let stop = |left: &[u8], stop| Walked { len: bytes.len() - left.len(), stop };
        loop {
            let Some(head) = left.first_chunk::<ENVELOPE>() else {
                return stop(left, short(left));
            };
            // The place of the next frame hangs on this load alone: the shorter that chain, the
            // faster the walk.
            let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
            if size > self.limit {
                return stop(left, too_large(head[0], size, self.limit));
            }
            let whole = size as usize + ENVELOPE;
            let channel = u16::from_be_bytes([head[1], head[2]]);
            match head[0] {
                kind::METHOD => match method(left, whole) {
                    Ok((id, _)) if id >> 16 == CONNECTION_CLASS => {
                        let size = whole;
                        return stop(left, Stop::Connection { id, channel, size });
                    }
                    Ok((id, arguments)) => {
                        observer.method(id, channel, arguments);
                        stride.method(left, whole);
                    }
                    Err(why) => return stop(left, why),
                },
                kind::BODY => {
                    observer.content_body(channel);
                    stride.body(whole);
                }
                kind::HEADER => {
                    observer.content_header(channel);
                    stride.header(whole);
                }
                kind::HEARTBEAT if size == 0 => observer.heartbeat(),
                kind => return stop(left, unknown(kind, size)),
            }
            let Some((frame, behind)) = left.split_at_checked(whole) else {
                self.rest = (whole - left.len()) as u32;
                return stop(&[], Stop::End);
            };
            if frame[whole - 1] != END {
                self.rest = 1;
                let wrong = &left[whole - 1..];
                return stop(wrong, Stop::Bad(FrameError::End(wrong[0])));
            }
            left = stride.go_on(behind, observer);
        }
    }
}

/// Id and arguments of the method frame at the head of `left`, or why the walk stops before it.
#[inline(always)]
fn method(left: &[u8], whole: usize) -> Result<(MethodId, &[u8]), Stop> {
    if whole < SMALLEST_METHOD {
        return Err(Stop::Bad(FrameError::TooSmall((whole - ENVELOPE) as u32)));
    }
    let Some(frame) = left.get(..whole.min(HOLD)) else {
        return Err(Stop::End);
    };
    if whole <= HOLD && frame[whole - 1] != END {
        return Err(Stop::Bad(FrameError::End(frame[whole - 1])));
    }
    let id = u32::from_be_bytes([frame[7], frame[8], frame[9], frame[10]]);
    Ok((id, &frame[HEADER + METHOD_ID..HOLD.min(whole - 1)]))
}

/// Fewer bytes than the smallest frame: hold them, unless the first is wrong already.
#[cold]
fn short(left: &[u8]) -> Stop {
    match left.first() {
        Some(&first) if !matches!(first, 1..=3 | kind::HEARTBEAT) => {
            Stop::Bad(FrameError::Kind(first))
        }
        _ => Stop::End,
    }
}

#[cold]
fn too_large(frame_kind: u8, size: u32, limit: u32) -> Stop {
    match frame_kind {
        1..=3 => Stop::Bad(FrameError::TooLarge { size, limit }),
        other => unknown(other, size),
    }
}

#[cold]
fn unknown(frame_kind: u8, size: u32) -> Stop {
    Stop::Bad(match frame_kind {
        kind::HEARTBEAT => FrameError::Heartbeat(size),
        other => FrameError::Kind(other),
    })
}

#[cfg(test)]
#[path = "walker_tests.rs"]
mod tests;

//! Walks the frames in bytes that are passing through, in place: where each ends, what kind it is, which method.
//!
//! Nothing is copied and nothing is kept but how much of the current frame is still to come. The walker never says
//! "forward" of a cut-off head: bytes up to [`Walked::len`] end at a frame's end or inside a payload, so whoever
//! forwards them always knows where the stream stands. What lies behind is at most [`HOLD`] bytes, which the caller
//! keeps and shows again in front of the next read.

use super::method::{CONNECTION_CLASS, MethodId};
use super::{END, ENVELOPE, FrameError, HEADER, kind};

/// A method frame up to this size, envelope included, is walked only when whole. Covers every method whose arguments
/// the gateway reads; connection.close takes at most 274 bytes.
pub const HOLD: usize = 512;

/// Class and method at the head of a method's payload.
const METHOD_ID: usize = 4;

/// Told of every frame that is walked.
pub trait Observer {
    /// A method frame of any class but connection. `arguments` is what is there of them: all, up to [`HOLD`] bytes.
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
    /// A connection method begins at `len`; nothing of it is counted in `len`. The caller decides whether it passes,
    /// and goes on behind it: at `len + size`, or with [`Walker::enter`] if it is not whole.
    Connection {
        /// Which one.
        id: MethodId,
        /// Its channel; 0, unless the peer is confused.
        channel: u16,
        /// Its size with envelope. Whole in the bytes if it is at most [`HOLD`].
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

    /// Goes on inside a frame of which `rest` bytes, end octet included, are still to come.
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
        loop {
            let left = &bytes[at..];
            let Some(&[frame_kind, c1, c0, s3, s2, s1, s0, first]) = left.first_chunk::<ENVELOPE>()
            else {
                return short(left, at);
            };
            let channel = u16::from_be_bytes([c1, c0]);
            let size = u32::from_be_bytes([s3, s2, s1, s0]);
            if size > self.limit {
                return bad(at, too_large(frame_kind, size, self.limit));
            }
            let whole = size as usize + ENVELOPE;
            match frame_kind {
                kind::METHOD => {
                    if size < METHOD_ID as u32 {
                        return bad(at, FrameError::TooSmall(size));
                    }
                    let here = left.len().min(whole);
                    if here < whole && (whole <= HOLD || here < HEADER + METHOD_ID) {
                        return Walked { len: at, stop: Stop::End };
                    }
                    if here == whole && left[whole - 1] != END {
                        return bad(at, FrameError::End(left[whole - 1]));
                    }
                    let id = u32::from_be_bytes([first, left[8], left[9], left[10]]);
                    if id >> 16 == CONNECTION_CLASS {
                        let stop = Stop::Connection { id, channel, size: whole };
                        return Walked { len: at, stop };
                    }
                    let end = if here == whole { whole - 1 } else { here };
                    observer.method(id, channel, &left[HEADER + METHOD_ID..end]);
                }
                kind::BODY => observer.content_body(channel),
                kind::HEADER => observer.content_header(channel),
                kind::HEARTBEAT => {
                    if size != 0 {
                        return bad(at, FrameError::Heartbeat(size));
                    }
                    observer.heartbeat();
                }
                other => return bad(at, FrameError::Kind(other)),
            }
            if left.len() < whole {
                self.rest = (whole - left.len()) as u32;
                return Walked { len: bytes.len(), stop: Stop::End };
            }
            if left[whole - 1] != END {
                self.rest = 1;
                return bad(at + whole - 1, FrameError::End(left[whole - 1]));
            }
            at += whole;
        }
    }
}

/// Fewer bytes than the smallest frame: hold them, unless the first is wrong already.
#[cold]
fn short(left: &[u8], at: usize) -> Walked {
    match left.first() {
        Some(&first) if !matches!(first, 1..=3 | kind::HEARTBEAT) => {
            bad(at, FrameError::Kind(first))
        }
        _ => Walked { len: at, stop: Stop::End },
    }
}

#[cold]
fn bad(len: usize, error: FrameError) -> Walked {
    Walked { len, stop: Stop::Bad(error) }
}

#[cold]
fn too_large(frame_kind: u8, size: u32, limit: u32) -> FrameError {
    match frame_kind {
        1..=3 => FrameError::TooLarge { size, limit },
        kind::HEARTBEAT => FrameError::Heartbeat(size),
        other => FrameError::Kind(other),
    }
}

#[cfg(test)]
#[path = "walker_tests.rs"]
mod tests;

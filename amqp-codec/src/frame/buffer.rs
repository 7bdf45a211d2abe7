//! Gathers bytes until a whole frame is there: for the handshake, where frames are few and small.

use super::{END, ENVELOPE, FrameError, HEADER, kind};
use crate::protocol_header;

/// Bytes of one peer that have not been consumed yet.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    taken: usize,
}

/// A whole frame: borrowed from its buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WholeFrame<'a> {
    /// The frame as it came, envelope included.
    pub raw: &'a [u8],
    /// One of [`kind`].
    pub kind: u8,
    /// The channel.
    pub channel: u16,
    /// What stands between header and end octet.
    pub payload: &'a [u8],
}

impl FrameBuffer {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        // Dropping what is consumed at every push keeps a peer from growing us with bytes that
        // never end even.
        self.bytes.drain(..std::mem::take(&mut self.taken));
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes wait to be consumed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// Does nothing wait?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The waiting bytes.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// Takes the waiting bytes out, leaving nothing.
    #[must_use]
    pub fn take_rest(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.drain(..std::mem::take(&mut self.taken));
        bytes
    }

    /// Takes the eight bytes of a protocol header, if they are there.
    pub fn take_protocol_header(&mut self) -> Option<[u8; protocol_header::LENGTH]> {
        let header = *self.rest().first_chunk()?;
        self.taken += header.len();
        Some(header)
    }

    /// Takes the next frame, if all of it is there.
    ///
    /// # Errors
    /// If the bytes are no frame, or one with more payload than `limit`.
    pub fn take_frame(&mut self, limit: u32) -> Result<Option<WholeFrame<'_>>, FrameError> {
        let rest = &self.bytes[self.taken..];
        let Some(&[kind, c1, c0, s3, s2, s1, s0]) = rest.first_chunk::<HEADER>() else {
            return match rest.first() {
                Some(&first) if !is_kind(first) => Err(FrameError::Kind(first)),
                _ => Ok(None),
            };
        };
        let size = u32::from_be_bytes([s3, s2, s1, s0]);
        if !is_kind(kind) {
            return Err(FrameError::Kind(kind));
        }
        if size > limit {
            return Err(FrameError::TooLarge { size, limit });
        }
        let whole = ENVELOPE + size as usize;
        let Some(raw) = rest.get(..whole) else {
            return Ok(None);
        };
        if raw[whole - 1] != END {
            return Err(FrameError::End(raw[whole - 1]));
        }
        self.taken += whole;
        let channel = u16::from_be_bytes([c1, c0]);
        Ok(Some(WholeFrame { raw, kind, channel, payload: &raw[HEADER..whole - 1] }))
    }
}

fn is_kind(byte: u8) -> bool {
    matches!(byte, kind::METHOD | kind::HEADER | kind::BODY | kind::HEARTBEAT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::HEARTBEAT;

    #[test]
    fn a_frame_is_taken_only_when_whole() {
        let mut buffer = FrameBuffer::default();
        for byte in HEARTBEAT {
            assert_eq!(buffer.take_frame(100), Ok(None));
            buffer.push(&[byte]);
        }
        buffer.push(b"x");
        let frame = buffer.take_frame(100).expect("a frame").expect("whole");
        assert_eq!((frame.kind, frame.channel, frame.raw), (8, 0, &HEARTBEAT[..]));
        assert_eq!(buffer.take_rest(), b"x");
        assert!(buffer.is_empty());
    }

    #[test]
    fn what_is_no_frame_is_refused_at_the_first_byte_that_shows_it() {
        let mut buffer = FrameBuffer::default();
        buffer.push(b"G");
        assert_eq!(buffer.take_frame(100), Err(FrameError::Kind(b'G')));
        let mut buffer = FrameBuffer::default();
        buffer.push(&[1, 0, 0, 0, 0, 1, 0]);
        assert_eq!(buffer.take_frame(256), Ok(None), "of the limit it may be");
        assert_eq!(buffer.take_frame(255), Err(FrameError::TooLarge { size: 256, limit: 255 }));
        let mut buffer = FrameBuffer::default();
        buffer.push(&[1, 0, 0, 0, 0, 0, 1, 9, 0]);
        assert_eq!(buffer.take_frame(255), Err(FrameError::End(0)));
    }
}

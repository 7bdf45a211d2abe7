//! Frames: their kinds, the errors in them, and where one ends (AMQP 0-9-1 section 2.3).

pub mod buffer;
pub mod method;
#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;
mod stride;
pub mod walker;

use thiserror::Error;

/// Bytes before a frame's payload: kind, channel, size.
pub const HEADER: usize = 7;

/// Bytes around a frame's payload: header and end octet.
pub const ENVELOPE: usize = HEADER + 1;

/// The octet that ends every frame.
pub const END: u8 = 0xCE;

/// Kinds of frame.
pub mod kind {
    /// A method.
    pub const METHOD: u8 = 1;
    /// A content header.
    pub const HEADER: u8 = 2;
    /// A piece of content.
    pub const BODY: u8 = 3;
    /// A heartbeat.
    pub const HEARTBEAT: u8 = 8;
}

/// A heartbeat frame.
pub const HEARTBEAT: [u8; ENVELOPE] = [kind::HEARTBEAT, 0, 0, 0, 0, 0, 0, END];

/// Bytes that are no frame: the peer must be told 501 and closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A first byte that starts no frame.
    #[error("unknown frame type {0}")]
    Kind(u8),
    /// Larger than negotiated.
    #[error("frame of {size} bytes is larger than the {limit} negotiated")]
    TooLarge {
        /// Payload bytes announced.
        size: u32,
        /// Payload bytes allowed.
        limit: u32,
    },
    /// A method frame without room for class and method.
    #[error("method frame of {0} bytes has no room for a method")]
    TooSmall(u32),
    /// The payload is not followed by the end octet.
    #[error("frame ends with {0:#04x} in place of 0xce")]
    End(u8),
    /// A heartbeat with a payload.
    #[error("heartbeat frame with a payload of {0} bytes")]
    Heartbeat(u32),
}

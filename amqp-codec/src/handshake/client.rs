//! The node's side of a handshake, read in order: there we are the client.
//!
//! ```text
//! start -> (secure)* -> tune -> open-ok
//! ```
//! At any point a node may close instead; in place of start it may answer a protocol header it
//! would rather speak; after tune it may send heartbeats.

use super::HandshakeError;
use crate::frame::buffer::FrameBuffer;
use crate::frame::{HEADER, HEARTBEAT, kind};
use crate::reply::CloseReason;
use crate::tune::Tune;
use crate::wire::{self, AMQPValue, ConnectionMethod};

/// Class and method of connection.start.
const START: [u8; 4] = [0, 10, 0, 10];

/// Largest payload of a node's frame before open-ok.
pub const MAX_PAYLOAD: u32 = 64 * 1024;

/// What start tells of a node: read only when somebody asks, for most sessions hear what the one
/// before has heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    frame: Vec<u8>,
}

impl Greeting {
    /// The greeting in a whole connection.start frame.
    #[must_use]
    pub fn new(frame: Vec<u8>) -> Self {
        Self { frame }
    }

    /// The frame.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// The version that the server properties give.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        match self.read()?.server_properties.inner().get("version")? {
            AMQPValue::LongString(version) => Some(version.to_string()),
            _ => None,
        }
    }

    /// What it says; `None` if it cannot be read.
    #[must_use]
    pub fn read(&self) -> Option<wire::Start> {
        let payload = self.frame.get(HEADER..self.frame.len().checked_sub(1)?)?;
        match wire::decode(payload) {
            Ok(ConnectionMethod::Start(start)) => Some(start),
            Ok(_) | Err(_) => None,
        }
    }
}

/// One thing a node said.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeSaid {
    /// It does not speak AMQP 0-9-1, but this.
    OtherProtocol([u8; 8]),
    /// connection.start
    Start(Greeting),
    /// connection.secure
    Secure {
        /// The frame.
        raw: Vec<u8>,
    },
    /// connection.tune
    Tune {
        /// The frame.
        raw: Vec<u8>,
        /// Its values.
        tune: Tune,
    },
    /// connection.open-ok
    OpenOk {
        /// The frame.
        raw: Vec<u8>,
    },
    /// connection.close: a refusal.
    Close {
        /// The frame.
        raw: Vec<u8>,
        /// What it says.
        reason: CloseReason,
    },
}

/// Reads what a node says, in the only order it may say it.
#[derive(Debug)]
pub struct ClientHandshake {
    buffer: FrameBuffer,
    expect: Expect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Start,
    Tune,
    OpenOk,
    Nothing,
}

impl Default for ClientHandshake {
    fn default() -> Self {
        Self { buffer: FrameBuffer::default(), expect: Expect::Start }
    }
}

impl ClientHandshake {
    /// Adds what was read from the node.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.push(bytes);
    }

    /// Takes what has not been read: after open-ok, the first bytes of the session.
    #[must_use]
    pub fn take_rest(&mut self) -> Vec<u8> {
        self.buffer.take_rest()
    }

    /// The next thing the node said, if all of it is there.
    ///
    /// # Errors
    /// If it is not what may come now, or cannot be read.
    pub fn next_said(&mut self) -> Result<Option<NodeSaid>, HandshakeError> {
        let expect = self.expect;
        if expect == Expect::Nothing {
            return Ok(None);
        }
        if expect == Expect::Start && self.buffer.rest().first() == Some(&b'A') {
            let header = self.buffer.take_protocol_header();
            return Ok(header.map(NodeSaid::OtherProtocol));
        }
        let frame = loop {
            match self.buffer.take_frame(MAX_PAYLOAD)? {
                None => return Ok(None),
                // RabbitMQ's heartbeats begin with tune-ok.
                Some(frame) if frame.raw == HEARTBEAT && expect == Expect::OpenOk => {}
                Some(frame) => break frame,
            }
        };
        let unexpected = |got| HandshakeError::Unexpected { got, expected: expect.name() };
        if frame.kind != kind::METHOD || frame.channel != 0 {
            return Err(unexpected("a frame of another kind or channel"));
        }
        let raw = frame.raw.to_vec();
        if expect == Expect::Start && frame.payload.starts_with(&START) {
            self.expect = Expect::Tune;
            return Ok(Some(NodeSaid::Start(Greeting::new(raw))));
        }
        let (said, next) = match (expect, wire::decode(frame.payload)?) {
            (_, ConnectionMethod::Close(close)) => {
                let reason = wire::close_reason(close);
                (NodeSaid::Close { raw, reason }, Expect::Nothing)
            }
            (Expect::Tune, ConnectionMethod::Secure(_)) => (NodeSaid::Secure { raw }, Expect::Tune),
            (Expect::Tune, ConnectionMethod::Tune(t)) => {
                let tune = Tune {
                    channel_max: t.channel_max,
                    frame_max: t.frame_max,
                    heartbeat: t.heartbeat,
                };
                (NodeSaid::Tune { raw, tune }, Expect::OpenOk)
            }
            (Expect::OpenOk, ConnectionMethod::OpenOk(_)) => {
                (NodeSaid::OpenOk { raw }, Expect::Nothing)
            }
            _ => return Err(unexpected("another method")),
        };
        self.expect = next;
        Ok(Some(said))
    }
}

impl Expect {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "connection.start",
            Self::Tune => "connection.tune, secure or close",
            Self::OpenOk => "connection.open-ok or close",
            Self::Nothing => "nothing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::script::{OFFER, start};

    fn said(bytes: &[u8]) -> Result<Option<NodeSaid>, HandshakeError> {
        let mut handshake = ClientHandshake::default();
        handshake.push(bytes);
        handshake.next_said()
    }

    #[test]
    fn before_tune_a_node_may_send_no_heartbeats() {
        assert!(matches!(said(&HEARTBEAT), Err(HandshakeError::Unexpected { .. })));
        assert!(matches!(said(&start("RabbitMQ")), Ok(Some(NodeSaid::Start { .. }))));
        assert!(matches!(said(&wire::tune(OFFER)), Err(HandshakeError::Unexpected { .. })));
    }

    #[test]
    fn a_node_speaks_on_channel_0_only() {
        let mut elsewhere = start("RabbitMQ");
        elsewhere[2] = 1;
        assert!(matches!(said(&elsewhere), Err(HandshakeError::Unexpected { .. })));
    }
}

//! The client's side of a handshake, read in order: there we are the broker.
//!
//! ```text
//! header -> start-ok -> (secure-ok)* -> tune-ok -> open
//! ```
//! A client may send all of it at once, or byte by byte. After tune-ok it may send heartbeats; at
//! any time it may close instead.

use super::HandshakeError;
use crate::frame::buffer::FrameBuffer;
use crate::frame::{HEARTBEAT, kind};
use crate::guard;
use crate::protocol_header::{self, Guess, Opening};
use crate::reply::CloseReason;
use crate::sasl;
use crate::table::Table;
use crate::tune::Tune;
use crate::wire::{self, ConnectionMethod, WireError};

/// Class and method of connection.start-ok.
const START_OK: [u8; 4] = [0, 10, 0, 11];

/// Largest payload of a client's frame before open-ok. A start-ok may carry a JSON web token as
/// password; RabbitMQ's own limit is 4096 (8192 since 4.1) with the envelope.
pub const MAX_PAYLOAD: u32 = 16 * 1024;

/// Once so many bytes of a client wait before open-ok, no more are read.
pub const MAX_WAITING: usize = 2 * MAX_PAYLOAD as usize;

/// What start-ok tells of a client.
#[derive(Debug, Clone, PartialEq)]
pub struct Hello {
    /// The SASL mechanism.
    pub mechanism: String,
    /// The user, if the mechanism names one in clear.
    pub user: Option<String>,
    /// The client's properties, as sent.
    pub properties: Table,
}

/// One thing a client said.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientSaid {
    /// "AMQP 0-9-1, please."
    Header,
    /// "AMQP 1.0, please." Nothing after this is read here.
    Amqp10 {
        /// 0 plain, 2 TLS, 3 SASL.
        protocol_id: u8,
    },
    /// Something else. Nothing after this is read here.
    Foreign(Guess),
    /// connection.start-ok; a broker may understand what we cannot, so an unreadable one is no
    /// error yet.
    StartOk {
        /// The frame.
        raw: Vec<u8>,
        /// What it says.
        hello: Result<Hello, WireError>,
    },
    /// connection.secure-ok
    SecureOk {
        /// The frame.
        raw: Vec<u8>,
    },
    /// connection.tune-ok
    TuneOk {
        /// The frame.
        raw: Vec<u8>,
        /// Its values.
        tune: Tune,
    },
    /// connection.open
    Open {
        /// The frame.
        raw: Vec<u8>,
        /// The vhost.
        vhost: String,
    },
    /// connection.close: the client has changed its mind.
    Close(CloseReason),
}

/// Reads what a client says, in the only order it may say it.
#[derive(Debug)]
pub struct ServerHandshake {
    buffer: FrameBuffer,
    expect: Expect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Header,
    StartOk,
    TuneOk,
    Open,
    Nothing,
}

impl Default for ServerHandshake {
    fn default() -> Self {
        Self { buffer: FrameBuffer::default(), expect: Expect::Header }
    }
}

impl ServerHandshake {
    /// Adds what was read from the client.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.push(bytes);
    }

    /// May more be read? Bounds what a client can make us keep.
    #[must_use]
    pub fn wants_bytes(&self) -> bool {
        self.buffer.len() < MAX_WAITING
    }

    /// Takes what has not been read: after open, the first bytes of the session.
    #[must_use]
    pub fn take_rest(&mut self) -> Vec<u8> {
        self.buffer.take_rest()
    }

    /// The next thing the client said, if all of it is there.
    ///
    /// # Errors
    /// If it is not what may come now, or cannot be read.
    pub fn next_said(&mut self) -> Result<Option<ClientSaid>, HandshakeError> {
        match self.expect {
            Expect::Header => Ok(self.header()),
            Expect::StartOk | Expect::TuneOk | Expect::Open => self.method(),
            Expect::Nothing => Ok(None),
        }
    }

    fn header(&mut self) -> Option<ClientSaid> {
        let header = self.buffer.take_protocol_header()?;
        let (said, expect) = match protocol_header::classify(header) {
            Opening::Amqp091 => (ClientSaid::Header, Expect::StartOk),
            Opening::Amqp10 { protocol_id } => {
                (ClientSaid::Amqp10 { protocol_id }, Expect::Nothing)
            }
            Opening::Foreign(guess) => (ClientSaid::Foreign(guess), Expect::Nothing),
        };
        self.expect = expect;
        Some(said)
    }

    fn method(&mut self) -> Result<Option<ClientSaid>, HandshakeError> {
        let expect = self.expect;
        let frame = loop {
            match self.buffer.take_frame(MAX_PAYLOAD)? {
                None => return Ok(None),
                Some(frame) if frame.raw == HEARTBEAT && expect == Expect::Open => {}
                Some(frame) => break frame,
            }
        };
        let unexpected = |got| HandshakeError::Unexpected { got, expected: expect.name() };
        if frame.kind != kind::METHOD || frame.channel != 0 {
            return Err(unexpected("a frame of another kind or channel"));
        }
        let raw = frame.raw.to_vec();
        if expect == Expect::StartOk && frame.payload.starts_with(&START_OK) {
            let hello = hello(frame.payload);
            self.expect = Expect::TuneOk;
            return Ok(Some(ClientSaid::StartOk { raw, hello }));
        }
        let (said, next) = match (expect, wire::decode(frame.payload)) {
            (_, Ok(ConnectionMethod::Close(close))) => {
                (ClientSaid::Close(wire::close_reason(close)), Expect::Nothing)
            }
            (Expect::StartOk, _) => return Err(unexpected("another method")),
            (_, Err(error)) => return Err(error.into()),
            (Expect::TuneOk, Ok(ConnectionMethod::SecureOk(_))) => {
                (ClientSaid::SecureOk { raw }, Expect::TuneOk)
            }
            (Expect::TuneOk, Ok(ConnectionMethod::TuneOk(t))) => {
                let tune = Tune {
                    channel_max: t.channel_max,
                    frame_max: t.frame_max,
                    heartbeat: t.heartbeat,
                };
                (ClientSaid::TuneOk { raw, tune }, Expect::Open)
            }
            (Expect::Open, Ok(ConnectionMethod::Open(open))) => {
                let vhost = open.virtual_host.into();
                (ClientSaid::Open { raw, vhost }, Expect::Nothing)
            }
            (_, Ok(_)) => return Err(unexpected("another method")),
        };
        self.expect = next;
        Ok(Some(said))
    }
}

/// What a start-ok says. Read by hand, for it comes with every connection: all but the table are three short fields.
fn hello(payload: &[u8]) -> Result<Hello, WireError> {
    let malformed = || WireError::Arguments("connection.start-ok");
    let (properties, rest) = Table::read(payload.get(4..).unwrap_or_default())?;
    let (mechanism, rest) = short_text(rest).ok_or_else(malformed)?;
    let (response, rest) = guard::split_long_string(rest).map_err(|_| malformed())?;
    let Some((_locale, [])) = short_text(rest) else { return Err(malformed()) };
    Ok(Hello { user: sasl::user(mechanism, response), mechanism: mechanism.to_owned(), properties })
}

fn short_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(length.into())?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

impl Expect {
    fn name(self) -> &'static str {
        match self {
            Self::Header => "a protocol header",
            Self::StartOk => "connection.start-ok",
            Self::TuneOk => "connection.tune-ok or secure-ok",
            Self::Open => "connection.open",
            Self::Nothing => "nothing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::script::{header, start_ok};

    #[test]
    fn a_client_speaks_on_channel_0_only() {
        let mut elsewhere = start_ok("PLAIN", &[]);
        elsewhere[2] = 1;
        let mut handshake = ServerHandshake::default();
        handshake.push(&[header(), elsewhere].concat());
        assert_eq!(handshake.next_said(), Ok(Some(ClientSaid::Header)));
        assert!(matches!(handshake.next_said(), Err(HandshakeError::Unexpected { .. })));
    }
}

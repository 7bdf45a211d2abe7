//! rustls without buffers of its own, for either end: records in, records out.

use std::fmt;

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, UnbufferedConnectionCommon, UnbufferedStatus,
};
use rustls::{CommonState, Error, ProtocolVersion};

/// Most octets that a record adds to what it carries: header, content type, tag, nonce (RFC 5246, 8446).
const RECORD_EXTRA: usize = 64;
/// Most octets of plain text in one record.
const RECORD_PLAIN: usize = 16 * 1024;

/// One end of a TLS connection.
pub(super) enum Engine {
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
    /// Records made no sense. rustls is not asked again: it remembers where it stood in bytes that are gone, and would
    /// panic.
    Failed,
}

/// What records came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// The handshake waits for more of the peer.
    Handshake,
    /// The handshake is over: data may pass.
    Open,
    /// The peer has said its last word.
    PeerClosed,
}

/// What a look at records found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looked {
    /// Octets from the front that are done with. The others have to be shown again, unchanged, before what follows them.
    pub(super) used: usize,
    pub(super) stand: Stand,
}

/// Octets that hold `plain` octets of plain text in records, with room to spare.
pub(super) const fn room_for(plain: usize) -> usize {
    plain + (plain / RECORD_PLAIN + 2) * RECORD_EXTRA
}

impl Engine {
    /// Reads the records that `bytes` begins with: shows plain text to `deliver`, and puts what has to be answered into
    /// `outgoing`.
    ///
    /// # Errors
    /// What is wrong with them; an alert for the peer may be in `outgoing` then.
    pub(super) fn look(
        &mut self,
        bytes: &mut [u8],
        outgoing: &mut Vec<u8>,
        deliver: impl FnMut(&[u8]),
    ) -> Result<Looked, Error> {
        let looked = match self {
            Self::Server(end) => look(&mut **end, bytes, outgoing, deliver),
            Self::Client(end) => look(&mut **end, bytes, outgoing, deliver),
            Self::Failed => Err(failed()),
        };
        if looked.is_err() {
            *self = Self::Failed;
        }
        looked
    }

    /// Encrypts `plain` into `out`, which has [`room_for`] it; what has to be sent before goes to `outgoing`. `held` is
    /// what was left of records that were read.
    ///
    /// # Errors
    /// If nothing can be sent any more.
    pub(super) fn encrypt(
        &mut self,
        plain: &[u8],
        held: &mut [u8],
        out: &mut [u8],
        outgoing: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        match self {
            Self::Server(end) => encrypt(&mut **end, plain, held, out, outgoing),
            Self::Client(end) => encrypt(&mut **end, plain, held, out, outgoing),
            Self::Failed => Err(failed()),
        }
    }

    /// Says goodbye: close_notify goes to `outgoing`.
    pub(super) fn goodbye(&mut self, held: &mut [u8], outgoing: &mut Vec<u8>) {
        let mut alert = [0; 2 * RECORD_EXTRA];
        let written = match self {
            Self::Server(end) => goodbye(&mut **end, held, &mut alert),
            Self::Client(end) => goodbye(&mut **end, held, &mut alert),
            Self::Failed => 0,
        };
        outgoing.extend_from_slice(alert.get(..written).unwrap_or_default());
    }

    /// Is it the peer who has the last word of the handshake? What a server of TLS 1.3 says after it are tickets, for which
    /// nobody waits.
    pub(super) fn ends_by_listening(&self) -> bool {
        let tls13 = Some(ProtocolVersion::TLSv1_3);
        matches!(self, Self::Server(end) if end.protocol_version() == tls13)
    }

    /// What the handshake came to.
    pub(super) fn state(&self) -> Option<&CommonState> {
        match self {
            Self::Server(end) => Some(end),
            Self::Client(end) => Some(end),
            Self::Failed => None,
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server(_) => "Server",
            Self::Client(_) => "Client",
            Self::Failed => "Failed",
        })
    }
}

fn failed() -> Error {
    Error::General("TLS has failed before".into())
}

/// What both ends of rustls have in common.
trait Process {
    type Data;
    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
    /// Are there records that only need to be encoded?
    fn has_ready(&self) -> bool;
}

impl Process for UnbufferedServerConnection {
    type Data = rustls::server::ServerConnectionData;
    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        UnbufferedConnectionCommon::<Self::Data>::process_tls_records(self, bytes)
    }

    fn has_ready(&self) -> bool {
        self.wants_write()
    }
}

impl Process for UnbufferedClientConnection {
    type Data = rustls::client::ClientConnectionData;
    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        UnbufferedConnectionCommon::<Self::Data>::process_tls_records(self, bytes)
    }

    fn has_ready(&self) -> bool {
        self.wants_write()
    }
}

fn look<P: Process>(
    end: &mut P,
    bytes: &mut [u8],
    outgoing: &mut Vec<u8>,
    mut deliver: impl FnMut(&[u8]),
) -> Result<Looked, Error> {
    let (mut used, mut closed) = (0, false);
    loop {
        let status = end.process(bytes.get_mut(used..).unwrap_or_default());
        let mut discard = status.discard;
        let stand = match status.state {
            Ok(ConnectionState::ReadTraffic(mut records)) => {
                while let Some(record) = records.next_record() {
                    let record = record?;
                    discard += record.discard;
                    deliver(record.payload);
                }
                None
            }
            Ok(ConnectionState::EncodeTlsData(mut encode)) => {
                append(outgoing, |room| encode.encode(room))?;
                None
            }
            Ok(ConnectionState::TransmitTlsData(transmit)) => {
                transmit.done();
                None
            }
            Ok(ConnectionState::PeerClosed) => {
                closed = true;
                None
            }
            Ok(ConnectionState::Closed) => Some(Stand::PeerClosed),
            Ok(ConnectionState::BlockedHandshake) => Some(Stand::Handshake),
            Ok(ConnectionState::WriteTraffic(_)) if closed => Some(Stand::PeerClosed),
            Ok(ConnectionState::WriteTraffic(_)) => Some(Stand::Open),
            // Early data is never offered.
            Ok(_) => return Err(Error::General("a state of TLS that nobody asked for".into())),
            Err(error) => {
                alert(end, outgoing);
                return Err(error);
            }
        };
        used += discard;
        if let Some(stand) = stand {
            return Ok(Looked { used, stand });
        }
    }
}

/// After an error: the alert that tells the peer, if there is one. rustls is asked for no more than what it has ready: it
/// would look at records again, those that it found wrong or, in their place, none.
fn alert<P: Process>(end: &mut P, outgoing: &mut Vec<u8>) {
    while end.has_ready()
        && let Ok(ConnectionState::EncodeTlsData(mut encode)) = end.process(&mut []).state
    {
        if append(outgoing, |room| encode.encode(room)).is_err() {
            return;
        }
    }
}

/// Lets `encode` write behind what is in `outgoing`.
fn append(
    outgoing: &mut Vec<u8>,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), Error> {
    let start = outgoing.len();
    let mut written = encode(&mut []);
    if let Err(EncodeError::InsufficientSize(needs)) = &written {
        outgoing.resize(start + needs.required_size, 0);
        written = encode(&mut outgoing[start..]);
    }
    outgoing.truncate(start + written.as_ref().map_or(0, |&written| written));
    written.map(|_| ()).map_err(|error| Error::General(error.to_string()))
}

fn encrypt<P: Process>(
    end: &mut P,
    plain: &[u8],
    held: &mut [u8],
    out: &mut [u8],
    outgoing: &mut Vec<u8>,
) -> Result<usize, Error> {
    loop {
        match end.process(held).state? {
            ConnectionState::WriteTraffic(mut traffic) => {
                let encrypted = traffic.encrypt(plain, out);
                return encrypted.map_err(|error: EncryptError| Error::General(error.to_string()));
            }
            ConnectionState::EncodeTlsData(mut encode) => {
                append(outgoing, |room| encode.encode(room))?;
            }
            ConnectionState::TransmitTlsData(transmit) => transmit.done(),
            _ => return Err(Error::General("TLS takes no data now".into())),
        }
    }
}

fn goodbye<P: Process>(end: &mut P, held: &mut [u8], out: &mut [u8]) -> usize {
    match end.process(held).state {
        Ok(ConnectionState::WriteTraffic(mut traffic)) => {
            traffic.queue_close_notify(out).unwrap_or(0)
        }
        _ => 0,
    }
}

//! The TLS handshake, as server or as client.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, CommonState, HandshakeKind, ProtocolVersion, ServerConfig};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::engine::{Engine, Stand};
use super::facts::{TlsFacts, iana_name};
use super::tls::{State, Tls};

/// Octets of one read: a ClientHello fits, a chain of certificates takes a few.
const READ: usize = 4 * 1024;
/// Most octets of a handshake that are kept: one message of 64 KiB, and the record it ends in.
const MOST_HELD: usize = 96 * 1024;
/// How long a client that was refused has for reading why.
const LINGER: Duration = Duration::from_secs(1);

/// Why a TLS handshake failed.
#[derive(Debug, Error)]
pub enum HandshakeError {
    /// The connection broke, or ended.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// TLS does not allow it; the peer was told in an alert, if it broke a rule.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// Handshakes with a client. `said` is what it has said so far.
///
/// # Errors
/// Why there is no TLS connection.
pub(super) async fn accept(
    tcp: TcpStream,
    config: Arc<ServerConfig>,
    said: Vec<u8>,
) -> Result<Tls, HandshakeError> {
    let engine = Engine::Server(Box::new(UnbufferedServerConnection::new(config)?));
    run(tcp, engine, said).await
}

/// Handshakes with a server that has to prove to be `name`.
///
/// # Errors
/// Why there is no TLS connection.
pub(super) async fn connect(
    tcp: TcpStream,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
) -> Result<Tls, HandshakeError> {
    let engine = Engine::Client(Box::new(UnbufferedClientConnection::new(config, name)?));
    run(tcp, engine, Vec::new()).await
}

async fn run(
    mut tcp: TcpStream,
    mut engine: Engine,
    mut held: Vec<u8>,
) -> Result<Tls, HandshakeError> {
    let (mut outgoing, mut plain) = (Vec::new(), Vec::new());
    let serves = matches!(engine, Engine::Server(_));
    loop {
        // Data may stand right behind the last word of the handshake.
        let looked = engine.look(&mut held, &mut outgoing, |text| plain.extend_from_slice(text));
        let only_tickets = looked.as_ref().is_ok_and(|looked| looked.stand != Stand::Handshake)
            && engine.ends_by_listening();
        if !outgoing.is_empty() && !only_tickets {
            tcp.write_all(&outgoing).await?;
            outgoing.clear();
        }
        let looked = match looked {
            Ok(looked) => looked,
            Err(error) => {
                if serves {
                    let _ = timeout(LINGER, let_it_be_read(&mut tcp, held)).await;
                }
                return Err(error.into());
            }
        };
        held.drain(..looked.used);
        if looked.stand != Stand::Handshake {
            let facts = Box::new(facts(engine.state()));
            held.shrink_to_fit();
            outgoing.shrink_to_fit();
            let ended = looked.stand == Stand::PeerClosed;
            let state = State::new(engine, facts, (held, plain), outgoing, ended);
            return Ok(Tls { tcp, state });
        }
        if held.len() > MOST_HELD {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too long a message").into());
        }
        held.reserve(READ);
        if tcp.read_buf(&mut held).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

/// Says that nothing more will come, and drops what the peer had on the way: a socket that closes with bytes unread resets
/// the connection, and a peer whose system hears of that before it has read the alert never learns the cause.
async fn let_it_be_read(tcp: &mut TcpStream, mut room: Vec<u8>) -> io::Result<()> {
    tcp.shutdown().await?;
    room.reserve(READ);
    let mut left = MOST_HELD;
    while left > 0 {
        room.clear();
        match tcp.read_buf(&mut room).await? {
            0 => return Ok(()),
            count => left = left.saturating_sub(count),
        }
    }
    Ok(())
}

fn facts(state: Option<&CommonState>) -> TlsFacts {
    let suite = state.and_then(CommonState::negotiated_cipher_suite);
    TlsFacts {
        version: match state.and_then(CommonState::protocol_version) {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLS",
        },
        cipher: suite.map_or("", |suite| iana_name(suite.suite())),
        resumed: state.and_then(CommonState::handshake_kind) == Some(HandshakeKind::Resumed),
        certificate: None,
    }
}

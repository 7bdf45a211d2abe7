//! A TCP connection to a client or a node: in plain text, or with TLS that the gateway itself ends.

pub mod arrival;
mod engine;
pub mod facts;
mod handshake;
pub mod shared;
mod tls;

#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, CommonState, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use facts::TlsFacts;
pub use handshake::HandshakeError;
use tls::{State, Tls};

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// In plain text.
    Plain(TcpStream),
    /// With TLS.
    Tls(Box<Tls>),
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Self {
        Self::Plain(tcp)
    }
}

impl Stream {
    /// Handshakes with a client over TLS. `said` is what it has said so far.
    ///
    /// # Errors
    /// Why there is no TLS connection.
    pub async fn accept(
        tcp: TcpStream,
        config: Arc<ServerConfig>,
        said: Vec<u8>,
    ) -> Result<Self, HandshakeError> {
        Ok(Self::Tls(Box::new(handshake::accept(tcp, config, said).await?)))
    }

    /// Handshakes over TLS with a server that has to prove to be `name`.
    ///
    /// # Errors
    /// Why there is no TLS connection.
    pub async fn connect(
        tcp: TcpStream,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, HandshakeError> {
        Ok(Self::Tls(Box::new(handshake::connect(tcp, config, name).await?)))
    }

    /// The TCP connection below.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.tcp,
        }
    }

    /// What the TLS handshake came to, if there was one.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFacts> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => Some(&tls.state.facts),
        }
    }

    /// The certificate that the peer has shown, leaf first.
    #[must_use]
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        match self {
            Self::Plain(_) => &[],
            Self::Tls(tls) => {
                let state = tls.state.engine.state();
                state.and_then(CommonState::peer_certificates).unwrap_or_default()
            }
        }
    }

    /// Has it taken bytes that its peer has not taken yet? A flush sends them.
    #[inline]
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.state.has_unsent(),
        }
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// The system's, or that of TLS.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).await?;
        self.flush().await
    }

    /// Takes it away from its thread.
    ///
    /// # Errors
    /// The system's.
    pub fn detach(self) -> io::Result<Detached> {
        match self {
            Self::Plain(tcp) => Ok(Detached { tcp: tcp.into_std()?, state: None }),
            Self::Tls(tls) => {
                let Tls { tcp, state } = *tls;
                Ok(Detached { tcp: tcp.into_std()?, state: Some(Box::new(state)) })
            }
        }
    }
}

/// A connection on its way from one thread to another.
#[derive(Debug)]
pub struct Detached {
    tcp: std::net::TcpStream,
    state: Option<Box<State>>,
}

impl Detached {
    /// Brings it to the thread that calls.
    ///
    /// # Errors
    /// The system's.
    pub fn attach(self) -> io::Result<Stream> {
        let tcp = TcpStream::from_std(self.tcp)?;
        Ok(match self.state {
            None => Stream::Plain(tcp),
            Some(state) => Stream::Tls(Box::new(Tls { tcp, state: *state })),
        })
    }
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, out),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, out),
        }
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, bytes),
        }
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        }
    }
}

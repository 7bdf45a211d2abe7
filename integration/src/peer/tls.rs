//! A scripted peer as a client with TLS.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use rustls::ClientConnection;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::either::Either;

use super::{DEADLINE, Peer};
use crate::tls::Connector;

impl Peer {
    /// Connects with TLS.
    ///
    /// # Errors
    /// When nobody listens there, or one of both sides refuses the TLS handshake.
    pub async fn connect_tls(address: SocketAddr, tls: &Connector) -> Result<Self> {
        Self::connect(address).await?.start_tls(tls).await
    }

    /// Goes on with TLS, whatever was sent before.
    ///
    /// # Errors
    /// When one of both sides refuses the TLS handshake, and when there is TLS already.
    pub async fn start_tls(self, tls: &Connector) -> Result<Self> {
        let Either::Left(stream) = self.stream else { bail!("TLS inside TLS") };
        let stream = timeout(DEADLINE, tls.handshake(stream)).await;
        let stream = stream.context("no TLS handshake in time")?.context("TLS handshake")?;
        Ok(Self { stream: Either::Right(stream) })
    }

    /// What was agreed on; `None` in the clear.
    #[must_use]
    pub fn tls(&self) -> Option<&ClientConnection> {
        match &self.stream {
            Either::Left(_) => None,
            Either::Right(stream) => Some(stream.get_ref().1),
        }
    }

    /// The socket itself, below TLS if there is any.
    pub fn stream(&mut self) -> &mut TcpStream {
        match &mut self.stream {
            Either::Left(stream) => stream,
            Either::Right(stream) => stream.get_mut().0,
        }
    }

    pub(super) fn socket(&self) -> &TcpStream {
        match &self.stream {
            Either::Left(stream) => stream,
            Either::Right(stream) => stream.get_ref().0,
        }
    }
}

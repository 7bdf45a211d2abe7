//! A connection to a node: TCP, then what the cluster wants said before AMQP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use amqp_codec::preface::proxy_header::{self, Outgoing};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::registry::Session;
use crate::cluster::Cluster;
use crate::cluster::node::Node;
use crate::config::model::ProxyOut;
use crate::stream::facts::TlsFacts;
use crate::stream::{HandshakeError, Stream};
use crate::tls::client::Origination;

/// Why there is no connection to a node.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// The system's error; `TimedOut` if there was no answer in time.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It answered, and there is no TLS with it.
    #[error("TLS: {}", .1)]
    Tls(&'static str, String),
}

/// Which port of a node is dialled, and what is spoken there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Port {
    /// That of its address, with TLS if its cluster has it.
    Amqp,
    /// Another one, likewise.
    Other(u16),
    /// Another one, where the client itself speaks TLS.
    Sealed(u16),
}

impl Port {
    pub(super) fn on(self, node: &Node) -> SocketAddr {
        match self {
            Self::Amqp => node.address,
            Self::Other(port) | Self::Sealed(port) => SocketAddr::new(node.address.ip(), port),
        }
    }

    fn tls(self, cluster: &Cluster) -> Option<&Origination> {
        match self {
            Self::Amqp | Self::Other(_) => cluster.tls.as_deref(),
            Self::Sealed(_) => None,
        }
    }
}

/// Connects to `port` of `node` within `patience`.
///
/// # Errors
/// Why there is no connection.
pub(super) async fn dial(
    session: &Session,
    (cluster, node, port): (&Cluster, &Node, Port),
    patience: Duration,
) -> Result<Stream, DialError> {
    let connecting = async {
        let mut tcp = TcpStream::connect(port.on(node)).await?;
        tcp.set_nodelay(true)?;
        if cluster.model.proxy_protocol != ProxyOut::Off {
            introduce(session, cluster, &mut tcp).await?;
        }
        match port.tls(cluster) {
            None => Ok(tcp.into()),
            // Boxed: most clusters have none, and what waits for it is part of every handshake.
            Some(tls) => Box::pin(secure(tcp, tls, node)).await,
        }
    };
    timeout(patience, connecting).await.unwrap_or_else(|_| Err(timed_out()))
}

/// Tells the node who the client is, before all else: the PROXY protocol.
async fn introduce(session: &Session, cluster: &Cluster, tcp: &mut TcpStream) -> io::Result<()> {
    let arrival = &session.arrival;
    let destination = match arrival.local {
        Some(local) => local,
        None => tcp.local_addr()?,
    };
    let id = format!("{:016x}", session.id.0);
    let own = arrival.tls.as_deref().map(told);
    let header = Outgoing {
        authority: arrival.sni.as_deref(),
        unique_id: Some(id.as_bytes()),
        tls: own.as_ref().or(arrival.proxy_tls.as_deref()),
        ..Outgoing::new(arrival.client, destination)
    };
    let header = match cluster.model.proxy_protocol {
        ProxyOut::V1 => header.v1(),
        ProxyOut::V2 | ProxyOut::Off => header.v2(),
    };
    tcp.write_all(&header).await
}

fn told(tls: &TlsFacts) -> proxy_header::TlsFacts {
    let certificate = tls.certificate.as_deref();
    proxy_header::TlsFacts {
        tls: true,
        certificate: certificate.is_some() && !tls.resumed,
        session_certificate: certificate.is_some(),
        // One that is not good ends the handshake.
        verify: 0,
        version: Some(tls.version.to_owned()),
        common_name: certificate.and_then(|shown| shown.common_name.as_deref()).map(str::to_owned),
        cipher: Some(tls.cipher.to_owned()),
    }
}

async fn secure(tcp: TcpStream, tls: &Origination, node: &Node) -> Result<Stream, DialError> {
    let name = tls.server_name(&node.host);
    match Stream::connect(tcp, tls.config(), name).await {
        Ok(stream) => Ok(stream),
        Err(HandshakeError::Io(error)) => Err(error.into()),
        Err(HandshakeError::Tls(error)) => {
            let (reason, detail) = crate::tls::failure::of_node(&error);
            Err(DialError::Tls(reason, detail))
        }
    }
}

fn timed_out() -> DialError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

/// A label for what the node, or the way to it, did wrong: from a fixed set.
pub(super) fn reason(error: &DialError) -> &'static str {
    let error = match error {
        DialError::Io(error) => error,
        DialError::Tls(reason, _) => return reason,
    };
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused",
        io::ErrorKind::TimedOut => "connect-timeout",
        io::ErrorKind::ConnectionReset => "reset",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "unreachable",
        _ => "connect-error",
    }
}

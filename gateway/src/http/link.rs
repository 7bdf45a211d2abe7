//! An HTTP connection to a node.

use std::fmt;
use std::io;
use std::time::Duration;

use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::body::Upload;
use super::nodes::HttpNode;
use crate::cluster::Cluster;
use crate::socket::keep_alive;
use crate::stream::{HandshakeError, Stream};
use crate::tls;

/// Largest head of a node's response, and what is read ahead of its body, in bytes.
const LARGEST_HEAD: usize = 64 * 1024;
/// Most headers of a node's response.
const MOST_HEADERS: usize = 128;

/// A connection to a node, which ends when this is dropped.
pub(super) struct Link {
    sender: SendRequest<Upload>,
    /// Does the node see a client of its own host?
    pub(super) looks_local: bool,
    _connection: AbortOnDropHandle<()>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}

/// Connects to a node within `patience`.
///
/// # Errors
/// The system's, or why there is no TLS; `TimedOut` if there was no answer in time.
pub(super) async fn connect(
    cluster: &Cluster,
    node: &HttpNode,
    patience: Duration,
) -> io::Result<Link> {
    let connecting = async {
        let tcp = TcpStream::connect((&*node.url.host, node.url.port)).await?;
        tcp.set_nodelay(true)?;
        // A node that is switched off in the middle of an answer, or of a silent WebSocket, says nothing any more.
        SockRef::from(&tcp).set_tcp_keepalive(&keep_alive())?;
        let looks_local = tcp.peer_addr()?.ip().to_canonical().is_loopback();
        let stream = if node.url.tls { secure(cluster, node, tcp).await? } else { tcp.into() };
        speak(stream, looks_local).await
    };
    timeout(patience, connecting).await.map_err(|_| io::ErrorKind::TimedOut)?
}

async fn secure(cluster: &Cluster, node: &HttpNode, tcp: TcpStream) -> io::Result<Stream> {
    let none = || io::Error::new(io::ErrorKind::Unsupported, "there is no TLS for this cluster");
    let tls = cluster.https.as_deref().ok_or_else(none)?;
    let name = tls.server_name(&node.node.management_host());
    Stream::connect(tcp, tls.config(), name).await.map_err(|error| match error {
        HandshakeError::Io(error) => error,
        HandshakeError::Tls(error) => io::Error::other(tls::failure::of_node(&error).1),
    })
}

async fn speak(stream: Stream, looks_local: bool) -> io::Result<Link> {
    let mut builder = Builder::new();
    builder.max_headers(MOST_HEADERS).max_buf_size(LARGEST_HEAD);
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = tokio::spawn(async move {
        // Its errors reach whoever waits for an answer.
        let _ = connection.with_upgrades().await;
    });
    Ok(Link { sender, looks_local, _connection: AbortOnDropHandle::new(connection) })
}

impl Link {
    /// Can it take a request, as far as is known?
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Waits until the last answer has come to its end. Returns whether another request may follow.
    pub(super) async fn is_free(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Sends a request. Of one that was not begun to be sent the error has it back.
    pub(super) async fn send(
        &mut self,
        request: Request<Upload>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Upload>>> {
        self.sender.try_send_request(request).await
    }
}

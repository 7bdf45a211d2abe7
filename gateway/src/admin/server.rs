//! The accept loop of the admin address. It bounds what a stranger can take: connections at once,
//! the time to send a request, the size of its head, and the time a connection may live.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::line::{Line, MAX_STREAMS};

/// Connections at once; further clients wait in the accept queue.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// For the head of a request, and for the next one on an idle connection.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// After that a connection ends with its present answer, or with its stream.
pub(super) const LIFETIME: Duration = Duration::from_secs(if cfg!(test) { 6 } else { 60 });
/// A peer that takes nothing for so long is gone, or as good as that; streams would wait for it for ever.
const SILENCE: Duration = Duration::from_secs(30);
/// For the last answer of a connection, at its end or at that of the server.
const LAST_ANSWER: Duration = Duration::from_secs(2);
/// Largest head of a request, and what is read ahead, in bytes.
pub(super) const MAX_HEAD: usize = 16 * 1024;
/// Pause after a failed accept: out of file descriptors, the next one fails as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until `stop` is cancelled and the last answers are out.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let room = Arc::new(Semaphore::new(MAX_STREAMS));
    let connections = TaskTracker::new();
    while let Some((stream, peer, slot)) = accept(&listener, &slots, &stop).await {
        let (room, stop) = (room.clone(), stop.clone());
        let line = Line { peer, streams: TaskTracker::new(), room, stop };
        connections.spawn(connection(stream, router.clone(), line, slot));
    }
    drop(listener);
    connections.close();
    // Each connection has a deadline of its own; this one only guards against a mistake there.
    let _ = timeout(2 * LAST_ANSWER, connections.wait()).await;
}

/// The next connection and its slot; `None` once stopped.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let next = async {
        let slot = Arc::clone(slots).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some((stream, peer, slot)),
                Err(error) => {
                    warn!(%error, "the admin address cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        accepted = next => accepted,
    }
}

async fn connection(stream: TcpStream, router: Router, line: Line, _slot: OwnedSemaphorePermit) {
    if let Err(error) = SockRef::from(&stream).set_tcp_user_timeout(Some(SILENCE)) {
        debug!(%error, "a connection to the admin address is not watched");
    }
    let (stop, streams) = (line.stop.clone(), line.streams.clone());
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(
            TokioIo::new(stream),
            Named { router: TowerToHyperService::new(router), line },
        );
    tokio::pin!(connection);
    let outlived = async {
        sleep(LIFETIME).await;
        streams.close();
        streams.wait().await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => last_answer(connection).await,
        () = outlived => last_answer(connection).await,
    };
    if let Err(error) = ended {
        debug!(%error, "a connection to the admin address broke off");
    }
}

/// The router, told of the connection that its requests come on.
struct Named {
    router: TowerToHyperService<Router>,
    line: Line,
}

impl Service<Request<Incoming>> for Named {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.line.clone());
        self.router.call(request)
    }
}

type Connection = http1::Connection<TokioIo<TcpStream>, Named>;

async fn last_answer(mut connection: std::pin::Pin<&mut Connection>) -> hyper::Result<()> {
    connection.as_mut().graceful_shutdown();
    timeout(LAST_ANSWER, connection).await.unwrap_or(Ok(()))
}

//! The accept loop of the admin address. It bounds what a stranger can take: connections at once,
//! the time to send a request, the size of its head, and the time a connection may live.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

/// Connections at once; further clients wait in the accept queue.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// For the head of a request, and for the next one on an idle connection.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// After that a connection ends with its present answer.
const LIFETIME: Duration = Duration::from_secs(60);
/// For the last answer of a connection, at its end or at that of the server.
const LAST_ANSWER: Duration = Duration::from_secs(2);
/// Largest head of a request, and what is read ahead, in bytes.
pub(super) const MAX_HEAD: usize = 16 * 1024;
/// Pause after a failed accept: out of file descriptors, the next one fails as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until `stop` is cancelled and the last answers are out.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    while let Some((stream, slot)) = accept(&listener, &slots, &stop).await {
        connections.spawn(connection(stream, router.clone(), stop.clone(), slot));
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
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let next = async {
        let slot = Arc::clone(slots).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, slot)),
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

async fn connection(
    stream: TcpStream,
    router: Router,
    stop: CancellationToken,
    _slot: OwnedSemaphorePermit,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => last_answer(connection).await,
        () = sleep(LIFETIME) => last_answer(connection).await,
    };
    if let Err(error) = ended {
        debug!(%error, "a connection to the admin address broke off");
    }
}

type Connection = http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>>;

async fn last_answer(mut connection: std::pin::Pin<&mut Connection>) -> hyper::Result<()> {
    connection.as_mut().graceful_shutdown();
    timeout(LAST_ANSWER, connection).await.unwrap_or(Ok(()))
}

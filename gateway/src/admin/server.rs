//! The accept loop of the admin address. It bounds what a stranger can take: connections at once,
//! the time to send a request, the size of its head, and the time a connection may live.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
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
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::guests::{Guest, Guests};
use super::line::{Line, Room};
use crate::tls::server::Termination;

/// For the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// To somebody who speaks HTTP without TLS where there is TLS.
const PLAIN: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nConnection: close\r\n\
    Content-Length: 126\r\n\r\n{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,\
    \"detail\":\"This address speaks TLS: ask it with https:// in the URL.\"}";
/// For the head of a request, and for the next one on an idle connection.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// After that a connection ends with its present answer, however long that takes, or with its stream.
pub(super) const LIFETIME: Duration = Duration::from_secs(if cfg!(test) { 6 } else { 60 });
/// A peer that takes nothing for so long is gone, or as good as that; streams would wait for it for ever.
const SILENCE: Duration = Duration::from_secs(30);
/// How long that may be: longer than the commands and the console wait for what they order.
const LONGEST_ANSWER: Duration = Duration::from_secs(180);
/// For the last answer of a connection when the server ends.
pub(super) const LAST_ANSWER: Duration = Duration::from_secs(2);
/// Largest head of a request, and what is read ahead, in bytes.
pub(super) const MAX_HEAD: usize = 16 * 1024;
/// Pause after a failed accept: out of file descriptors, the next one fails as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until `stop` is cancelled and the last answers are out.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Termination>>,
    router: Router,
    stop: CancellationToken,
) {
    let mut guests = Guests::default();
    let room = Arc::<Room>::default();
    let connections = TaskTracker::new();
    while let Some((stream, peer, guest)) = accept(&listener, &mut guests, &stop).await {
        let (room, stop) = (room.clone(), stop.clone());
        let secure = tls.is_some();
        let line = Line { peer, secure, streams: TaskTracker::new(), room, stop };
        connections.spawn(connection(stream, tls.clone(), router.clone(), line, guest));
    }
    drop(listener);
    connections.close();
    // Each connection has a deadline of its own; this one only guards against a mistake there.
    let _ = timeout(2 * LAST_ANSWER, connections.wait()).await;
}

/// The next connection that may be; `None` once stopped.
async fn accept(
    listener: &TcpListener,
    guests: &mut Guests,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, Guest)> {
    let next = async {
        loop {
            let room = guests.room().await?;
            match listener.accept().await {
                Ok((stream, peer)) => {
                    if let Some(guest) = guests.admit(room, peer.ip()) {
                        return Some((stream, peer, guest));
                    }
                }
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
    tls: Option<Arc<Termination>>,
    router: Router,
    line: Line,
    _guest: Guest,
) {
    if let Err(error) = SockRef::from(&stream).set_tcp_user_timeout(Some(SILENCE)) {
        debug!(%error, "a connection to the admin address is not watched");
    }
    let Some(tls) = tls else { return talk(stream, router, line).await };
    let stop = line.stop.clone();
    match stop.run_until_cancelled(timeout(HANDSHAKE_TIMEOUT, secure(stream, &tls))).await {
        Some(Ok(Ok(stream))) => talk(stream, router, line).await,
        Some(Ok(Err(error))) => debug!(%error, "no TLS at the admin address"),
        Some(Err(_)) => debug!("no TLS handshake at the admin address in time"),
        None => {}
    }
}

/// Shakes hands. Who speaks HTTP without TLS is told so.
async fn secure(mut stream: TcpStream, tls: &Termination) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? > 0 && first[0].is_ascii_uppercase() {
        stream.write_all(PLAIN.as_bytes()).await?;
        stream.shutdown().await?;
        // What is not read would have the kernel throw the answer away.
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        return Err(io::Error::other("the client speaks HTTP without TLS"));
    }
    TlsAcceptor::from(tls.config()).accept(stream).await
}

async fn talk<S: Transport>(stream: S, router: Router, line: Line) {
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
    let whole = async {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = outlived => {}
        }
        last_answer(connection.as_mut(), LONGEST_ANSWER).await
    };
    let ended = stop.run_until_cancelled(whole).await;
    let ended = match ended {
        Some(ended) => ended,
        None => last_answer(connection, LAST_ANSWER).await,
    };
    if let Err(error) = ended {
        debug!(%error, "a connection to the admin address broke off");
    }
}

/// TCP, with or without TLS.
trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for S {}

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

type Connection<S> = http1::Connection<TokioIo<S>, Named>;

/// Takes no other request, and gives an answer that has been begun so much time.
async fn last_answer<S: Transport>(
    mut connection: Pin<&mut Connection<S>>,
    patience: Duration,
) -> hyper::Result<()> {
    connection.as_mut().graceful_shutdown();
    timeout(patience, connection).await.unwrap_or(Ok(()))
}

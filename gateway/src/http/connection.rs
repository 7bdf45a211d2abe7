//! Serves the requests of one connection, and sees to it that it does not take too long between them.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{sleep_until, timeout};
use tracing::debug;

use super::arrive::Client;
use super::exchange::{Exchange, Reason};
use super::pulse::Overdue;
use super::stall::Patience;
use super::{Shared, service};
use crate::stream::Stream;

/// Largest head of a request, and what is read ahead of its body, in bytes.
const LARGEST_HEAD: usize = 64 * 1024;
/// Most headers of a request.
const MOST_HEADERS: usize = 128;
/// For what is still on its way to a client whose connection is closed for being idle.
const GOODBYE: Duration = Duration::from_secs(1);

/// For an answer that is under way to a client whose address moves to another gateway.
const LAST_ANSWER: Duration = Duration::from_millis(40);

/// Bytes that the kernel takes for a client ahead of what it sends. This is what makes a slow client's progress visible: with
/// the kernel's own limit there may be none for megabytes.
const AHEAD: u32 = 128 * 1024;

/// How a connection ended.
enum End {
    Closed(hyper::Result<()>),
    Overdue(Overdue),
    Stalled,
}

/// Serves a connection to its end, or until it is turned into something else. `said` is what has been read of it already.
pub(super) async fn serve(shared: Arc<Shared>, client: Arc<Client>, said: Vec<u8>, stream: Stream) {
    let service = {
        let (shared, client) = (shared.clone(), client.clone());
        service_fn(move |request| service::serve(shared.clone(), client.clone(), request))
    };
    // Without it, a client that is slow enough may be taken for one that has stalled.
    let _ = SockRef::from(stream.tcp()).set_tcp_notsent_lowat(AHEAD);
    let patience = client.stall.patience();
    let heard = Heard { said: said.into(), stream, client: client.clone(), patience };
    let mut builder = http1::Builder::new();
    builder.max_headers(MOST_HEADERS).max_header_size(LARGEST_HEAD).max_buf_size(LARGEST_HEAD);
    // The pulse keeps the time: hyper's limit would count from the end of the last answer.
    builder.header_read_timeout(None);
    let mut connection =
        pin!(builder.serve_connection(TokioIo::new(heard), service).with_upgrades());
    let mut alarm = pin!(sleep_until((client.arrival.accepted + shared.head()).into()));
    let mut stopping = false;
    let end = loop {
        let work = poll_fn(|cx| {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(End::Closed(ended));
            }
            // What the connection does may have changed just now.
            let Some(deadline) = client.pulse().deadline() else { return Poll::Pending };
            if alarm.deadline() != deadline.into() {
                alarm.as_mut().reset(deadline.into());
            }
            ready!(alarm.as_mut().poll(cx));
            client
                .pulse()
                .overdue(Instant::now())
                .map_or(Poll::Pending, |o| Poll::Ready(End::Overdue(o)))
        });
        tokio::select! {
            end = work => break end,
            () = client.stall.over() => break End::Stalled,
            () = shared.cut.cancelled() => return,
            () = client.arrival.lost() => {
                connection.as_mut().graceful_shutdown();
                let _ = timeout(LAST_ANSWER, connection).await;
                return;
            }
            () = client.listener.stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    };
    match end {
        End::Closed(Ok(())) => {}
        End::Closed(Err(error)) if error.is_parse() => {
            Exchange::ended(&shared, &client, Reason::BadRequest, error.to_string());
        }
        End::Closed(Err(error)) => {
            debug!(listener = %client.listener.name, client = %client.arrival.client, %error, "connection broke off");
        }
        End::Overdue(Overdue::Head) => {
            let text = format!("no whole head within {:?}", shared.head());
            Exchange::ended(&shared, &client, Reason::HeadTimeout, text);
        }
        // The request says so when it is dropped.
        End::Overdue(Overdue::Silent) | End::Stalled => {}
        End::Overdue(Overdue::Idle) => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(GOODBYE, connection).await;
        }
    }
}

/// A stream that tells when it hears something, and that breaks off when its client takes nothing for too long.
struct Heard {
    /// What was read of it before.
    said: Bytes,
    stream: Stream,
    client: Arc<Client>,
    /// With what it takes.
    patience: Patience,
}

impl Heard {
    /// Minds what came of an attempt to write.
    fn mind<T>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if !self.patience.is_over(cx, &attempt) {
            return attempt;
        }
        // Otherwise the kernel would go on to offer the client what it does not take.
        let _ = self.stream.tcp().set_zero_linger();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if !self.said.is_empty() {
            let length = self.said.len().min(buffer.remaining());
            buffer.put_slice(&self.said.split_to(length));
            self.client.pulse().heard(Instant::now());
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.client.pulse().heard(Instant::now());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.mind(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.mind(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.mind(cx, shut)
    }
}

//! Bodies on their way: counted, and otherwise untouched. Nobody buffers them; who is slow is waited for.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

use super::exchange::{Exchange, Reason};
use super::link::Link;
use super::stall::{Patience, Stall};

/// What is known of a client's body.
#[derive(Debug)]
pub(super) struct Meter {
    /// Bytes read from the client.
    pub(super) bytes: AtomicU64,
    /// Has the client broken off?
    pub(super) broken: AtomicBool,
    /// Has the client stalled?
    stall: Stall,
}

impl Meter {
    /// Of a client of which `stall` tells.
    pub(super) fn new(stall: Stall) -> Self {
        Self { bytes: AtomicU64::new(0), broken: AtomicBool::new(false), stall }
    }
}

/// A client's body on its way to a node.
#[derive(Debug)]
pub(super) struct Upload {
    body: Option<Incoming>,
    meter: Arc<Meter>,
    patience: Patience,
}

impl Upload {
    /// Nothing of it has been read yet.
    pub(super) fn new(body: Incoming, meter: Arc<Meter>) -> Self {
        let patience = meter.stall.patience();
        Self { body: Some(body), meter, patience }
    }

    /// A body of no bytes.
    pub(super) fn empty(meter: Arc<Meter>) -> Self {
        let patience = meter.stall.patience();
        Self { body: None, meter, patience }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx);
        // A client that has stalled is cut where it is served, and this with it.
        self.patience.is_over(cx, &frame);
        let frame = ready!(frame);
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.meter.bytes.fetch_add(length as u64, Ordering::Relaxed);
            }
            Some(Err(_)) => self.meter.broken.store(true, Ordering::Relaxed),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// The body of an answer on its way to a client. With its end the exchange is recorded.
#[derive(Debug)]
pub(super) struct Download {
    source: Source,
    exchange: Option<Exchange>,
}

#[derive(Debug)]
enum Source {
    /// A node's, and its connection, which is kept if all of it has come.
    Node(Incoming, Option<Link>),
    /// The gateway's own.
    Own(Full<Bytes>),
}

impl Download {
    /// A node's answer.
    pub(super) fn of_node(body: Incoming, link: Link, exchange: Exchange) -> Self {
        Self { source: Source::Node(body, Some(link)), exchange: Some(exchange) }
    }

    /// The gateway's own answer.
    pub(super) fn own(text: String, exchange: Exchange) -> Self {
        Self { source: Source::Own(Full::new(Bytes::from(text))), exchange: Some(exchange) }
    }

    /// No body; the exchange goes on elsewhere.
    pub(super) fn none() -> Self {
        Self { source: Source::Own(Full::default()), exchange: None }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = match &mut self.source {
            Source::Node(body, _) => ready!(Pin::new(body).poll_frame(cx)),
            Source::Own(body) => ready!(Pin::new(body).poll_frame(cx))
                .map(|frame| frame.map_err(|never| match never {})),
        };
        if let Some(exchange) = &mut self.exchange {
            match &frame {
                Some(Ok(frame)) => exchange.sent(frame.data_ref().map_or(0, Bytes::len)),
                Some(Err(_)) => exchange.failed(Reason::NodeLost),
                None => exchange.done(),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Node(body, _) => body.is_end_stream(),
            Source::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Node(body, _) => body.size_hint(),
            Source::Own(body) => body.size_hint(),
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        let ended = self.is_end_stream();
        let Some(exchange) = &mut self.exchange else { return };
        if ended {
            exchange.done();
        }
        if let Source::Node(_, link) = &mut self.source
            && exchange.is_done()
            && let Some(link) = link.take()
        {
            exchange.keep(link);
        }
    }
}

//! The connection that a request came on, and what streams need of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::StatusCode;
use futures_util::stream::{Stream, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::caller::Caller;
use super::problem::Problem;

/// Streams at once: less than there are connections, so that others get theirs.
pub(super) const MAX_STREAMS: usize = 32;

/// The connection that a request came on. The server puts it into every request.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Where it comes from.
    pub(super) peer: SocketAddr,
    /// Does it have TLS?
    pub(super) secure: bool,
    /// The streams on it.
    pub(super) streams: TaskTracker,
    /// Room for streams on all connections.
    pub(super) room: Arc<Semaphore>,
    /// Cancelled when the server stops.
    pub(super) stop: CancellationToken,
}

impl Line {
    /// The address of the other end, as people write it.
    pub(super) fn from(&self) -> IpAddr {
        self.peer.ip().to_canonical()
    }

    /// A place for a stream on this connection: while it is held, the connection may live.
    ///
    /// # Errors
    /// There are as many streams as there may be.
    pub(super) fn place(&self) -> Result<Place, Problem> {
        let full = |_| {
            let detail = format!(
                "There are {MAX_STREAMS} streams already, which is the limit; end one, or try again later."
            );
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        };
        let room = self.room.clone().try_acquire_owned().map_err(full)?;
        Ok(Place { stop: self.stop.clone(), _room: room, _lasting: self.streams.token() })
    }
}

/// Room for a stream.
pub(super) struct Place {
    stop: CancellationToken,
    _room: OwnedSemaphorePermit,
    _lasting: TaskTrackerToken,
}

impl Place {
    /// Holds the place while `stream` goes on: until it ends, the server stops, or `caller` may not see it any more.
    pub(super) fn hold<T>(
        self,
        stream: impl Stream<Item = T>,
        caller: Caller,
    ) -> impl Stream<Item = T> {
        let stop = self.stop.clone();
        let end = async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = caller.ended.cancelled() => {}
            }
        };
        stream.take_until(Box::pin(end)).map(move |item| {
            let _held = &self;
            item
        })
    }
}

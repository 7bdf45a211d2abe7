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
use super::of_address::{OfAddress, OfAddresses};
use super::problem::Problem;

/// Streams at once: less than there are connections, so that others get theirs.
pub(super) const MAX_STREAMS: usize = 32;
/// Of these, from one address: nobody takes them all.
pub(super) const MAX_STREAMS_OF_ADDRESS: usize = 8;

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
    pub(super) room: Arc<Room>,
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
    /// There are as many streams as there may be, at all or from this address.
    pub(super) fn place(&self) -> Result<Place, Problem> {
        let full = |most: usize, whence: &str| {
            let detail = format!(
                "There are {most} streams{whence} already, which is the limit; end one, or try again later."
            );
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        };
        let of_address = self
            .room
            .of_addresses
            .take(self.peer.ip(), MAX_STREAMS_OF_ADDRESS)
            .ok_or_else(|| full(MAX_STREAMS_OF_ADDRESS, " from your address"))?;
        let room = self.room.all.clone().try_acquire_owned();
        let room = room.map_err(|_| full(MAX_STREAMS, ""))?;
        let (stop, lasting) = (self.stop.clone(), self.streams.token());
        Ok(Place { stop, _room: room, _of_address: of_address, _lasting: lasting })
    }
}

/// Room for the streams on all connections of a server.
#[derive(Debug)]
pub(super) struct Room {
    all: Arc<Semaphore>,
    of_addresses: Arc<OfAddresses>,
}

impl Default for Room {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(MAX_STREAMS)), of_addresses: Arc::default() }
    }
}

/// Room for a stream.
pub(super) struct Place {
    stop: CancellationToken,
    _room: OwnedSemaphorePermit,
    _of_address: OfAddress,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line(room: &Arc<Room>, from: &str) -> Line {
        Line {
            peer: SocketAddr::new(from.parse().expect("an address"), 1),
            secure: false,
            streams: TaskTracker::new(),
            room: room.clone(),
            stop: CancellationToken::new(),
        }
    }

    #[test]
    fn nobody_takes_all_the_room_for_streams_and_all_together_have_a_limit() {
        let room = Arc::default();
        let take = |from: &str, count| -> Vec<Place> {
            (0..count).map_while(|_| line(&room, from).place().ok()).collect()
        };
        let one = take("2001:db8::1", MAX_STREAMS);
        assert_eq!(one.len(), MAX_STREAMS_OF_ADDRESS);
        assert!(take("2001:db8::2", 1).is_empty(), "everybody has as many of these as they like");
        let others =
            ["10.0.0.1", "10.0.0.2", "::ffff:10.0.0.3"].map(|from| take(from, MAX_STREAMS));
        assert!(others.iter().all(|places| places.len() == MAX_STREAMS_OF_ADDRESS));
        assert!(take("10.0.0.4", 1).is_empty());
        drop(one);
        assert_eq!(room.of_addresses.len(), others.len());
        assert_eq!(take("10.0.0.4", MAX_STREAMS).len(), MAX_STREAMS_OF_ADDRESS);
    }
}

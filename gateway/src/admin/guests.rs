//! Who may have a connection: of one address so many, and this host always some.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use super::of_address::{OfAddress, OfAddresses};

/// Connections at once; further clients wait in the accept queue.
pub(super) const MAX_CONNECTIONS: usize = 96;
/// Of these, from other hosts: the rest is for whoever checks and asks on this one.
pub(super) const MAX_OF_OTHERS: usize = 64;
/// Of these, from one address. Streams are among them; a proxy has as many for all its clients.
pub(super) const MAX_OF_ADDRESS: usize = 16;
/// How often it is told that somebody had to go.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// All that are connected.
#[derive(Debug)]
pub(super) struct Guests {
    all: Arc<Semaphore>,
    others: Arc<Semaphore>,
    of_addresses: Arc<OfAddresses>,
    told: Option<Instant>,
}

/// Somebody who may be connected, until dropped.
#[derive(Debug)]
pub(super) struct Guest {
    _slot: OwnedSemaphorePermit,
    _other: Option<(OwnedSemaphorePermit, OfAddress)>,
}

impl Default for Guests {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            others: Arc::new(Semaphore::new(MAX_OF_OTHERS)),
            of_addresses: Arc::default(),
            told: None,
        }
    }
}

impl Guests {
    /// Waits until there is room for somebody.
    pub(super) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.all.clone().acquire_owned().await.ok()
    }

    /// Gives this room to whoever comes from there; `None` if there are too many of them.
    pub(super) fn admit(&mut self, room: OwnedSemaphorePermit, from: IpAddr) -> Option<Guest> {
        if from.to_canonical().is_loopback() {
            return Some(Guest { _slot: room, _other: None });
        }
        let of_address = self.of_addresses.take(from, MAX_OF_ADDRESS);
        let other = of_address.and_then(|of_address| {
            Some((self.others.clone().try_acquire_owned().ok()?, of_address))
        });
        match other {
            Some(other) => Some(Guest { _slot: room, _other: Some(other) }),
            None => {
                self.tell(from);
                None
            }
        }
    }

    fn tell(&mut self, from: IpAddr) {
        let now = Instant::now();
        if self.told.is_some_and(|told| now.duration_since(told) < TOLD_EVERY) {
            return;
        }
        self.told = Some(now);
        warn!(
            %from, of_address = MAX_OF_ADDRESS, of_other_hosts = MAX_OF_OTHERS,
            "too many connections to the admin address: closing those above the limits"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn come(guests: &mut Guests, from: &str, count: usize) -> Vec<Guest> {
        let come = |_| {
            let room = guests.all.clone().try_acquire_owned().ok()?;
            guests.admit(room, from.parse().expect("an address"))
        };
        (0..count).map_while(come).collect()
    }

    #[test]
    fn no_address_takes_all_connections_and_all_others_together_leave_some_to_this_host() {
        let mut guests = Guests::default();
        let one = come(&mut guests, "2001:db8::1", MAX_CONNECTIONS);
        assert_eq!(one.len(), MAX_OF_ADDRESS);
        assert!(
            come(&mut guests, "2001:db8::2", 1).is_empty(),
            "its network counts as one address"
        );
        let addresses = ["10.0.0.1", "10.0.0.2", "::ffff:10.0.0.3"];
        let others = addresses.map(|from| come(&mut guests, from, MAX_CONNECTIONS));
        assert!(others.iter().all(|of_one| of_one.len() == MAX_OF_ADDRESS));
        assert!(come(&mut guests, "10.0.0.4", 1).is_empty());
        let here = come(&mut guests, "127.0.0.1", MAX_CONNECTIONS);
        assert_eq!(here.len(), MAX_CONNECTIONS - MAX_OF_OTHERS);
        drop(one);
        assert_eq!(guests.of_addresses.len(), addresses.len());
        assert_eq!(come(&mut guests, "10.0.0.4", 3).len(), 3);
        drop(here);
        assert_eq!(come(&mut guests, "::ffff:127.0.0.1", 40).len(), 40);
    }
}

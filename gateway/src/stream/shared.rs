//! Addresses that several gateways share: connections to them end when the address moves to another gateway.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

/// All addresses that this gateway shares with others.
#[derive(Debug, Default)]
pub struct SharedAddresses(ArcSwap<HashMap<IpAddr, Entry>>);

#[derive(Debug, Clone)]
struct Entry {
    shared: Arc<Shared>,
    /// Is it shared no more, and known only for the connections that it has?
    retired: bool,
}

#[derive(Debug, Default)]
struct Shared {
    /// Connections to it.
    live: AtomicUsize,
    /// Of those that are there now; cancelled while the address leaves.
    lost: Mutex<CancellationToken>,
}

impl SharedAddresses {
    /// These addresses.
    #[must_use]
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let these = Self::default();
        these.set(addresses);
        these
    }

    /// These are shared from now on. Those that are not any more stay known until the next time, and for as long as somebody is
    /// connected: they have yet to be lost.
    pub fn set(&self, addresses: impl IntoIterator<Item = IpAddr>) {
        let before = self.0.load();
        let shared = |address| before.get(&address).map(|entry| entry.shared.clone());
        let entry = |address| {
            (address, Entry { shared: shared(address).unwrap_or_default(), retired: false })
        };
        let mut all: HashMap<_, _> = addresses.into_iter().map(entry).collect();
        for (address, entry) in &**before {
            if !entry.retired || entry.shared.live.load(Ordering::Relaxed) > 0 {
                let retired = Entry { retired: true, ..entry.clone() };
                all.entry(*address).or_insert(retired);
            }
        }
        self.0.store(Arc::new(all));
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.load().is_empty()
    }

    /// Is it one of them?
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.load().get(&address.to_canonical()).is_some_and(|entry| !entry.retired)
    }

    /// A connection was made to `address`; `None` if that is not shared. While it leaves, the connection is lost at once.
    #[must_use]
    pub fn arrive(&self, address: IpAddr) -> Option<Here> {
        let address = address.to_canonical();
        let shared = self.0.load().get(&address)?.shared.clone();
        shared.live.fetch_add(1, Ordering::Relaxed);
        let lost = shared.lost.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some(Here { address, shared, lost, left: AtomicBool::new(false) })
    }

    /// The addresses leave: tells all connections to them, also those that come until [`SharedAddresses::welcome`].
    pub fn lose(&self, addresses: &[IpAddr]) {
        for shared in self.of(addresses) {
            shared.lost.lock().unwrap_or_else(PoisonError::into_inner).cancel();
        }
    }

    /// Connections may come again.
    pub fn welcome(&self, addresses: &[IpAddr]) {
        for shared in self.of(addresses) {
            let mut lost = shared.lost.lock().unwrap_or_else(PoisonError::into_inner);
            if lost.is_cancelled() {
                *lost = CancellationToken::new();
            }
        }
    }

    /// Connections to them that are there.
    #[must_use]
    pub fn live(&self, addresses: &[IpAddr]) -> usize {
        self.of(addresses).iter().map(|shared| shared.live.load(Ordering::Relaxed)).sum()
    }

    fn of(&self, addresses: &[IpAddr]) -> Vec<Arc<Shared>> {
        let all = self.0.load();
        addresses.iter().filter_map(|one| Some(all.get(one)?.shared.clone())).collect()
    }
}

/// A connection to a shared address, until this is dropped.
#[derive(Debug)]
pub struct Here {
    address: IpAddr,
    shared: Arc<Shared>,
    lost: CancellationToken,
    left: AtomicBool,
}

impl Here {
    /// The address; `None` once the connection has left it.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        (!self.left.load(Ordering::Relaxed)).then_some(self.address)
    }

    /// Cancelled when the address moves to another gateway.
    #[must_use]
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// The connection has been closed; what else there is to do needs no address.
    pub fn leave(&self) {
        if !self.left.swap(true, Ordering::Relaxed) {
            self.shared.live.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_there_is_told_when_the_address_is_lost_and_nobody_else() {
        let (ours, other): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let addresses = SharedAddresses::new([ours, other]);
        assert!(addresses.arrive([10, 0, 0, 3].into()).is_none());
        let here = addresses.arrive(ours).expect("shared");
        let there = addresses.arrive(other).expect("shared");
        addresses.lose(&[ours]);
        assert!(addresses.arrive(ours).expect("shared").lost().is_cancelled());
        addresses.welcome(&[ours, other]);
        let late = addresses.arrive(ours).expect("shared");
        assert!(here.lost().is_cancelled());
        assert!(!there.lost().is_cancelled() && !late.lost().is_cancelled());
        assert_eq!(addresses.live(&[ours]), 2);
        here.leave();
        assert_eq!((here.address(), addresses.live(&[ours])), (None, 1));
        drop(here);
        drop(late);
        assert_eq!((addresses.live(&[ours]), addresses.live(&[other])), (0, 1));
    }

    #[test]
    fn an_address_that_is_shared_no_more_is_known_until_its_connections_are_gone() {
        let [stays, goes, comes] = [1, 2, 3].map(|last| IpAddr::from([10, 0, 0, last]));
        let addresses = SharedAddresses::new([stays, goes]);
        let before = addresses.arrive(stays).expect("shared");
        let here = addresses.arrive(goes).expect("shared");
        addresses.set([stays, comes]);
        assert!(
            addresses.contains(stays) && addresses.contains(comes) && !addresses.contains(goes)
        );
        assert_eq!(addresses.live(&[stays, goes]), 2);
        addresses.lose(&[goes]);
        assert!(here.lost().is_cancelled() && !before.lost().is_cancelled());
        assert!(addresses.arrive(goes).expect("still known").lost().is_cancelled());
        addresses.set([stays, comes]);
        assert_eq!(addresses.live(&[goes]), 1);
        drop(here);
        addresses.set([stays]);
        assert!(addresses.arrive(goes).is_none());
        addresses.set([]);
        drop(before);
        addresses.set([]);
        assert!(addresses.is_empty());
    }
}

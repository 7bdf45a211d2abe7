//! How much of something each address has, so that nobody takes it all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::auth::network;

/// What each network has; none has zero.
#[derive(Debug, Default)]
pub(super) struct OfAddresses(Mutex<HashMap<IpAddr, usize>>);

impl OfAddresses {
    /// One more for this address, unless it has `most` of them.
    pub(super) fn take(self: &Arc<Self>, from: IpAddr, most: usize) -> Option<OfAddress> {
        let from = network(from);
        let mut taken = self.taken();
        let count = taken.get(&from).copied().unwrap_or(0);
        if count >= most {
            return None;
        }
        taken.insert(from, count + 1);
        Some(OfAddress(self.clone(), from))
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many have any.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.taken().len()
    }
}

/// One of those of an address. Dropped, it is given back.
#[derive(Debug)]
pub(super) struct OfAddress(Arc<OfAddresses>, IpAddr);

impl Drop for OfAddress {
    fn drop(&mut self) {
        let mut taken = self.0.taken();
        match taken.get_mut(&self.1) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                taken.remove(&self.1);
            }
        }
    }
}

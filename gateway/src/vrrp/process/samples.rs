//! Virtual routers for tests.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use crate::config::model::{Garp, VirtualAddress, VrrpChecksum, VrrpVersion};
use crate::vrrp::talk::Router;

/// A virtual router with this id and these addresses.
pub(super) fn router(id: usize, addresses: &[&str]) -> Router {
    Router {
        id,
        name: "amqp".to_owned(),
        interface: "eth0".to_owned(),
        virtual_router_id: 51,
        priority: 100,
        addresses: addresses.iter().map(|address| shared(address)).collect(),
        version: VrrpVersion::V3,
        interval: Duration::from_millis(100),
        preempt: true,
        preempt_delay: Duration::ZERO,
        fast: true,
        authentication: None,
        peers: Vec::new(),
        source: None,
        virtual_mac: false,
        sync_group: None,
        garp: Garp { repeat: 5, delay: Duration::from_secs(5), refresh: None },
        checksum: VrrpChecksum::Auto,
        interfaces: Vec::new(),
    }
}

/// An address in a network of 24 bits.
pub(super) fn shared(address: &str) -> VirtualAddress {
    VirtualAddress { address: address.parse().unwrap(), prefix: 24 }
}

//! Virtual routers and transitions for tests.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, UNIX_EPOCH};

use crate::config::model::{
    Garp, Track, VirtualAddress, VirtualRouter, VrrpChecksum, VrrpNotify, VrrpVersion,
};
use crate::vrrp::board::Transition;
use crate::vrrp::talk::State;

/// A virtual router with one address.
pub(crate) fn router(name: &str) -> VirtualRouter {
    VirtualRouter {
        name: name.into(),
        interface: "eth0".into(),
        virtual_router_id: 51,
        priority: 150,
        fast_takeover: true,
        addresses: vec![VirtualAddress { address: "10.0.0.9".parse().unwrap(), prefix: 24 }],
        version: VrrpVersion::V3,
        advertisement_interval: Duration::from_millis(100),
        preempt: true,
        preempt_delay: Duration::ZERO,
        authentication: None,
        peers: Vec::new(),
        source_address: None,
        virtual_mac: false,
        sync_group: None,
        garp: Garp { repeat: 5, delay: Duration::from_secs(5), refresh: None },
        checksum: VrrpChecksum::Auto,
        track: Track::default(),
        notify: VrrpNotify::default(),
    }
}

/// A transition from backup.
pub(crate) fn transition(to: State) -> Transition {
    let reason = "Receive advertisement timeout".to_owned();
    Transition { from: State::Backup, to, priority: 150, reason, at: UNIX_EPOCH }
}

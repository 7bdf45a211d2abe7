//! What the API says of virtual routers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/v1/virtual-routers`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VirtualRouters {
    /// All of them, in the order of the configuration.
    pub virtual_routers: Vec<VirtualRouter>,
}

/// `GET /api/v1/virtual-routers/{name}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VirtualRouter {
    /// Its name.
    pub virtual_router: String,
    /// The interface that its addresses are on.
    pub interface: String,
    /// VRID.
    pub virtual_router_id: u8,
    /// Of VRRP: 2 or 3.
    pub version: u8,
    /// The shared addresses, with their prefix lengths.
    pub addresses: Vec<String>,
    /// Those it moves together with, by the name of the group.
    pub sync_group: Option<String>,
    /// `initialize`, `backup`, `active` or `fault`; `unknown` until the VRRP process has told it.
    pub state: String,
    /// Since when (RFC 3339); absent while it has never changed.
    pub since: Option<String>,
    /// Why it is in this state.
    pub reason: Option<String>,
    /// As configured.
    pub priority: u8,
    /// What is left of it after all that is tracked; absent until it is known.
    pub effective_priority: Option<u8>,
    /// Has an operator released its addresses to another gateway?
    pub released: bool,
    /// Are its addresses on the interface?
    pub holds_addresses: bool,
    /// The other gateway that was heard last.
    pub peer: Option<Peer>,
    /// Misconfigurations that stand.
    pub alarms: Vec<Alarm>,
    /// Since the start of the gateway.
    pub counters: Counters,
    /// The latest transitions, oldest first.
    pub history: Vec<Transition>,
}

/// Another gateway of a virtual router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// Where its advertisements come from.
    pub address: String,
    /// The priority that it advertised last.
    pub priority: u8,
    /// How long ago.
    pub heard_ms: u64,
}

/// A misconfiguration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = VirtualRouterAlarm)]
pub struct Alarm {
    /// Its name, as in metrics.
    pub alarm: String,
    /// What is wrong, and what to do.
    pub text: String,
}

/// What a virtual router has counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counters {
    /// Advertisements sent.
    pub sent: u64,
    /// Advertisements received and accepted.
    pub received: u64,
    /// Announcements of addresses sent.
    pub announcements: u64,
    /// Advertisements dropped, by reason.
    pub errors: BTreeMap<String, u64>,
    /// Transitions, by the state they led to.
    pub transitions: BTreeMap<String, u64>,
}

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transition {
    /// Before.
    pub from: String,
    /// Since then.
    pub to: String,
    /// The effective priority.
    pub priority: u8,
    /// Why.
    pub reason: String,
    /// When (RFC 3339).
    pub at: String,
}

//! What the API says, and what it can be told: the JSON of both sides of it.

pub mod config;
pub mod login;
pub mod session;
pub mod status;
pub mod traffic;
pub mod vrrp;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/v1/nodes`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Nodes {
    /// All nodes of all clusters, by cluster, then in the order of the configuration.
    pub nodes: Vec<Node>,
}

/// `GET /api/v1/nodes/{cluster}/{node}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// The cluster.
    pub cluster: String,
    /// Its name in the configuration.
    pub node: String,
    /// `host:port`
    pub address: String,
    /// What the operator wants.
    pub admin_state: AdminState,
    /// What its checks come to: `unknown`, `up` or `down`.
    pub verdict: String,
    /// Since when (RFC 3339); absent while nothing is known.
    pub since: Option<String>,
    /// Why it is down.
    pub reason: Option<String>,
    /// What follows for new sessions: `fit`, `alarmed` (works, and blocks publishers), `unfit` (used if no other node is
    /// better) or `closed` (gets none).
    pub fitness: String,
    /// Does no name lead to it any more? It gets no new sessions, and is listed while it has some.
    #[serde(default)]
    pub gone: bool,
    /// Is it left out for a moment, because a connection of a client to it failed?
    pub left_out: bool,
    /// What the broker says of itself.
    pub broker: Broker,
    /// Its share of new sessions, relative to the other nodes.
    pub weight: u32,
    /// Is it used only while no other node is usable?
    pub backup: bool,
    /// Sessions at once; absent = no limit.
    pub max_connections: Option<usize>,
    /// Sessions now, those in their handshake included.
    pub sessions: usize,
    /// How far its sessions are closed; absent unless they are.
    pub drain: Option<Drain>,
    /// The last result of each check.
    pub checks: Vec<Check>,
}

/// What a broker says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Broker {
    /// What it calls itself, `rabbit@host`, where its management API is asked.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Out of memory: publishers are blocked on all nodes of the cluster.
    pub memory_alarm: bool,
    /// Out of disk space: the same.
    pub disk_alarm: bool,
    /// In maintenance mode.
    pub maintenance: bool,
    /// It has lost the greater part of its cluster.
    pub minority: bool,
    /// Queues would lose their majority if it stopped.
    pub quorum_critical: bool,
}

/// How far the sessions of a node are closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drain {
    /// Sessions when it began.
    pub total: usize,
    /// Sessions that are gone.
    pub closed: usize,
    /// Sessions that are still there.
    pub left: usize,
}

/// The last result of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// Which one, as the configuration names it.
    pub check: String,
    /// `passed`, `failed`, or `misconfigured` (it could not be made, and does not count).
    pub outcome: String,
    /// How long it took.
    pub latency_ms: f64,
    /// What was wrong.
    pub text: Option<String>,
    /// When it ended (RFC 3339).
    pub at: String,
    /// The latest results, the oldest first, this one included: only where one node is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<PastCheck>,
}

/// What a check came to once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PastCheck {
    /// As that of [`Check`].
    pub outcome: String,
    /// How long it took.
    pub latency_ms: f64,
    /// When it ended (RFC 3339).
    pub at: String,
}

/// `PATCH /api/v1/nodes/{cluster}/{node}`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeChange {
    /// What the operator wants; absent = as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_state: Option<AdminState>,
    /// Its share of new sessions, from 1; absent = as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub weight: Option<std::num::NonZeroU32>,
}

/// What an operator wants of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdminState {
    /// To serve.
    Enabled,
    /// No new sessions, and those there are closed at a pace.
    Draining,
    /// No new sessions; those there stay.
    Disabled,
}

impl AdminState {
    /// As in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        }
    }
}

/// `GET /api/v1/clusters`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Clusters {
    /// All clusters, by name.
    pub clusters: Vec<Cluster>,
}

/// `GET /api/v1/clusters/{cluster}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cluster {
    /// Its name.
    pub cluster: String,
    /// Its strategy, as the configuration names it.
    pub balance: String,
    /// Has it a node that works and is not left out?
    pub usable: bool,
    /// Sessions on all its nodes.
    pub sessions: usize,
    /// The names of its nodes, in the order of the configuration.
    pub nodes: Vec<String>,
    /// How far it is rebalanced; absent unless it is.
    pub rebalance: Option<Rebalance>,
}

/// `POST` and `DELETE /api/v1/clusters/{cluster}/rebalance`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rebalance {
    /// Sessions that were too many on their nodes when it began: 0 = it is even.
    pub planned: usize,
    /// Sessions moved so far.
    pub moved: usize,
    /// Moved clients that have not come back yet.
    pub coming: usize,
    /// Sessions moved a second.
    pub rate: u32,
}

/// `GET /api/v1/clusters/{cluster}/rebalance`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RebalancePlan {
    /// Sessions that would be moved: 0 = it is even.
    pub planned: usize,
    /// Sessions moved a second.
    pub rate: u32,
    /// Its nodes, in the order of the configuration.
    pub nodes: Vec<RebalanceNode>,
}

/// What a rebalance would do to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RebalanceNode {
    /// Its name.
    pub node: String,
    /// Its sessions.
    pub sessions: usize,
    /// Those of them that would be moved.
    pub surplus: usize,
}

/// An error, as RFC 9457 has it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says it all.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Its kind, in a few words.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong here, and what to do.
    pub detail: String,
    /// The path that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub instance: Option<String>,
    /// All that is wrong, one by one, if it is more than the detail says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

//! What the API says of the gateway as a whole.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/v1/status`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Its name.
    pub gateway: String,
    /// Of the program.
    pub version: String,
    /// Of the system.
    pub process_id: u32,
    /// When the process started (RFC 3339).
    pub started_at: String,
    /// Its clock (RFC 3339).
    pub now: String,
    /// Number of the configuration in force.
    pub revision: u64,
    /// Does every listener accept, and has some cluster a usable node?
    pub ready: bool,
    /// Why it is not ready.
    pub not_ready: Vec<String>,
    /// Is it on its way out?
    pub stopping: bool,
    /// Sessions now, those in their handshake included.
    pub sessions: usize,
    /// Sessions that are not open yet.
    pub in_handshake: usize,
    /// Sessions at once over all listeners.
    pub max_connections: usize,
    /// Channels open now.
    pub channels: u64,
    /// Messages that wait for their confirm now.
    pub unconfirmed: u64,
    /// Since the start of the process.
    pub totals: Traffic,
    /// A second, over the last few seconds.
    pub rates: Rates,
    /// What the process takes.
    pub process: Process,
    /// What is wrong now, the worst first.
    pub alarms: Vec<Alarm>,
}

/// What has passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Traffic {
    /// Bytes from clients.
    pub bytes_from_client: u64,
    /// Bytes from nodes.
    pub bytes_from_node: u64,
    /// Messages that clients published.
    pub published: u64,
    /// Messages that nodes handed to clients.
    pub delivered: u64,
    /// Deliveries that clients acknowledged.
    pub acknowledged: u64,
    /// Messages that nodes confirmed.
    pub confirmed: u64,
    /// Messages that were returned as unroutable.
    pub returned: u64,
}

/// What passes a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Rates {
    /// Bytes from clients.
    pub bytes_from_client: f64,
    /// Bytes from nodes.
    pub bytes_from_node: f64,
    /// Messages that clients published.
    pub published: f64,
    /// Messages that nodes handed to clients.
    pub delivered: f64,
    /// Deliveries that clients acknowledged.
    pub acknowledged: f64,
    /// Messages that nodes confirmed.
    pub confirmed: f64,
    /// Messages that were returned as unroutable.
    pub returned: f64,
}

/// What the process takes of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Process {
    /// CPU time since its start, user and system, in seconds.
    pub cpu_seconds: f64,
    /// Of one core, over the last few seconds: 1 = a whole core.
    pub cpu: f64,
    /// Cores of the machine.
    pub cores: usize,
    /// Memory in RAM, in bytes.
    pub memory_bytes: u64,
    /// File descriptors in use.
    pub open_files: u64,
    /// Limit of file descriptors.
    pub max_open_files: u64,
}

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alarm {
    /// How bad.
    pub severity: Severity,
    /// What it is about: `node`, `cluster`, `listener`, `virtual-router`, `certificate`, `config` or `gateway`.
    pub kind: String,
    /// Its name: `main/rabbit1` for a node.
    pub subject: String,
    /// What is wrong, and what to do.
    pub text: String,
    /// Since when (RFC 3339), if that is known.
    pub since: Option<String>,
}

/// How bad something is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// To be looked at.
    Warning,
    /// Clients suffer, or will soon.
    Critical,
}

/// `GET /api/v1/history`: the last hour, as it is kept in the process. All lists have the same length, the oldest value first;
/// `null` where nothing was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// Seconds between two values.
    pub interval_s: u32,
    /// When each was taken: seconds since 1970.
    pub at: Vec<f64>,
    /// Sessions.
    pub sessions: Vec<Option<f64>>,
    /// Messages published a second.
    pub published: Vec<Option<f64>>,
    /// Messages delivered a second.
    pub delivered: Vec<Option<f64>>,
    /// Messages confirmed a second.
    pub confirmed: Vec<Option<f64>>,
    /// Bytes from clients a second.
    pub bytes_from_client: Vec<Option<f64>>,
    /// Bytes from nodes a second.
    pub bytes_from_node: Vec<Option<f64>>,
    /// AMQP handshakes a second.
    pub handshakes: Vec<Option<f64>>,
    /// In 99 of 100 handshakes it took less from accept to open-ok, in seconds.
    pub handshake_p99_s: Vec<Option<f64>>,
    /// CPU, 1 = a whole core.
    pub cpu: Vec<Option<f64>>,
    /// Memory in RAM, in bytes.
    pub memory_bytes: Vec<Option<f64>>,
}

/// `GET /api/v1/topology`: the way of sessions: listeners, routes, clusters, nodes, and what passes between them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Topology {
    /// Everything there is, in the order of the configuration.
    pub places: Vec<Place>,
    /// What leads from one to another: listener to route or cluster, route to cluster, cluster to node. Those that nothing
    /// passes now are there, too, with zeros.
    pub flows: Vec<Flow>,
}

/// A listener, route, cluster or node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Place {
    /// `listener:amqp`, `route:1`, `cluster:main`, `node:main/rabbit1`.
    pub id: String,
    /// `listener`, `route`, `cluster` or `node`.
    pub kind: String,
    /// As people call it.
    pub name: String,
    /// A few words more: its address, its condition.
    pub note: String,
    /// `good`, `warning`, `bad` or `unknown`.
    pub health: String,
    /// The same in words: `up`, `down: refused`, `draining`.
    pub state: String,
    /// Sessions now.
    pub sessions: usize,
}

/// What passes from one place to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Flow {
    /// The id of the place that is nearer to the clients.
    pub from: String,
    /// That of the other one.
    pub to: String,
    /// Sessions that go this way.
    pub sessions: usize,
    /// What passes a second.
    pub rates: Rates,
}

//! What the API says of listeners, routes, vhosts, users and certificates.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::status::{Rates, Traffic};

/// `GET /api/v1/listeners`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Listeners {
    /// In the order of the configuration.
    pub listeners: Vec<Listener>,
}

/// `GET /api/v1/listeners/{name}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Listener {
    /// Its name.
    pub listener: String,
    /// Its addresses, `host:port`.
    pub addresses: Vec<String>,
    /// `amqp`, `tcp`, `tls-passthrough` or `http`.
    pub protocol: String,
    /// Does the gateway end TLS there?
    pub tls: bool,
    /// Does a PROXY header come first: `off`, `optional` or `required`?
    pub proxy_protocol: String,
    /// The cluster that all its sessions go to, if it names one.
    pub cluster: Option<String>,
    /// Does it accept clients?
    pub accepting: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Sessions now; requests under way with HTTP.
    pub sessions: usize,
    /// Sessions at once; absent = no limit of its own.
    pub max_connections: Option<usize>,
    /// What passes a second.
    pub rates: Rates,
}

/// `GET /api/v1/routes`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Routes {
    /// In the order in which they are asked.
    pub routes: Vec<Route>,
}

/// `GET /api/v1/routes/{position}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Route {
    /// From 1; listeners that name their cluster come before all routes and have none.
    pub position: usize,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its conditions, as the configuration writes them: `vhost = "team-*"`.
    pub conditions: Vec<String>,
    /// Where it leads to.
    pub cluster: Option<String>,
    /// The vhost that is opened instead.
    pub rename_vhost: Option<String>,
    /// The code and text that it refuses sessions with.
    pub reject: Option<Reject>,
    /// Sessions that came this way.
    pub sessions: usize,
    /// What passes a second.
    pub rates: Rates,
}

/// How a route refuses a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reject {
    /// AMQP reply code.
    pub code: u16,
    /// Reply text.
    pub text: String,
}

/// `GET /api/v1/vhosts`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Vhosts {
    /// By name; those that were used since the start of the process, at most 1,000.
    pub vhosts: Vec<Vhost>,
}

/// `GET /api/v1/vhosts/{name}`: the name is encoded as in RabbitMQ's API, `%2F` for `/`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Vhost {
    /// As clients name it.
    pub vhost: String,
    /// Sessions now.
    pub sessions: usize,
    /// Users that have sessions there now, the first 20 by name.
    pub users: Vec<String>,
    /// Where its sessions are: `cluster/node` with their number.
    pub nodes: Vec<Share>,
    /// Where a new session would be led: the cluster, `rejected`, or `depends` if more than the vhost decides.
    pub routed: String,
    /// Since the start of the process.
    pub totals: Traffic,
    /// A second.
    pub rates: Rates,
    /// Messages that wait for their confirm.
    pub unconfirmed: u64,
    /// Sessions refused before open-ok that had named it.
    pub refused: u64,
    /// Seconds that sessions waited for their admission.
    pub delayed_seconds: f64,
}

/// `GET /api/v1/users`: those of AMQP; who may use this API is at `/api/v1/admin/users`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Users {
    /// By name; those seen since the start of the process, at most 1,000.
    pub users: Vec<User>,
}

/// `GET /api/v1/users/{name}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Their name.
    pub user: String,
    /// Sessions now.
    pub sessions: usize,
    /// Vhosts that they use now, the first 20 by name.
    pub vhosts: Vec<String>,
    /// Where their sessions are: `cluster/node` with their number.
    pub nodes: Vec<Share>,
    /// Since the start of the process.
    pub totals: Traffic,
    /// A second.
    pub rates: Rates,
    /// Messages that wait for their confirm.
    pub unconfirmed: u64,
    /// Sessions refused before open-ok that had named them.
    pub refused: u64,
    /// Seconds that sessions waited for their admission.
    pub delayed_seconds: f64,
}

/// How many sessions are somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Share {
    /// Where: `main/rabbit1`.
    pub at: String,
    /// How many.
    pub sessions: usize,
}

/// `GET /api/v1/certificates`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Certificates {
    /// Those that end first come first.
    pub certificates: Vec<Certificate>,
}

/// A certificate in use. Keys are never shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Certificate {
    /// `listener`, `cluster` (shown to its nodes) or `admin`.
    pub used_by: String,
    /// The name of the listener or cluster.
    pub of: String,
    /// What people call it: its common name, else its first other name.
    pub name: String,
    /// The names that it is for.
    pub sans: Vec<String>,
    /// Who signed it.
    pub issuer: String,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// `ecdsa-p256`, `rsa-2048`, ...
    pub key_type: String,
    /// SHA-256 of it, in hexadecimal digits.
    pub fingerprint: String,
    /// From when on it is valid (RFC 3339).
    pub not_before: String,
    /// Until when it is valid (RFC 3339).
    pub not_after: String,
    /// Whole days until then; negative when it is over.
    pub days_left: i64,
    /// The file that it came from.
    pub file: String,
    /// When it was taken into use (RFC 3339).
    pub loaded_at: String,
    /// Why what is in the file now cannot be used, if that is so: the one before stays in use.
    pub refused: Option<String>,
}

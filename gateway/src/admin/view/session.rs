//! What the API says of sessions, and how they are chosen.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::status::{Rates, Traffic};

/// `GET /api/v1/sessions`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Sessions {
    /// Those on this page.
    pub sessions: Vec<Session>,
    /// Of all pages, from 1.
    pub page: usize,
    /// Sessions a page.
    pub page_size: usize,
    /// How many fit the filter.
    pub filtered: usize,
    /// How many there are.
    pub total: usize,
    /// How old the list is, in milliseconds: it is made anew at most once a second, whoever asks.
    pub age_ms: u64,
}

/// Which sessions, in which order. Filters that are given all have to hold; texts match anywhere, in upper or lower case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SessionQuery {
    /// From 1.
    #[param(minimum = 1)]
    pub page: Option<usize>,
    /// Sessions a page; 100 by default, at most 500.
    #[param(minimum = 1, maximum = 500)]
    pub page_size: Option<usize>,
    /// The column to sort by; `id` by default.
    pub sort: Option<SortKey>,
    /// The greatest first?
    pub descending: Option<bool>,
    /// The exact name of the listener.
    pub listener: Option<String>,
    /// The exact vhost.
    pub vhost: Option<String>,
    /// The exact user.
    pub user: Option<String>,
    /// The exact cluster.
    pub cluster: Option<String>,
    /// The exact node, `cluster/node`.
    pub node: Option<String>,
    /// Part of the client's name (connection_name or product).
    pub client: Option<String>,
    /// The client's address or a network: `10.0.0.0/8`.
    pub source: Option<String>,
    /// Part of any text of the row.
    pub search: Option<String>,
}

/// A column that sessions are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum SortKey {
    #[default]
    Id,
    Client,
    Product,
    Source,
    User,
    Vhost,
    Listener,
    Node,
    Channels,
    Published,
    Delivered,
    FromClient,
    FromNode,
    Unconfirmed,
    Age,
    State,
}

/// `GET /api/v1/sessions/{id}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its number: unique while the process runs, as in the access record.
    pub id: u64,
    /// `tls`, `handshake`, `waiting` (for its admission), `open`, or `closing`.
    pub state: String,
    /// Where it arrived.
    pub listener: String,
    /// `amqp-0-9-1`, `amqp-1.0`, `tcp`, `tls-passthrough`, or `unknown` so far.
    pub protocol: String,
    /// The client's address, `host:port`.
    pub source: String,
    /// The proxy that announced it.
    pub proxy: Option<String>,
    /// `TLSv1.3`, ...; absent without TLS.
    pub tls: Option<String>,
    /// Cipher suite.
    pub cipher: Option<String>,
    /// Server name that it asked for.
    pub sni: Option<String>,
    /// Common name of its certificate.
    pub common_name: Option<String>,
    /// From the client properties: `connection_name`.
    pub client: Option<String>,
    /// From the client properties.
    pub product: Option<String>,
    /// From the client properties.
    pub version: Option<String>,
    /// From the client properties.
    pub platform: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The vhost, as the client names it.
    pub vhost: Option<String>,
    /// The route that led it: its name or its position; absent if the listener named the cluster.
    pub route: Option<String>,
    /// The cluster.
    pub cluster: Option<String>,
    /// The node, without its cluster.
    pub node: Option<String>,
    /// Channels open now.
    pub channels: u64,
    /// Messages that wait for their confirm.
    pub unconfirmed: u64,
    /// Seconds of the heartbeat, as negotiated; 0 = none.
    pub heartbeat_s: u16,
    /// When it was accepted (RFC 3339).
    pub since: String,
    /// How long ago, in seconds.
    pub age_s: f64,
    /// From accept to open-ok, in milliseconds.
    pub handshake_ms: Option<f64>,
    /// How long it waited for its admission, in milliseconds.
    pub waited_ms: f64,
    /// Is the client not read because the node takes no more?
    pub client_held: bool,
    /// Is the node not read because the client takes no more?
    pub node_held: bool,
    /// Since its beginning.
    pub totals: Traffic,
    /// A second.
    pub rates: Rates,
}

/// `GET /api/v1/sessions/{id}/history`: what the session did lately, once somebody has looked at it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionHistory {
    /// Its steps: accepted, TLS, open, told to close, with times.
    pub steps: Vec<Step>,
    /// When each value was taken: seconds since 1970.
    pub at: Vec<f64>,
    /// Messages published a second.
    pub published: Vec<Option<f64>>,
    /// Messages delivered a second.
    pub delivered: Vec<Option<f64>>,
    /// Bytes from the client a second.
    pub bytes_from_client: Vec<Option<f64>>,
    /// Bytes from the node a second.
    pub bytes_from_node: Vec<Option<f64>>,
}

/// A step of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// When (RFC 3339).
    pub at: String,
    /// What.
    pub text: String,
}

/// `DELETE /api/v1/sessions?...` and `DELETE /api/v1/sessions/{id}`: sessions that are being closed with 320.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Closing {
    /// How many were told, or will be.
    pub sessions: usize,
    /// A second.
    pub rate: u32,
}

/// A line of `GET /api/v1/tap`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TapLine {
    /// When (RFC 3339).
    pub at: String,
    /// The session.
    pub session: u64,
    /// `from_client` or `from_node`.
    pub direction: String,
    /// The channel.
    pub channel: u16,
    /// `basic.publish`, ...; `header`, `body`, `heartbeat`.
    pub method: String,
    /// Its arguments, in one line; secrets are starred out.
    pub text: String,
    /// Octets of the frame.
    pub size: u64,
    /// The first octets of a body, base64, if they were asked for.
    pub body: Option<String>,
    /// Lines that were left out before this one, since there were too many.
    pub dropped: u64,
}

/// What is tapped: filters that are given all have to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct TapQuery {
    /// The exact vhost.
    pub vhost: Option<String>,
    /// The exact user.
    pub user: Option<String>,
    /// One session.
    pub session: Option<u64>,
    /// Octets of each body; 0 by default, at most 4096; takes the role admin.
    #[param(maximum = 4096)]
    pub bodies: Option<usize>,
}

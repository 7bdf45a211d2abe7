//! The configuration file as the user writes it; the doc comments are the schema's descriptions.
//!
//! Every key is optional here: what must be there is checked against the schema first, so that
//! one missing key does not hide the problems of the others.

use schemars::JsonSchema;
use serde::Deserialize;

pub use super::at::{At, Named, OffOr, OneOrMany, Secret};
use super::defaults::{self, text};
use super::model::{LogFormat, LogLevel};

mod admin;
mod cluster;
mod listener;
mod track;
mod vrrp;

pub use self::admin::{Admin, AdminToken, AdminUser};
pub use self::cluster::{
    Admission, Cluster, ClusterTls, Health, Identity, Node, Passive, Rebalance, Script,
};
pub use self::listener::{Certificate, Listener, ListenerTls, Protocol};
pub use self::track::{Switch, Tracked, Tracks, Weighted};
pub use self::vrrp::{Email, Garp, Notify, Track, TrackScript, VirtualRouter, VrrpNotify};

/// Configuration of amqp-gateway.
///
/// Durations are written as "500ms", "3s", "1m". In every text, ${NAME} stands for the value of
/// an environment variable and $${ for a literal ${.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "amqp-gateway")]
pub struct File {
    /// The process as a whole.
    pub gateway: Option<Gateway>,
    /// Logs and access records.
    pub log: Option<Log>,
    /// Where clients arrive, by name.
    #[schemars(required)]
    pub listener: Option<Named<Listener>>,
    /// Which session goes where: the first route whose conditions all hold.
    pub route: Option<Vec<At<Route>>>,
    /// RabbitMQ clusters, by name.
    pub cluster: Option<Named<Cluster>>,
    /// Addresses that this gateway shares with others by VRRP, by name.
    pub vrrp: Option<Named<VirtualRouter>>,
    /// Who is told of what happens.
    pub notify: Option<Notify>,
    /// For operators: console, API, metrics and health. Without it there is no admin address.
    pub admin: Option<Admin>,
}

/// The process as a whole.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Shown in logs, metrics and close texts. Default: the host name.
    pub name: Option<At<String>>,
    /// Data-plane threads; 0 = one per core.
    #[schemars(range(max = 1024), extend("default" = defaults::WORKERS))]
    pub workers: Option<At<u32>>,
    /// Sessions at once over all listeners; further clients wait in the accept queue.
    #[schemars(range(min = 1, max = 10_000_000), extend("default" = defaults::MAX_CONNECTIONS))]
    pub max_connections: Option<At<u32>>,
    /// From accept to the end of the AMQP handshake (open-ok). From 1ms to 1h.
    #[schemars(extend("default" = text(defaults::HANDSHAKE_TIMEOUT)))]
    pub handshake_timeout: Option<At<String>>,
    /// Cuts a session that was silent in both directions for this long; "off": AMQP heartbeats
    /// decide. From 1s to 30days.
    #[schemars(extend("default" = defaults::OFF))]
    pub idle_timeout: Option<At<String>>,
    /// User to run as once all addresses are bound. Default: the user that started the gateway.
    #[schemars(example = "amqp-gateway")]
    pub user: Option<At<String>>,
    /// Group to run as; needs `user`. Default: that user's own group.
    #[schemars(example = "amqp-gateway")]
    pub group: Option<At<String>>,
    /// On SIGTERM, sessions still open after this are cut. From 0s to 1day.
    #[schemars(extend("default" = text(defaults::DRAIN_TIMEOUT)))]
    pub drain_timeout: Option<At<String>>,
    /// Sessions closed a second while draining.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = defaults::DRAIN_RATE))]
    pub drain_rate: Option<At<u32>>,
    /// DNS servers (IP address, and port if it is not 53) that names of nodes are asked of. Default: those of the
    /// system.
    #[schemars(example = ["127.0.0.1:5353"])]
    pub name_servers: Option<OneOrMany>,
    /// Is this file put in force by itself when it changes? Without it, SIGHUP or `amqp-gateway reload` does so.
    #[schemars(extend("default" = defaults::RELOAD_ON_CHANGE))]
    pub reload_on_change: Option<bool>,
}

/// Logs and access records.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The least severe level that is logged.
    #[schemars(extend("default" = "info"))]
    pub level: Option<LogLevel>,
    /// Shape of a line.
    #[schemars(extend("default" = "text"))]
    pub format: Option<LogFormat>,
    /// Where lines go.
    #[schemars(extend("default" = "stdout"))]
    pub output: Option<At<LogTarget>>,
    /// IP address and UDP port that syslog messages (RFC 5424, facility local0) are sent to; with
    /// output = "syslog".
    #[schemars(example = "127.0.0.1:514")]
    pub syslog: Option<At<String>>,
    /// File that lines are appended to, opened anew on SIGHUP; with output = "file".
    #[schemars(example = "/var/log/amqp-gateway.log")]
    pub file: Option<At<String>>,
    /// One record a session, at its end.
    #[schemars(extend("default" = defaults::LOG_ACCESS))]
    pub access: Option<bool>,
}

/// Where log lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// The systemd journal.
    Journald,
    /// The address in `syslog`.
    Syslog,
    /// The file in `file`.
    File,
}

/// One rule: its conditions, which must all hold, and either `cluster` or `reject`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Shown in logs.
    #[schemars(example = "billing moves to the new cluster")]
    pub name: Option<At<String>>,
    /// Condition on the vhost that the client opens: a text, a glob, or a /regular expression/.
    #[schemars(example = "team-*")]
    pub vhost: Option<At<String>>,
    /// Condition on the user name: a text, a glob, or a /regular expression/.
    #[schemars(example = "batch-*")]
    pub user: Option<At<String>>,
    /// Condition on the listener that the client arrived at.
    #[schemars(example = &"amqp")]
    pub listener: Option<At<String>>,
    /// Condition on the client's IP address: it lies in one of these networks.
    #[schemars(example = "10.20.0.0/16")]
    pub source: Option<OneOrMany>,
    /// Condition on the server name that the client asks for in its TLS handshake.
    #[schemars(example = "*.batch.example.com")]
    pub sni: Option<At<String>>,
    /// Condition on the common name of the client's certificate.
    #[schemars(example = "batch-*")]
    pub common_name: Option<At<String>>,
    /// Condition on client properties: each one named here is a text that matches the pattern.
    pub client_property: Option<Named<At<String>>>,
    /// The cluster that the session goes to.
    #[schemars(example = &"main")]
    pub cluster: Option<At<String>>,
    /// Open this vhost on the cluster instead of the client's; with `cluster`.
    #[schemars(example = "billing-v2")]
    pub rename_vhost: Option<At<String>>,
    /// Refuse the session.
    pub reject: Option<At<Reject>>,
}

/// How a session is refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// AMQP reply code.
    #[schemars(required, range(min = 300, max = 599), example = 530)]
    pub code: Option<At<u32>>,
    /// Reply text, at most 255 bytes.
    #[schemars(required, example = "closed for maintenance until Monday")]
    pub text: Option<At<String>>,
}

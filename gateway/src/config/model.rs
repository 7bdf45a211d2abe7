//! The configuration after validation: every value here is usable as it stands.
//!
//! Whatever the source (a file today; others later), it enters the gateway as a [`Model`].

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::pattern::Pattern;

mod address;
mod health;
mod listener;
mod tls;
mod vrrp;

pub use address::{ManagementUrl, NodeAddress};
pub use health::{Check, Health, Login, OnDown, Passive, Script};
pub use listener::{Http, HttpStrategy, Listener, Protocol, ProxyIn, ProxyOut};
pub use tls::{
    CIPHER_SUITES, Certificate, CipherSuite, ClientAuth, ClusterTls, Identity, ListenerTls,
    PemFile, TlsVersion,
};
pub use vrrp::{
    Cost, Email, EmailTls, Garp, Track, TrackScript, VirtualAddress, VirtualRouter, VrrpChecksum,
    VrrpNotify, VrrpPassword, VrrpVersion,
};

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// `[gateway]`
    pub gateway: Gateway,
    /// `[log]`
    pub log: Log,
    /// `[listener.NAME]`, in the order of the file.
    pub listeners: Vec<Listener>,
    /// `[[route]]`, in the order of the file: first match wins.
    pub routes: Vec<Route>,
    /// `[cluster.NAME]`, in the order of the file.
    pub clusters: Vec<Cluster>,
    /// `[vrrp.NAME]`, in the order of the file.
    pub virtual_routers: Vec<VirtualRouter>,
    /// `[notify.email]`
    pub email: Option<Email>,
    /// `[admin]`; without it there is no admin address.
    pub admin: Option<Admin>,
}

/// A place in the configuration's text, for problems that only show outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
}

/// `[gateway]`: the process as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Shown in logs, metrics and close texts. Default: the host name.
    pub name: Arc<str>,
    /// Data-plane threads; 0 = one per core.
    pub workers: usize,
    /// Sessions at once over all listeners; further clients wait in the accept queue.
    pub max_connections: usize,
    /// Absolute, from accept to open-ok.
    pub handshake_timeout: Duration,
    /// Cuts a session silent in both directions for that long; `None` = "off".
    pub idle_timeout: Option<Duration>,
    /// User to drop to after binding; `None` = stay.
    pub user: Option<String>,
    /// Group to drop to after binding; `None` = the user's own group.
    pub group: Option<String>,
    /// On SIGTERM: what is still open after this is cut.
    pub drain_timeout: Duration,
    /// Sessions closed a second while draining.
    pub drain_rate: NonZeroU32,
    /// DNS servers that names of nodes are asked of; empty = those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// Is the file taken over by itself when it changes?
    pub reload_on_change: bool,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Least severe level that is logged.
    pub level: LogLevel,
    /// Shape of a line.
    pub format: LogFormat,
    /// Where lines go.
    pub output: LogOutput,
    /// One record a session, at its end.
    pub access: bool,
}

/// `log.level`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum LogFormat {
    Text,
    Json,
}

/// `log.output` with the key that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard output.
    Stdout,
    /// The systemd journal's native socket.
    Journald,
    /// RFC 5424 over UDP, facility local0.
    Syslog(SocketAddr),
    /// Appended to this file; reopened on SIGHUP.
    File(PathBuf),
}

/// `[[route]]`: all conditions given must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// For logs and the console.
    pub name: Option<Arc<str>>,
    /// The conditions.
    pub conditions: Conditions,
    /// What happens to a session they hold for.
    pub action: RouteAction,
}

/// The conditions of a route; an absent one always holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The vhost that the client opens.
    pub vhost: Option<Pattern>,
    /// The user name of PLAIN or AMQPLAIN.
    pub user: Option<Pattern>,
    /// The listener that the client arrived at.
    pub listener: Option<ListenerName>,
    /// Any of these networks holds the client's address; empty = no condition.
    pub source: Vec<IpNet>,
    /// The server name that the client asked for in its TLS handshake.
    pub sni: Option<Pattern>,
    /// The common name of the client's certificate.
    pub common_name: Option<Pattern>,
    /// Each named client property is a string that matches; empty = no condition.
    pub client_property: Vec<(String, Pattern)>,
}

/// What a route does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteAction {
    /// Hand the session to a cluster.
    To {
        /// One of [`Model::clusters`].
        cluster: ClusterName,
        /// Open this vhost on the cluster instead of the client's.
        rename_vhost: Option<Arc<str>>,
    },
    /// Refuse it with connection.close.
    Reject {
        /// AMQP reply code, 300 to 599.
        code: u16,
        /// Reply text.
        text: Arc<str>,
    },
}

/// `[cluster.NAME]`: one RabbitMQ cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// NAME
    pub name: ClusterName,
    /// How a node is chosen for a new session.
    pub balance: Strategy,
    /// Further nodes tried before open-ok.
    pub retry: u32,
    /// For the TCP connection to a node.
    pub connect_timeout: Duration,
    /// How often host names of nodes are resolved again.
    pub resolve_interval: Duration,
    /// How long a node that came back takes to reach its whole share; zero = at once.
    pub slow_start: Duration,
    /// Bounds new connections to the nodes, if anything does.
    pub admission: Option<Admission>,
    /// Are sessions moved to a node that came back, without being asked?
    pub rebalance: bool,
    /// Sessions moved a second, by rebalance and by maintenance.
    pub rebalance_rate: NonZeroU32,
    /// How long a drain or rebalance waits for a session with publishes under way to come to rest.
    pub drain_patience: Duration,
    /// Users whom the nodes let in from their own host alone; as the brokers' `loopback_users`.
    pub loopback_users: Vec<Arc<str>>,
    /// PROXY header sent to the nodes.
    pub proxy_protocol: ProxyOut,
    /// `[cluster.NAME.tls]`; `None` = the nodes are spoken to in plain text.
    pub tls: Option<Arc<ClusterTls>>,
    /// `[cluster.CLUSTER.identity.NAME]`, in the order of the file: first match wins.
    pub identities: Vec<Identity>,
    /// `[cluster.NAME.health]`
    pub health: Arc<Health>,
    /// At least one node, in the order of the file.
    pub nodes: Vec<Node>,
}

/// `admission`: how many sessions may begin at once, and who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// New connections to nodes a second.
    pub rate: NonZeroU32,
    /// Clients that may wait.
    pub queue: usize,
    /// How long each may wait.
    pub wait: Duration,
}

/// `balance`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Each in turn, by weight.
    RoundRobin,
    /// The one with the fewest live sessions for its weight.
    LeastConnections,
    /// The less loaded of two picked at random.
    RandomTwo,
    /// The same node for the same client address, as long as it is usable.
    SourceHash,
    /// The same node for the same vhost, as long as it is usable.
    VhostHash,
    /// The first usable one in the order of the file.
    First,
}

impl Strategy {
    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastConnections => "least-connections",
            Self::RandomTwo => "random-two",
            Self::SourceHash => "source-hash",
            Self::VhostHash => "vhost-hash",
            Self::First => "first",
        }
    }
}

/// `[cluster.CLUSTER.node.NAME]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// NAME
    pub name: Arc<str>,
    /// Where the node speaks AMQP.
    pub address: NodeAddress,
    /// Share of new sessions relative to the other nodes.
    pub weight: NonZeroU32,
    /// Sessions at once on this node; `None` = no limit.
    pub max_connections: Option<usize>,
    /// Used only while no other node is usable.
    pub backup: bool,
    /// Where its management API answers.
    pub management: Option<ManagementUrl>,
}

/// `[admin]`: console, API, metrics and health endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Address of the admin HTTP server.
    pub bind: SocketAddr,
    /// `admin.tls.certificates`; empty = plain HTTP.
    pub certificates: Vec<Certificate>,
    /// Does `/metrics` take a login, too?
    pub metrics_auth: bool,
    /// `[[admin.user]]`, in the order of the file.
    pub users: Vec<AdminUser>,
    /// `[[admin.token]]`, in the order of the file.
    pub tokens: Vec<AdminToken>,
}

/// `[[admin.user]]`: who may log in.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminUser {
    /// Their name.
    pub name: Arc<str>,
    /// Of their password: a PHC string of argon2.
    pub password_hash: Arc<str>,
    /// What they may do.
    pub role: Role,
}

/// `[[admin.token]]`: a program that may use the API.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminToken {
    /// Its name.
    pub name: Arc<str>,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// What it may do.
    pub role: Role,
}

impl fmt::Debug for AdminUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminUser").field("name", &self.name).field("role", &self.role).finish()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminToken").field("name", &self.name).field("role", &self.role).finish()
    }
}

/// `role`: each may all that those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look.
    Viewer,
    /// Move and close: nodes, sessions, virtual routers; reload.
    Operator,
    /// All: roll back, see bodies of messages, end the logins of others.
    Admin,
}

/// Name of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerName(pub Arc<str>);

/// Name of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterName(pub Arc<str>);

impl fmt::Display for ListenerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Configurations for tests.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::config::defaults;

    /// What values of a condition are compared with.
    pub(crate) fn pattern(text: &str) -> crate::config::pattern::Pattern {
        crate::config::pattern::Pattern::parse(text).expect("a pattern")
    }

    /// A configuration with these clusters and no listeners.
    pub(crate) fn model(clusters: Vec<Cluster>) -> Model {
        let gateway = Gateway {
            name: "gw".into(),
            workers: 1,
            max_connections: 1000,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: None,
            user: None,
            group: None,
            drain_timeout: Duration::from_secs(60),
            drain_rate: NonZeroU32::new(100).unwrap_or(NonZeroU32::MIN),
            name_servers: Vec::new(),
            reload_on_change: false,
        };
        let (level, format) = (LogLevel::Info, LogFormat::Text);
        Model {
            gateway,
            log: Log { level, format, output: LogOutput::Stdout, access: false },
            listeners: Vec::new(),
            routes: Vec::new(),
            clusters,
            virtual_routers: Vec::new(),
            email: None,
            admin: None,
        }
    }

    /// A listener for AMQP that leads to a cluster, or nowhere.
    pub(crate) fn listener(name: &str, cluster: Option<&str>) -> Listener {
        Listener {
            name: ListenerName(name.into()),
            bind: vec![([127, 0, 0, 1], 0).into()],
            protocol: Protocol::Amqp,
            cluster: cluster.map(|name| ClusterName(name.into())),
            max_connections: None,
            proxy_protocol: ProxyIn::Off,
            trusted_proxies: Vec::new(),
            tls: None,
        }
    }

    /// A node on this host.
    pub(crate) fn node(name: &str, port: u16) -> Node {
        Node {
            name: name.into(),
            address: NodeAddress { host: "127.0.0.1".into(), port: Some(port) },
            weight: NonZeroU32::MIN,
            max_connections: None,
            backup: false,
            management: None,
        }
    }

    /// A cluster with everything as it is by default.
    pub(crate) fn cluster(name: &str, nodes: Vec<Node>) -> Cluster {
        Cluster {
            name: ClusterName(name.into()),
            balance: Strategy::LeastConnections,
            retry: defaults::RETRY,
            connect_timeout: defaults::CONNECT_TIMEOUT,
            resolve_interval: defaults::RESOLVE_INTERVAL,
            slow_start: defaults::SLOW_START,
            admission: None,
            rebalance: false,
            rebalance_rate: NonZeroU32::MIN,
            drain_patience: defaults::DRAIN_PATIENCE,
            loopback_users: defaults::LOOPBACK_USERS.map(Arc::from).to_vec(),
            proxy_protocol: ProxyOut::Off,
            tls: None,
            identities: Vec::new(),
            health: Arc::default(),
            nodes,
        }
    }
}

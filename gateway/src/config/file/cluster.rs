//! `[cluster.NAME]` as the user writes it, with its nodes and their health.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Certificate, Named, OffOr, Secret};
use crate::config::defaults::{self, text};
use crate::config::model::{Check, OnDown, ProxyOut, Strategy};

/// One RabbitMQ cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// How a node is chosen for a new session.
    #[schemars(extend("default" = "least-connections"))]
    pub balance: Option<At<Strategy>>,
    /// Other nodes tried before the client has its open-ok.
    #[schemars(range(max = 100), extend("default" = defaults::RETRY))]
    pub retry: Option<At<u32>>,
    /// For the TCP connection to a node. From 1ms to 10m.
    #[schemars(extend("default" = text(defaults::CONNECT_TIMEOUT)))]
    pub connect_timeout: Option<At<String>>,
    /// How often host names of nodes are resolved again. From 1s to 1day.
    #[schemars(extend("default" = text(defaults::RESOLVE_INTERVAL)))]
    pub resolve_interval: Option<At<String>>,
    /// How long a node that came back takes to reach its whole share; 0s = at once. Up to 1h.
    #[schemars(extend("default" = text(defaults::SLOW_START)))]
    pub slow_start: Option<At<String>>,
    /// PROXY header sent to the nodes.
    #[schemars(extend("default" = defaults::OFF))]
    pub proxy_protocol: Option<ProxyOut>,
    /// Bounds new connections to the nodes; who comes on top waits in its handshake. Default:
    /// no bound.
    pub admission: Option<Admission>,
    /// Are sessions moved to a node that came back, without being asked?
    #[schemars(extend("default" = defaults::OFF))]
    pub rebalance: Option<Rebalance>,
    /// Sessions moved a second, by rebalance and when a node is put to maintenance.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = defaults::REBALANCE_RATE))]
    pub rebalance_rate: Option<At<u32>>,
    /// How long a drain or rebalance waits for a session with publishes under way to come to
    /// rest. From 0s to 1h.
    #[schemars(extend("default" = text(defaults::DRAIN_PATIENCE)))]
    pub drain_patience: Option<At<String>>,
    /// Users whom the nodes let in from their own host alone, as the brokers' own setting of that
    /// name says.
    #[schemars(extend("default" = defaults::LOOPBACK_USERS))]
    pub loopback_users: Option<Vec<At<String>>>,
    /// TLS with the nodes. Without it they are spoken to in plain text.
    pub tls: Option<ClusterTls>,
    /// Broker logins for clients that show a certificate, by name.
    pub identity: Option<Named<Identity>>,
    /// How its nodes are checked.
    pub health: Option<Health>,
    /// The nodes, by name.
    #[schemars(required)]
    pub node: Option<Named<Node>>,
}

/// Bounds new connections to the nodes; who comes on top waits in its handshake.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admission {
    /// New connections to nodes a second.
    #[schemars(required, range(min = 1, max = 1_000_000), example = 500)]
    pub rate: Option<At<u32>>,
    /// Clients that may wait; further ones are refused with 320.
    #[schemars(range(max = 10_000_000), extend("default" = defaults::ADMISSION_QUEUE))]
    pub queue: Option<At<u32>>,
    /// How long each may wait. From 1ms to 1h.
    #[schemars(extend("default" = text(defaults::ADMISSION_WAIT)))]
    pub wait: Option<At<String>>,
}

/// TLS with the nodes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterTls {
    /// PEM file with the authorities that sign the nodes' certificates. Default: those that the
    /// system trusts.
    #[schemars(example = "/etc/amqp-gateway/rabbit-ca.pem")]
    pub ca: Option<At<String>>,
    /// The name that the nodes' certificates have to bear. Default: the host of each node's
    /// address.
    #[schemars(example = "rabbit.internal")]
    pub server_name: Option<At<String>>,
    /// The certificate that the gateway shows to nodes.
    pub certificate: Option<At<Certificate>>,
}

/// A broker login for clients that show a certificate: all conditions given must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Condition on the certificate's common name: a text, a glob, or a /regular expression/.
    #[schemars(example = "billing.example.com")]
    pub common_name: Option<At<String>>,
    /// Condition on its subject alternative names (DNS, e-mail, URI, IP address): one of them
    /// matches.
    #[schemars(example = "billing.example.com")]
    pub san: Option<At<String>>,
    /// User of the broker.
    #[schemars(required, example = &"billing")]
    pub username: Option<At<String>>,
    /// Its password.
    pub password: Option<At<Secret>>,
    /// File that holds its password, in place of `password`.
    #[schemars(example = "/etc/amqp-gateway/billing.password")]
    pub password_file: Option<At<String>>,
}

/// Are sessions moved to a node that came back, without being asked?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rebalance {
    /// Only when an operator asks for it.
    Off,
    /// Whenever a node comes back.
    Auto,
}

/// How the nodes of a cluster are checked.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Between two rounds of checks while the verdict stands. From 10ms to 1h.
    #[schemars(extend("default" = text(defaults::HEALTH_INTERVAL)))]
    pub interval: Option<At<String>>,
    /// Between two rounds while the verdict is changing. From 10ms to 1h.
    #[schemars(extend("default" = text(defaults::HEALTH_FAST_INTERVAL)))]
    pub fast_interval: Option<At<String>>,
    /// For each check. From 1ms to 10m.
    #[schemars(extend("default" = text(defaults::HEALTH_TIMEOUT)))]
    pub timeout: Option<At<String>>,
    /// Good rounds in a row that make a node up.
    #[schemars(range(min = 1, max = 1000), extend("default" = defaults::HEALTH_RISE))]
    pub rise: Option<At<u32>>,
    /// Bad rounds in a row that make a node down.
    #[schemars(range(min = 1, max = 1000), extend("default" = defaults::HEALTH_FALL))]
    pub fall: Option<At<u32>>,
    /// Failed connections of clients that make a node down; "off": they do not count.
    pub passive: Option<OffOr<Passive>>,
    /// The checks, all of which must pass; an empty list = nodes are not checked. Default: tcp;
    /// and amqp where a username is given; and management where nodes name its address, too.
    #[schemars(example = ["tcp", "amqp"])]
    pub checks: Option<At<Vec<At<Check>>>>,
    /// Monitoring user of the broker, for the checks that log in.
    #[schemars(example = &"health")]
    pub username: Option<At<String>>,
    /// Its password.
    pub password: Option<At<Secret>>,
    /// File that holds its password, in place of `password`.
    #[schemars(example = "/etc/amqp-gateway/health.password")]
    pub password_file: Option<At<String>>,
    /// Vhost that the AMQP checks open.
    #[schemars(extend("default" = defaults::HEALTH_VHOST))]
    pub vhost: Option<At<String>>,
    /// The command of the script check. It finds the node in its environment: NODE_NAME,
    /// NODE_ADDRESS.
    pub script: Option<At<Script>>,
    /// Queue that the channel-roundtrip check declares and uses.
    #[schemars(extend("default" = defaults::HEALTH_QUEUE))]
    pub queue: Option<At<String>>,
    /// What happens to the sessions of a node that went down.
    #[schemars(extend("default" = "close"))]
    pub on_down: Option<OnDown>,
}

/// Failed connections of clients that make a node down.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Passive {
    /// So many …
    #[schemars(range(min = 1, max = 1000), extend("default" = defaults::PASSIVE_FAILURES))]
    pub failures: Option<At<u32>>,
    /// … within this time. From 10ms to 1h.
    #[schemars(extend("default" = text(defaults::PASSIVE_WITHIN)))]
    pub within: Option<At<String>>,
}

/// A command that checks a node: good if it ends with 0.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The program and its arguments.
    #[schemars(required, length(min = 1), example = ["/usr/local/bin/rabbitmq_health_check.sh"])]
    pub command: Option<At<Vec<At<String>>>>,
    /// After this it is ended, and has failed. From 1ms to 10m.
    #[schemars(extend("default" = text(defaults::HEALTH_TIMEOUT)))]
    pub timeout: Option<At<String>>,
}

/// One RabbitMQ node.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Where the node speaks AMQP: host name or IP address, and port; or an SRV name, as
    /// _amqp._tcp.rabbit.internal.
    #[schemars(required, example = "192.168.1.10:5672")]
    pub address: Option<At<String>>,
    /// Where its management API answers: http://host:port or https://host:port.
    #[schemars(example = "http://192.168.1.10:15672")]
    pub management: Option<At<String>>,
    /// Share of new sessions relative to the other nodes of the cluster.
    #[schemars(range(min = 1, max = 1000), extend("default" = defaults::WEIGHT))]
    pub weight: Option<At<u32>>,
    /// Sessions at once on this node. Default: no limit.
    #[schemars(range(min = 1, max = 10_000_000), example = 5_000)]
    pub max_connections: Option<At<u32>>,
    /// Used only while no other node is usable.
    #[schemars(extend("default" = defaults::BACKUP))]
    pub backup: Option<bool>,
}

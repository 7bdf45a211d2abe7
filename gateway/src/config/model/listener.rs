//! `[listener.NAME]`: where clients arrive.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::tls::ListenerTls;
use super::{ClusterName, ListenerName};

/// `[listener.NAME]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// NAME
    pub name: ListenerName,
    /// At least one address.
    pub bind: Vec<SocketAddr>,
    /// What clients speak.
    pub protocol: Protocol,
    /// Where a session goes that no route matches; without it: 530 NOT_ALLOWED.
    pub cluster: Option<ClusterName>,
    /// Sessions at once on this listener; `None` = only the gateway's own limit.
    pub max_connections: Option<usize>,
    /// Does a PROXY header come first?
    pub proxy_protocol: ProxyIn,
    /// Who may send one.
    pub trusted_proxies: Vec<IpNet>,
    /// TLS, which the gateway ends; `None` = none.
    pub tls: Option<Arc<ListenerTls>>,
}

/// `protocol` of a listener, with the keys that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// AMQP 0-9-1, and 1.0 as opaque bytes.
    Amqp,
    /// HTTP to the management of the cluster's nodes.
    Http(Http),
    /// Any bytes, to this port of the nodes.
    Tcp {
        /// `node_port`
        node_port: NonZeroU16,
    },
    /// TLS that only the node can read, to this port of the nodes.
    TlsPassthrough {
        /// `node_port`
        node_port: NonZeroU16,
    },
}

impl Protocol {
    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Amqp => "amqp",
            Self::Http(_) => "http",
            Self::Tcp { .. } => "tcp",
            Self::TlsPassthrough { .. } => "tls-passthrough",
        }
    }
}

/// What an HTTP listener does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http {
    /// Hands requests to the nodes.
    Balance(HttpStrategy),
    /// Sends the browser to this port, with https.
    RedirectToHttps(NonZeroU16),
}

/// `balance` of an HTTP listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HttpStrategy {
    /// Each node in turn.
    RoundRobin,
    /// The node with the fewest requests under way.
    LeastConnections,
    /// The same node for the same client address.
    SourceHash,
    /// The same node for the same path.
    UriHash,
}

/// `proxy_protocol` of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyIn {
    /// No: whoever sends one is refused.
    Off,
    /// From trusted addresses it may.
    Optional,
    /// It has to.
    Required,
}

/// `proxy_protocol` of a cluster: the header that the gateway sends to the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyOut {
    /// None.
    Off,
    /// A line of text with both addresses.
    V1,
    /// Binary, with what is known of TLS and the session's number.
    V2,
}

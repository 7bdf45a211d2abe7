//! Where a node answers: AMQP, and its management API.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// `management` of a node: `http://host:port` or `https://host:port`, with a path in front of `/api` if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ManagementUrl {
    /// Is it https?
    pub tls: bool,
    /// IP address without brackets, or host name.
    pub host: Arc<str>,
    /// TCP port.
    pub port: u16,
    /// What stands before `/api`: empty, or a path with a leading slash and none behind.
    pub prefix: Arc<str>,
}

impl ManagementUrl {
    /// Host and port, as in the `Host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for ManagementUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}

/// Where a node speaks AMQP: `host:port` with an IP address or a name to resolve, or an SRV name, which tells of host
/// and port itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeAddress {
    /// IP address without brackets, host name, or SRV name.
    pub host: String,
    /// TCP port; `None` = `host` is an SRV name, as `_amqp._tcp.rabbit.internal`.
    pub port: Option<u16>,
}

impl NodeAddress {
    /// The socket address, if the host is an IP address and needs no resolving.
    #[must_use]
    pub fn literal(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host.parse().ok()?, self.port?))
    }

    /// Is it an SRV name?
    #[must_use]
    pub fn is_srv(&self) -> bool {
        self.port.is_none()
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

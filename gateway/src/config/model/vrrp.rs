//! `[vrrp.NAME]`: addresses shared with other gateways. `[notify.email]`: who is told.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClusterName, Login, Script};

/// `[vrrp.NAME]`: one virtual router on one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualRouter {
    /// NAME
    pub name: Arc<str>,
    /// The interface that advertisements go out of and the addresses are added to.
    pub interface: Arc<str>,
    /// VRID, 1 to 255.
    pub virtual_router_id: u8,
    /// 1 to 254; 255 = the owner of the addresses.
    pub priority: u8,
    /// At least one, all of one family.
    pub addresses: Vec<VirtualAddress>,
    /// The version that is spoken.
    pub version: VrrpVersion,
    /// By default 100 ms (version 2: 1 s). Version 3: steps of 10 ms from 10 ms to 40.95 s; version 2: whole seconds, 1 to 255.
    pub advertisement_interval: Duration,
    /// Does it take over from an active router of lower priority?
    pub preempt: bool,
    /// How long it waits before it does.
    pub preempt_delay: Duration,
    /// Does a backup ask an active router whose advertisement is overdue, and take over when it does not answer? And does
    /// it wait a tenth of the skew time alone when it is told that the active router leaves?
    pub fast_takeover: bool,
    /// Version 2 only: keepalived's PASS, at most 8 octets, the rest zero.
    pub authentication: Option<VrrpPassword>,
    /// Unicast; empty = multicast.
    pub peers: Vec<IpAddr>,
    /// Source of advertisements; `None` = the interface's first address (IPv6: its link-local one).
    pub source_address: Option<IpAddr>,
    /// Are the addresses on a macvlan with 00:00:5e:00:01:VRID (IPv6: 00:00:5e:00:02:VRID)?
    pub virtual_mac: bool,
    /// Instances of a group move together.
    pub sync_group: Option<Arc<str>>,
    /// How the addresses are announced.
    pub garp: Garp,
    /// Which checksum version 3 over IPv4 bears.
    pub checksum: VrrpChecksum,
    /// What lowers its priority.
    pub track: Track,
    /// Who is told of its transitions.
    pub notify: VrrpNotify,
}

/// An address that gateways share, and the prefix it is added with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// 32 or 128 if none was given.
    pub prefix: u8,
}

/// `version`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VrrpVersion {
    /// RFC 3768: IPv4 only, whole seconds, a password.
    V2,
    /// RFC 9568 and 5798.
    V3,
}

/// `garp`: gratuitous ARP and unsolicited neighbour advertisements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Garp {
    /// Announcements of each address, at once and after the delay.
    pub repeat: u32,
    /// After which they are repeated; zero = never.
    pub delay: Duration,
    /// How often an active router announces its addresses again; `None` = never.
    pub refresh: Option<Duration>,
}

/// `checksum`: of version 3 over IPv4; both are accepted always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VrrpChecksum {
    /// What the peer is heard to use; until then as keepalived, with the pseudo header.
    Auto,
    /// With the pseudo header (RFC 5798 as keepalived reads it).
    PseudoHeader,
    /// As RFC 9568 has it.
    Rfc9568,
}

/// `[vrrp.NAME.track]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Track {
    /// A listener of this gateway does not accept.
    pub listeners: Option<Cost>,
    /// No usable node in a cluster.
    pub clusters: Vec<(ClusterName, Cost)>,
    /// Interfaces that are down.
    pub interfaces: Vec<(Arc<str>, Cost)>,
    /// A command that fails.
    pub script: Option<TrackScript>,
}

/// What a tracked thing costs while it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cost {
    /// So much priority, 1 to 254.
    Weight(u8),
    /// The virtual router goes to fault: it gives the addresses up.
    Fault,
}

/// `track.script`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackScript {
    /// What is run, and after which time it has failed.
    pub script: Script,
    /// From one start to the next.
    pub interval: Duration,
    /// Successes in a row until it counts as well.
    pub rise: u32,
    /// Failures in a row until it counts as failed.
    pub fall: u32,
    /// What it costs while failed.
    pub cost: Cost,
}

/// `[vrrp.NAME.notify]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VrrpNotify {
    /// Program and arguments; TYPE NAME STATE PRIORITY are added.
    pub command: Option<Vec<String>>,
    /// URL that each transition is posted to as JSON.
    pub webhook: Option<Arc<str>>,
}

/// `[notify.email]`: told of transitions of virtual routers, and of nodes that go down and come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// Host and port of the mail server.
    pub smtp: (Arc<str>, u16),
    /// Sender.
    pub from: Arc<str>,
    /// Receivers, at least one.
    pub to: Vec<Arc<str>>,
    /// How the connection with the mail server is protected.
    pub tls: EmailTls,
    /// If the server wants one.
    pub login: Option<Login>,
}

/// `notify.email.tls`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EmailTls {
    /// Plain text.
    Off,
    /// Plain text first, then STARTTLS, which must succeed.
    Starttls,
    /// TLS from the first octet (port 465).
    Implicit,
}

/// A password of version 2, which no debug output shows.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VrrpPassword(pub [u8; 8]);

impl std::fmt::Debug for VrrpPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VrrpPassword(…)")
    }
}

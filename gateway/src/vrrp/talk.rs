//! What the gateway and the VRRP process tell each other: one JSON text a line over a Unix socket, both ways.
//!
//! Either side that ends, however it ends, closes the socket: that is how the other learns of it at once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::model::{
    Garp, VirtualAddress, VirtualRouter, VrrpChecksum, VrrpPassword, VrrpVersion,
};

/// A line longer than this is no message. 255 virtual routers with 255 addresses each are below it.
pub const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// What the gateway says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Order {
    /// The first word: everything the VRRP process has to know.
    Start(Setup),
    /// The configuration is another now: these are all virtual routers. Those that are not known yet begin once those that
    /// are not among them have handed their addresses over and are [`Word::Gone`].
    Change(Change),
    /// The gateway lives. Answered with [`Word::Beat`].
    Beat(u64),
    /// What the tracked things of a virtual router cost right now.
    Track {
        /// Its [`Router::id`].
        router: usize,
        /// What is taken off its priority.
        penalty: u8,
        /// Why it must not be active at all.
        fault: Option<String>,
    },
    /// An operator wants the addresses on the peer.
    Release {
        /// Its [`Router::id`].
        router: usize,
    },
    /// And has them back if the priority says so.
    Reclaim {
        /// Its [`Router::id`].
        router: usize,
    },
    /// The connections of the addresses that [`Word::Leaving`] named have had their last word.
    Closed {
        /// Its [`Router::id`].
        router: usize,
    },
    /// The gateway stops: hand all addresses over, and end.
    Stop,
}

/// What the VRRP process is told at its start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    /// The virtual routers, each with its own id.
    pub routers: Vec<Router>,
    /// Silence of the gateway after which it counts as dead.
    pub patience: Duration,
    /// Ids of routers that were active when the process before this one died: their addresses are given up at once, with
    /// priority 0.
    pub orphaned: Vec<usize>,
    /// Ids of routers that were active until a moment ago: they go on as if nothing had been.
    pub resumed: Vec<usize>,
    /// Settings of the kernel that such a process had changed, with what they were before: [`Word::Changed`].
    pub changed: BTreeMap<PathBuf, String>,
    /// How the gateway sees each virtual router right now, in the same order: nobody takes an address that he would give up at once.
    pub standings: Vec<Standing>,
}

/// What the VRRP process is told when the configuration changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Change {
    /// As [`Setup::routers`]. One with a known id is changed in its place.
    pub routers: Vec<Router>,
    /// As [`Setup::patience`].
    pub patience: Duration,
    /// As [`Setup::standings`]; it counts for those that begin.
    pub standings: Vec<Standing>,
}

/// What keeps a virtual router from its addresses; see [`Order::Track`] and [`Order::Release`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Standing {
    pub penalty: u8,
    pub fault: Option<String>,
    pub released: bool,
}

/// A virtual router, as far as the VRRP process needs it; see [`VirtualRouter`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Router {
    /// What it is called in orders and words. None is given twice in the life of a gateway.
    pub id: usize,
    pub name: String,
    pub interface: String,
    pub virtual_router_id: u8,
    pub priority: u8,
    pub addresses: Vec<VirtualAddress>,
    pub version: VrrpVersion,
    pub interval: Duration,
    pub preempt: bool,
    pub preempt_delay: Duration,
    pub fast: bool,
    pub authentication: Option<VrrpPassword>,
    pub peers: Vec<IpAddr>,
    pub source: Option<IpAddr>,
    pub virtual_mac: bool,
    pub sync_group: Option<String>,
    pub garp: Garp,
    pub checksum: VrrpChecksum,
    /// Tracked interfaces; `None` = fault, else what each takes off the priority while down.
    pub interfaces: Vec<(String, Option<u8>)>,
}

impl Router {
    /// The one of the configuration, with this id.
    #[must_use]
    pub fn new(id: usize, of: &VirtualRouter) -> Self {
        use crate::config::model::Cost;
        let weight = |cost: Cost| match cost {
            Cost::Weight(weight) => Some(weight),
            Cost::Fault => None,
        };
        Self {
            id,
            name: of.name.to_string(),
            interface: of.interface.to_string(),
            virtual_router_id: of.virtual_router_id,
            priority: of.priority,
            addresses: of.addresses.clone(),
            version: of.version,
            interval: of.advertisement_interval,
            preempt: of.preempt,
            preempt_delay: of.preempt_delay,
            fast: of.fast_takeover,
            authentication: of.authentication,
            peers: of.peers.clone(),
            source: of.source_address,
            virtual_mac: of.virtual_mac,
            sync_group: of.sync_group.as_deref().map(str::to_owned),
            garp: of.garp,
            checksum: of.checksum,
            interfaces: of
                .track
                .interfaces
                .iter()
                .map(|(name, cost)| (name.to_string(), weight(*cost)))
                .collect(),
        }
    }

    /// May it become this one in its place, without giving its addresses up? Else the one has to end, and the other to begin.
    #[must_use]
    pub fn becomes(&self, other: &Self) -> bool {
        let place = |of: &Self| (of.interface.clone(), of.virtual_router_id, of.virtual_mac);
        let owns = |of: &Self| of.priority == u8::MAX;
        let is_ipv6 = |of: &Self| of.addresses.first().map(|own| own.address.is_ipv6());
        let other_prefix = |own: &VirtualAddress| {
            let same = |new: &VirtualAddress| new.address == own.address;
            other.addresses.iter().any(|new| same(new) && new != own)
        };
        place(self) == place(other)
            && self.version == other.version
            && is_ipv6(self) == is_ipv6(other)
            && owns(self) == owns(other)
            && (!owns(self) || self.addresses == other.addresses)
            && !self.addresses.iter().any(other_prefix)
    }
}

/// What the VRRP process says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Word {
    /// It is set up: sockets are open, stale addresses removed.
    Ready,
    /// It cannot work at all, and ends; with the cure.
    Broken(String),
    /// The answer to [`Order::Beat`].
    Beat(u64),
    /// A line for the log.
    Log {
        /// How severe.
        level: Level,
        /// The virtual router, if it concerns one.
        router: Option<String>,
        /// The line.
        text: String,
    },
    /// A virtual router changed its state.
    Transition {
        /// Its [`Router::id`].
        router: usize,
        /// Before.
        from: State,
        /// Now.
        to: State,
        /// The effective priority.
        priority: u8,
        /// In keepalived's words where it has them.
        reason: String,
    },
    /// The addresses of a virtual router are about to be removed: their connections are to be closed now.
    /// The removal waits for [`Order::Closed`], but not for long if `linger`, and not at all otherwise.
    Leaving {
        /// Its [`Router::id`].
        router: usize,
        /// Are they still there for a moment, so that a close reaches the clients?
        linger: bool,
    },
    /// A misconfiguration was noticed, or is over.
    Alarm {
        /// Its [`Router::id`].
        router: usize,
        /// Which one.
        alarm: Alarm,
        /// What is wrong, with its cure; `None` = over.
        text: Option<String>,
    },
    /// It left the configuration, and its addresses are off: nothing more is said of it.
    Gone {
        /// Its [`Router::id`].
        router: usize,
    },
    /// A setting of the kernel was changed: if this process dies, the next one has to put it back in the end.
    Changed {
        /// Its file.
        setting: PathBuf,
        /// What it was.
        before: String,
    },
    /// It is put back already: whoever changes it from now on means it so.
    Restored {
        /// Its file.
        setting: PathBuf,
    },
    /// How everything is: on each change, and once a second.
    Status(Vec<Status>),
    /// All addresses are handed over: it ends now.
    Stopped,
}

/// How severe a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// The state of a virtual router (RFC 9568, section 6.4), and fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not started, or stopped.
    Initialize,
    /// Another router may have the addresses.
    Backup,
    /// This one has the addresses.
    Active,
    /// Something tracked failed, or the interface is down.
    Fault,
}

impl State {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Initialize, Self::Backup, Self::Active, Self::Fault];

    /// Its name in the API, in metrics and events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Backup => "backup",
            Self::Active => "active",
            Self::Fault => "fault",
        }
    }

    /// keepalived's name, as notify scripts and log lines have it.
    #[must_use]
    pub fn keepalived(self) -> &'static str {
        match self {
            Self::Initialize => "STOP",
            Self::Backup => "BACKUP",
            Self::Active => "MASTER",
            Self::Fault => "FAULT",
        }
    }
}

/// A misconfiguration that would split the addresses between two gateways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// The VRID is used with another version of VRRP.
    OtherVersion,
    /// The VRID is used with another password, or with none.
    OtherPassword,
    /// The VRID is used with another advertisement interval.
    OtherInterval,
    /// The VRID is used with other addresses.
    OtherAddresses,
    /// The VRID is used for other addresses altogether: by another pair on the same network.
    DuplicateVrid,
    /// The VRID is used by a gateway that is no configured peer, or by multicast instead of unicast.
    UnknownPeer,
    /// Two routers say that they own the addresses (priority 255).
    TwoOwners,
    /// Another router sends with this one's source address.
    OwnAddress,
    /// The peer answers, but does not hear this router: loss in one direction.
    NotHeard,
    /// Another host has one of the addresses, too, while this router is active.
    AddressInUse,
}

impl Alarm {
    /// All there are.
    pub const ALL: [Self; 10] = [
        Self::OtherVersion,
        Self::OtherPassword,
        Self::OtherInterval,
        Self::OtherAddresses,
        Self::DuplicateVrid,
        Self::UnknownPeer,
        Self::TwoOwners,
        Self::OwnAddress,
        Self::NotHeard,
        Self::AddressInUse,
    ];

    /// Its name in metrics, events and the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OtherVersion => "other_version",
            Self::OtherPassword => "other_password",
            Self::OtherInterval => "other_interval",
            Self::OtherAddresses => "other_addresses",
            Self::DuplicateVrid => "duplicate_vrid",
            Self::UnknownPeer => "unknown_peer",
            Self::TwoOwners => "two_owners",
            Self::OwnAddress => "own_address",
            Self::NotHeard => "not_heard",
            Self::AddressInUse => "address_in_use",
        }
    }
}

/// How a virtual router is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Its [`Router::id`].
    pub router: usize,
    /// Its state.
    pub state: State,
    /// The effective priority.
    pub priority: u8,
    /// Was it released by an operator?
    pub released: bool,
    /// Are its addresses on the interface?
    pub holds: bool,
    /// The router that was heard last: its address, its priority, and how long ago in milliseconds.
    pub peer: Option<Peer>,
    /// Since the start of the VRRP process.
    pub counters: Counters,
}

/// The other router.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Peer {
    /// Its source address.
    pub address: IpAddr,
    /// The priority it advertised last.
    pub priority: u8,
    /// How long ago.
    pub heard_ms: u64,
}

/// What a virtual router has counted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Advertisements sent.
    pub sent: u64,
    /// Advertisements received and accepted.
    pub received: u64,
    /// Advertisements dropped, by reason.
    pub errors: Vec<(String, u64)>,
    /// Announcements (gratuitous ARP, neighbour advertisements) sent.
    pub announced: u64,
}

//! What a virtual router does: a state machine that is told events and the time, and answers with actions.
//!
//! It follows section 6.4 of RFC 9568, does as keepalived does where the RFC leaves room, and betters both where a
//! client would feel it: an active router that wants to leave serves until its successor does, and a backup takes
//! over at once from a peer whose priority fell. It reads no clock and opens no socket; a driver tells it what happens
//! and does what it says, in the order in which it says it.

mod active;
mod backup;
pub mod group;
mod question;
mod router;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

pub use router::Router;
pub use words::{Notice, Reason};

/// Time since some start, never going back. Intervals are centiseconds as on the wire; timers are exact to the
/// microsecond and beyond: at an interval of 10 ms the skew in whole centiseconds would be 0 for all priorities.
pub type Now = Duration;

/// One centisecond: the unit of intervals on the wire, and the shortest interval.
pub const CENTISECOND: Duration = Duration::from_millis(10);

/// The priority of a router that owns the address (RFC 9568, 5.2.4).
pub const OWNER: u8 = 255;

/// The lowest priority of a router that serves. One that wants to leave says it until a successor has taken over.
pub const LOWEST: u8 = 1;

/// The priority by which an active router says that it has left (RFC 9568, 5.2.4).
pub const LEFT: u8 = 0;

/// How a virtual router is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// 1 to 255; 255 is the owner of the address. 0 counts as 1.
    pub priority: u8,
    /// The own advertisement interval, at least a centisecond.
    pub interval: Duration,
    /// May it take over from an active router of a lower priority?
    pub preempt: bool,
    /// How long it leaves an active router of a lower priority alone, from the start or from first hearing it.
    pub preempt_delay: Duration,
    /// The address advertisements are sent from, which decides between equal priorities.
    pub own: IpAddr,
    /// How many times the own interval a learned one may be at most. 0 counts as 1.
    pub longest_learned: u32,
    /// Does a backup ask an active router whose advertisement is overdue whether it is still there, and wait a tenth of
    /// the skew time when it is told that it has left? Else all times are those of RFC 9568.
    pub fast: bool,
}

/// Where a virtual router stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Not started yet, or stopped.
    Initialize,
    /// Listens to the active router, or waits for it to fall silent.
    Backup,
    /// Has the addresses.
    Active,
    /// Something it depends on has failed: a tracked thing, or its link.
    Fault,
}

impl State {
    /// The state in keepalived's words, as its log and its notify scripts have it.
    #[must_use]
    pub fn keepalived(self) -> &'static str {
        match self {
            Self::Initialize => "INIT",
            Self::Backup => "BACKUP",
            Self::Active => "MASTER",
            Self::Fault => "FAULT",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initialize => "initialize",
            Self::Backup => "backup",
            Self::Active => "active",
            Self::Fault => "fault",
        })
    }
}

/// What matters of an advertisement that passed all checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// The address it came from.
    pub source: IpAddr,
    /// Its priority; 0 means that the sender has left.
    pub priority: u8,
    /// The sender's advertisement interval.
    pub interval: Duration,
}

/// The router that was last heard as the active one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub source: IpAddr,
    /// The priority in its last advertisement.
    pub priority: u8,
    /// The interval in its last advertisement, as it was sent.
    pub interval: Duration,
    /// When that came.
    pub heard: Now,
}

/// What happens to a virtual router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It may begin.
    Start,
    /// It may go on: it was active a moment ago in a process that has died, and no peer can have missed it yet.
    Resume,
    /// An advertisement for it has come.
    Advertisement(Heard),
    /// The time of [`Router::due`] has come. Early or needless ones do no harm.
    Timer,
    /// What tracked things cost of the priority from now on, all together.
    Penalty(u8),
    /// Something it cannot be without has failed (true), or all is well again (false).
    Fault(bool),
    /// The process or the machine stood still for longer than [`Router::down_interval`].
    Paused,
    /// An operator wants another gateway to serve.
    Release,
    /// An operator takes that back.
    Reclaim,
    /// The gateway ends, or the router leaves the configuration. Only a new [`Router`] starts again.
    Stop,
    /// The configuration was read again.
    Change(Settings),
}

/// What the driver has to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send an advertisement with the own interval.
    Advertise {
        /// The priority in it.
        priority: u8,
    },
    /// Send an advertisement of the lowest priority, which the active router answers. It does not come from an active router:
    /// the virtual MAC is not to be its source (RFC 9568, 7.2 and 8.1).
    Ask,
    /// Add the addresses and announce them.
    Claim,
    /// Remove the addresses.
    Withdraw {
        /// Whether their sessions may be told first. If not, the addresses go before anything else happens.
        linger: bool,
    },
    /// Announce the addresses again: clients may have learned another way. The driver bounds how often it does.
    Announce,
    /// The state is another now; for the log and whoever wants to know.
    Transition {
        /// The state before.
        from: State,
        /// The state now.
        to: State,
        /// What led to it.
        reason: Reason,
    },
    /// Something an operator should know. A peer may cause many: the driver bounds what it writes.
    Notice(Notice),
}

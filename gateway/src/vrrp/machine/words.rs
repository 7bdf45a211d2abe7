//! Why something happened, in keepalived's words where it has them: operators search their logs for these.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// Why the state changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It was started.
    Started,
    /// It was started as the owner of the address.
    Owner,
    /// It was active in a process that has died.
    Resumed,
    /// No active router was heard for the down interval.
    DownTimer,
    /// The active router's advertisement was overdue, and it did not answer when it was asked.
    NoAnswer {
        /// Who it was.
        source: IpAddr,
    },
    /// The active router said that it has left.
    PriorityZero,
    /// The active router's priority fell below ours.
    PeerFell {
        /// Who it is.
        source: IpAddr,
        /// Its priority now.
        priority: u8,
        /// Ours.
        ours: u8,
    },
    /// The delay for leaving a lower active router alone is over.
    PreemptDelay {
        /// Who is preempted.
        source: IpAddr,
        /// Its priority.
        priority: u8,
        /// Ours.
        ours: u8,
    },
    /// Another active router has a higher priority.
    HigherPriority {
        /// Who it is.
        source: IpAddr,
        /// Its priority.
        priority: u8,
        /// The one we advertised.
        ours: u8,
    },
    /// Another active router has the same priority and a higher address.
    HigherAddress {
        /// Who it is.
        source: IpAddr,
        /// The priority of both.
        priority: u8,
    },
    /// Something the router cannot be without has failed.
    Fault,
    /// All is well again.
    Recovered,
    /// The process or the machine stood still for longer than the down interval.
    Paused,
    /// It was to be released, and nobody took over in time.
    Released,
    /// It was stopped.
    Stopped,
    /// Another member of its sync group went there.
    Group,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => f.write_str("Started"),
            Self::Owner => f.write_str("Started as the owner of the address"),
            Self::Resumed => f.write_str("Goes on where a process that has died left off"),
            Self::DownTimer => f.write_str("Receive advertisement timeout"),
            Self::NoAnswer { source } => {
                write!(f, "Receive advertisement timeout: {source} does not answer")
            }
            Self::PriorityZero => f.write_str("Backup received priority 0 advertisement"),
            Self::PeerFell { source, priority, ours } => {
                write!(f, "Priority of {source} fell to {priority}, below ours {ours}")
            }
            Self::PreemptDelay { source, priority, ours } => write!(
                f,
                "Preempt delay is over: {source} has lower priority {priority}, ours {ours}"
            ),
            Self::HigherPriority { source, priority, ours } => write!(
                f,
                "Master received advert from {source} with higher priority {priority}, ours {ours}"
            ),
            Self::HigherAddress { source, priority } => write!(
                f,
                "Master received advert from {source} with same priority {priority} but higher IP \
                 address than ours"
            ),
            Self::Fault => f.write_str("A tracked thing failed or the link is down"),
            Self::Recovered => f.write_str("All tracked things and the link are well again"),
            Self::Paused => f.write_str("Stood still for longer than the down interval"),
            Self::Released => f.write_str("Released, and nobody took over in time"),
            Self::Stopped => f.write_str("Stopped"),
            Self::Group => f.write_str("Follows its sync group"),
        }
    }
}

/// Something that changes no state, but that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// We are active and have heard another active router of a lower priority.
    LowerPriority {
        /// Who it is.
        source: IpAddr,
        /// Its priority.
        priority: u8,
        /// The one we advertise.
        ours: u8,
    },
    /// We are active and have heard another active router of the same priority, which has to yield by its address.
    LowerAddress {
        /// Who it is.
        source: IpAddr,
        /// The priority of both.
        priority: u8,
    },
    /// A lower active router goes on although it was answered again and again: it does not hear us.
    NotHeard {
        /// Who it is.
        source: IpAddr,
    },
    /// Two routers are configured as the owner of the address.
    TwoOwners {
        /// The other one.
        source: IpAddr,
    },
    /// An advertisement came from our own address: another machine has it, or the network sends back what we sent.
    OwnAddress {
        /// The address.
        source: IpAddr,
    },
    /// Another router has another advertisement interval.
    OtherInterval {
        /// Who it is.
        source: IpAddr,
        /// Its interval.
        interval: Duration,
        /// Ours.
        ours: Duration,
    },
    /// We have told the others that we left.
    SentZero,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LowerPriority { source, priority, ours } => write!(
                f,
                "Received advert from {source} with lower priority {priority}, ours {ours}, forcing \
                 new election"
            ),
            Self::LowerAddress { source, priority } => write!(
                f,
                "Received advert from {source} with same priority {priority} but lower IP address \
                 than ours, forcing new election"
            ),
            Self::NotHeard { source } => write!(
                f,
                "{source} goes on as a second master although it was answered many times: it does not \
                 hear us"
            ),
            Self::TwoOwners { source } => write!(
                f,
                "CONFIGURATION ERROR: {source} has priority 255 as we have; only the owner of the \
                 address may"
            ),
            Self::OwnAddress { source } => write!(
                f,
                "Received advert from our own address {source}: another machine has it, or the \
                 network sends back what we sent"
            ),
            Self::OtherInterval { source, interval, ours } => write!(
                f,
                "{source} has an advertisement interval of {} ms, ours is {} ms",
                interval.as_millis(),
                ours.as_millis()
            ),
            Self::SentZero => f.write_str("sent 0 priority"),
        }
    }
}

//! Why a datagram is no valid advertisement.

use super::{HEADER, PROTOCOL, TTL, Vrid};

/// A datagram that must be discarded: why, and what could be read of it.
///
/// What was read is not to be trusted, the checksum may be the flaw. It helps to tell a misconfigured peer from noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{wrong}")]
pub struct Flaw {
    /// The first check that failed.
    pub wrong: Wrong,
    version: Option<u8>,
    vrid: Option<Vrid>,
}

impl Flaw {
    /// A flaw of what stands around the message.
    pub(super) const fn outside(wrong: Wrong) -> Self {
        Self { wrong, version: None, vrid: None }
    }

    /// A flaw of this message.
    pub(super) fn of(message: &[u8], wrong: Wrong) -> Self {
        let version = message.first().map(|octet| octet >> 4);
        let vrid = message.get(1).copied().and_then(Vrid::new);
        Self { wrong, version, vrid }
    }

    /// A short name, one of [`REASONS`](Self::REASONS): for metrics and for the limits of log lines.
    pub const fn reason(&self) -> &'static str {
        self.wrong.reason()
    }

    /// The VRID, if there was one.
    pub const fn vrid(&self) -> Option<Vrid> {
        self.vrid
    }

    /// The number of the version, known or not.
    pub const fn version(&self) -> Option<u8> {
        self.version
    }

    /// Every name that [`reason`](Self::reason) gives.
    pub const REASONS: [&'static str; 10] = [
        "datagram",
        "ttl",
        "version",
        "type",
        "length",
        "addresses",
        "checksum",
        "vrid",
        "authentication",
        "interval",
    ];
}

/// What is wrong with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The IP header is cut off or contradicts itself.
    #[error("the IP header is damaged")]
    Header,
    /// More was announced than came.
    #[error("the IP header announces {says} octets and {came} came")]
    Truncated {
        /// The total length of the IP header.
        says: usize,
        /// The octets that came.
        came: usize,
    },
    /// Advertisements are small: nobody fragments them.
    #[error("it is a fragment")]
    Fragment,
    /// Not VRRP.
    #[error("the IP protocol is {0}, not {PROTOCOL}")]
    Protocol(u8),
    /// IPv4 on one side, IPv6 on the other.
    #[error("source and destination are of different families")]
    Families,
    /// It has passed a router, so it may come from anywhere.
    #[error("the TTL is {0}, not {TTL}: it does not come from this network")]
    Ttl(u8),
    /// Not even a header.
    #[error("the message has {0} octets, fewer than {HEADER}")]
    Short(usize),
    /// Neither 2 nor 3.
    #[error("VRRP version {0} is unknown")]
    Version(u8),
    /// Version 2 is for IPv4.
    #[error("VRRP version 2 does not exist over IPv6")]
    VersionOverIpv6,
    /// Not an advertisement.
    #[error("the message type is {0}, not 1 (advertisement)")]
    Type(u8),
    /// An advertisement of nothing.
    #[error("it advertises no address")]
    NoAddress,
    /// Octets are missing, or there are too many.
    #[error("the message has {came} octets; with {addresses} addresses it must have {expected}")]
    Length {
        /// The octets that came.
        came: usize,
        /// The octets that belong to so many addresses.
        expected: usize,
        /// The number of addresses announced.
        addresses: u8,
    },
    /// Neither of the checksums in use fits.
    #[error("the checksum is wrong")]
    Checksum,
    /// VRIDs begin with 1.
    #[error("the VRID is 0")]
    Vrid,
    /// Only none (0) and password (1) exist.
    #[error("the authentication type {0} is unknown")]
    Authentication(u8),
    /// All backups would take over at once (RFC 9568, erratum 8301).
    #[error("the advertisement interval is 0")]
    Interval,
}

impl Wrong {
    /// See [`Flaw::reason`].
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Header
            | Self::Truncated { .. }
            | Self::Fragment
            | Self::Protocol(_)
            | Self::Families => "datagram",
            Self::Ttl(_) => "ttl",
            Self::Version(_) | Self::VersionOverIpv6 => "version",
            Self::Type(_) => "type",
            Self::Short(_) | Self::Length { .. } => "length",
            Self::NoAddress => "addresses",
            Self::Checksum => "checksum",
            Self::Vrid => "vrid",
            Self::Authentication(_) => "authentication",
            Self::Interval => "interval",
        }
    }
}

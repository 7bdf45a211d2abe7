//! What an advertisement says.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

/// A version of the protocol. Version 2 is for IPv4 alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// RFC 3768: whole seconds, a password in clear.
    V2,
    /// RFC 9568 and RFC 5798: centiseconds, no password.
    V3,
}

impl Version {
    /// 2 or 3.
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

/// The number of a virtual router on its network: 1 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vrid(NonZeroU8);

impl Vrid {
    /// None for 0.
    pub const fn new(number: u8) -> Option<Self> {
        match NonZeroU8::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who wins: the higher one. 255 owns the addresses, 0 is leaving.
pub type Priority = u8;

/// An advertisement interval in centiseconds: 0.01 s to 255 s, never 0.
///
/// Version 3 can say up to 4095, version 2 whole seconds up to 25500: see [`Centis::sayable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Centis(u16);

impl Centis {
    /// One second, the default of both versions.
    pub const SECOND: Self = Self(100);

    /// None for 0 and for more than 255 s.
    pub const fn new(centiseconds: u16) -> Option<Self> {
        match centiseconds {
            1..=25_500 => Some(Self(centiseconds)),
            _ => None,
        }
    }

    /// In centiseconds.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// As a span of time.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0 as u64 * 10)
    }

    /// The nearest interval that a version can say: what [`Advert::build`] writes.
    pub const fn sayable(self, version: Version) -> Self {
        match version {
            Version::V2 if self.0 < 100 => Self(100),
            Version::V2 => Self((self.0 + 50) / 100 * 100),
            Version::V3 if self.0 > 4095 => Self(4095),
            Version::V3 => self,
        }
    }
}

/// The authentication of version 2. Version 3 has none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Auth {
    /// Type 0.
    None,
    /// Type 1 (RFC 2338): a password that everybody on the network can read. It guards against mistakes only.
    Password([u8; 8]),
}

impl Auth {
    /// The first 8 octets of a password, with zeros behind it: as keepalived does.
    pub fn password(text: &str) -> Self {
        let mut octets = [0; 8];
        for (octet, letter) in octets.iter_mut().zip(text.bytes()) {
            *octet = letter;
        }
        Self::Password(octets)
    }
}

/// Keeps passwords out of logs.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password(_) => "Password(..)",
        })
    }
}

/// What the checksum of a message covers besides the message.
///
/// Version 2 is [`MessageOnly`](Self::MessageOnly), version 3 over IPv6 [`PseudoHeader`](Self::PseudoHeader). For version
/// 3 over IPv4 the standards differ. RFC 5798 5.2.8 names a pseudo header and was read both ways: keepalived and FRR have
/// one by default, Cisco has none. RFC 9568 5.2.8 decides for the other side: over IPv4 the message alone counts, from
/// the version to the last address. keepalived 2.2.7 takes no such message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// The pseudo header with the real source and destination: RFC 5798 as keepalived reads it, and all IPv6.
    PseudoHeader,
    /// Nothing: version 2, and version 3 over IPv4 by RFC 9568.
    MessageOnly,
    /// A pseudo header with the destination 224.0.0.18 although the message was sent to one router: keepalived up to
    /// 1.3.6, later ones with `old_unicast_checksum`. IPv4 alone.
    OldUnicast,
}

/// An advertisement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Of the protocol.
    pub version: Version,
    /// Which virtual router.
    pub vrid: Vrid,
    /// Of the sender, at this moment.
    pub priority: Priority,
    /// How often the sender advertises.
    pub interval: Centis,
    /// In version 3 always [`Auth::None`].
    pub auth: Auth,
    /// The virtual addresses, in the order of the sender: 1 to 255, all of the family that carries the advertisement.
    pub addresses: Vec<IpAddr>,
}

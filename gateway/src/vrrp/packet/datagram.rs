//! A message and what IP says about it.

use std::net::{IpAddr, Ipv4Addr};

use super::{Flaw, PROTOCOL, Wrong};

/// An IP datagram of the protocol VRRP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Who sent it: the primary address of a router.
    pub source: IpAddr,
    /// Where it went: a group, or one router.
    pub destination: IpAddr,
    /// The TTL or hop limit as it arrived.
    pub ttl: u8,
    /// The VRRP message.
    pub payload: &'a [u8],
}

/// Takes the IPv4 header off, with which a raw socket delivers each datagram.
///
/// The header says where the message ends; what an Ethernet card padded behind it is left out. The header's own checksum
/// is not looked at: the kernel has. A raw socket for IPv6 delivers no header: make a [`Datagram`] of what comes with it.
///
/// # Errors
/// A header that is damaged, a fragment (the kernel puts them together), or another protocol.
pub fn ipv4(octets: &[u8]) -> Result<Datagram<'_>, Flaw> {
    let fixed = octets.first_chunk::<20>().ok_or(Flaw::outside(Wrong::Header))?;
    let header = usize::from(fixed[0] & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if fixed[0] >> 4 != 4 || header < fixed.len() || total < header {
        return Err(Flaw::outside(Wrong::Header));
    }
    let truncated = Wrong::Truncated { says: total, came: octets.len() };
    let payload = octets.get(header..total).ok_or_else(|| Flaw::outside(truncated))?;
    // Of these two octets only the flag "don't fragment" and the reserved one do not matter.
    if u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3fff != 0 {
        return Err(Flaw::outside(Wrong::Fragment));
    }
    if fixed[9] != PROTOCOL {
        return Err(Flaw::outside(Wrong::Protocol(fixed[9])));
    }
    let address = |at: usize| {
        IpAddr::V4(Ipv4Addr::new(fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]))
    };
    Ok(Datagram { source: address(12), destination: address(16), ttl: fixed[8], payload })
}

//! The frames that tell of virtual routers, read lightly: no check but that the octets are there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

/// Octets of an Ethernet header.
const ETHERNET: usize = 14;

/// A frame that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// When the kernel saw it.
    pub at: Instant,
    /// The namespace it came from (seen at the ports of the bridge), or in which it arrived.
    pub place: String,
    /// The Ethernet source.
    pub source: Mac,
    /// The Ethernet destination.
    pub destination: Mac,
    /// What it says.
    pub kind: Kind,
    /// The whole frame.
    pub bytes: Vec<u8>,
}

/// What a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// IP protocol 112.
    Vrrp(Advertisement),
    /// Any ARP.
    Arp(Arp),
    /// An ICMPv6 neighbour advertisement.
    Neighbour(NeighbourAdvertisement),
}

/// A VRRP advertisement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertisement {
    /// 2 or 3, unless it is forged.
    pub version: u8,
    /// Virtual router id.
    pub vrid: u8,
    /// 0 says goodbye.
    pub priority: u8,
    /// Octets 5 and 6: the interval in centiseconds (version 3); authentication and seconds (version 2).
    pub interval: u16,
    /// The IP source.
    pub from: IpAddr,
    /// The IP destination.
    pub to: IpAddr,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// The message behind the IP header.
    pub message: Vec<u8>,
}

/// An ARP for IPv4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arp {
    /// 1 asks, 2 answers.
    pub operation: u16,
    /// Who sends it.
    pub sender: Ipv4Addr,
    /// Whom it asks for.
    pub target: Ipv4Addr,
}

/// An ICMPv6 neighbour advertisement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourAdvertisement {
    /// The address that it tells of.
    pub target: Ipv6Addr,
    /// Whether neighbours should believe it in the place of what they know.
    pub overrides: bool,
}

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl fmt::Debug for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl Frame {
    /// Reads a frame; `None` for what the lab does not care for.
    #[must_use]
    pub fn read(at: Instant, place: &str, bytes: &[u8]) -> Option<Self> {
        let packet = bytes.get(ETHERNET..)?;
        let kind = match u16::from_be_bytes([bytes[12], bytes[13]]) {
            0x0800 => Kind::Vrrp(over_ipv4(packet)?),
            0x0806 => Kind::Arp(arp(packet)?),
            0x86dd => over_ipv6(packet)?,
            _ => return None,
        };
        let (destination, source) = (Mac(array(bytes, 0)?), Mac(array(bytes, 6)?));
        Some(Self { at, place: place.to_owned(), source, destination, kind, bytes: bytes.to_vec() })
    }

    /// The advertisement, if it is one.
    #[must_use]
    pub fn vrrp(&self) -> Option<&Advertisement> {
        if let Kind::Vrrp(advertisement) = &self.kind { Some(advertisement) } else { None }
    }

    /// The ARP, if it is one.
    #[must_use]
    pub fn arp(&self) -> Option<&Arp> {
        if let Kind::Arp(arp) = &self.kind { Some(arp) } else { None }
    }

    /// Whether it announces `address` to everybody: a gratuitous ARP, or an unsolicited neighbour advertisement.
    #[must_use]
    pub fn announces(&self, address: IpAddr) -> bool {
        match (&self.kind, address) {
            (Kind::Arp(arp), IpAddr::V4(address)) => arp.sender == address && arp.target == address,
            (Kind::Neighbour(neighbour), IpAddr::V6(address)) => {
                neighbour.target == address && self.destination.0[0] & 1 == 1
            }
            _ => false,
        }
    }
}

fn over_ipv4(packet: &[u8]) -> Option<Advertisement> {
    let header = usize::from(packet.first()? & 15) * 4;
    let length = usize::from(u16::from_be_bytes(array(packet, 2)?));
    if *packet.get(9)? != 112 {
        return None;
    }
    let address = |at| Some(Ipv4Addr::from(array::<4>(packet, at)?).into());
    advertisement(
        address(12)?,
        address(16)?,
        packet[8],
        packet.get(header..length.min(packet.len()))?,
    )
}

fn over_ipv6(packet: &[u8]) -> Option<Kind> {
    let address = |at| Some(Ipv6Addr::from(array::<16>(packet, at)?));
    let (from, to) = (address(8)?, address(24)?);
    let length = usize::from(u16::from_be_bytes(array(packet, 4)?));
    let message = packet.get(40..packet.len().min(40 + length))?;
    match packet[6] {
        112 => Some(Kind::Vrrp(advertisement(from.into(), to.into(), packet[7], message)?)),
        58 if message.first() == Some(&136) => {
            let target = Ipv6Addr::from(array::<16>(message, 8)?);
            let overrides = message[4] & 0x20 != 0;
            Some(Kind::Neighbour(NeighbourAdvertisement { target, overrides }))
        }
        _ => None,
    }
}

fn advertisement(from: IpAddr, to: IpAddr, ttl: u8, message: &[u8]) -> Option<Advertisement> {
    let [first, vrid, priority, _, high, low] = array(message, 0)?;
    let interval = u16::from_be_bytes([high, low]);
    Some(Advertisement {
        version: first >> 4,
        vrid,
        priority,
        interval,
        from,
        to,
        ttl,
        message: message.to_vec(),
    })
}

fn arp(packet: &[u8]) -> Option<Arp> {
    let address = |at| Some(Ipv4Addr::from(array::<4>(packet, at)?));
    let operation = u16::from_be_bytes(array(packet, 6)?);
    Some(Arp { operation, sender: address(14)?, target: address(24)? })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

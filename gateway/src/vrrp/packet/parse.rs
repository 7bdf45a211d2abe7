//! From a datagram to an advertisement.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::sum::Sum;
use super::{
    ADVERTISEMENT, AUTHENTICATION, Advert, Auth, Centis, Checksum, Datagram, Flaw, GROUP_V4,
    HEADER, TTL, Version, Vrid, Wrong,
};

/// Reads an advertisement, and tells which checksum fitted: the first in the order of [`Checksum`].
///
/// Makes the checks of RFC 3768 7.1 and RFC 9568 7.1 that need no configuration. Like keepalived it wants the exact
/// length. Reserved bits are ignored, and so are the authentication octets of type 0. Allocates the list of addresses
/// alone, at most 255.
///
/// # Errors
/// The first check that failed, in this order: families, TTL, length of the header, version, type, number of addresses,
/// length, checksum, VRID, authentication type, interval.
pub fn parse(datagram: &Datagram<'_>) -> Result<(Advert, Checksum), Flaw> {
    let message = datagram.payload;
    read(datagram).map_err(|wrong| Flaw::of(message, wrong))
}

fn read(datagram: &Datagram<'_>) -> Result<(Advert, Checksum), Wrong> {
    let message = datagram.payload;
    let ipv6 = datagram.source.is_ipv6();
    if ipv6 != datagram.destination.is_ipv6() {
        return Err(Wrong::Families);
    }
    if datagram.ttl != TTL {
        return Err(Wrong::Ttl(datagram.ttl));
    }
    let Some((header, rest)) = message.split_first_chunk::<HEADER>() else {
        return Err(Wrong::Short(message.len()));
    };
    let version = version(header[0], ipv6)?;
    let (list, trailer) = addresses(header[3], version, ipv6, rest)?;
    let checksum = checksum(datagram, version).ok_or(Wrong::Checksum)?;
    let vrid = Vrid::new(header[1]).ok_or(Wrong::Vrid)?;
    let auth = match version {
        Version::V2 => auth(header[4], trailer)?,
        Version::V3 => Auth::None,
    };
    let centiseconds = match version {
        Version::V2 => u16::from(header[5]) * 100,
        Version::V3 => u16::from_be_bytes([header[4] & 0x0f, header[5]]),
    };
    let interval = Centis::new(centiseconds).ok_or(Wrong::Interval)?;
    let addresses = decode(list, ipv6);
    Ok((Advert { version, vrid, priority: header[2], interval, auth, addresses }, checksum))
}

fn version(octet: u8, ipv6: bool) -> Result<Version, Wrong> {
    let version = match octet >> 4 {
        2 if ipv6 => return Err(Wrong::VersionOverIpv6),
        2 => Version::V2,
        3 => Version::V3,
        other => return Err(Wrong::Version(other)),
    };
    match octet & 0x0f {
        ADVERTISEMENT => Ok(version),
        other => Err(Wrong::Type(other)),
    }
}

/// The octets of the addresses, and those behind them.
fn addresses(
    count: u8,
    version: Version,
    ipv6: bool,
    rest: &[u8],
) -> Result<(&[u8], &[u8]), Wrong> {
    if count == 0 {
        return Err(Wrong::NoAddress);
    }
    let list = usize::from(count) * if ipv6 { 16 } else { 4 };
    let trailer = match version {
        Version::V2 => AUTHENTICATION,
        Version::V3 => 0,
    };
    let expected = HEADER + list + trailer;
    match rest.split_at_checked(list) {
        Some(parts) if parts.1.len() == trailer => Ok(parts),
        _ => Err(Wrong::Length { came: HEADER + rest.len(), expected, addresses: count }),
    }
}

fn checksum(datagram: &Datagram<'_>, version: Version) -> Option<Checksum> {
    let message = datagram.payload;
    let over = |destination| Sum::of_vrrp(datagram.source, destination, message.len()).add(message);
    let message_only = || Sum::default().add(message).fits().then_some(Checksum::MessageOnly);
    let old_unicast = || {
        let one_router = !datagram.destination.is_multicast();
        (one_router && over(IpAddr::V4(GROUP_V4)).fits()).then_some(Checksum::OldUnicast)
    };
    if version == Version::V2 {
        return message_only();
    }
    if over(datagram.destination).fits() {
        return Some(Checksum::PseudoHeader);
    }
    if datagram.source.is_ipv6() {
        return None;
    }
    message_only().or_else(old_unicast)
}

fn auth(kind: u8, trailer: &[u8]) -> Result<Auth, Wrong> {
    match (kind, trailer.first_chunk()) {
        (0, _) => Ok(Auth::None),
        (1, Some(password)) => Ok(Auth::Password(*password)),
        _ => Err(Wrong::Authentication(kind)),
    }
}

fn decode(list: &[u8], ipv6: bool) -> Vec<IpAddr> {
    if ipv6 {
        list.as_chunks().0.iter().map(|&octets: &[u8; 16]| Ipv6Addr::from(octets).into()).collect()
    } else {
        list.as_chunks().0.iter().map(|&octets: &[u8; 4]| Ipv4Addr::from(octets).into()).collect()
    }
}

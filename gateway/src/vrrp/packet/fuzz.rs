//! The body of the fuzz target `vrrp_packet`: takes any octets and panics if a promise of these files does not hold.
//!
//! The first octet chooses, the rest is what a peer sends: an IPv4 datagram with its header, or for IPv6 source,
//! destination and message.

use std::net::IpAddr;

use super::sum::Sum;
use super::{
    Advert, Checksum, Datagram, Flaw, GROUP_V4, HEADER, MAX_ADDRESSES, TTL, Version, Wrong, ipv4,
    parse,
};

/// Bits of the first octet: IPv6, and which checksum is set right before the message is read.
pub const IPV6: u8 = 1;
/// See [`IPV6`]: with the pseudo header.
pub const PSEUDO_HEADER: u8 = 2;
/// See [`IPV6`]: over the message alone.
pub const MESSAGE_ONLY: u8 = 4;
/// See [`IPV6`]: with 224.0.0.18 in the pseudo header.
pub const OLD_UNICAST: u8 = 6;

/// Whatever comes is read or refused with a reason; what is read can be written again and says the same.
pub fn vrrp_packet(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let datagram = if choice & IPV6 == 0 { ipv4(rest) } else { ipv6(rest) };
    let datagram = match datagram {
        Ok(datagram) => datagram,
        Err(flaw) => return explained(&flaw),
    };
    let mut message = datagram.payload.to_vec();
    repair(&datagram, choice & OLD_UNICAST, &mut message);
    let datagram = Datagram { payload: &message, ..datagram };
    match parse(&datagram) {
        Ok((advert, checksum)) => sound(&datagram, &advert, checksum),
        Err(flaw) => explained(&flaw),
    }
}

fn ipv6(octets: &[u8]) -> Result<Datagram<'_>, Flaw> {
    let missing = Flaw::outside(Wrong::Header);
    let (source, rest) = octets.split_first_chunk::<16>().ok_or(missing)?;
    let (destination, payload) = rest.split_first_chunk::<16>().ok_or(missing)?;
    let [source, destination] = [source, destination].map(|&end| IpAddr::from(end));
    Ok(Datagram { source, destination, ttl: TTL, payload })
}

/// A fuzzer does not guess checksums.
fn repair(datagram: &Datagram<'_>, choice: u8, message: &mut [u8]) {
    if message.len() < HEADER {
        return;
    }
    message[6..8].fill(0);
    let over = |end| Sum::of_vrrp(datagram.source, end, message.len()).add(message).checksum();
    let checksum = match choice {
        PSEUDO_HEADER => over(datagram.destination),
        MESSAGE_ONLY => Sum::default().add(message).checksum(),
        OLD_UNICAST => over(GROUP_V4.into()),
        _ => {
            message[6..8].copy_from_slice(&datagram.payload[6..8]);
            return;
        }
    };
    message[6..8].copy_from_slice(&checksum.to_be_bytes());
}

fn explained(flaw: &Flaw) {
    assert!(Flaw::REASONS.contains(&flaw.reason()), "{flaw:?}");
    assert!(!flaw.to_string().is_empty());
}

fn sound(datagram: &Datagram<'_>, advert: &Advert, checksum: Checksum) {
    assert!((1..=MAX_ADDRESSES).contains(&advert.addresses.len()));
    assert!(advert.addresses.iter().all(|end| end.is_ipv6() == datagram.source.is_ipv6()));
    assert_eq!(advert.interval, advert.interval.sayable(advert.version));
    assert_eq!(datagram.ttl, TTL);
    let mut built = Vec::new();
    advert.build(datagram.source, datagram.destination, checksum, &mut built);
    assert_eq!(built.len(), datagram.payload.len());
    let again = parse(&Datagram { payload: &built, ..*datagram });
    assert_eq!(again, Ok((advert.clone(), checksum)));
    // What is ignored on receipt is zero in what is built; all else is the same.
    let ignored = match advert.version {
        Version::V2 => HEADER + advert.addresses.len() * 4..built.len(),
        Version::V3 => 4..5,
    };
    for (at, (built, came)) in built.iter().zip(datagram.payload).enumerate() {
        assert!(built == came || ignored.contains(&at) || (6..8).contains(&at), "octet {at}");
    }
}

//! Each octet of each captured advertisement, changed to every other value.

use std::collections::BTreeMap;

use super::super::sum::Sum;
use super::super::*;
use super::frames::datagram;
use super::vectors::{Vector, adverts};

/// What became of changed datagrams: by outcome, how many.
type Tally = BTreeMap<String, usize>;

fn count(tally: &mut Tally, outcome: String) {
    *tally.entry(outcome).or_default() += 1;
}

fn print(title: &str, tally: &Tally) {
    let sum = |start| tally.iter().filter(|(k, _)| k.starts_with(start)).map(|(_, n)| n).sum();
    let (rejected, accepted): (usize, usize) = (sum("rejected"), sum("accepted"));
    println!("{title}: {rejected} rejected, {accepted} accepted");
    for (outcome, number) in tally {
        println!("  {number:>6} {outcome}");
    }
}

/// Every other value of one octet.
fn flips(octets: &[u8], at: usize) -> impl Iterator<Item = Vec<u8>> {
    (1..=255).map(move |mask: u8| {
        let mut flipped = octets.to_vec();
        flipped[at] ^= mask;
        flipped
    })
}

/// One octet changes the sum by 1 to 255, or by 256 times that. A one's complement sum is kept only by changes of a
/// multiple of 65535; and what the other checksums cover besides the message is never so close to each other in these
/// frames. So none gets through.
#[test]
fn s1_a_changed_octet_of_the_message_is_always_rejected() {
    let mut tally = Tally::new();
    for vector in adverts() {
        let frame = vector.frame();
        let whole = datagram(&vector, &frame);
        for at in 0..whole.payload.len() {
            for payload in flips(whole.payload, at) {
                let read = parse(&Datagram { payload: &payload, ..whole });
                let flaw = read.expect_err(vector.name);
                count(&mut tally, format!("rejected: {}", flaw.reason()));
            }
        }
    }
    print("message, one octet changed", &tally);
}

/// The IP header has a checksum of its own, which the kernel checks before a raw socket sees anything: it finds each of
/// these changes. This shows what would come through without it, and why it could do no harm.
#[test]
fn s1_a_changed_octet_of_the_ip_header_is_rejected_or_explained() {
    let mut tally = Tally::new();
    for vector in adverts().iter().filter(|vector| vector.source.contains('.')) {
        let packet = &vector.frame()[14..];
        for at in 0..20 {
            for flipped in flips(packet, at) {
                assert!(!Sum::default().add(&flipped[..20]).fits(), "the kernel rejects it");
                let read = ipv4(&flipped).and_then(|datagram| parse(&datagram));
                let expected = harmless(vector, at, packet[at], flipped[at]);
                let name = format!("{}: IP octet {at} is {:#04x}", vector.name, flipped[at]);
                let outcome = match (read, expected) {
                    (Ok((advert, _)), Some(why)) => {
                        assert_eq!(advert, vector.advert(), "{name}");
                        format!("accepted: {why}")
                    }
                    (Err(flaw), None) => format!("rejected: {}", flaw.reason()),
                    (read, expected) => panic!("{name}: {read:?}, expected: {expected:?}"),
                };
                count(&mut tally, outcome);
            }
        }
    }
    print("IP header, one octet changed (the kernel rejects all of them)", &tally);
}

/// Why an octet of the IP header may differ. None: it may not.
fn harmless(vector: &Vector, at: usize, was: u8, is: u8) -> Option<&'static str> {
    let pseudo_header = vector.checksum != Checksum::MessageOnly;
    let old_unicast = vector.checksum == Checksum::OldUnicast;
    let group = at == 16 && (224..240).contains(&is);
    match at {
        1 => Some("type of service, says nothing"),
        4 | 5 => Some("id, counts fragments only"),
        6 if (was ^ is) & 0x3f == 0 => Some("flags that do not make a fragment"),
        10 | 11 => Some("header checksum, the kernel's affair"),
        12..20 if !pseudo_header => Some("source or destination, not covered by version 2"),
        16..20 if old_unicast && !group => {
            Some("destination, not covered by the old unicast checksum")
        }
        16 if vector.destination == "224.0.0.18" && !group => {
            Some("group turned into one router, whose old unicast checksum covers the group")
        }
        _ => None,
    }
}

#[test]
fn s1_a_changed_end_or_hop_limit_over_ipv6_is_rejected() {
    let mut tally = Tally::new();
    for vector in adverts().iter().filter(|vector| vector.source.contains(':')) {
        let frame = vector.frame();
        for at in 14 + 7..14 + 40 {
            for flipped in flips(&frame, at) {
                let flaw = parse(&datagram(vector, &flipped)).expect_err(vector.name);
                count(&mut tally, format!("rejected: {}", flaw.reason()));
            }
        }
    }
    print("IPv6 source, destination, hop limit, one octet changed", &tally);
}

/// A peer that means what it says: the checksum fits. Then an octet counts by what it says.
#[test]
fn s1_a_changed_octet_under_a_right_checksum_is_rejected_or_means_what_it_says() {
    let mut tally = Tally::new();
    for vector in adverts() {
        let frame = vector.frame();
        let whole = datagram(&vector, &frame);
        for at in (0..whole.payload.len()).filter(|at| !(6..8).contains(at)) {
            for mut payload in flips(whole.payload, at) {
                repair(&vector, &mut payload);
                let read = parse(&Datagram { payload: &payload, ..whole });
                let name = format!("{}: octet {at} is {:#04x}", vector.name, payload[at]);
                let outcome = match (read, meaning(&vector, at, payload[at])) {
                    (Ok((advert, checksum)), Ok((expected, why))) => {
                        assert_eq!((advert, checksum), (expected, vector.checksum), "{name}");
                        format!("accepted: {why}")
                    }
                    (Err(flaw), Err(reason)) if flaw.reason() == reason => {
                        format!("rejected: {reason}")
                    }
                    (read, expected) => panic!("{name}: {read:?}, expected: {expected:?}"),
                };
                count(&mut tally, outcome);
            }
        }
    }
    print("message, one octet changed and the checksum set right", &tally);
}

fn repair(vector: &Vector, payload: &mut [u8]) {
    let (source, destination) = vector.ends();
    payload[6..8].fill(0);
    let sum = match vector.checksum {
        Checksum::MessageOnly => Sum::default(),
        Checksum::PseudoHeader => Sum::of_vrrp(source, destination, payload.len()),
        Checksum::OldUnicast => Sum::of_vrrp(source, GROUP_V4.into(), payload.len()),
    };
    let checksum = sum.add(payload).checksum();
    payload[6..8].copy_from_slice(&checksum.to_be_bytes());
}

/// What the advertisement says with this octet, or the reason why it is none.
fn meaning(vector: &Vector, at: usize, is: u8) -> Result<(Advert, &'static str), &'static str> {
    let mut advert = vector.advert();
    let v2 = vector.version == Version::V2;
    let ipv6 = vector.source.contains(':');
    let behind = 8 + advert.addresses.len() * if ipv6 { 16 } else { 4 };
    let old = vector.interval;
    let interval = |centiseconds| Centis::new(centiseconds).ok_or("interval");
    match at {
        0 if is >> 4 == 2 && ipv6 => Err("version"),
        0 if !(2..=3).contains(&(is >> 4)) => Err("version"),
        0 if is & 0x0f != 1 => Err("type"),
        // The other version has 8 octets more or less.
        0 => Err("length"),
        1 => {
            advert.vrid = Vrid::new(is).ok_or("vrid")?;
            Ok((advert, "another VRID"))
        }
        2 => {
            advert.priority = is;
            Ok((advert, "another priority"))
        }
        3 if is == 0 => Err("addresses"),
        3 => Err("length"),
        4 if v2 => {
            let frame = vector.frame();
            advert.auth = match is {
                0 => Auth::None,
                1 => Auth::Password(*frame[frame.len() - 8..].first_chunk().unwrap()),
                _ => return Err("authentication"),
            };
            Ok((advert, "another authentication"))
        }
        5 if v2 => {
            advert.interval = interval(u16::from(is) * 100)?;
            Ok((advert, "another interval"))
        }
        4 => {
            advert.interval = interval(u16::from(is & 0x0f) << 8 | old & 0xff)?;
            let same = advert.interval == vector.advert().interval;
            Ok((advert, if same { "reserved bits, ignored" } else { "another interval" }))
        }
        5 => {
            advert.interval = interval(old & 0xf00 | u16::from(is))?;
            Ok((advert, "another interval"))
        }
        _ if at >= behind => {
            let Auth::Password(octets) = &mut advert.auth else {
                return Ok((advert, "authentication octets of type 0, ignored"));
            };
            octets[at - behind] = is;
            Ok((advert, "another password"))
        }
        _ => {
            let length = if ipv6 { 16 } else { 4 };
            let address = &mut advert.addresses[(at - 8) / length];
            change(address, (at - 8) % length, is);
            Ok((advert, "another address"))
        }
    }
}

fn change(address: &mut std::net::IpAddr, at: usize, is: u8) {
    *address = match address {
        std::net::IpAddr::V4(old) => {
            let mut octets = old.octets();
            octets[at] = is;
            octets.into()
        }
        std::net::IpAddr::V6(old) => {
            let mut octets = old.octets();
            octets[at] = is;
            octets.into()
        }
    };
}

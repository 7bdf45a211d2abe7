//! What keepalived sends is read as it was meant, and what we send is the same to the last octet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::announce::{gratuitous_arp, neighbour_advertisement};
use super::super::sum::Sum;
use super::super::*;
use super::vectors::{self, MAC1, VIRTUAL_MAC, Vector};

/// Takes Ethernet, and for IPv6 the IP header, off a captured frame.
pub(super) fn datagram<'f>(vector: &Vector, frame: &'f [u8]) -> Datagram<'f> {
    let packet = &frame[14..];
    if frame[12..14] == [0x08, 0x00] {
        return ipv4(packet).unwrap_or_else(|flaw| panic!("{}: {flaw}", vector.name));
    }
    assert_eq!((packet[0] >> 4, packet[6]), (6, PROTOCOL), "{}", vector.name);
    let length = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    let address = |at| IpAddr::V6(Ipv6Addr::from(*packet[at..].first_chunk::<16>().unwrap()));
    let payload = &packet[40..40 + length];
    Datagram { source: address(8), destination: address(24), ttl: packet[7], payload }
}

/// The whole frame, as Linux makes it around a message. What the kernel counts up (the IP id, the flow label) is taken
/// from the captured frame.
fn framed(vector: &Vector, captured: &[u8], message: &[u8]) -> Vec<u8> {
    let (source, destination) = vector.ends();
    let length = message.len() as u8;
    let mut frame = match destination {
        IpAddr::V4(group) if group == GROUP_V4 => vec![0x01, 0x00, 0x5e, 0, 0, 18],
        IpAddr::V4(peer) => vec![0x02, 0x77, 0, 0, 0, peer.octets()[3]],
        IpAddr::V6(_) => vec![0x33, 0x33, 0, 0, 0, 0x12],
    };
    frame.extend(vector.mac);
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let id = [captured[18], captured[19]];
            let mut header = vec![0x45, 0xc0, 0, 20 + length, id[0], id[1], 0, 0];
            header.extend([TTL, PROTOCOL, 0, 0]);
            header.extend(source.octets());
            header.extend(destination.octets());
            let checksum = Sum::default().add(&header).checksum();
            header[10..12].copy_from_slice(&checksum.to_be_bytes());
            frame.extend([0x08, 0x00]);
            frame.extend(header);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            frame.extend([0x86, 0xdd, 0x6c, captured[15] & 0x0f, captured[16], captured[17]]);
            frame.extend([0, length, PROTOCOL, TTL]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        _ => panic!("{}", vector.name),
    }
    frame.extend(message);
    frame
}

#[test]
fn s1_every_advertisement_of_keepalived_is_read_as_it_was_meant() {
    let vectors = vectors::adverts();
    assert_eq!(vectors.len(), 18);
    for vector in vectors {
        let frame = vector.frame();
        let datagram = datagram(&vector, &frame);
        assert_eq!((datagram.source, datagram.destination), vector.ends(), "{}", vector.name);
        assert_eq!(datagram.ttl, TTL, "{}", vector.name);
        let read = parse(&datagram);
        assert_eq!(read, Ok((vector.advert(), vector.checksum)), "{}", vector.name);
    }
}

#[test]
fn s1_every_advertisement_of_keepalived_is_built_octet_for_octet() {
    let mut message = b"left over".to_vec();
    for vector in vectors::adverts() {
        let (source, destination) = vector.ends();
        vector.advert().build(source, destination, vector.checksum, &mut message);
        let frame = vector.frame();
        assert_eq!(framed(&vector, &frame, &message), frame, "{}", vector.name);
    }
}

#[test]
fn s1_gratuitous_arp_is_that_of_keepalived_octet_for_octet() {
    for (name, mac, address, frame) in vectors::gratuitous_arps() {
        assert_eq!(gratuitous_arp(mac, address)[..], frame, "{name}");
    }
}

#[test]
fn s1_neighbour_advertisements_are_those_of_keepalived_octet_for_octet() {
    for (name, mac, address, frame) in vectors::neighbour_advertisements() {
        assert_eq!(neighbour_advertisement(mac, address, false), frame, "{name}");
    }
}

#[test]
fn a_neighbour_advertisement_of_a_router_says_so_and_keeps_its_checksum() {
    let address = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x100);
    let frame = neighbour_advertisement(MAC1, address, true);
    assert_eq!(frame[58], 0xa0);
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into();
    assert!(Sum::pseudo_header(address.into(), group, 58, 32).add(&frame[54..]).fits());
}

#[test]
fn a_virtual_router_has_a_mac_address_of_its_own_in_each_family() {
    let vrid = Vrid::new(51).unwrap();
    assert_eq!(virtual_mac(vrid, false), VIRTUAL_MAC);
    assert_eq!(virtual_mac(vrid, true), [0, 0, 0x5e, 0, 2, 51]);
}

#[test]
fn the_checksum_of_rfc_9568_is_taken_over_ipv4_and_refused_over_ipv6() {
    for vector in vectors::adverts() {
        let (source, destination) = vector.ends();
        let mut payload = Vec::new();
        vector.advert().build(source, destination, Checksum::MessageOnly, &mut payload);
        let read = |payload: &[u8]| parse(&Datagram { source, destination, ttl: TTL, payload });
        let expected =
            if source.is_ipv6() { Checksum::PseudoHeader } else { Checksum::MessageOnly };
        assert_eq!(read(&payload), Ok((vector.advert(), expected)), "{}", vector.name);

        payload[6..8].fill(0);
        let message_only = Sum::default().add(&payload).checksum();
        payload[6..8].copy_from_slice(&message_only.to_be_bytes());
        assert_eq!(read(&payload).is_ok(), source.is_ipv4(), "{}", vector.name);
    }
}

#[test]
fn the_old_checksum_is_taken_from_one_router_only() {
    let vector = vectors::adverts().into_iter().find(|vector| vector.name == "V3M-1").unwrap();
    let (source, _) = vector.ends();
    let mut payload = Vec::new();
    vector.advert().build(source, GROUP_V4.into(), Checksum::OldUnicast, &mut payload);
    let to = |destination: [u8; 4]| {
        let destination = Ipv4Addr::from(destination).into();
        parse(&Datagram { source, destination, ttl: TTL, payload: &payload })
    };
    assert_eq!(to([10, 77, 0, 12]).unwrap().1, Checksum::OldUnicast);
    assert_eq!(to([224, 0, 0, 18]).unwrap().1, Checksum::PseudoHeader);
    assert_eq!(to([224, 0, 0, 19]).unwrap_err().wrong, Wrong::Checksum);
}

#[test]
fn the_ip_header_says_where_a_padded_message_ends() {
    for vector in vectors::adverts().iter().filter(|vector| vector.source.contains('.')) {
        let frame = [vector.frame(), vec![0; 18]].concat();
        assert_eq!(parse(&datagram(vector, &frame)).unwrap().0, vector.advert());
    }
}

#[test]
fn a_message_of_another_length_is_refused() {
    for vector in vectors::adverts() {
        let frame = vector.frame();
        let whole = datagram(&vector, &frame);
        let longer = [whole.payload, &[0; 4]].concat();
        let cut = (0..whole.payload.len()).map(|length| &whole.payload[..length]);
        for payload in cut.chain([longer.as_slice()]) {
            let flaw = parse(&Datagram { payload, ..whole }).unwrap_err();
            assert_eq!(flaw.reason(), "length", "{}: {} octets", vector.name, payload.len());
            assert_eq!(flaw.version().is_some(), !payload.is_empty());
            assert_eq!(flaw.vrid().is_some(), payload.len() > 1);
        }
    }
}

#[test]
fn a_damaged_ip_header_and_other_protocols_are_refused() {
    let frame = vectors::adverts()[0].frame();
    let packet = &frame[14..];
    let changed = |at: usize, value: u8| {
        let mut packet = packet.to_vec();
        packet[at] = value;
        ipv4(&packet).map(|datagram| datagram.payload.len()).map_err(|flaw| flaw.wrong)
    };
    assert_eq!(changed(0, 0x45), Ok(20));
    assert_eq!(changed(0, 0x46), Ok(16), "with an option of 4 octets");
    assert_eq!(changed(0, 0x65), Err(Wrong::Header));
    assert_eq!(changed(0, 0x44), Err(Wrong::Header));
    assert_eq!(changed(0, 0x4f), Err(Wrong::Header), "longer than the whole");
    assert_eq!(changed(2, 1), Err(Wrong::Truncated { says: 296, came: 40 }));
    assert_eq!(changed(6, 0x40), Ok(20), "don't fragment");
    assert_eq!(changed(6, 0x20), Err(Wrong::Fragment));
    assert_eq!(changed(7, 1), Err(Wrong::Fragment));
    assert_eq!(changed(9, 17), Err(Wrong::Protocol(17)));
    for length in 0..packet.len() {
        let flaw = ipv4(&packet[..length]).unwrap_err();
        assert_eq!((flaw.reason(), flaw.vrid(), flaw.version()), ("datagram", None, None));
    }
}

#[test]
fn families_are_not_mixed() {
    let [v2, .., v6, _] = vectors::adverts()[..] else { panic!("few vectors") };
    let frame = v6.frame();
    let over_ipv6 = datagram(&v6, &frame);
    let mixed = Datagram { destination: v2.ends().1, ..over_ipv6 };
    assert_eq!(parse(&mixed).unwrap_err().wrong, Wrong::Families);
    let frame = v2.frame();
    let version_2 = Datagram { payload: datagram(&v2, &frame).payload, ..over_ipv6 };
    assert_eq!(parse(&version_2).unwrap_err().wrong, Wrong::VersionOverIpv6);
}

#[test]
fn what_a_version_cannot_say_is_rounded_or_left_out() {
    let [v2, .., v6, _] = vectors::adverts()[..] else { panic!("few vectors") };
    let said = |vector: &Vector, centiseconds| {
        let interval = Centis::new(centiseconds).unwrap();
        let other = if vector.ends().0.is_ipv6() { v2 } else { v6 }.advert().addresses;
        let mut addresses = [other, vector.advert().addresses].concat();
        addresses.extend([vector.ends().0; 300]);
        let (source, destination) = vector.ends();
        let mut payload = Vec::new();
        let advert = Advert { interval, addresses, ..vector.advert() };
        advert.build(source, destination, Checksum::PseudoHeader, &mut payload);
        let said = parse(&Datagram { source, destination, ttl: TTL, payload: &payload }).unwrap().0;
        assert_eq!(said.addresses.len(), MAX_ADDRESSES);
        assert_eq!(said.addresses[0], vector.advert().addresses[0]);
        said.interval.get()
    };
    let rounded = [1, 149, 150, 4100, 25_500].map(|interval| said(&v2, interval));
    assert_eq!(rounded, [100, 100, 200, 4100, 25_500]);
    assert_eq!([1, 149, 4095, 4096, 25_500].map(|i| said(&v6, i)), [1, 149, 4095, 4095, 4095]);
    assert_eq!([0, 25_501].map(Centis::new), [None, None]);
}

#[test]
fn passwords_stay_out_of_logs() {
    let text = format!("{:?}", vectors::adverts()[0].advert());
    assert!(text.contains("Password(..)"), "{text}");
}

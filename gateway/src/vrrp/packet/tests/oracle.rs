//! Frames of ours as another library reads them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{ArpEthIpv4Packet, ArpOperation, IpNumber, Ipv4Header, NetSlice, SlicedPacket};
use etherparse::{LinkSlice, TransportSlice};
use proptest::prelude::*;

use super::super::announce::{
    gratuitous_arp, gratuitous_arp_reply, neighbour_advertisement, probe, said,
};
use super::super::{Datagram, PROTOCOL, ipv4};

fn senders(packet: &SlicedPacket<'_>) -> ([u8; 6], [u8; 6]) {
    let Some(LinkSlice::Ethernet2(link)) = &packet.link else { panic!("{packet:?}") };
    (link.source(), link.destination())
}

proptest! {
    #[test]
    fn gratuitous_arp_is_a_request_for_itself_or_a_reply_to_itself(mac: [u8; 6], address: [u8; 4]) {
        let forms = [
            (gratuitous_arp(mac, Ipv4Addr::from(address)), ArpOperation::REQUEST, [0xff; 6]),
            (gratuitous_arp_reply(mac, Ipv4Addr::from(address)), ArpOperation::REPLY, mac),
        ];
        for (frame, operation, target_mac) in forms {
            let packet = SlicedPacket::from_ethernet(&frame).unwrap();
            assert_eq!(senders(&packet), (mac, [0xff; 6]));
            let Some(NetSlice::Arp(arp)) = packet.net else { panic!("{packet:?}") };
            let (sender_ipv4, target_ipv4) = (address, address);
            let expected =
                ArpEthIpv4Packet { operation, sender_mac: mac, sender_ipv4, target_mac, target_ipv4 };
            assert_eq!(arp.to_packet().try_eth_ipv4().unwrap(), expected);
        }
    }

    #[test]
    fn what_an_arp_says_is_read_back_and_a_probe_says_nothing(mac: [u8; 6], address: [u8; 4]) {
        let address = Ipv4Addr::from(address);
        let told = (!address.is_unspecified()).then_some((mac, address));
        assert_eq!(said(&gratuitous_arp(mac, address)), told);
        assert_eq!(said(&gratuitous_arp_reply(mac, address)), told);
        assert_eq!(said(&probe(mac, address)), None);
        let packet = probe(mac, address);
        let packet = SlicedPacket::from_ethernet(&packet).unwrap();
        let Some(NetSlice::Arp(arp)) = packet.net else { panic!("{packet:?}") };
        let arp = arp.to_packet().try_eth_ipv4().unwrap();
        assert_eq!((arp.operation, arp.sender_ipv4), (ArpOperation::REQUEST, [0; 4]));
        assert_eq!((arp.sender_mac, arp.target_ipv4), (mac, address.octets()));
    }

    #[test]
    fn no_frame_makes_reading_it_panic(frame in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = said(&frame);
    }

    #[test]
    fn a_neighbour_advertisement_is_sound(mac: [u8; 6], address: [u8; 16], router: bool) {
        let frame = neighbour_advertisement(mac, Ipv6Addr::from(address), router);
        let packet = SlicedPacket::from_ethernet(&frame).unwrap();
        assert_eq!(senders(&packet), (mac, [0x33, 0x33, 0, 0, 0, 1]));
        let Some(NetSlice::Ipv6(ip)) = &packet.net else { panic!("{packet:?}") };
        let header = ip.header();
        let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        assert_eq!((header.source(), header.destination_addr()), (address, all_nodes));
        assert_eq!(header.hop_limit(), 255);
        let Some(TransportSlice::Icmpv6(message)) = &packet.transport else { panic!("{packet:?}") };
        assert!(message.is_checksum_valid(address, all_nodes.octets()));
        assert_eq!((message.type_u8(), message.code_u8()), (136, 0));
        assert_eq!(message.bytes5to8()[0], if router { 0xa0 } else { 0x20 });
        assert_eq!(message.slice()[8..24], address);
        assert_eq!(message.slice()[24..], [&[2, 1][..], &mac].concat());
    }

    #[test]
    fn an_ip_header_is_read_as_it_was_meant(
        source: [u8; 4],
        destination: [u8; 4],
        ttl: u8,
        words in 0..=10_usize,
        payload in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut header =
            Ipv4Header::new(0, ttl, IpNumber(PROTOCOL), source, destination).unwrap();
        header.options = vec![1; words * 4].as_slice().try_into().unwrap();
        header.set_payload_len(payload.len()).unwrap();
        let packet = [&header.to_bytes()[..], &payload, &[0; 9]].concat();
        let [source, destination] = [source, destination].map(IpAddr::from);
        assert_eq!(ipv4(&packet), Ok(Datagram { source, destination, ttl, payload: &payload }));
    }
}

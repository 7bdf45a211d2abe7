//! Whole Ethernet frames that tell all neighbours at which MAC address a virtual address is now.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::sum::Sum;

const BROADCAST: [u8; 6] = [0xff; 6];
/// Where all nodes of a network listen, and its MAC address (RFC 2464 7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const ARP: [u8; 2] = [0x08, 0x06];
const IPV6: [u8; 2] = [0x86, 0xdd];
const ICMPV6: u8 = 58;
/// A neighbour advertisement with one option.
const MESSAGE: usize = 32;

/// A gratuitous ARP for `address` from `mac`: a request for itself (RFC 5227 3), to all.
///
/// Linux takes the request form at once. A reply it takes late, unless its target is the sender.
pub fn gratuitous_arp(mac: [u8; 6], address: Ipv4Addr) -> [u8; 42] {
    arp(mac, (address, address), 1, BROADCAST)
}

/// An ARP probe (RFC 5227 2.1.1) from `mac`: does anybody have `address`? It tells neighbours nothing.
pub fn probe(mac: [u8; 6], address: Ipv4Addr) -> [u8; 42] {
    arp(mac, (Ipv4Addr::UNSPECIFIED, address), 1, [0; 6])
}

/// Where the sender of an ARP says that he is: his MAC address and his IPv4 address. `None` for a probe, and for anything
/// that is no ARP for IPv4 over Ethernet.
pub fn said(frame: &[u8]) -> Option<([u8; 6], Ipv4Addr)> {
    let (head, rest) = frame.split_at_checked(20)?;
    let is_arp = head[12..14] == ARP && head[14..20] == [0x00, 0x01, 0x08, 0x00, 6, 4];
    let (mac, rest) = rest.get(2..)?.split_first_chunk()?;
    let address = Ipv4Addr::from(*rest.first_chunk::<4>()?);
    (is_arp && !address.is_unspecified()).then_some((*mac, address))
}

/// The same as a reply, for a virtual MAC.
///
/// A router that is about to leave would answer a request, and the switch would take the virtual MAC for its again. The
/// target is the sender, so that Linux takes it at once.
pub fn gratuitous_arp_reply(mac: [u8; 6], address: Ipv4Addr) -> [u8; 42] {
    arp(mac, (address, address), 2, mac)
}

fn arp(
    mac: [u8; 6],
    (sender, asked): (Ipv4Addr, Ipv4Addr),
    operation: u8,
    target: [u8; 6],
) -> [u8; 42] {
    let mut frame = [0; 42];
    let mut at = Cursor(&mut frame);
    at.write(&BROADCAST);
    at.write(&mac);
    at.write(&ARP);
    // Ethernet, IPv4, the lengths of their addresses, request or reply.
    at.write(&[0x00, 0x01, 0x08, 0x00, 6, 4, 0x00, operation]);
    at.write(&mac);
    at.write(&sender.octets());
    at.write(&target);
    at.write(&asked.octets());
    frame
}

/// An unsolicited neighbour advertisement for `address` from `mac` (RFC 4861 7.2.6), to all nodes.
///
/// It overrides what neighbours know. `router` says that this machine forwards: neighbours that had it as a router drop
/// it from their list otherwise.
pub fn neighbour_advertisement(mac: [u8; 6], address: Ipv6Addr, router: bool) -> Vec<u8> {
    let mut message = [0; MESSAGE];
    let mut at = Cursor(&mut message);
    at.write(&[136, 0, 0, 0]);
    at.write(&[if router { 0xa0 } else { 0x20 }, 0, 0, 0]);
    at.write(&address.octets());
    // The option "target link-layer address", one unit of 8 octets.
    at.write(&[2, 1]);
    at.write(&mac);
    let sum = Sum::pseudo_header(address.into(), ALL_NODES.into(), ICMPV6, MESSAGE).add(&message);
    message[2..4].copy_from_slice(&sum.checksum().to_be_bytes());

    let mut frame = Vec::with_capacity(14 + 40 + MESSAGE);
    frame.extend(ALL_NODES_MAC);
    frame.extend(mac);
    frame.extend(IPV6);
    // Hop limit 255: receivers refuse what may have passed a router.
    frame.extend([0x60, 0, 0, 0, 0, MESSAGE as u8, ICMPV6, 255]);
    frame.extend(address.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}

/// Writes one part behind the other.
struct Cursor<'a>(&'a mut [u8]);

impl Cursor<'_> {
    fn write(&mut self, part: &[u8]) {
        let (head, rest) = std::mem::take(&mut self.0).split_at_mut(part.len());
        head.copy_from_slice(part);
        self.0 = rest;
    }
}

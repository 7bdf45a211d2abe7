//! An echo request: the host is there. Unprivileged where the system allows it, else with CAP_NET_RAW.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::Wrong;
use crate::cluster::node::Node;

/// Type, code, checksum, identifier, sequence number; then as many bytes that nobody else sends.
const ECHO_LENGTH: usize = 16;

/// Does the node's host answer an echo request?
///
/// # Errors
/// If it does not, or this process may not ask.
pub async fn check(node: &Node) -> Result<Option<String>, Wrong> {
    let address = node.address.ip();
    let (socket, raw) = open(address).map_err(|error| not_allowed(&error))?;
    echo(socket, address, raw).await.map_err(|e| Wrong::io(&format!("echo to {address}"), &e))?;
    Ok(None)
}

fn not_allowed(error: &io::Error) -> Wrong {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return Wrong::io("ICMP socket", error);
    }
    let cure = "let the gateway's group send echo requests (sysctl -w \
                net.ipv4.ping_group_range=\"0 2147483647\"); without VRRP and gateway.user, \
                CAP_NET_RAW will do, too";
    Wrong::misconfigured("forbidden", format!("ICMP socket: {error}: {cure}"))
}

/// A socket for echo requests, and whether it is a raw one.
fn open(address: IpAddr) -> io::Result<(Socket, bool)> {
    let (domain, protocol) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    match Socket::new(domain, Type::DGRAM, Some(protocol)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let raw = Socket::new(domain, Type::RAW, Some(protocol));
            raw.map(|socket| (socket, true)).map_err(|_| error)
        }
        result => result.map(|socket| (socket, false)),
    }
}

async fn echo(socket: Socket, address: IpAddr, raw: bool) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // A socket for ICMP is read and written like one for UDP; its port has no meaning.
    let socket = UdpSocket::from_std(std::os::fd::OwnedFd::from(socket).into())?;
    socket.connect(SocketAddr::new(address, 0)).await?;
    let request = request(address.is_ipv6(), fastrand::u64(..));
    socket.send(&request).await?;
    let mut buffer = [0; 256];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if answers(&request, &buffer[..length], address.is_ipv6(), raw) {
            return Ok(());
        }
    }
}

fn request(v6: bool, token: u64) -> [u8; ECHO_LENGTH] {
    let mut packet = [0; ECHO_LENGTH];
    packet[0] = if v6 { 128 } else { 8 };
    // Identifier: the kernel writes its own where the socket is not raw.
    packet[4..6].copy_from_slice(&(token as u16).to_be_bytes());
    packet[7] = 1;
    packet[8..].copy_from_slice(&token.to_be_bytes());
    let sum = checksum(&packet).to_be_bytes();
    packet[2..4].copy_from_slice(&sum);
    packet
}

/// Is `packet` the reply to `request`? A raw IPv4 socket gives the IP header, too.
fn answers(request: &[u8; ECHO_LENGTH], packet: &[u8], v6: bool, raw: bool) -> bool {
    let header = match packet.first() {
        Some(first) if raw && !v6 => usize::from(first & 15) * 4,
        _ => 0,
    };
    let Some(reply) = packet.get(header..) else { return false };
    let kind = if v6 { 129 } else { 0 };
    reply.len() == ECHO_LENGTH && reply[0] == kind && reply[6..] == request[6..]
}

/// RFC 1071
fn checksum(packet: &[u8]) -> u16 {
    let words = packet
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cluster::report::Outcome;
    use crate::config::model::{self, NodeAddress, samples};

    #[test]
    fn a_request_sums_up_to_nothing_wrong() {
        let request = request(false, 0x0123_4567_89ab_cdef);
        assert_eq!(checksum(&request), 0);
    }

    #[test]
    fn only_the_reply_to_the_request_answers_it() {
        let request = request(false, 7);
        let mut reply = request;
        assert!(!answers(&request, &reply, false, false), "an echo of our own request");
        reply[0] = 0;
        assert!(answers(&request, &reply, false, false));
        let with_header = [&[0x45; 20][..], &reply].concat();
        assert!(answers(&request, &with_header, false, true));
        reply[15] ^= 1;
        assert!(!answers(&request, &reply, false, false), "somebody else's");
        assert!(!answers(&request, &[], false, true));
    }

    #[tokio::test]
    async fn this_host_answers_or_the_error_says_how_to_be_allowed_to_ask() {
        for host in ["127.0.0.1", "::1"] {
            let address = NodeAddress { host: host.into(), port: Some(5672) };
            let model = model::Node { address, ..samples::node("r1", 5672) };
            let node = Node::sample("main", &model);
            let limit = Duration::from_secs(20);
            match tokio::time::timeout(limit, check(&node)).await.expect("an answer") {
                Ok(_) => {}
                Err(wrong) if wrong.reason == "forbidden" => {
                    assert_eq!(wrong.outcome, Outcome::Misconfigured);
                    assert!(wrong.text.contains("ping_group_range"), "{}", wrong.text);
                    assert!(wrong.text.contains("CAP_NET_RAW"), "{}", wrong.text);
                }
                // A machine without IPv6.
                Err(wrong) => assert_eq!(host, "::1", "{}", wrong.text),
            }
        }
    }
}

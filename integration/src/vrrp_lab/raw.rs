//! Sends crafted advertisements, whatever is wrong with them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{Lab, address};

const VRRP: u8 = 112;
/// With a header of one's own, any protocol may be sent.
const RAW: i32 = 255;

/// A raw socket in a namespace.
#[derive(Debug)]
pub struct RawSender {
    v4: Socket,
    v6: Socket,
    from: Ipv4Addr,
}

impl RawSender {
    /// A sender in a namespace, at its eth0.
    ///
    /// # Errors
    /// When the system refuses the sockets.
    pub fn new(lab: &Lab, namespace: &str) -> Result<Self> {
        let from = address(namespace)?;
        lab.inside(namespace, || {
            let v4 = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(RAW)));
            let v4 = v4.context("no raw socket")?;
            v4.set_header_included_v4(true)?;
            v4.set_multicast_if_v4(&from)?;
            let v6 = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(i32::from(VRRP))));
            let v6 = v6.context("no raw socket for IPv6")?;
            v6.set_multicast_if_v6(nix::net::if_::if_nametoindex("eth0")?)?;
            Ok(Self { v4, v6, from })
        })?
    }

    /// Sends a VRRP message as it is in an IPv4 packet from this namespace's address to 224.0.0.18, TTL 255.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn advertise(&self, message: &[u8]) -> Result<()> {
        self.send_v4(self.from, Ipv4Addr::new(224, 0, 0, 18), 255, message)
    }

    /// The same with any addresses and any TTL.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn send_v4(&self, from: Ipv4Addr, to: Ipv4Addr, ttl: u8, message: &[u8]) -> Result<()> {
        let length = u16::try_from(20 + message.len()).context("too long a message")?;
        let mut packet = vec![0x45, 0xc0];
        packet.extend(length.to_be_bytes());
        packet.extend([0, 0, 0, 0, ttl, VRRP, 0, 0]);
        packet.extend(from.octets());
        packet.extend(to.octets());
        packet.extend(message);
        // The kernel puts in the identification and the header's checksum.
        self.send_packet(&packet)
    }

    /// Sends a whole IPv4 packet, header included. The kernel corrects its total length, its checksum, and an
    /// identification of zero.
    ///
    /// # Errors
    /// When the system refuses it, or it is no IPv4 packet.
    pub fn send_packet(&self, packet: &[u8]) -> Result<()> {
        let Some(to) = packet.get(16..20).and_then(|to| <[u8; 4]>::try_from(to).ok()) else {
            bail!("{} octets are no IPv4 packet", packet.len());
        };
        let to = SockAddr::from(SocketAddr::from((Ipv4Addr::from(to), 0)));
        self.v4.send_to(packet, &to).context("cannot send a raw packet")?;
        Ok(())
    }

    /// Sends a VRRP message as it is in an IPv6 packet; the system chooses the source, a link-local one for ff02::12.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn send_v6(&self, to: IpAddr, hops: u8, message: &[u8]) -> Result<()> {
        self.v6.set_multicast_hops_v6(hops.into())?;
        self.v6.set_unicast_hops_v6(hops.into())?;
        let to = SockAddr::from(SocketAddr::from((to, 0)));
        self.v6.send_to(message, &to).context("cannot send a raw packet")?;
        Ok(())
    }
}

/// The checksum of the internet protocols over pieces that follow one another; all but the last of even length.
#[must_use]
pub fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for piece in pieces {
        for pair in piece.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

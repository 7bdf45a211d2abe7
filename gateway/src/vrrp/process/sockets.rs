//! Raw sockets: one receives all advertisements of an interface and family, each virtual router sends with its own.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrIn6, cmsg_space, recvmsg, setsockopt, sockopt,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::vrrp::packet::{self, Datagram, GROUP_V4, GROUP_V6, PROTOCOL, TTL};

/// The longest advertisement: IP header with options, 8 octets, 255 IPv6 addresses.
const LONGEST: usize = 60 + 8 + 255 * 16 + 8;
/// Holds the advertisements of 255 virtual routers for a second and more.
const RECEIVE_BUFFER: usize = 1 << 20;
/// Internetwork control (RFC 791): what switches with queues put first, as keepalived has it.
const CLASS: u32 = 0xc0;
/// TC_PRIO_CONTROL: first in the queue of our own interface, too.
const CONTROL: i32 = 7;

/// What a [`Receiver`] reads into.
pub(super) struct Buffer(Box<[u8; LONGEST]>);

impl Buffer {
    pub(super) fn new() -> Self {
        Self(Box::new([0; LONGEST]))
    }
}

/// Receives every advertisement of an interface, multicast and unicast.
pub(super) struct Receiver {
    socket: Socket,
    ipv6: bool,
}

impl Receiver {
    /// # Errors
    /// Without CAP_NET_RAW, or if the interface is gone.
    pub(super) fn new(interface: &str, index: u32, ipv6: bool) -> io::Result<Self> {
        let socket = raw(interface, ipv6)?;
        // The default may be too small for many virtual routers; root may exceed the system's limit.
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
            .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER));
        // Joined with unicast peers, too: a peer that uses multicast is then noticed.
        if ipv6 {
            socket.join_multicast_v6(&GROUP_V6, index)?;
            setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        } else {
            socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(index))?;
        }
        Ok(Self { socket, ipv6 })
    }

    /// The next datagram, whatever it is worth; `None` = there is none now.
    pub(super) fn receive<'b>(
        &self,
        buffer: &'b mut Buffer,
    ) -> io::Result<Option<Result<Datagram<'b>, packet::Flaw>>> {
        let received = if self.ipv6 { self.receive_v6(buffer) } else { self.receive_v4(buffer) };
        match received {
            Ok(datagram) => Ok(Some(datagram)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn receive_v4<'b>(
        &self,
        buffer: &'b mut Buffer,
    ) -> io::Result<Result<Datagram<'b>, packet::Flaw>> {
        let length =
            nix::sys::socket::recv(self.socket.as_raw_fd(), &mut *buffer.0, MsgFlags::empty())?;
        Ok(packet::ipv4(&buffer.0[..length]))
    }

    /// Of IPv6 the kernel delivers the message alone, and what stood in the header beside it.
    fn receive_v6<'b>(
        &self,
        buffer: &'b mut Buffer,
    ) -> io::Result<Result<Datagram<'b>, packet::Flaw>> {
        let mut control = vec![0; cmsg_space::<nix::libc::in6_pktinfo>() + cmsg_space::<i32>()];
        let mut into = [IoSliceMut::new(&mut *buffer.0)];
        let flags = MsgFlags::empty();
        let message =
            recvmsg::<SockaddrIn6>(self.socket.as_raw_fd(), &mut into, Some(&mut control), flags)?;
        let (mut destination, mut ttl) = (None, 0);
        for part in message.cmsgs()? {
            match part {
                ControlMessageOwned::Ipv6HopLimit(limit) => ttl = u8::try_from(limit).unwrap_or(0),
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    destination = Some(IpAddr::from(info.ipi6_addr.s6_addr));
                }
                _ => {}
            }
        }
        let (source, length) = (message.address, message.bytes);
        let source = source.ok_or_else(|| io::Error::other("a datagram without a source"))?;
        Ok(Ok(Datagram {
            source: IpAddr::V6(source.ip()),
            destination: destination.unwrap_or(IpAddr::V6(GROUP_V6)),
            ttl,
            payload: &buffer.0[..length],
        }))
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Sends the advertisements of a virtual router.
pub(super) struct Sender {
    socket: Socket,
    index: u32,
}

impl Sender {
    /// Sends from `source` out of `interface`.
    ///
    /// # Errors
    /// Without CAP_NET_RAW, or if the address or the interface is gone.
    pub(super) fn new(interface: &str, index: u32, source: IpAddr) -> io::Result<Self> {
        let socket = raw(interface, source.is_ipv6())?;
        let _ = setsockopt(&socket, sockopt::Priority, &CONTROL);
        let ttl = u32::from(TTL);
        match source {
            IpAddr::V4(source) => {
                socket.set_ttl_v4(ttl)?;
                socket.set_multicast_ttl_v4(ttl)?;
                socket.set_multicast_loop_v4(false)?;
                socket.set_tos_v4(CLASS)?;
                socket.bind(&SocketAddr::new(source.into(), 0).into())?;
            }
            IpAddr::V6(source) => {
                socket.set_unicast_hops_v6(ttl)?;
                socket.set_multicast_hops_v6(ttl)?;
                socket.set_multicast_loop_v6(false)?;
                socket.set_tclass_v6(CLASS)?;
                socket.set_multicast_if_v6(index)?;
                socket.bind(&SocketAddrV6::new(source, 0, 0, index).into())?;
            }
        }
        Ok(Self { socket, index })
    }

    /// The interface it sends out of.
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// # Errors
    /// If the interface is down, or the peer told us that nobody listens there.
    pub(super) fn send(&self, to: IpAddr, message: &[u8]) -> io::Result<()> {
        let to = match to {
            IpAddr::V4(_) => SocketAddr::new(to, 0),
            IpAddr::V6(to) => SocketAddrV6::new(to, 0, 0, self.index).into(),
        };
        self.socket.send_to(message, &to.into()).map(drop)
    }
}

/// A raw socket that sends and receives on one interface alone.
fn raw(interface: &str, ipv6: bool) -> io::Result<Socket> {
    let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(i32::from(PROTOCOL))))?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

//! Does another machine have this one's own address? VRRP's sockets cannot tell: the kernel gives them nothing that seems
//! to come from ourselves. ARP can.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{LinkAddr, recvfrom};
use socket2::{Domain, Protocol, Socket, Type};

use crate::vrrp::packet::announce;

/// All ARP, in the order of the wire.
const ARP: i32 = 0x0806_u16.to_be() as i32;
/// How often it is asked who has an address of ours. Shorter than the time after which an alarm is over.
const PAUSE: Duration = Duration::from_secs(5);

/// Hears ARP on all interfaces, but wakes nobody: a network may be full of it. What is heard waits for the next turn of
/// the loop, and what is too much for the socket is lost.
pub(super) struct Doubles {
    socket: Socket,
    asked: Option<Duration>,
}

/// Somebody said where an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    /// The number of the interface at which it was heard.
    pub(super) index: u32,
    pub(super) mac: [u8; 6],
    pub(super) address: Ipv4Addr,
}

impl Doubles {
    /// # Errors
    /// Without CAP_NET_RAW.
    pub(super) fn new() -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(ARP)))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, asked: None })
    }

    /// What came next; `None` = something else.
    ///
    /// # Errors
    /// If nothing is there, or the system is short of something.
    pub(super) fn receive(&self) -> io::Result<Option<Claim>> {
        let mut frame = [0; 64];
        let (length, from) = recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut frame)?;
        let said = announce::said(&frame[..length.min(frame.len())]);
        let index = from.and_then(|from| u32::try_from(from.ifindex()).ok());
        Ok(said.zip(index).map(|((mac, address), index)| Claim { index, mac, address }))
    }

    /// Is it time to ask?
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        let due = self.asked.is_none_or(|asked| now.saturating_sub(asked) >= PAUSE);
        if due {
            self.asked = Some(now);
        }
        due
    }
}

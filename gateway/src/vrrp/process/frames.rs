//! Sends whole Ethernet frames: announcements of addresses.

#![expect(unsafe_code, reason = "no library makes the address of a packet socket, see packet(7)")]

use std::io;

use socket2::{Domain, SockAddr, Socket, Type};

/// A packet socket that receives nothing.
pub(super) struct Frames {
    socket: Socket,
}

impl Frames {
    /// # Errors
    /// Without CAP_NET_RAW.
    pub(super) fn new() -> io::Result<Self> {
        // Protocol 0: nothing is delivered to it.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    /// Sends a frame, its header included, out of the interface `index`.
    ///
    /// # Errors
    /// If the interface is down or gone, or its queue is full.
    pub(super) fn send(&self, index: u32, frame: &[u8]) -> io::Result<()> {
        self.socket.send_to(frame, &address(index)?).map(drop)
    }
}

/// See packet(7): to send a frame with its header, family and interface are enough.
fn address(index: u32) -> io::Result<SockAddr> {
    let index = i32::try_from(index).map_err(io::Error::other)?;
    // SAFETY: the storage is zeroed, larger than a sockaddr_ll and aligned for any address; the length said is that of
    // what is written.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let link = storage.cast::<libc::sockaddr_ll>();
            (*link).sll_family = libc::AF_PACKET as u16;
            (*link).sll_ifindex = index;
            *length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            Ok(())
        })
    }?;
    Ok(address)
}

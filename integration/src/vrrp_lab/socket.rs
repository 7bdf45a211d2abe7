//! Reading a socket with the moment at which the kernel got the packet.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrLike, recvmsg, setsockopt};

/// A packet's length, moment and origin.
pub(super) struct Received<S> {
    pub(super) length: usize,
    pub(super) at: Instant,
    pub(super) from: Option<S>,
}

/// Lets the kernel note the moment of each packet.
///
/// # Errors
/// When the system refuses.
pub(super) fn note_times(socket: &impl AsFd) -> io::Result<()> {
    Ok(setsockopt(socket, ReceiveTimestampns, &true)?)
}

/// Reads one packet without waiting.
///
/// # Errors
/// When there is none, or the socket is broken.
pub(super) fn receive<S: SockaddrLike>(
    socket: &impl AsRawFd,
    buffer: &mut [u8],
) -> io::Result<Received<S>> {
    let mut space = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let mut slices = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<S>(socket.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::MSG_DONTWAIT)?;
    let stamps = message.cmsgs()?;
    let stamp = stamps.into_iter().find_map(|part| match part {
        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
        _ => None,
    });
    Ok(Received { length: message.bytes, at: moment(stamp), from: message.address })
}

/// The kernel's stamp is wall time; its age is the same on every clock.
fn moment(stamp: Option<Duration>) -> Instant {
    let (now, wall) = (Instant::now(), SystemTime::now());
    let age = stamp.and_then(|stamp| wall.duration_since(SystemTime::UNIX_EPOCH + stamp).ok());
    age.and_then(|age| now.checked_sub(age)).unwrap_or(now)
}

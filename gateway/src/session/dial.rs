//! A TCP connection to a node.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::TcpStream;

/// Connects to `address` within `patience`.
///
/// # Errors
/// The system's; `TimedOut` if there was no answer in time.
pub(super) async fn dial(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    match tokio::time::timeout(patience, TcpStream::connect(address)).await {
        Ok(connected) => {
            let stream = connected?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// The reason that says nothing about the node: this process has no file descriptor left.
pub(super) const FD_LIMIT: &str = "fd-limit";

/// A label for what went wrong: from a fixed set.
pub(super) fn reason(error: &io::Error) -> &'static str {
    if let Some(Errno::MFILE | Errno::NFILE) = Errno::from_io_error(error) {
        return FD_LIMIT;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused",
        io::ErrorKind::TimedOut => "connect-timeout",
        io::ErrorKind::ConnectionReset => "reset",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "unreachable",
        _ => "connect-error",
    }
}

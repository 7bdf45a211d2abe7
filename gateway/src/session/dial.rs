//! A TCP connection to a node.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::TcpStream;

use crate::cluster::node::Node;

/// Connects to the first of the node's addresses that answers, each within `patience`.
///
/// # Errors
/// The last address's error; `TimedOut` if it did not answer in time.
pub(super) async fn dial(node: &Node, patience: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "name not resolved");
    for address in node.resolved.load().iter() {
        match tokio::time::timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
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
        io::ErrorKind::NotFound => "unresolved",
        _ => "connect-error",
    }
}

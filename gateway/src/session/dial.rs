//! A TCP connection to a node.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

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

/// A label for what the node, or the way to it, did wrong: from a fixed set.
pub(super) fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused",
        io::ErrorKind::TimedOut => "connect-timeout",
        io::ErrorKind::ConnectionReset => "reset",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "unreachable",
        _ => "connect-error",
    }
}

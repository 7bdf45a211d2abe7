//! What connections of clients and of nodes have in common.

use std::time::Duration;

use socket2::TcpKeepalive;

/// Probes a silent peer after a minute, every ten seconds, six times.
#[must_use]
pub fn keep_alive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(10))
        .with_retries(6)
}

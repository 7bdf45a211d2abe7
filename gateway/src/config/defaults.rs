//! What a key means when it is absent: the one place for the schema, the model and the manual.

use std::time::Duration;

/// `gateway.workers`: one per core.
pub const WORKERS: u32 = 0;
/// `gateway.max_connections`
pub const MAX_CONNECTIONS: u32 = 20_000;
/// `gateway.handshake_timeout`
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// `gateway.drain_timeout`
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
/// `gateway.drain_rate`
pub const DRAIN_RATE: u32 = 200;
/// `log.access`
pub const LOG_ACCESS: bool = true;
/// `cluster.NAME.retry`
pub const RETRY: u32 = 2;
/// `cluster.NAME.connect_timeout`
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// `cluster.NAME.resolve_interval`
pub const RESOLVE_INTERVAL: Duration = Duration::from_secs(30);
/// `cluster.NAME.node.NAME.weight`
pub const WEIGHT: u32 = 1;
/// `cluster.NAME.node.NAME.backup`
pub const BACKUP: bool = false;
/// The word that turns a duration or a feature off.
pub const OFF: &str = "off";

/// A duration as the file writes it.
#[must_use]
pub fn text(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

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
/// `gateway.reload_on_change`
pub const RELOAD_ON_CHANGE: bool = false;
/// `listener.NAME.tls.strict_sni`
pub const STRICT_SNI: bool = false;
/// `listener.NAME.node_port` with protocol = "tls-passthrough": where AMQP with TLS is.
pub const PASSTHROUGH_PORT: u16 = 5671;
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
/// `cluster.NAME.slow_start`
pub const SLOW_START: Duration = Duration::ZERO;
/// `cluster.NAME.rebalance_rate`
pub const REBALANCE_RATE: u32 = 20;
/// `cluster.NAME.drain_patience`
pub const DRAIN_PATIENCE: Duration = Duration::from_secs(5);
/// `cluster.NAME.loopback_users`
pub const LOOPBACK_USERS: [&str; 1] = ["guest"];
/// `cluster.NAME.admission.queue`
pub const ADMISSION_QUEUE: u32 = 10_000;
/// `cluster.NAME.admission.wait`
pub const ADMISSION_WAIT: Duration = Duration::from_secs(30);
/// `cluster.NAME.health.interval`
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(3);
/// `cluster.NAME.health.fast_interval`
pub const HEALTH_FAST_INTERVAL: Duration = Duration::from_secs(1);
/// `cluster.NAME.health.timeout`
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
/// `cluster.NAME.health.rise`
pub const HEALTH_RISE: u32 = 2;
/// `cluster.NAME.health.fall`
pub const HEALTH_FALL: u32 = 3;
/// `cluster.NAME.health.passive.failures`
pub const PASSIVE_FAILURES: u32 = 3;
/// `cluster.NAME.health.passive.within`
pub const PASSIVE_WITHIN: Duration = Duration::from_secs(10);
/// `cluster.NAME.health.vhost`
pub const HEALTH_VHOST: &str = "/";
/// `cluster.NAME.health.queue`
pub const HEALTH_QUEUE: &str = "amqp-gateway.health";
/// `vrrp.NAME.priority`
pub const VRRP_PRIORITY: u32 = 100;
/// `vrrp.NAME.version`
pub const VRRP_VERSION: u32 = 3;
/// `vrrp.NAME.advertisement_interval` of version 3.
pub const VRRP_INTERVAL: Duration = Duration::from_millis(100);
/// `vrrp.NAME.advertisement_interval` of version 2, which knows only whole seconds.
pub const VRRP_2_INTERVAL: Duration = Duration::from_secs(1);
/// Peers that a virtual router may have.
pub const VRRP_MOST_PEERS: usize = 32;
/// `vrrp.NAME.preempt`
pub const VRRP_PREEMPT: bool = true;
/// `vrrp.NAME.preempt_delay`
pub const VRRP_PREEMPT_DELAY: Duration = Duration::ZERO;
/// `vrrp.NAME.fast_takeover`
pub const VRRP_FAST_TAKEOVER: bool = true;
/// `vrrp.NAME.virtual_mac`
pub const VRRP_VIRTUAL_MAC: bool = false;
/// `vrrp.NAME.garp.repeat`
pub const GARP_REPEAT: u32 = 5;
/// `vrrp.NAME.garp.delay`
pub const GARP_DELAY: Duration = Duration::from_secs(5);
/// `vrrp.NAME.garp.refresh`
pub const GARP_REFRESH: Duration = Duration::from_secs(10);
/// `vrrp.NAME.track.script.interval`
pub const TRACK_INTERVAL: Duration = Duration::from_secs(2);
/// `vrrp.NAME.track.script.timeout`
pub const TRACK_TIMEOUT: Duration = Duration::from_secs(2);
/// `vrrp.NAME.track.script.rise`
pub const TRACK_RISE: u32 = 2;
/// `vrrp.NAME.track.script.fall`
pub const TRACK_FALL: u32 = 3;
/// `admin.metrics_auth`
pub const METRICS_AUTH: bool = false;
/// The word that turns a duration or a feature off.
pub const OFF: &str = "off";

/// A duration as the file writes it.
#[must_use]
pub fn text(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

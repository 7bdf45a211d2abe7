//! Virtual routers: addresses that gateways share by VRRP (RFC 9568, RFC 3768), without keepalived.
//!
//! Two processes, each the watchdog of the other. The *VRRP process* is small, holds the raw sockets and runs the
//! [`machine`]s over [`packet`]s. The gateway tells it how the gateway is; each takes the addresses back when the other
//! dies.

pub mod board;
pub mod machine;
pub mod notify;
pub mod packet;
pub mod process;
#[cfg(test)]
pub(crate) mod samples;
pub mod talk;
pub mod track;
pub mod warden;

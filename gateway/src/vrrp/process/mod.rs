//! The VRRP process: one thread, one loop over sockets and time.

mod frames;
mod herald;
mod netlink;
mod sockets;

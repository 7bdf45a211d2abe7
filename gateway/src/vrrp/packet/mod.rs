//! Advertisements as they are on the wire: VRRP version 2 (RFC 3768) and 3 (RFC 9568, RFC 5798), IPv4 and IPv6.
//!
//! [`ipv4`] takes the IP header off what a raw socket delivers, [`parse()`] makes every check that needs no configuration,
//! and [`Advert::build`] writes the message that a raw socket sends. Whether VRID, version, authentication and addresses
//! are the ones configured is for the caller to compare. [`announce`] makes the frames that tell neighbours who has an
//! address now.
//!
//! Depends on the standard library and on thiserror alone: the fuzz target compiles these files on their own.

pub mod announce;
mod build;
mod datagram;
mod flaw;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod parse;
mod sum;
#[cfg(test)]
mod tests;
mod types;

use std::net::{Ipv4Addr, Ipv6Addr};

pub use datagram::{Datagram, ipv4};
pub use flaw::{Flaw, Wrong};
pub use parse::parse;
pub use types::{Advert, Auth, Centis, Checksum, Priority, Version, Vrid};

/// The IP protocol number of VRRP.
pub const PROTOCOL: u8 = 112;
/// Where advertisements go over IPv4 unless peers are named (RFC 9568 5.1.1.2).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Where advertisements go over IPv6 unless peers are named (RFC 9568 5.1.2.2).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// The TTL or hop limit of every advertisement: with another it has passed a router (RFC 9568 5.1.1.3, 5.1.2.3).
pub const TTL: u8 = 255;
/// The priority of the router that owns the addresses.
pub const OWNER: Priority = 255;
/// The priority that says: I am leaving, do not wait for the down timer.
pub const LEAVING: Priority = 0;
/// The most addresses in an advertisement: their number is one octet.
pub const MAX_ADDRESSES: usize = 255;

/// Octets before the addresses, in both versions.
const HEADER: usize = 8;
/// Octets after the addresses in version 2, whatever the authentication.
const AUTHENTICATION: usize = 8;
/// The type of the only message there is.
const ADVERTISEMENT: u8 = 1;

/// The MAC address of a virtual router (RFC 9568 7.3): 00:00:5e:00:01:VRID, for IPv6 00:00:5e:00:02:VRID.
pub const fn virtual_mac(vrid: Vrid, ipv6: bool) -> [u8; 6] {
    [0x00, 0x00, 0x5e, 0x00, if ipv6 { 0x02 } else { 0x01 }, vrid.get()]
}

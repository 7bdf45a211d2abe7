//! What the kernel has of links and addresses, looked at anew whenever something changed.

use std::io;

use super::netlink::{Address, Link, Netlink};

/// All links and addresses.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    pub(super) links: Vec<Link>,
    pub(super) addresses: Vec<Address>,
}

impl Interfaces {
    /// # Errors
    /// If the kernel does not answer.
    pub(super) fn look(netlink: &mut Netlink) -> io::Result<Self> {
        Ok(Self { links: netlink.links()?, addresses: netlink.addresses()? })
    }

    /// The interface of this name.
    pub(super) fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The macvlan with this MAC address on the interface `below`.
    pub(super) fn macvlan(&self, below: u32, mac: [u8; 6]) -> Option<&Link> {
        self.links.iter().find(|link| link.macvlan_on == Some(below) && link.mac == Some(mac))
    }

    /// Is there an interface of this name, and is it up?
    pub(super) fn is_up(&self, name: &str) -> bool {
        self.link(name).is_some_and(|link| link.up)
    }
}

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

    /// The names of all, as many as a line of the log bears.
    pub(super) fn names(&self) -> String {
        let names = self.links.iter().map(|link| link.name.as_str()).filter(|name| *name != "lo");
        names.take(8).collect::<Vec<_>>().join(", ")
    }

    /// Has an interface of this host this MAC address?
    pub(super) fn has_mac(&self, mac: [u8; 6]) -> bool {
        self.links.iter().any(|link| link.mac == Some(mac))
    }

    /// Is there an interface of this name, and is it up?
    pub(super) fn is_up(&self, name: &str) -> bool {
        self.link(name).is_some_and(|link| link.up)
    }
}

//! The virtual MAC address (RFC 9568, section 7.3): a macvlan on the interface bears it and the addresses, so
//! that neighbours need not learn anything when the addresses move.
//!
//! The interface must not answer for the macvlan's addresses, nor ask with them: three settings of the kernel see to
//! that, and are put back at the end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::interfaces::Interfaces;
use super::netlink::{Link, Netlink};
use crate::vrrp::packet::{Vrid, virtual_mac};

/// Of the interface below: answer for its own addresses alone, out of the interface the question came in at, and ask
/// with an address of its own. The last one keeps neighbours from learning the wrong MAC address from its questions.
const SETTINGS: [(&str, &str); 3] =
    [("arp_ignore", "1"), ("arp_filter", "1"), ("arp_announce", "2")];

/// All macvlans that this process made, and what it changed for them.
#[derive(Debug)]
pub(super) struct Macvlans {
    made: Vec<String>,
    before: BTreeMap<PathBuf, String>,
    /// Changes that the gateway has not been told of.
    news: Vec<(PathBuf, String)>,
}

impl Macvlans {
    /// `before`: settings that an earlier process of this gateway changed, as they were.
    pub(super) fn new(before: BTreeMap<PathBuf, String>) -> Self {
        let before = before.into_iter().filter(|(path, _)| is_one(path)).collect();
        Self { made: Vec::new(), before, news: Vec::new() }
    }

    /// Settings changed since this was asked last, as they were.
    pub(super) fn news(&mut self) -> Vec<(PathBuf, String)> {
        std::mem::take(&mut self.news)
    }

    /// Its name: as keepalived's, and another for IPv6.
    pub(super) fn name(vrid: Vrid, ipv6: bool) -> String {
        if ipv6 { format!("vrrp6.{vrid}") } else { format!("vrrp.{vrid}") }
    }

    /// Makes the macvlan of a virtual router on `parent`, or takes over one that was left behind.
    ///
    /// # Errors
    /// If the kernel refuses: no such device type, no CAP_NET_ADMIN, or a read-only /proc/sys.
    pub(super) fn make(
        &mut self,
        netlink: &mut Netlink,
        interfaces: &Interfaces,
        parent: &Link,
        (vrid, ipv6): (Vrid, bool),
    ) -> io::Result<()> {
        let name = Self::name(vrid, ipv6);
        for (key, value) in SETTINGS {
            self.set(&parent.name, "ipv4", key, value)?;
        }
        if let Some(old) = interfaces.link(&name) {
            netlink.remove_link(old.index)?;
        }
        netlink.add_macvlan(parent.index, &name, virtual_mac(vrid, ipv6))?;
        if !self.made.contains(&name) {
            self.made.push(name.clone());
        }
        // Both gateways would make themselves the same address out of the same MAC address.
        write("ipv6", &name, "addr_gen_mode", "1").or_else(without_ipv6)?;
        // Answers leave by the interface below, so questions seem to come in at the wrong one. Loose instead of off: the
        // strictest of this and `all` counts, and loose is taken for stricter than strict.
        write("ipv4", &name, "rp_filter", "2")?;
        write("ipv4", &name, "accept_local", "1")?;
        let index = Interfaces::look(netlink)?.link(&name).map(|link| link.index);
        netlink.set_up(index.ok_or_else(|| io::Error::other(format!("{name} is gone again")))?)
    }

    fn set(&mut self, interface: &str, family: &str, key: &str, value: &str) -> io::Result<()> {
        let path = path(family, interface, key);
        let before = fs::read_to_string(&path)?.trim().to_owned();
        if before != value {
            fs::write(&path, value)?;
            self.news.push((path.clone(), before.clone()));
            self.before.entry(path).or_insert(before);
        }
        Ok(())
    }

    /// Removes all, and puts the settings back. Goes on when something fails, and tells the first failure.
    pub(super) fn undo(&mut self, netlink: &mut Netlink) -> io::Result<()> {
        let interfaces = Interfaces::look(netlink)?;
        let mut result = Ok(());
        for name in self.made.drain(..) {
            if let Some(link) = interfaces.link(&name) {
                let removed = netlink.remove_link(link.index);
                result = result.and(removed);
            }
        }
        for (path, value) in std::mem::take(&mut self.before) {
            let written = fs::write(path, value);
            result = result.and(written);
        }
        result
    }
}

/// Is it one of the settings? Nobody has this process write to any other file.
fn is_one(path: &Path) -> bool {
    let interface = path.parent().filter(|of| of.file_name().is_some());
    interface.and_then(Path::parent) == Some(Path::new("/proc/sys/net/ipv4/conf"))
        && SETTINGS.iter().any(|(key, _)| path.file_name() == Some(key.as_ref()))
}

fn write(family: &str, interface: &str, key: &str, value: &str) -> io::Result<()> {
    fs::write(path(family, interface, key), value)
}

/// A kernel without IPv6 has no such settings, and needs none.
fn without_ipv6(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn path(family: &str, interface: &str, key: &str) -> PathBuf {
    PathBuf::from(format!("/proc/sys/net/{family}/conf/{interface}/{key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_settings_are_taken_over() {
        let files = [
            "/proc/sys/net/ipv4/conf/eth0/arp_ignore",
            "/proc/sys/net/ipv4/conf/eth0.5/arp_announce",
            "/proc/sys/net/ipv4/conf/eth0/forwarding",
            "/proc/sys/net/ipv4/conf/../arp_filter",
            "/proc/sys/net/ipv4/arp_filter",
            "/proc/sys/net/ipv4/conf/../../../../../etc/arp_filter",
            "/etc/passwd",
        ];
        assert_eq!(
            files.map(|file| is_one(Path::new(file))),
            [true, true, false, false, false, false, false]
        );
    }
}

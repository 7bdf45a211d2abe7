//! The virtual MAC address (RFC 9568, section 7.3): a macvlan on the interface bears it and the addresses, so
//! that neighbours need not learn anything when the addresses move.
//!
//! The interface must not answer for the macvlan's addresses, nor ask with them: three settings of the kernel see to
//! that, and are put back at the end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use super::interfaces::Interfaces;
use super::netlink::{Link, Netlink};
use crate::vrrp::packet::{Vrid, virtual_mac};

/// Of the interface below: answer for its own addresses alone, out of the interface the question came in at, and ask
/// with an address of its own. The last one keeps neighbours from learning the wrong MAC address from its questions.
const SETTINGS: [(&str, &str); 3] =
    [("arp_ignore", "1"), ("arp_filter", "1"), ("arp_announce", "2")];

/// What the kernel takes for a name (IFNAMSIZ, without the zero at the end).
const LONGEST_NAME: usize = 15;

/// All macvlans that this process made or took over, and what it changed for them.
#[derive(Debug)]
pub(super) struct Macvlans {
    ours: Vec<Macvlan>,
    before: BTreeMap<PathBuf, String>,
    /// Changes that the gateway has not been told of.
    news: Vec<(PathBuf, String)>,
}

/// A macvlan as it is to be: only one that is so in all is ever taken for ours, or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Macvlan {
    name: String,
    below: u32,
    mac: [u8; 6],
}

impl Macvlan {
    /// Of a virtual router on the interface number `below`. The name tells virtual routers of the same VRID on two
    /// interfaces apart, and IPv4 from IPv6.
    pub(super) fn new(vrid: Vrid, ipv6: bool, below: u32) -> Self {
        let family = if ipv6 { "6" } else { "" };
        let mut name = format!("vrrp{family}.{vrid}.{below}");
        // Interfaces have numbers beyond this after a hundred thousand others alone. Should two then collide, the second
        // one is refused.
        name.truncate(LONGEST_NAME);
        Self { name, below, mac: virtual_mac(vrid, ipv6) }
    }

    /// It, if it is there, up or not.
    pub(super) fn find<'i>(&self, interfaces: &'i Interfaces) -> Option<&'i Link> {
        interfaces
            .link(&self.name)
            .filter(|link| link.macvlan_on == Some(self.below) && link.mac == Some(self.mac))
    }
}

impl fmt::Display for Macvlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Macvlans {
    /// `before`: settings that an earlier process of this gateway changed, as they were.
    pub(super) fn new(before: BTreeMap<PathBuf, String>) -> Self {
        let before = before.into_iter().filter(|(path, _)| is_one(path)).collect();
        Self { ours: Vec::new(), before, news: Vec::new() }
    }

    /// Settings changed since this was asked last, as they were.
    pub(super) fn news(&mut self) -> Vec<(PathBuf, String)> {
        std::mem::take(&mut self.news)
    }

    /// Has this process made it or taken it over?
    pub(super) fn has(&self, macvlan: &Macvlan) -> bool {
        self.ours.contains(macvlan)
    }

    /// Makes the macvlan of a virtual router on `parent`, or takes over the one that was left behind, with the addresses
    /// on it. What fails leaves nothing behind that was not there before.
    ///
    /// Returns the settings of which nobody knows whether the one who left it behind has changed them.
    ///
    /// # Errors
    /// If the kernel refuses: no such device type, no CAP_NET_ADMIN, or a read-only /proc/sys. If an interface of this
    /// name or with this MAC address is not ours.
    pub(super) fn make(
        &mut self,
        netlink: &mut Netlink,
        interfaces: &Interfaces,
        parent: &Link,
        macvlan: &Macvlan,
    ) -> io::Result<Vec<String>> {
        for (key, value) in SETTINGS {
            self.set(&parent.name, "ipv4", key, value)?;
        }
        let mut unsure = Vec::new();
        if let Some(old) = macvlan.find(interfaces) {
            furnish(netlink, macvlan, old.index)?;
            if !self.has(macvlan) {
                let settings = SETTINGS.iter().map(|(key, _)| *key);
                let unknown = settings
                    .filter(|key| !self.before.contains_key(&path("ipv4", &parent.name, key)));
                unsure.extend(unknown.map(|key| format!("net.ipv4.conf.{}.{key}", parent.name)));
            }
        } else {
            refuse_strangers(interfaces, macvlan)?;
            netlink.add_macvlan(macvlan.below, &macvlan.name, macvlan.mac)?;
            let made = Interfaces::look(netlink)?.link(&macvlan.name).map(|link| link.index);
            let made = made.ok_or_else(|| io::Error::other(format!("{macvlan} is gone again")))?;
            if let Err(error) = furnish(netlink, macvlan, made) {
                let _ = netlink.remove_link(made);
                return Err(error);
            }
        }
        if !self.has(macvlan) {
            self.ours.push(macvlan.clone());
        }
        Ok(unsure)
    }

    fn set(&mut self, interface: &str, family: &str, key: &str, value: &str) -> io::Result<()> {
        let path = path(family, interface, key);
        if let Some(before) = write(&path, value)? {
            self.news.push((path.clone(), before.clone()));
            self.before.entry(path).or_insert(before);
        }
        Ok(())
    }

    /// Removes one, and puts the settings of the interface below it back if there is no other one on it. Goes on when
    /// something fails, and tells the first failure; and the settings that are as they were, or as good as that.
    pub(super) fn remove(
        &mut self,
        netlink: &mut Netlink,
        interfaces: &Interfaces,
        macvlan: &Macvlan,
    ) -> (io::Result<()>, Vec<PathBuf>) {
        self.ours.retain(|other| other != macvlan);
        let mut result = match macvlan.find(interfaces) {
            Some(link) => netlink.remove_link(link.index),
            None => Ok(()),
        };
        let mut restored = Vec::new();
        let below = interfaces.links.iter().find(|link| link.index == macvlan.below);
        let is_last = self.ours.iter().all(|other| other.below != macvlan.below);
        for below in below.into_iter().filter(|_| is_last) {
            for (key, _) in SETTINGS {
                let path = path("ipv4", &below.name, key);
                if let Some(before) = self.before.remove(&path) {
                    let written = fs::write(&path, before);
                    result = result.and(written);
                    restored.push(path);
                }
            }
        }
        (result, restored)
    }

    /// Puts the settings back, and removes all. Goes on when something fails, and tells the first failure.
    pub(super) fn undo(&mut self, netlink: &mut Netlink) -> io::Result<()> {
        let mut result = Ok(());
        for (path, value) in std::mem::take(&mut self.before) {
            let written = fs::write(path, value);
            result = result.and(written);
        }
        let interfaces = match Interfaces::look(netlink) {
            Ok(interfaces) => interfaces,
            Err(error) => return result.and(Err(error)),
        };
        for macvlan in self.ours.drain(..) {
            if let Some(link) = macvlan.find(&interfaces) {
                let removed = netlink.remove_link(link.index);
                result = result.and(removed);
            }
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

/// An interface that somebody else has made is his.
fn refuse_strangers(interfaces: &Interfaces, macvlan: &Macvlan) -> io::Result<()> {
    let text = if interfaces.link(&macvlan.name).is_some() {
        format!(
            "there is an interface {macvlan} already, and it is none of this gateway's macvlans"
        )
    } else if let Some(other) = interfaces.macvlan(macvlan.below, macvlan.mac) {
        format!("{} has the virtual MAC already: is keepalived still here?", other.name)
    } else {
        return Ok(());
    };
    Err(io::Error::other(text + "; remove it with \"ip link del\""))
}

/// Sets it up, in both meanings.
fn furnish(netlink: &mut Netlink, Macvlan { name, .. }: &Macvlan, index: u32) -> io::Result<()> {
    // Both gateways would make themselves the same address out of the same MAC address.
    write(&path("ipv6", name, "addr_gen_mode"), "1").map(drop).or_else(without_ipv6)?;
    // Answers leave by the interface below, so questions seem to come in at the wrong one. Loose instead of off: the
    // strictest of this and `all` counts, and loose is taken for stricter than strict.
    write(&path("ipv4", name, "rp_filter"), "2")?;
    write(&path("ipv4", name, "accept_local"), "1")?;
    netlink.set_up(index)
}

/// Writes a setting, unless it is so already. Returns what it was.
fn write(path: &Path, value: &str) -> io::Result<Option<String>> {
    let told = |error: io::Error| {
        io::Error::new(error.kind(), format!("{} = {value}: {error}", path.display()))
    };
    let before = fs::read_to_string(path).map_err(told)?.trim().to_owned();
    if before == value {
        return Ok(None);
    }
    fs::write(path, value).map_err(told)?;
    Ok(Some(before))
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
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn link(name: &str, macvlan_on: Option<u32>, mac: [u8; 6]) -> Interfaces {
        let link = Link { index: 9, name: name.to_owned(), up: true, mac: Some(mac), macvlan_on };
        Interfaces { links: vec![link], addresses: Vec::new() }
    }

    #[test]
    fn no_two_virtual_routers_have_the_same_macvlan_and_every_name_fits() {
        let [one, all] = [1, 255].map(|vrid| Vrid::new(vrid).unwrap());
        assert_eq!(Macvlan::new(one, false, 2).to_string(), "vrrp.1.2");
        assert_eq!(Macvlan::new(one, false, 3).to_string(), "vrrp.1.3");
        assert_eq!(Macvlan::new(one, true, 2).to_string(), "vrrp6.1.2");
        assert_eq!(Macvlan::new(all, true, 99_999).to_string(), "vrrp6.255.99999");
        assert_eq!(Macvlan::new(all, true, u32::MAX).to_string().len(), LONGEST_NAME);
    }

    #[test]
    fn only_a_macvlan_with_our_name_place_and_mac_is_ours() {
        let ours = Macvlan::new(Vrid::new(51).unwrap(), false, 2);
        let mac = virtual_mac(Vrid::new(51).unwrap(), false);
        assert!(ours.find(&link("vrrp.51.2", Some(2), mac)).is_some());
        for other in [
            link("vrrp.51.2", None, mac),
            link("vrrp.51.2", Some(3), mac),
            link("vrrp.51.2", Some(2), [2; 6]),
            link("vrrp.51", Some(2), mac),
        ] {
            assert!(ours.find(&other).is_none() && refuse_strangers(&other, &ours).is_err());
        }
    }

    #[test]
    fn only_its_own_settings_are_taken_over() {
        let is = |file| is_one(Path::new(file));
        assert!(is("/proc/sys/net/ipv4/conf/eth0/arp_ignore"));
        assert!(is("/proc/sys/net/ipv4/conf/eth0.5/arp_announce"));
        for other in [
            "/proc/sys/net/ipv4/conf/eth0/forwarding",
            "/proc/sys/net/ipv4/conf/../arp_filter",
            "/proc/sys/net/ipv4/conf/../../../../../etc/arp_filter",
            "/etc/passwd",
        ] {
            assert!(!is(other), "{other}");
        }
    }
}

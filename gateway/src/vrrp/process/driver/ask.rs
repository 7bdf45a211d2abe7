//! Looks for other machines that have an address of this one, or a shared one.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::Driver;
use crate::vrrp::packet::{announce, virtual_mac};
use crate::vrrp::process::doubles::Claim;
use crate::vrrp::process::netlink::Link;
use crate::vrrp::process::station::Station;
use crate::vrrp::talk::Alarm;

/// ARP read in one turn, so that a flood of it keeps no timer waiting.
const AT_ONCE: usize = 128;

impl Driver {
    /// Notices a machine that has an address of ours.
    pub(super) fn hear_doubles(&mut self, now: Duration) {
        for _ in 0..AT_ONCE {
            let Ok(claim) = self.doubles.receive() else { return };
            let Some(claim) = claim else { continue };
            let Claim { index, mac, address } = claim;
            let has = |station: &Station| {
                let here = station.link.as_ref().is_some_and(|link| link.index == index);
                here && station.source == Some(address.into())
                    && mac != virtual_mac(station.vrid, false)
            };
            if self.interfaces.has_mac(mac) {
                continue;
            }
            self.meet_rival(&claim, now);
            if !self.stations.iter().any(has) {
                continue;
            }
            let text = format!(
                "{address} is the address of {}, too: both may be active at once; give each gateway an \
                 address of its own",
                hex(mac)
            );
            for index in 0..self.stations.len() {
                if has(&self.stations[index]) {
                    self.raise(index, Alarm::OwnAddress, text.clone(), now);
                }
            }
        }
    }

    /// Asks who else has an address of ours, now and then.
    pub(super) fn ask_for_doubles(&mut self, now: Duration) {
        if !self.doubles.is_due(now) {
            return;
        }
        let places = self.stations.iter().filter_map(|station| match station.source? {
            IpAddr::V4(source) => Some((station.link.as_ref()?, source)),
            IpAddr::V6(_) => None,
        });
        let asked: BTreeSet<_> =
            places.filter_map(|(link, source)| Some((link.index, link.mac?, source))).collect();
        for (index, mac, source) in asked {
            // One that is lost is asked again.
            let _ = self.frames.send(index, &announce::probe(mac, source));
        }
    }

    /// Another machine says that it has this address. If that is a shared one that is here, too, clients reach either.
    fn meet_rival(&mut self, claim: &Claim, now: Duration) {
        let Claim { index, mac, address } = *claim;
        let holds = |station: &Station| {
            let at = |link: &Option<Link>| link.as_ref().is_some_and(|link| link.index == index);
            station.holds && station.has(address.into()) && (at(&station.port) || at(&station.link))
        };
        let Some(router) = self.stations.iter().position(holds) else { return };
        if !self.stations[router].suspicion.hears() {
            return;
        }
        let text = format!(
            "{address} is also on another host, {}, and clients reach either: remove it there; if that \
             host is to share it by VRRP, compare version, password and virtual_router_id, and look for \
             what drops IP protocol 112 in between",
            hex(mac)
        );
        self.raise(router, Alarm::AddressInUse, text, now);
    }

    /// Asks who else has the addresses that are here, now and then.
    pub(super) fn ask_for_rivals(&mut self, now: Duration) {
        for station in &mut self.stations {
            if !station.suspicion.asks(now) {
                continue;
            }
            let Some((index, mac)) = station.port.as_ref().and_then(|p| Some((p.index, p.mac?)))
            else {
                continue;
            };
            for own in &station.config.addresses {
                if let IpAddr::V4(address) = own.address {
                    // One that is lost is asked again.
                    let _ = self.frames.send(index, &announce::probe(mac, address));
                }
            }
        }
    }
}

fn hex(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

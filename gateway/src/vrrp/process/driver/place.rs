//! Follows what the kernel has: links that come and go, addresses that somebody removed.

use std::io;
use std::time::Duration;

use super::{Driver, Ear, STATUS};
use crate::vrrp::machine::Event;
use crate::vrrp::packet::OWNER;
use crate::vrrp::process::interfaces::Interfaces;
use crate::vrrp::process::macvlan::Macvlan;
use crate::vrrp::process::netlink::{Address, Link};
use crate::vrrp::process::sockets::Receiver;
use crate::vrrp::process::source;
use crate::vrrp::process::station::Station;
use crate::vrrp::talk::{Level, Word};

impl Driver {
    /// Looks at all links and addresses, and puts things right. What fails is tried again a second later.
    pub(super) fn look_around(&mut self) {
        self.failed = None;
        if !self.look() {
            return;
        }
        self.make_macvlans();
        for index in 0..self.stations.len() {
            self.settle(index);
        }
        self.listen();
        for index in 0..self.stations.len() {
            self.restore(index);
        }
    }

    /// Is it time to try again what failed?
    pub(super) fn is_to_try_again(&self, now: Duration) -> bool {
        self.failed.is_some_and(|failed| now >= failed + STATUS)
    }

    fn look(&mut self) -> bool {
        match Interfaces::look(&mut self.netlink) {
            Ok(interfaces) => {
                self.interfaces = interfaces;
                true
            }
            Err(error) => {
                let text = format!("the kernel does not tell its interfaces: {error}");
                self.log_failure(None, text, super::now());
                false
            }
        }
    }

    /// Makes the macvlans that are missing.
    fn make_macvlans(&mut self) {
        let now = super::now();
        let mut made = false;
        for index in 0..self.stations.len() {
            let station = &self.stations[index];
            let parent = self.interfaces.link(&station.config.interface).filter(|link| link.up);
            let wanted = station.config.virtual_mac && !station.dismissed;
            let Some(parent) = parent.filter(|_| wanted) else { continue };
            let macvlan = station.macvlan(parent);
            let is_up = macvlan.find(&self.interfaces).is_some_and(|link| link.up);
            if is_up && self.macvlans.has(&macvlan) {
                continue;
            }
            // What failed may itself be the change that the kernel tells of.
            if let Some(failed) = station.unmade.filter(|failed| now < *failed + STATUS) {
                self.failed.get_or_insert(failed);
                continue;
            }
            let done = self.macvlans.make(&mut self.netlink, &self.interfaces, parent, &macvlan);
            self.stations[index].unmade = done.is_err().then_some(now);
            match done {
                Ok(unsure) => {
                    made = true;
                    self.warn_of_settings(index, &macvlan, &unsure);
                }
                Err(error) => {
                    let text = format!("the macvlan for the virtual MAC cannot be made: {error}");
                    self.log_failure(Some(index), text, now);
                }
            }
            for (setting, before) in self.macvlans.news() {
                self.pipe.say(&Word::Changed { setting, before });
            }
        }
        if made {
            self.look();
        }
    }

    /// Of a gateway that was killed whole, nobody knows any more what it found.
    fn warn_of_settings(&mut self, index: usize, macvlan: &Macvlan, unsure: &[String]) {
        let is_restart = !self.resumed.is_empty() || !self.orphaned.is_empty();
        if unsure.is_empty() || is_restart {
            return;
        }
        let text = format!(
            "{macvlan} was left behind by a gateway that was killed: if that one changed {}, they will \
             not be put back; check them",
            unsure.join(", ")
        );
        self.log_of(index, Level::Warn, text);
    }

    /// Finds the place of a station.
    fn settle(&mut self, index: usize) {
        let station = &self.stations[index];
        let link = self.interfaces.link(&station.config.interface).filter(|link| link.up).cloned();
        let port = self.port(station, link.as_ref());
        let source = link.as_ref().and_then(|link| {
            let shared = |address| self.stations.iter().any(|station| station.shares(address));
            let addresses = &self.interfaces.addresses;
            source::find(&station.config, station.ipv6, link, addresses, shared)
        });
        let station = &mut self.stations[index];
        let changed = station.settle(link.as_ref(), port.as_ref(), source);
        let mute = station.mute.is_some();
        if changed && source.is_some() {
            let settings = station.settings();
            self.step(index, Event::Change(settings), super::now());
        }
        if mute {
            self.failed.get_or_insert_with(super::now);
        }
    }

    fn port(&self, station: &Station, link: Option<&Link>) -> Option<Link> {
        if !station.config.virtual_mac {
            return link.cloned();
        }
        station.macvlan(link?).find(&self.interfaces).filter(|link| link.up).cloned()
    }

    /// Listens where stations are, and nowhere else.
    fn listen(&mut self) {
        let mut wanted: Vec<Ear> = Vec::new();
        for station in &self.stations {
            if let Some(link) = &station.link {
                let ear = Ear { index: link.index, name: link.name.clone(), ipv6: station.ipv6 };
                if !wanted.contains(&ear) {
                    wanted.push(ear);
                }
            }
        }
        self.receivers.retain(|(ear, _)| wanted.contains(ear));
        self.deaf.clear();
        for ear in wanted {
            if self.receivers.iter().any(|(known, _)| *known == ear) {
                continue;
            }
            match Receiver::new(&ear.name, ear.index, ear.ipv6) {
                Ok(receiver) => self.receivers.push((ear, receiver)),
                Err(error) => {
                    self.failed.get_or_insert_with(super::now);
                    self.deaf.push((ear, error.to_string()));
                }
            }
        }
    }

    /// Puts addresses back that somebody removed.
    fn restore(&mut self, index: usize) {
        let now = super::now();
        let station = &self.stations[index];
        if !station.holds || station.missing(&self.interfaces.addresses).is_empty() {
            return;
        }
        if station.port.is_none() {
            return;
        }
        let was_incomplete = station.incomplete;
        if let Err(error) = self.stations[index].add_addresses(&mut self.netlink) {
            let text = format!("a virtual address is missing and cannot be added: {error}");
            self.log_failure(Some(index), text, now);
            return;
        }
        let herald = &mut self.stations[index].herald;
        let text = if was_incomplete {
            herald.claimed(now);
            "the virtual addresses could be added at last"
        } else {
            herald.restored(now);
            "a virtual address was removed by somebody else: added again"
        };
        self.log_rarely(index, Level::Warn, text.to_owned(), now);
    }

    /// Removes what an earlier process left behind: addresses, whatever their prefix, and a macvlan that is not wanted any
    /// more. The owner's addresses stay: they are his whether he is active or not.
    pub(super) fn remove_stale(&mut self) {
        for index in 0..self.stations.len() {
            self.remove_stale_of(index);
        }
    }

    /// The same of one.
    pub(super) fn remove_stale_of(&mut self, index: usize) {
        let station = &self.stations[index];
        // Up or not.
        let Some(link) = self.interfaces.link(&station.config.interface) else { return };
        let macvlan = station.macvlan(link).find(&self.interfaces).cloned();
        let keeps = station.config.priority == OWNER || self.resumed.contains(&station.config.id);
        let is_stale = |found: &&Address| {
            let ip = found.address.address;
            let on_macvlan = macvlan.as_ref().is_some_and(|macvlan| macvlan.index == found.index);
            // The macvlan has no other addresses than ours: these are of an earlier configuration.
            let foreign = on_macvlan && !station.has(ip);
            foreign || (!keeps && station.has(ip) && (on_macvlan || found.index == link.index))
        };
        let stale: Vec<_> = self.interfaces.addresses.iter().filter(is_stale).copied().collect();
        let unwanted = macvlan.filter(|_| !station.config.virtual_mac);
        for address in stale {
            let removed = self.netlink.remove_address(address.index, address.address);
            self.left_behind(index, &address.address.address.to_string(), removed);
        }
        if let Some(macvlan) = unwanted {
            let removed = self.netlink.remove_link(macvlan.index);
            self.left_behind(index, &macvlan.name, removed);
        }
    }

    fn left_behind(&mut self, index: usize, what: &str, removed: io::Result<()>) {
        let text = match removed {
            Ok(()) => format!("{what} was left behind on the interface: removed"),
            Err(error) => format!("{what} was left behind and cannot be removed: {error}"),
        };
        self.log_of(index, Level::Warn, text);
    }

    /// Tells all machines what their surroundings cost.
    pub(super) fn judge_all(&mut self, now: Duration) {
        for index in 0..self.stations.len() {
            self.judge(index, now);
        }
    }

    /// Tells a machine what its surroundings cost, if that changed.
    pub(super) fn judge(&mut self, index: usize, now: Duration) {
        let (penalty, fault) = self.costs(&self.stations[index]);
        let station = &mut self.stations[index];
        let (penalty_changed, was) = (station.penalty != penalty, station.fault.is_some());
        station.penalty = penalty;
        let before = std::mem::replace(&mut station.fault, fault.clone());
        let is = fault.is_some();
        if let Some(fault) = fault.filter(|fault| before.as_ref() != Some(fault)) {
            if was {
                self.log_rarely(index, Level::Warn, fault, now);
            } else {
                self.log_of(index, Level::Warn, fault);
            }
        }
        if was != is {
            self.step(index, Event::Fault(!was), now);
        }
        if penalty_changed {
            self.step(index, Event::Penalty(penalty), now);
        }
    }

    /// What is taken off the priority, and why it must not be active at all.
    fn costs(&self, station: &Station) -> (u8, Option<String>) {
        let interface = &station.config.interface;
        let mut penalty = station.gateway_penalty;
        let mut fault = match self.interfaces.link(interface) {
            None => Some(format!(
                "there is no interface {interface} (there are {})",
                self.interfaces.names()
            )),
            Some(link) if !link.up => Some(format!("Netlink reports {interface} down")),
            Some(_) if station.source.is_none() => Some(no_source(station)),
            Some(_) if station.port.is_none() => {
                Some(format!("there is no macvlan for the virtual MAC on {interface}"))
            }
            Some(_) => self.no_socket(station),
        };
        for (name, weight) in &station.config.interfaces {
            match weight {
                _ if self.interfaces.is_up(name) => {}
                Some(weight) => penalty = penalty.saturating_add(*weight),
                None => fault = fault.or_else(|| Some(format!("Netlink reports {name} down"))),
            }
        }
        if self.gateway_is_silent {
            fault = fault.or_else(|| Some("the gateway does not answer".to_owned()));
        }
        (penalty, fault.or_else(|| station.gateway_fault.clone()))
    }

    /// Why it cannot speak with its peers. One that hears nobody would be active beside them, and so would they beside one
    /// that says nothing.
    fn no_socket(&self, station: &Station) -> Option<String> {
        let interface = &station.config.interface;
        if let Some(error) = &station.mute {
            return Some(format!("no socket to advertise from on {interface}: {error}"));
        }
        let link = station.link.as_ref()?;
        let of_station = |ear: &Ear| ear.index == link.index && ear.ipv6 == station.ipv6;
        if self.receivers.iter().any(|(ear, _)| of_station(ear)) {
            return None;
        }
        let error = self.deaf.iter().find(|(ear, _)| of_station(ear));
        let error = error.map_or("no socket is open", |(_, error)| error.as_str());
        Some(format!("no advertisements can be received on {interface}: {error}"))
    }
}

fn no_source(station: &Station) -> String {
    let interface = &station.config.interface;
    match station.config.source {
        Some(source) => format!("{interface} does not have source_address {source}"),
        None if station.ipv6 => format!("{interface} has no link-local address to advertise from"),
        None => format!("{interface} has no address of its own to advertise from"),
    }
}

//! One virtual router's place in the world: its interface, its sockets, its addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::alarms::Alarms;
use super::frames::Frames;
use super::herald::Herald;
use super::macvlan::Macvlan;
use super::netlink::{Address, Link, Netlink};
use super::rivals::Suspicion;
use super::source;
use super::voice::{Role, Voice};
use crate::config::model::{Garp, VirtualAddress, VrrpChecksum, VrrpVersion};
use crate::vrrp::machine::Settings;
use crate::vrrp::packet::announce::{
    gratuitous_arp, gratuitous_arp_reply, neighbour_advertisement,
};
use crate::vrrp::packet::{
    Advert, Auth, Centis, Checksum, GROUP_V4, GROUP_V6, OWNER, Version, Vrid,
};
use crate::vrrp::talk::{Counters, Router};

/// How many times its own interval a learned one may be.
const LONGEST_LEARNED: u32 = 10;

/// A virtual router, without its state machine.
pub(super) struct Station {
    pub(super) config: Router,
    pub(super) vrid: Vrid,
    pub(super) ipv6: bool,
    /// Where advertisements are received: the configured interface, while it is up.
    pub(super) link: Option<Link>,
    /// Where the addresses are: the same, or the macvlan on it.
    pub(super) port: Option<Link>,
    /// What they are sent from.
    pub(super) source: Option<IpAddr>,
    voice: Voice,
    /// Why there is no socket to send with where there should be one.
    pub(super) mute: Option<String>,
    /// The checksum that is sent.
    checksum: Checksum,
    /// Are the addresses to be on the interface?
    pub(super) holds: bool,
    /// When its macvlan could not be made.
    pub(super) unmade: Option<Duration>,
    /// Could not all of them be put there?
    pub(super) incomplete: bool,
    /// The interface they were put on last: it may be down by the time they are removed.
    placed: Option<u32>,
    /// When addresses that are still there for their sessions' last words are removed.
    pub(super) leaving: Option<Duration>,
    /// Addresses that are not its own any more, the interface they are on, and when they are removed.
    pub(super) departing: Vec<(VirtualAddress, u32, Duration)>,
    /// Has it left the configuration?
    pub(super) dismissed: bool,
    pub(super) herald: Herald,
    pub(super) suspicion: Suspicion,
    pub(super) alarms: Alarms,
    pub(super) counters: Counters,
    /// What the gateway says of the tracked things.
    pub(super) gateway_penalty: u8,
    pub(super) gateway_fault: Option<String>,
    /// What was told to the machine last.
    pub(super) penalty: u8,
    pub(super) fault: Option<String>,
    message: Vec<u8>,
}

impl Station {
    /// `None` for a configuration that the gateway's own checks let nobody write: no address, VRID 0.
    pub(super) fn new(config: Router) -> Option<Self> {
        let vrid = Vrid::new(config.virtual_router_id)?;
        let ipv6 = config.addresses.first()?.address.is_ipv6();
        let garp = config.garp;
        Some(Self {
            vrid,
            ipv6,
            link: None,
            port: None,
            source: None,
            voice: Voice::default(),
            mute: None,
            checksum: checksum(config.checksum),
            holds: false,
            unmade: None,
            incomplete: false,
            placed: None,
            leaving: None,
            departing: Vec::new(),
            dismissed: false,
            herald: Herald::new(garp.repeat, garp.delay, garp.refresh),
            suspicion: Suspicion::default(),
            alarms: Alarms::new(config.interval),
            counters: Counters::default(),
            gateway_penalty: 0,
            gateway_fault: None,
            penalty: 0,
            fault: None,
            message: Vec::new(),
            config,
        })
    }

    /// Is another one from `now` on, in its place: see [`Router::becomes`]. Addresses that it loses stay on the interface
    /// for as long as `linger`. Says whether it has others to put there.
    pub(super) fn change(&mut self, config: Router, linger: Duration, now: Duration) -> bool {
        let before = std::mem::replace(&mut self.config, config);
        let Garp { repeat, delay, refresh } = self.config.garp;
        self.herald.change(repeat, delay, refresh, self.holds, now);
        self.alarms.change(self.config.interval);
        if before.checksum != self.config.checksum {
            self.checksum = checksum(self.config.checksum);
        }
        let is_there = self.holds || self.leaving.is_some();
        if let Some(index) = self.placed.filter(|_| is_there) {
            let lost = before.addresses.iter().filter(|old| !self.config.addresses.contains(old));
            self.departing.extend(lost.map(|old| (*old, index, now + linger)));
        }
        let own = &self.config.addresses;
        self.departing.retain(|(lost, ..)| !own.contains(lost));
        self.holds && self.config.addresses.iter().any(|new| !before.addresses.contains(new))
    }

    /// When it has addresses to remove.
    pub(super) fn parts(&self) -> Option<Duration> {
        let departing = self.departing.iter().map(|(.., until)| *until);
        departing.chain(self.leaving).min()
    }

    /// Removes addresses that it has lost, if their time is over. All are tried; the first failure is told.
    pub(super) fn part(&mut self, netlink: &mut Netlink, now: Duration) -> io::Result<()> {
        let (over, departing): (Vec<_>, Vec<_>) =
            self.departing.drain(..).partition(|(.., until)| *until <= now);
        self.departing = departing;
        let parted = !over.is_empty();
        let done = over.into_iter().map(|(lost, index, _)| netlink.remove_address(index, lost));
        let done = done.fold(Ok(()), Result::and);
        // With the first address of a network, the kernel may remove the others.
        if !parted || !self.holds {
            return done;
        }
        let added = self.add_addresses(netlink);
        done.and(added)
    }

    /// What the state machine has to know.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            priority: self.config.priority,
            interval: self.config.interval,
            preempt: self.config.preempt,
            preempt_delay: self.config.preempt_delay,
            own: self.source.unwrap_or_else(|| self.nowhere()),
            longest_learned: LONGEST_LEARNED,
            fast: self.config.fast,
        }
    }

    /// The unspecified address, until it has a source.
    fn nowhere(&self) -> IpAddr {
        if self.ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
    }

    pub(super) fn version(&self) -> Version {
        match self.config.version {
            VrrpVersion::V2 => Version::V2,
            VrrpVersion::V3 => Version::V3,
        }
    }

    pub(super) fn auth(&self) -> Auth {
        self.config.authentication.map_or(Auth::None, |password| Auth::Password(password.0))
    }

    /// Is this one of its addresses?
    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.config.addresses.iter().any(|own| own.address == address)
    }

    /// Takes on where it is now. Says whether its source changed.
    pub(super) fn settle(
        &mut self,
        link: Option<&Link>,
        port: Option<&Link>,
        source: Option<IpAddr>,
    ) -> bool {
        let port = port.filter(|_| link.is_some() && source.is_some());
        let from = if self.sends_below() { link.filter(|_| port.is_some()) } else { port };
        let changed = self.source != source;
        self.link = link.cloned();
        self.port = port.cloned();
        self.source = source;
        if changed {
            self.voice = Voice::default();
        }
        self.mute = self.voice.settle(from, link, source).err().map(|error| error.to_string());
        changed
    }

    /// Does it always send from the interface below its macvlan, and not even as the active router with the virtual MAC, as
    /// RFC 9568 has it (section 7.2)? A link-local source can be bound on its own interface alone. And to unicast peers the
    /// kernel has to find the way: out of the macvlan it would ask with this machine's own address and the shared MAC, and
    /// each of the two would take that for the other's.
    fn sends_below(&self) -> bool {
        self.config.virtual_mac && (self.ipv6 || !self.config.peers.is_empty())
    }

    /// The macvlan that bears its addresses on the interface `below`.
    pub(super) fn macvlan(&self, below: &Link) -> Macvlan {
        Macvlan::new(self.vrid, self.ipv6, below.index)
    }

    /// Does this address move between gateways, with this virtual router, or did until a moment ago?
    pub(super) fn shares(&self, address: IpAddr) -> bool {
        source::is_shared(&self.config, address)
            || self.departing.iter().any(|(lost, ..)| lost.address == address)
    }

    /// Says how it is to the peers.
    pub(super) fn advertise(&mut self, priority: u8, role: Role) -> io::Result<()> {
        let (Some(sender), Some(source)) = (self.voice.of(role), self.source) else {
            return Err(io::Error::other("there is no socket for it"));
        };
        let centis = (self.config.interval.as_millis() / 10).clamp(1, 25_500) as u16;
        let advert = Advert {
            version: self.version(),
            vrid: self.vrid,
            priority,
            interval: Centis::new(centis).unwrap_or(Centis::SECOND),
            auth: self.auth(),
            addresses: self.config.addresses.iter().map(|own| own.address).collect(),
        };
        let group = [if self.ipv6 { IpAddr::V6(GROUP_V6) } else { IpAddr::V4(GROUP_V4) }];
        let peers = &self.config.peers;
        let mut result = Ok(());
        for to in if peers.is_empty() { &group[..] } else { peers } {
            self.message.clear();
            advert.build(source, *to, self.checksum, &mut self.message);
            // An ICMP answer to an earlier one is reported instead of sending: a second try sends.
            let sent = sender.send(*to, &self.message).or_else(|_| sender.send(*to, &self.message));
            match sent {
                Ok(()) => self.counters.sent += 1,
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// A valid advertisement of a peer had this checksum. Says whether ours is another one now.
    pub(super) fn learn(&mut self, heard: Checksum) -> bool {
        let learns = self.config.checksum == VrrpChecksum::Auto
            && self.config.version == VrrpVersion::V3
            && !self.ipv6;
        let changed = learns && self.checksum != heard;
        if changed {
            self.checksum = heard;
        }
        changed
    }

    /// Adds the addresses. All are tried; the first failure is told.
    pub(super) fn add_addresses(&mut self, netlink: &mut Netlink) -> io::Result<()> {
        self.holds = true;
        self.leaving = None;
        let Some(port) = &self.port else { return Ok(()) };
        self.placed = Some(port.index);
        // The owner's are his own.
        let shared = self.config.priority != OWNER;
        let addresses = self.config.addresses.iter();
        let done = addresses.map(|own| netlink.add_address(port.index, *own, shared));
        let done = done.fold(Ok(()), Result::and);
        self.incomplete = done.is_err();
        done
    }

    /// Removes the addresses. All are tried; the first failure is told.
    pub(super) fn remove_addresses(&mut self, netlink: &mut Netlink) -> io::Result<()> {
        self.holds = false;
        self.leaving = None;
        self.herald.withdrawn();
        self.suspicion.withdrawn();
        let port = self.port.as_ref().map(|port| port.index);
        let Some(index) = self.placed.take().or(port) else { return Ok(()) };
        let done = self.config.addresses.iter().map(|own| netlink.remove_address(index, *own));
        done.fold(Ok(()), Result::and)
    }

    /// Those of its addresses that are not on the interface.
    pub(super) fn missing(&self, addresses: &[Address]) -> Vec<VirtualAddress> {
        let Some(port) = &self.port else { return Vec::new() };
        let is_there = |own: &VirtualAddress| {
            addresses.iter().any(|a| a.index == port.index && a.address.address == own.address)
        };
        self.config.addresses.iter().filter(|own| !is_there(own)).copied().collect()
    }

    /// Tells the neighbours where the addresses are, each `repeat` times, in turn.
    pub(super) fn announce(&mut self, frames: &Frames, repeat: u32) {
        let Some(port) = &self.port else { return };
        let Some(mac) = port.mac else { return };
        let arp = if self.config.virtual_mac { gratuitous_arp_reply } else { gratuitous_arp };
        for _ in 0..repeat {
            for own in &self.config.addresses {
                let sent = match own.address {
                    IpAddr::V4(address) => frames.send(port.index, &arp(mac, address)),
                    IpAddr::V6(address) => {
                        frames.send(port.index, &neighbour_advertisement(mac, address, false))
                    }
                };
                self.counters.announced += u64::from(sent.is_ok());
            }
        }
    }

    /// An advertisement was dropped.
    pub(super) fn count_error(&mut self, reason: &str) {
        match self.counters.errors.iter_mut().find(|(known, _)| known == reason) {
            Some((_, count)) => *count += 1,
            None => self.counters.errors.push((reason.to_owned(), 1)),
        }
    }
}

/// The one that is sent before any peer was heard.
fn checksum(configured: VrrpChecksum) -> Checksum {
    match configured {
        VrrpChecksum::Auto | VrrpChecksum::PseudoHeader => Checksum::PseudoHeader,
        VrrpChecksum::Rfc9568 => Checksum::MessageOnly,
    }
}

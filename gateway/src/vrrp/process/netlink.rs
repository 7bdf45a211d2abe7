//! The kernel's links and addresses, asked and changed over rtnetlink(7). Every call waits for the kernel's answer, which
//! takes microseconds: so addresses come and go in the order they are told to.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope, CacheInfo,
};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoMacVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use crate::config::model::VirtualAddress;

/// One datagram of the kernel's is never longer.
const DATAGRAM: usize = 64 * 1024;
/// Multicast groups of rtnetlink(7): links, addresses of both families (RTNLGRP_LINK, _IPV4_IFADDR, _IPV6_IFADDR).
const GROUPS: [u32; 3] = [1, 5, 9];

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// Its number, which changes when it is made anew.
    pub(super) index: u32,
    /// Its name.
    pub(super) name: String,
    /// Is it up, and has it a carrier?
    pub(super) up: bool,
    /// Its MAC address, if it has one.
    pub(super) mac: Option<[u8; 6]>,
    /// Of a macvlan: the number of the interface below it.
    pub(super) macvlan_on: Option<u32>,
}

/// An address of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    /// The number of the interface.
    pub(super) index: u32,
    /// The address with its prefix.
    pub(super) address: VirtualAddress,
    /// Is it a secondary one (IPv4)?
    pub(super) secondary: bool,
    /// Can it not be used: duplicate, or not checked yet (IPv6)?
    pub(super) tentative: bool,
}

/// Asks and changes.
pub(super) struct Netlink {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    /// # Errors
    /// If the kernel gives no socket.
    pub(super) fn new() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; DATAGRAM] })
    }

    /// All interfaces.
    pub(super) fn links(&mut self) -> io::Result<Vec<Link>> {
        let all = self.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        Ok(all.into_iter().filter_map(link).collect())
    }

    /// All addresses.
    pub(super) fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let all = self.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
        Ok(all.into_iter().filter_map(address).collect())
    }

    /// Adds an address; one that is there already stays.
    ///
    /// A `shared` IPv6 address is valid for ever and preferred never (RFC 4862, section 5.5.4): it answers, but the
    /// machine's own connections start from an address that stays.
    pub(super) fn add_address(
        &mut self,
        index: u32,
        address: VirtualAddress,
        shared: bool,
    ) -> io::Result<()> {
        let mut message = address_message(index, address);
        if shared && address.address.is_ipv6() {
            let mut lifetimes = CacheInfo::default();
            lifetimes.ifa_valid = u32::MAX;
            message.attributes.push(AddressAttribute::CacheInfo(lifetimes));
        }
        self.change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Removes an address; one that is not there is no error, nor is an interface that is gone.
    pub(super) fn remove_address(&mut self, index: u32, address: VirtualAddress) -> io::Result<()> {
        const GONE: [Option<i32>; 2] = [Some(99), Some(19)]; // EADDRNOTAVAIL, ENODEV
        let message = RouteNetlinkMessage::DelAddress(address_message(index, address));
        match self.change(message, 0) {
            Err(error) if GONE.contains(&error.raw_os_error()) => Ok(()),
            done => done,
        }
    }

    /// Makes a macvlan on `parent` with a MAC address of its own.
    ///
    /// In bridge mode, though nothing is bridged: what the peer multicasts comes from the same MAC address, and a private
    /// macvlan would keep that from the interface below.
    pub(super) fn add_macvlan(&mut self, parent: u32, name: &str, mac: [u8; 6]) -> io::Result<()> {
        let mut message = LinkMessage::default();
        let mode = InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Bridge)]);
        message.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Link(parent),
            LinkAttribute::Address(mac.to_vec()),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::MacVlan), LinkInfo::Data(mode)]),
        ];
        self.change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Takes an interface up.
    pub(super) fn set_up(&mut self, index: u32) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        self.change(RouteNetlinkMessage::SetLink(message), 0)
    }

    /// Removes an interface.
    pub(super) fn remove_link(&mut self, index: u32) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        self.change(RouteNetlinkMessage::DelLink(message), 0)
    }

    fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.request(message, NLM_F_REQUEST | NLM_F_ACK | flags)?;
        self.answers(|_| ())
    }

    fn dump(&mut self, message: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.request(message, NLM_F_REQUEST | NLM_F_DUMP)?;
        let mut all = Vec::new();
        self.answers(|message| all.push(message))?;
        Ok(all)
    }

    fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::from(message);
        message.header.flags = flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut octets = vec![0; message.buffer_len()];
        message.serialize(&mut octets);
        self.socket.send(&octets, 0).map(drop)
    }

    /// Reads until the request is answered: by an acknowledgement, an error, or the end of a list.
    fn answers(&mut self, mut take: impl FnMut(RouteNetlinkMessage)) -> io::Result<()> {
        loop {
            let length = self.socket.recv(&mut &mut self.buffer[..], 0)?;
            let mut rest = &self.buffer[..length];
            while !rest.is_empty() {
                let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(io::Error::other)?;
                // Each is padded to four octets.
                let taken =
                    (message.header.length as usize).next_multiple_of(4).clamp(1, rest.len());
                rest = &rest[taken..];
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                match message.payload {
                    NetlinkPayload::Error(error) if error.raw_code() == 0 => return Ok(()),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::InnerMessage(message) => take(message),
                    _ => {}
                }
            }
        }
    }
}

/// Wakes whenever a link or an address changes.
pub(super) struct Monitor {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Monitor {
    /// # Errors
    /// If the kernel gives no socket.
    pub(super) fn new() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.set_non_blocking(true)?;
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        Ok(Self { socket, buffer: vec![0; DATAGRAM] })
    }

    /// Takes what there is. Has anything changed?
    ///
    /// What has, is found by looking again: a message may have been lost, a look may not.
    pub(super) fn has_changed(&mut self) -> bool {
        let mut changed = false;
        // A flood of changes must not keep the loop here.
        for _ in 0..1000 {
            match self.socket.recv(&mut &mut self.buffer[..], 0) {
                Ok(_) => changed = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // ENOBUFS: there was more than the socket holds.
                Err(_) => return true,
            }
        }
        changed
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn address_message(
    index: u32,
    VirtualAddress { address, prefix }: VirtualAddress,
) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = prefix;
    message.header.index = index;
    message.header.scope = match address {
        IpAddr::V6(address) if address.is_unicast_link_local() => AddressScope::Link,
        _ => AddressScope::Universe,
    };
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    if address.is_ipv6() {
        // Its uniqueness is VRRP's affair: a second of checking it would be a second without it.
        message.header.flags = AddressHeaderFlags::Nodad;
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    message
}

fn link(message: RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(LinkMessage { header, attributes, .. }) = message else {
        return None;
    };
    let mut link = Link {
        index: header.index,
        name: String::new(),
        // IFF_RUNNING falls with the carrier, and with the state of the layer below.
        up: header.flags.contains(LinkFlags::Up | LinkFlags::Running),
        mac: None,
        macvlan_on: None,
    };
    let (mut below, mut is_macvlan) = (None, false);
    for attribute in attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Address(mac) => link.mac = mac.try_into().ok(),
            LinkAttribute::Link(index) => below = Some(index),
            LinkAttribute::LinkInfo(info) => {
                is_macvlan = info.contains(&LinkInfo::Kind(InfoKind::MacVlan));
            }
            _ => {}
        }
    }
    link.macvlan_on = below.filter(|_| is_macvlan);
    Some(link)
}

fn address(message: RouteNetlinkMessage) -> Option<Address> {
    let RouteNetlinkMessage::NewAddress(AddressMessage { header, attributes, .. }) = message else {
        return None;
    };
    let (mut local, mut given, mut flags) = (None, None, u32::from(header.flags.bits()));
    for attribute in attributes {
        match attribute {
            // On a link from point to point, `Address` is the other end.
            AddressAttribute::Local(address) => local = Some(address),
            AddressAttribute::Address(address) => given = Some(address),
            AddressAttribute::Flags(all) => flags = all.bits(),
            _ => {}
        }
    }
    let flags = AddressFlags::from_bits_retain(flags);
    Some(Address {
        index: header.index,
        address: VirtualAddress { address: local.or(given)?, prefix: header.prefix_len },
        secondary: flags.contains(AddressFlags::Secondary),
        tentative: flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed),
    })
}

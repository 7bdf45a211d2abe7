//! When a kernel got and lost its addresses, to the millisecond: told by rtnetlink.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    socket,
};
use std::os::fd::{AsRawFd, OwnedFd};

use super::worker::{Stop, Wait, Worker};

/// Groups of rtnetlink: addresses of IPv4 and of IPv6.
const GROUPS: u32 = 0x10 | 0x100;
const NEWADDR: u16 = 20;
const DELADDR: u16 = 21;
const GETADDR: u16 = 22;
const HEADER: usize = 16;
/// An `ifaddrmsg`: family, prefix, flags, scope, interface.
const BODY: usize = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// An address came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When it was heard of, at most about a millisecond after it happened.
    pub at: Instant,
    /// The address.
    pub address: IpAddr,
    /// Length of its prefix.
    pub prefix: u8,
    /// Index of its interface.
    pub interface: u32,
    /// Whether it came.
    pub added: bool,
}

/// Watches a namespace until dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    book: Arc<Mutex<Book>>,
    _worker: Worker,
}

#[derive(Debug, Default)]
struct Book {
    held: BTreeSet<(IpAddr, u8, u32)>,
    changes: Vec<Change>,
}

impl Watcher {
    /// Begins in the calling thread's namespace. What is there already counts as added now.
    ///
    /// # Errors
    /// When the system refuses the socket.
    pub(super) fn start() -> Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket =
            socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute);
        let socket = socket.context("no rtnetlink socket")?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))
            .context("cannot bind to rtnetlink")?;
        send(socket.as_raw_fd(), &question(), MsgFlags::empty())
            .context("rtnetlink takes no question")?;
        let book = Arc::new(Mutex::new(Book::default()));
        let notes = Arc::clone(&book);
        let worker = Worker::start("addresses", move |stop| watch(&socket, &stop, &notes))?;
        Ok(Self { book, _worker: worker })
    }

    pub(super) fn holds(&self, address: IpAddr) -> bool {
        self.book(|book| book.held.iter().any(|(held, ..)| *held == address))
    }

    pub(super) fn changes(&self, address: IpAddr) -> Vec<Change> {
        self.book(|book| {
            book.changes.iter().filter(|change| change.address == address).cloned().collect()
        })
    }

    fn book<T>(&self, read: impl FnOnce(&Book) -> T) -> T {
        read(&self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// For how long two kernels held an address together, between two moments.
#[must_use]
pub fn overlap(one: &[Change], other: &[Change], window: [Instant; 2]) -> Duration {
    let [from, to] = window;
    let mut moments: Vec<Instant> = one.iter().chain(other).map(|change| change.at).collect();
    moments.extend(window);
    moments.retain(|moment| *moment >= from && *moment <= to);
    moments.sort_unstable();
    let both = moments.windows(2).filter(|pair| held_at(one, pair[0]) && held_at(other, pair[0]));
    both.map(|pair| pair[1] - pair[0]).sum()
}

/// Whether any of the address's places held it right after `moment`.
fn held_at(changes: &[Change], moment: Instant) -> bool {
    let mut held = BTreeSet::new();
    for change in changes.iter().take_while(|change| change.at <= moment) {
        let place = (change.prefix, change.interface);
        if change.added {
            held.insert(place)
        } else {
            held.remove(&place)
        };
    }
    !held.is_empty()
}

fn watch(socket: &OwnedFd, stop: &Stop, book: &Mutex<Book>) {
    let mut buffer = vec![0; 64 * 1024];
    while stop.wait(socket.as_fd(), None) == Wait::Readable {
        let Ok(length) = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) else {
            continue;
        };
        let at = Instant::now();
        let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
        for (added, place) in addresses(&buffer[..length]) {
            // The kernel also tells of new flags of an old address.
            let new = if added { book.held.insert(place) } else { book.held.remove(&place) };
            if new {
                let (address, prefix, interface) = place;
                book.changes.push(Change { at, address, prefix, interface, added });
            }
        }
    }
}

/// Asks for all addresses there are.
fn question() -> Vec<u8> {
    const REQUEST_DUMP: u16 = 0x1 | 0x300;
    let mut bytes = Vec::new();
    bytes.extend(((HEADER + BODY) as u32).to_ne_bytes());
    bytes.extend(GETADDR.to_ne_bytes());
    bytes.extend(REQUEST_DUMP.to_ne_bytes());
    bytes.resize(HEADER + BODY, 0);
    bytes
}

type Told = (bool, (IpAddr, u8, u32));

fn addresses(mut bytes: &[u8]) -> Vec<Told> {
    let mut told = Vec::new();
    while bytes.len() >= HEADER {
        let length = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
        if length < HEADER || length > bytes.len() {
            break;
        }
        if kind == NEWADDR || kind == DELADDR {
            told.extend(address(&bytes[HEADER..length]).map(|place| (kind == NEWADDR, place)));
        }
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    told
}

fn address(body: &[u8]) -> Option<(IpAddr, u8, u32)> {
    let prefix = *body.get(1)?;
    let interface = u32::from_ne_bytes(body.get(4..8)?.try_into().ok()?);
    let (mut rest, mut found) = (body.get(BODY..)?, None);
    while rest.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([rest[0], rest[1]]));
        let kind = u16::from_ne_bytes([rest[2], rest[3]]);
        let value = rest.get(4..length)?;
        // With IPv4 the local address may differ from the other end's, and is the one that counts.
        if kind == IFA_LOCAL || (kind == IFA_ADDRESS && found.is_none()) {
            found = ip(value);
        }
        rest = &rest[length.next_multiple_of(4).min(rest.len())..];
    }
    Some((found?, prefix, interface))
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(value) {
        return Some(Ipv4Addr::from(four).into());
    }
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_counts_only_while_both_hold_the_address_within_the_window() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let change = |at, added| Change {
            at: ms(at),
            address: super::super::VIP,
            prefix: 32,
            interface: 2,
            added,
        };
        let one = [change(0, true), change(100, false), change(300, true)];
        let other = [change(60, true), change(320, false)];
        assert_eq!(overlap(&one, &other, [ms(0), ms(400)]), Duration::from_millis(60));
        assert_eq!(overlap(&one, &other, [ms(80), ms(310)]), Duration::from_millis(30));
        assert_eq!(overlap(&one, &[], [ms(0), ms(400)]), Duration::ZERO);
    }
}

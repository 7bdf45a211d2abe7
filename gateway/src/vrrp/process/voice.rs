//! The sockets that a virtual router sends with.

use std::io;
use std::net::IpAddr;

use super::netlink::Link;
use super::sockets::Sender;

/// As what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// As the active router, whose frames alone come from the virtual MAC.
    Active,
    /// As any other: a frame from the virtual MAC would lead the traffic of the active router here.
    Other,
}

/// Both of them, which are one where there is no macvlan to choose.
#[derive(Default)]
pub(super) struct Voice {
    active: Option<Sender>,
    other: Option<Sender>,
    apart: bool,
}

impl Voice {
    /// Sends from `source`: out of `place` as the active router, and out of `below` as any other.
    ///
    /// # Errors
    /// If there is no socket for it.
    pub(super) fn settle(
        &mut self,
        place: Option<&Link>,
        below: Option<&Link>,
        source: Option<IpAddr>,
    ) -> io::Result<()> {
        let below = below.filter(|below| place.is_some_and(|place| place.index != below.index));
        self.apart = below.is_some();
        settle(&mut self.active, place, source)?;
        settle(&mut self.other, below, source)
    }

    /// The one for this role, if there is any.
    pub(super) fn of(&self, role: Role) -> Option<&Sender> {
        match role {
            Role::Other if self.apart => self.other.as_ref(),
            Role::Active | Role::Other => self.active.as_ref(),
        }
    }
}

/// Keeps the socket if it is where it has to be, else opens another.
fn settle(
    sender: &mut Option<Sender>,
    at: Option<&Link>,
    source: Option<IpAddr>,
) -> io::Result<()> {
    if sender.as_ref().map(Sender::index) != at.map(|link| link.index) {
        *sender = None;
    }
    if let (None, Some(at), Some(source)) = (&sender, at, source) {
        *sender = Some(Sender::new(&at.name, at.index, source)?);
    }
    Ok(())
}

//! Does what the machines say.

use std::time::Duration;

use super::Driver;
use super::say::state;
use crate::vrrp::machine::{Action, LOWEST, Notice, Reason, State};
use crate::vrrp::process::voice::Role;
use crate::vrrp::talk::{Alarm, Level, Word};

/// How long addresses stay for the last words of their sessions once the peer has them.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(50);
/// And in any case: keepalived says that it takes over some milliseconds before it does.
const OVERLAP: Duration = Duration::from_millis(10);

impl Driver {
    /// Does all, in order, and gives the emptied list back for the next turn.
    pub(super) fn act(&mut self, mut actions: Vec<(usize, Action)>, now: Duration) {
        for (index, action) in actions.drain(..) {
            match action {
                Action::Advertise { priority } => self.send(index, priority, Role::Active),
                Action::Ask => self.send(index, LOWEST, Role::Other),
                Action::Claim => self.claim(index, now),
                Action::Withdraw { linger } => self.withdraw(index, linger, now),
                Action::Announce => self.stations[index].herald.again(now),
                Action::Transition { from, to, reason } => {
                    self.transition(index, (from, to), &reason)
                }
                Action::Notice(notice) => self.notice(index, &notice, now),
            }
        }
        self.actions = actions;
    }

    /// Sends an advertisement. One that cannot be sent is as good as lost: the next one follows.
    pub(super) fn send(&mut self, index: usize, priority: u8, role: Role) {
        let station = &mut self.stations[index];
        if let Err(error) = station.advertise(priority, role) {
            if station.port.is_none() && station.fault.is_some() {
                // There is no link to send over, as the fault has told.
                return;
            }
            station.count_error("send");
            let text = format!("an advertisement cannot be sent: {error}");
            self.log_rarely(index, Level::Warn, text, super::now());
        }
    }

    pub(super) fn claim(&mut self, index: usize, now: Duration) {
        let station = &mut self.stations[index];
        if let Err(error) = station.add_addresses(&mut self.netlink) {
            let text = format!("the virtual addresses cannot be added: {error}");
            self.log_failure(Some(index), text, now);
        }
        let station = &mut self.stations[index];
        station.herald.claimed(now);
        if !station.ipv6 {
            station.suspicion.claimed(now);
        }
        self.news = true;
    }

    /// Removes the addresses: now, or once their sessions have been told.
    fn withdraw(&mut self, index: usize, linger: bool, now: Duration) {
        let station = &mut self.stations[index];
        station.herald.withdrawn();
        station.suspicion.withdrawn();
        station.holds = false;
        // Over a link that is down no last word reaches anybody.
        let linger = linger && station.port.is_some();
        if linger {
            station.leaving = Some(now + LAST_WORDS);
        } else {
            self.remove(index);
        }
        let router = self.stations[index].config.id;
        self.pipe.say(&Word::Leaving { router, linger });
        self.news = true;
    }

    /// The sessions have had their last words: the addresses go as soon as they may.
    pub(super) fn close(&mut self, index: usize) {
        let Some(station) = self.stations.get_mut(index) else { return };
        station.leaving = station.leaving.map(|until| (until + OVERLAP).saturating_sub(LAST_WORDS));
    }

    pub(super) fn remove(&mut self, index: usize) {
        if let Err(error) = self.stations[index].remove_addresses(&mut self.netlink) {
            let text = format!("the virtual addresses cannot be removed: {error}");
            self.log_of(index, Level::Error, text);
        }
        self.news = true;
    }

    fn transition(&mut self, index: usize, (from, to): (State, State), reason: &Reason) {
        let priority = self.routers.get(index).map_or(0, |router| router.effective_priority());
        let router = self.stations[index].config.id;
        let fault = self.stations[index].fault.as_ref().filter(|_| *reason == Reason::Fault);
        let reason = fault.cloned().unwrap_or_else(|| reason.to_string());
        let (from, to) = (state(from), state(to));
        self.pipe.say(&Word::Transition { router, from, to, priority, reason });
        self.news = true;
    }

    fn notice(&mut self, index: usize, notice: &Notice, now: Duration) {
        let vrid = self.stations[index].vrid;
        let alarm = match notice {
            Notice::OtherInterval { .. } => Some((
                Alarm::OtherInterval,
                format!("{notice} (VRID {vrid}): set the same advertisement_interval on both"),
            )),
            Notice::TwoOwners { .. } => Some((
                Alarm::TwoOwners,
                format!("{notice} (VRID {vrid}): give one of them a priority below 255"),
            )),
            Notice::OwnAddress { .. } => Some((
                Alarm::OwnAddress,
                format!("{notice} (VRID {vrid}): give each gateway an address of its own"),
            )),
            Notice::NotHeard { .. } => Some((
                Alarm::NotHeard,
                format!(
                    "{notice} (VRID {vrid}): look for a firewall or switch that drops IP protocol 112 \
                     from this gateway"
                ),
            )),
            Notice::LowerPriority { .. } | Notice::LowerAddress { .. } | Notice::SentZero => None,
        };
        match alarm {
            Some((alarm, text)) => self.raise(index, alarm, text, now),
            None => self.log_rarely(index, Level::Info, notice.to_string(), now),
        }
    }

    /// A misconfiguration was seen: told once until it is over.
    pub(super) fn raise(&mut self, index: usize, alarm: Alarm, text: String, now: Duration) {
        if self.stations[index].alarms.raise(alarm, now) {
            let router = self.stations[index].config.id;
            self.pipe.say(&Word::Alarm { router, alarm, text: Some(text) });
        }
    }

    /// Removes addresses whose sessions have had their time.
    pub(super) fn keep_promises(&mut self, now: Duration) {
        for index in 0..self.stations.len() {
            if self.stations[index].leaving.is_some_and(|until| until <= now) {
                self.remove(index);
            }
            if self.stations[index].parts().is_some_and(|until| until <= now)
                && let Err(error) = self.stations[index].part(&mut self.netlink, now)
            {
                let text = format!("addresses that are not shared any more: {error}");
                self.log_of(index, Level::Error, text);
            }
        }
    }

    /// Announces what is due.
    pub(super) fn announce(&mut self, now: Duration) {
        for station in &mut self.stations {
            if station.herald.due().is_some_and(|due| due <= now) {
                let repeat = station.herald.take(now);
                station.announce(&self.frames, repeat);
            }
        }
    }
}

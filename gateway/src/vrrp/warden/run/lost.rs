//! What is given up: processes that were lost, and connections of addresses that leave.

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;
use tracing::{debug, error, info, warn};

use super::{Child, Guard, LAST_PATIENCE, LOOK, STOP_PATIENCE, Stopping};
use crate::vrrp::talk::{self, Order, State, Status, Word};
use crate::vrrp::warden::Close;
use crate::vrrp::warden::parting::{Due, Parting};

/// For a process to give up what it has once the socket is closed.
const END_PATIENCE: Duration = Duration::from_millis(500);

impl Guard {
    /// The process has ended, or is as good as that. The next one goes on with what it held if no peer can have missed it
    /// yet; else it gives that up.
    pub(super) fn lost(&mut self, why: &str, has_ended: bool, now: Instant) {
        let Some(Child { wire, mut process, started, .. }) = self.child.take() else { return };
        process.kill();
        drop(wire);
        self.dying.push(process);
        if self.over {
            return;
        }
        self.abandon(now);
        let held = self.slots.all.iter().any(|slot| slot.state == State::Active)
            || !self.orphaned.is_empty();
        let lived = now.saturating_duration_since(started);
        let resumes = has_ended && self.stopping.is_none() && self.restarts.is_rare(lived);
        let pause = self.restarts.pause(lived, held);
        self.restart = now + pause;
        if self.told.is_some() {
            self.broken(&format!("the VRRP process was lost at its start: {why}"));
        } else {
            error!(why, ?pause, "VRRP: the VRRP process is lost: starting another one");
        }
        self.leave_behind(resumes, now);
    }

    /// What a process was to go on with and did not is given up: too much time has passed.
    pub(super) fn abandon(&mut self, now: Instant) {
        for router in std::mem::take(&mut self.resuming) {
            self.orphan(router, now);
        }
    }

    fn orphan(&mut self, router: usize, now: Instant) {
        if !self.orphaned.contains(&router) {
            self.orphaned.push(router);
            self.part(router, true, false, now);
        }
    }

    /// Hands everything over, and ends then. Where no process runs, what the last one left is given up by a new one.
    pub(super) fn stop(&mut self, told: oneshot::Sender<()>, now: Instant) {
        let until = now + STOP_PATIENCE;
        self.stopping = Some(Stopping { until, last: false, _told: Some(told) });
        if self.child.is_some() {
            return self.say(&Order::Stop, now);
        }
        self.resuming.append(&mut self.resumed);
        self.abandon(now);
        self.over = self.orphaned.is_empty();
        self.restart = now;
    }

    /// Ends now, but for addresses that nobody but a process which is not set up yet can take off.
    pub(super) fn leave(&mut self, now: Instant) {
        self.resuming.append(&mut self.resumed);
        self.abandon(now);
        self.over = self.orphaned.is_empty();
        if !self.over {
            self.leaving = true;
            let until = now + LAST_PATIENCE;
            self.stopping = Some(Stopping { until, last: true, _told: None });
            self.restart = now;
        }
    }

    fn leave_behind(&mut self, resumes: bool, now: Instant) {
        let reason = "the VRRP process was lost".to_owned();
        let mut statuses = Vec::new();
        for at in 0..self.slots.all.len() {
            let slot = &mut self.slots.all[at];
            let state = std::mem::replace(&mut slot.state, State::Initialize);
            let holds = state == State::Active;
            let (router, released, leaving) = (slot.id, slot.releases.is(), slot.leaving);
            if holds && resumes && !released && !leaving {
                self.resumed.push(router);
            } else if holds {
                self.orphan(router, now);
            }
            if state != State::Initialize {
                let (from, to, reason) = (state, State::Initialize, reason.clone());
                let word = Word::Transition { router, from, to, priority: 0, reason };
                self.setup.board.hear(&word, SystemTime::now());
            }
            // The next process raises again what it sees itself, and knows of no others.
            for alarm in self.setup.board.alarms(router) {
                let over = Word::Alarm { router, alarm, text: None };
                self.setup.board.hear(&over, SystemTime::now());
            }
            statuses.push(Status {
                router,
                state: State::Initialize,
                priority: 0,
                released,
                holds,
                peer: None,
                counters: talk::Counters::default(),
            });
        }
        self.setup.board.hear(&Word::Status(statuses), SystemTime::now());
        // It has nothing any more to be handed over, or else another one sees to it at once.
        if let Some(stopping) = &mut self.stopping {
            stopping.until = stopping.until.min(now + LAST_PATIENCE);
            stopping.last = true;
            self.over = self.orphaned.is_empty();
            self.restart = now;
        }
    }

    pub(super) fn part(&mut self, router: usize, linger: bool, waits: bool, now: Instant) {
        let Some(slot) = self.slots.get(router) else { return };
        self.part_with(router, slot.addresses(), linger, waits, now);
    }

    /// These addresses leave, of whatever virtual router.
    pub(super) fn part_with(
        &mut self,
        router: usize,
        addresses: Vec<IpAddr>,
        linger: bool,
        waits: bool,
        now: Instant,
    ) {
        self.partings.retain_mut(|parting| !parting.forget(&addresses));
        self.partings.push(Parting::new(router, addresses, linger, waits, now));
        self.close(now);
    }

    /// These addresses are here from now on: whoever comes to them is not closed any more.
    pub(super) fn are_back(&mut self, addresses: &[IpAddr]) {
        self.partings.retain_mut(|parting| !parting.forget(addresses));
        (self.setup.closer)(addresses, Close::Over);
    }

    /// Closes connections of addresses that leave.
    pub(super) fn close(&mut self, now: Instant) {
        let mut closed = Vec::new();
        for parting in &mut self.partings {
            let Some(due) = parting.due(now) else { continue };
            let how = if due == Due::Tell { Close::Tell } else { Close::Cut };
            let left = (self.setup.closer)(&parting.addresses, how);
            if parting.are_left(left, now) {
                debug!(router = parting.router, left, "connections of the addresses are closed");
                closed.push(parting.router);
            }
            if parting.is_over() {
                (self.setup.closer)(&parting.addresses, Close::Over);
            }
        }
        self.partings.retain(|parting| !parting.is_over());
        for router in closed {
            self.say(&Order::Closed { router }, now);
        }
    }

    /// Waits for no process, but has seen the end of each.
    pub(super) fn bury(&mut self) {
        self.dying.retain_mut(|process| match process.ended() {
            Some(how) => {
                debug!(%how, "a VRRP process has ended");
                false
            }
            None => true,
        });
    }

    /// Leaves no process behind: once the socket is closed, it gives everything up and ends.
    pub(super) fn end(&mut self) {
        if let Some(Child { wire, process, .. }) = self.child.take() {
            drop(wire);
            self.dying.push(process);
        }
        let deadline = Instant::now() + END_PATIENCE;
        while !self.dying.is_empty() {
            self.bury();
            if self.dying.is_empty() {
                break;
            }
            if Instant::now() >= deadline {
                warn!("VRRP: the VRRP process does not end: killing it");
                self.dying.iter_mut().for_each(|process| process.kill());
                break;
            }
            std::thread::sleep(LOOK);
        }
        self.partings.iter_mut().for_each(Parting::hasten);
        self.close(Instant::now());
        info!("VRRP has ended");
    }
}

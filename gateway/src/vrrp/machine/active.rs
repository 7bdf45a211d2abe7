//! What an active router does: it advertises, answers others that take themselves for active, and leaves in order.

use std::cmp::Ordering;
use std::time::Duration;

use super::router::{Delay, Leaving, Serving};
use super::{Action, Heard, LEFT, LOWEST, Notice, Now, Peer, Reason, Router, State};

/// After so many advertisements of lower active routers in a row, all answered, nobody can say they heard us.
const NOT_HEARD: u32 = 10;

/// The longest that a router which is stopped waits for its successor.
const PATIENCE: Duration = Duration::from_secs(1);

impl Router {
    /// Advertises first, so that the others stand down, then takes the addresses.
    pub(super) fn become_active(&mut self, reason: Reason, now: Now, out: &mut Vec<Action>) {
        self.released = false;
        self.learned = None;
        self.backup.delay = Delay::None;
        self.backup.wanting = false;
        self.active = Serving { next: now + self.settings.interval, ..Serving::default() };
        out.push(Action::Advertise { priority: self.effective_priority() });
        out.push(Action::Claim);
        self.enter(State::Active, reason, out);
    }

    /// An advertisement of another active router has come (RFC 9568, 6.4.3).
    pub(super) fn active_hears(&mut self, heard: Heard, now: Now, out: &mut Vec<Action>) {
        let Heard { source, priority, .. } = heard;
        if source == self.settings.own {
            return out.push(Action::Notice(Notice::OwnAddress { source }));
        }
        let ours = self.advertised();
        if priority == LOWEST && ours > LOWEST {
            // A backup that asks, or one that leaves: it is answered, and no rival.
            self.answer(now, out);
            return out.push(Action::Announce);
        }
        let before = self.remember(heard, now);
        if priority == LEFT {
            return self.answer(now, out);
        }
        match priority.cmp(&ours).then(source.cmp(&self.settings.own)) {
            Ordering::Greater if priority > ours => {
                let reason = Reason::HigherPriority { source, priority, ours };
                self.stand_down(heard, before, reason, now, out);
            }
            Ordering::Greater => {
                let reason = Reason::HigherAddress { source, priority };
                self.stand_down(heard, before, reason, now, out);
            }
            Ordering::Less | Ordering::Equal => self.hear_lower_active(heard, now, out),
        }
        self.notice_mistakes(heard, out);
    }

    /// The time has come, or may have.
    pub(super) fn active_timer(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.active.leaving.is_some_and(|leaving| now >= leaving.until) {
            return self.leave_alone(now, out);
        }
        if now < self.active.next {
            return;
        }
        out.push(Action::Advertise { priority: self.advertised() });
        // From when it was due, not from when it was sent: else each interval would be a little longer.
        let next = self.active.next + self.settings.interval;
        self.active.next = if next > now { next } else { now + self.settings.interval };
    }

    /// Something changed that the advertisements hang on. That is no reason to stand down.
    pub(super) fn active_changes(
        &mut self,
        now: Now,
        out: &mut Vec<Action>,
        change: impl FnOnce(&mut Self),
    ) {
        let before = self.advertised();
        change(self);
        self.active.next = self.active.next.min(now + self.settings.interval);
        if self.advertised() != before {
            out.push(Action::Advertise { priority: self.advertised() });
        }
    }

    /// Somebody else may have the addresses by now: they go before anything is said.
    pub(super) fn active_paused(&mut self, now: Now, out: &mut Vec<Action>) {
        self.withdraw(false, Reason::Paused, now, out);
    }

    /// Has failed: says so and leaves at once.
    pub(super) fn fail_active(&mut self, now: Now, out: &mut Vec<Action>) {
        self.failing = true;
        out.push(Action::Advertise { priority: LEFT });
        self.withdraw(true, Reason::Fault, now, out);
        out.push(Action::Notice(Notice::SentZero));
    }

    /// Serves on until another has taken over, or long enough for a backup of any priority to have done so.
    pub(super) fn release_active(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.active.leaving.is_some() {
            return;
        }
        self.released = true;
        self.ask_for_successor(false, now + self.settings.interval * 4, now, out);
    }

    /// Stays after all.
    pub(super) fn reclaim_active(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.active.leaving.is_some_and(|leaving| leaving.stop) {
            return;
        }
        self.active_changes(now, out, |router| {
            router.released = false;
            router.active.leaving = None;
        });
    }

    /// As a release, but for good, and with little patience: somebody waits for the process to end.
    ///
    /// Whether there is a backup cannot be known, since backups are silent: so a lone router waits, too.
    pub(super) fn stop_active(&mut self, now: Now, out: &mut Vec<Action>) {
        let wait = (self.settings.interval * 4).min(PATIENCE);
        match &mut self.active.leaving {
            None => self.ask_for_successor(true, now + wait, now, out),
            Some(leaving) => {
                leaving.until = leaving.until.min(now + wait);
                leaving.stop = true;
            }
        }
    }

    /// Leaves because another member of the sync group does.
    ///
    /// The own priority first, for an active router that has to announce itself, then priority 0 for a backup that has
    /// heard nothing of a change.
    pub(super) fn leave_with_group(&mut self, now: Now, out: &mut Vec<Action>) {
        out.push(Action::Advertise { priority: self.advertised() });
        out.push(Action::Advertise { priority: LEFT });
        self.withdraw(true, Reason::Group, now, out);
        out.push(Action::Notice(Notice::SentZero));
    }

    /// Leaves for good, and nobody is to follow: the rest of its sync group stays.
    pub(super) fn leave_unsaid(&mut self, now: Now, out: &mut Vec<Action>) {
        self.active.leaving = Some(Leaving { until: now, stop: true });
        self.withdraw(true, Reason::Stopped, now, out);
    }

    fn ask_for_successor(&mut self, stop: bool, until: Now, now: Now, out: &mut Vec<Action>) {
        self.active.leaving = Some(Leaving { until, stop });
        out.push(Action::Advertise { priority: self.advertised() });
        self.active.next = now + self.settings.interval;
    }

    /// Nobody has taken over in time.
    fn leave_alone(&mut self, now: Now, out: &mut Vec<Action>) {
        out.push(Action::Advertise { priority: LEFT });
        self.withdraw(true, Reason::Released, now, out);
        out.push(Action::Notice(Notice::SentZero));
    }

    /// Another one is to be active. A last advertisement makes it announce itself: clients may not know it yet.
    ///
    /// The first wait goes by the own interval, so that one forged advertisement costs no more than a lost one; that is
    /// learned only from a second advertisement that says the same.
    fn stand_down(
        &mut self,
        heard: Heard,
        before: Option<Peer>,
        reason: Reason,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        out.push(Action::Advertise { priority: self.advertised() });
        self.withdraw(true, reason, now, out);
        let said = |peer: Peer| peer.source == heard.source && peer.interval == heard.interval;
        if before.is_some_and(said) && self.state == State::Backup {
            self.backup_changes(now, |router| router.learn(heard));
        }
    }

    /// Gives up the addresses and goes where it has to.
    fn withdraw(&mut self, linger: bool, reason: Reason, now: Now, out: &mut Vec<Action>) {
        out.push(Action::Withdraw { linger });
        let stop = self.active.leaving.is_some_and(|leaving| leaving.stop);
        self.active = Serving::default();
        if stop {
            self.stopped = true;
            let reason = if reason == Reason::Released { Reason::Stopped } else { reason };
            self.enter(State::Initialize, reason, out);
        } else if self.failing {
            self.enter(State::Fault, reason, out);
        } else {
            self.become_backup(reason, now, out);
        }
    }

    /// Another active router that has to yield: we say that we are here, and call clients back that it may have taken.
    fn hear_lower_active(&mut self, heard: Heard, now: Now, out: &mut Vec<Action>) {
        let Heard { source, priority, interval } = heard;
        let ours = self.advertised();
        self.answer(now, out);
        out.push(Action::Announce);
        out.push(Action::Notice(if priority < ours {
            Notice::LowerPriority { source, priority, ours }
        } else {
            Notice::LowerAddress { source, priority }
        }));
        let pause = now.saturating_sub(self.active.lower_heard);
        let row = pause <= interval.min(self.longest()) * 4;
        self.active.lower = if row { self.active.lower.saturating_add(1) } else { 1 };
        self.active.lower_heard = now;
        if self.active.lower == NOT_HEARD {
            out.push(Action::Notice(Notice::NotHeard { source }));
        }
    }

    /// Advertises out of turn, at most ten times in an interval whatever comes in.
    fn answer(&mut self, now: Now, out: &mut Vec<Action>) {
        let pause = self.active.answered.map(|at| now.saturating_sub(at));
        if pause.is_some_and(|pause| pause < self.settings.interval / 10) {
            return;
        }
        self.active.answered = Some(now);
        out.push(Action::Advertise { priority: self.advertised() });
    }
}

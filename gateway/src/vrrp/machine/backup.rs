//! What a backup does: it follows the active router, and takes over when it has to.

use std::net::IpAddr;
use std::time::Duration;

use super::router::{Delay, Wait};
use super::{Action, CENTISECOND, Heard, LEFT, LOWEST, Notice, Now, Peer, Reason, Router, State};

impl Router {
    /// Becomes a backup with a fresh down timer over the own interval.
    pub(super) fn become_backup(&mut self, reason: Reason, now: Now, out: &mut Vec<Action>) {
        self.enter(State::Backup, reason, out);
        self.learned = None;
        self.backup.delay = Delay::None;
        self.wait(Wait::Down, now);
    }

    /// An advertisement has come (RFC 9568, 6.4.2).
    pub(super) fn backup_hears(&mut self, heard: Heard, now: Now, out: &mut Vec<Action>) {
        if heard.source == self.settings.own {
            return out.push(Action::Notice(Notice::OwnAddress { source: heard.source }));
        }
        if self.is_question(heard, now) {
            return;
        }
        self.hear_answer(heard, now);
        let before = self.remember(heard, now);
        if heard.priority == LEFT {
            self.hasten(Wait::Left, now);
        } else if heard.priority >= self.effective_priority() {
            self.backup.delay = Delay::None;
            self.follow(heard, before, now);
        } else {
            self.hear_lower(heard, before, now, out);
        }
        self.notice_mistakes(heard, out);
    }

    /// The time has come, or may have.
    pub(super) fn backup_timer(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.backup.wanting {
            return;
        }
        if now >= self.backup.due {
            let ours = self.effective_priority();
            let reason = match self.backup.wait {
                Wait::Down => Reason::DownTimer,
                Wait::Left => Reason::PriorityZero,
                Wait::Fell(Heard { source, priority, .. }) => {
                    Reason::PeerFell { source, priority, ours }
                }
            };
            self.take_over(reason, now, out);
            return;
        }
        if matches!(self.backup.delay, Delay::Running(until) if now >= until) {
            self.backup.delay = Delay::Over;
            if let Some(peer) = self.peer.filter(|peer| self.may_preempt(peer.priority)) {
                return self.preempt(peer.source, peer.priority, now, out);
            }
        }
        if let Some(at) = self.questions.due().filter(|at| now >= *at) {
            self.ask(at, now, out);
        }
    }

    /// Something changed that the wait hangs on. One that is over stays so.
    pub(super) fn backup_changes(&mut self, now: Now, change: impl FnOnce(&mut Self)) {
        change(self);
        if self.backup.due > now {
            self.backup.due = self.backup.from + self.length(self.backup.wait);
        }
    }

    /// Begins a wait.
    pub(super) fn wait(&mut self, wait: Wait, now: Now) {
        self.backup.wait = wait;
        self.backup.from = now;
        self.backup.due = now + self.length(wait);
        self.backup.wanting = false;
        self.questions.stop();
    }

    /// Begins a wait unless the one under way is shorter.
    fn hasten(&mut self, wait: Wait, now: Now) {
        if self.backup.wanting || now + self.length(wait) < self.backup.due {
            self.wait(wait, now);
        }
    }

    fn length(&self, wait: Wait) -> Duration {
        match wait {
            Wait::Down => self.down_interval(),
            Wait::Left if !self.settings.fast => self.skew(),
            Wait::Left | Wait::Fell(_) => self.skew() / 10,
        }
    }

    /// An active router of a lower priority. By the RFC the down timer just runs on.
    fn hear_lower(&mut self, heard: Heard, before: Option<Peer>, now: Now, out: &mut Vec<Action>) {
        let ours = self.effective_priority();
        let known = before.filter(|peer| peer.source == heard.source);
        let fell = known.is_some_and(|peer| peer.priority >= ours);
        // The lowest priority after a higher one is a peer that is leaving and waits for us: that is no preemption,
        // and ends the delay for one.
        let leaving = heard.priority == LOWEST && known.is_some_and(|peer| peer.priority > LOWEST);
        let again = matches!(self.backup.wait, Wait::Fell(first)
            if first.source == heard.source && first.priority >= heard.priority);
        if self.released {
            self.follow(heard, before, now);
        } else if again {
            // The time since it fell counts.
        } else if leaving {
            self.hasten(Wait::Fell(heard), now);
        } else if !self.settings.preempt {
            self.follow(heard, before, now);
        } else if self.settings.preempt_delay.is_zero() {
            if fell {
                self.hasten(Wait::Fell(heard), now);
            }
        } else {
            self.hear_lower_in_delay(heard, before, now, out);
        }
    }

    /// An active router of a lower priority, which is to be left alone for a while.
    fn hear_lower_in_delay(
        &mut self,
        heard: Heard,
        before: Option<Peer>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let until = match self.backup.delay {
            Delay::None => now + self.settings.preempt_delay,
            Delay::Running(until) => until,
            Delay::Over => now,
        };
        if now < until {
            self.backup.delay = Delay::Running(until);
            self.follow(heard, before, now);
        } else {
            self.backup.delay = Delay::Over;
            self.preempt(heard.source, heard.priority, now, out);
        }
    }

    fn may_preempt(&self, priority: u8) -> bool {
        self.settings.preempt && !self.released && priority < self.effective_priority()
    }

    fn preempt(&mut self, source: IpAddr, priority: u8, now: Now, out: &mut Vec<Action>) {
        let ours = self.effective_priority();
        self.take_over(Reason::PreemptDelay { source, priority, ours }, now, out);
    }

    /// Takes the router for the active one and waits for its next advertisement.
    ///
    /// Its interval is learned at once from the router that is followed already, and where none was known. From any
    /// other it is learned by its second advertisement, so that a single forged one changes nothing.
    fn follow(&mut self, heard: Heard, before: Option<Peer>, now: Now) {
        if before.is_none_or(|peer| peer.source == heard.source) {
            self.learn(heard);
        }
        self.wait(Wait::Down, now);
        self.plan_question(heard, now);
    }

    /// Goes by the active router's interval, within bounds.
    pub(super) fn learn(&mut self, heard: Heard) {
        self.learned = Some(heard.interval.clamp(CENTISECOND, self.longest()));
    }

    /// Becomes active, if the sync group lets it. A peer that told us to is no matter of doubt.
    pub(super) fn take_over(&mut self, reason: Reason, now: Now, out: &mut Vec<Action>) {
        let told = matches!(reason, Reason::PriorityZero | Reason::PeerFell { .. });
        if self.backup.held_back && !told {
            self.backup.wanting = true;
        } else {
            self.become_active(reason, now, out);
        }
    }
}

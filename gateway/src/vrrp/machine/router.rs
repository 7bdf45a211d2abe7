//! One virtual router: what it knows, its times, and what it does with each event in each state.

use std::time::Duration;

use super::question::Questions;
use super::{
    Action, CENTISECOND, Event, Heard, LOWEST, Notice, Now, OWNER, Peer, Reason, Settings, State,
};

/// The machine of one virtual router.
///
/// ```text
///                 Start                  down timer, priority 0, a peer fell
///  Initialize --------------> Backup -----------------------------------------> Active
///      |  ^                    ^  |                                              |  |
///      |  |   all is well again|  | Fault      higher one heard, paused, released|  |
///      |  +---- Stop ----+     |  v            <---------------------------------+  |
///      +---------------> Fault ---+  <----------------- Fault ----------------------+
/// ```
#[derive(Debug)]
pub struct Router {
    pub(super) settings: Settings,
    pub(super) state: State,
    /// What tracked things cost of the priority.
    penalty: u8,
    /// Something it cannot be without has failed.
    pub(super) failing: bool,
    /// Another gateway should serve, if one can.
    pub(super) released: bool,
    /// It was stopped, which is for good.
    pub(super) stopped: bool,
    pub(super) peer: Option<Peer>,
    /// The interval learned from the active router; none while it is our own.
    pub(super) learned: Option<Duration>,
    pub(super) backup: Waiting,
    pub(super) active: Serving,
    pub(super) questions: Questions,
}

/// What a backup waits for.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) wait: Wait,
    /// When the wait began.
    pub(super) from: Now,
    /// When it ends, and this router takes over.
    pub(super) due: Now,
    pub(super) delay: Delay,
    /// Its sync group is not ready to become active.
    pub(super) held_back: bool,
    /// It would have taken over, but was held back.
    pub(super) wanting: bool,
}

/// How long a backup waits.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// The down interval.
    #[default]
    Down,
    /// The skew time: the active router has left.
    Left,
    /// A tenth of the skew time: this active router's priority fell, and it serves until somebody takes over.
    Fell(Heard),
}

/// The delay for which a lower active router is left alone.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delay {
    /// Not begun.
    #[default]
    None,
    /// Until then.
    Running(Now),
    /// Over.
    Over,
}

/// What an active router is about.
#[derive(Debug, Default)]
pub(super) struct Serving {
    /// When its next advertisement is due.
    pub(super) next: Now,
    /// It wants to leave.
    pub(super) leaving: Option<Leaving>,
    /// When it last answered another active router out of turn.
    pub(super) answered: Option<Now>,
    /// Lower active routers heard in a row.
    pub(super) lower: u32,
    /// When the last of them was heard.
    pub(super) lower_heard: Now,
}

/// An active router that wants to leave and waits for a successor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    /// How long it waits.
    pub(super) until: Now,
    /// It leaves for good.
    pub(super) stop: bool,
}

impl Router {
    /// A router that waits for [`Event::Start`].
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings: sane(settings),
            state: State::Initialize,
            penalty: 0,
            failing: false,
            released: false,
            stopped: false,
            peer: None,
            learned: None,
            backup: Waiting::default(),
            active: Serving::default(),
            questions: Questions::default(),
        }
    }

    /// Something happened. What has to be done is added to `out`, in order.
    pub fn step(&mut self, event: Event, now: Now, out: &mut Vec<Action>) {
        match (self.state, event) {
            (State::Initialize, Event::Start) => self.start(now, out),
            (State::Initialize, Event::Resume) => self.resume(now, out),
            (State::Initialize, Event::Advertisement(_)) => {}
            (State::Initialize, Event::Timer) => {}
            (State::Initialize, Event::Penalty(penalty)) => self.penalty = penalty,
            (State::Initialize, Event::Fault(failing)) => self.failing = failing,
            (State::Initialize, Event::Paused) => {}
            (State::Initialize, Event::Release) => self.released = true,
            (State::Initialize, Event::Reclaim) => self.released = false,
            (State::Initialize, Event::Stop) => self.stopped = true,
            (State::Initialize, Event::Change(settings)) => self.settings = sane(settings),

            (State::Backup, Event::Start | Event::Resume) => {}
            (State::Backup, Event::Advertisement(heard)) => self.backup_hears(heard, now, out),
            (State::Backup, Event::Timer) => self.backup_timer(now, out),
            (State::Backup, Event::Penalty(penalty)) => {
                self.backup_changes(now, |router| router.penalty = penalty);
            }
            (State::Backup, Event::Fault(true)) => self.fail(out),
            (State::Backup, Event::Fault(false)) => {}
            (State::Backup, Event::Paused) => self.wait(Wait::Down, now),
            (State::Backup, Event::Release) => {
                self.backup_changes(now, |router| router.released = true);
            }
            (State::Backup, Event::Reclaim) => {
                self.backup_changes(now, |router| router.released = false);
            }
            (State::Backup, Event::Stop) => self.stop(out),
            (State::Backup, Event::Change(settings)) => {
                self.backup_changes(now, |router| router.change(settings, now));
            }

            (State::Active, Event::Start | Event::Resume) => {}
            (State::Active, Event::Advertisement(heard)) => self.active_hears(heard, now, out),
            (State::Active, Event::Timer) => self.active_timer(now, out),
            (State::Active, Event::Penalty(penalty)) => {
                self.active_changes(now, out, |router| router.penalty = penalty);
            }
            (State::Active, Event::Fault(true)) => self.fail_active(now, out),
            (State::Active, Event::Fault(false)) => {}
            (State::Active, Event::Paused) => self.active_paused(now, out),
            (State::Active, Event::Release) => self.release_active(now, out),
            (State::Active, Event::Reclaim) => self.reclaim_active(now, out),
            (State::Active, Event::Stop) => self.stop_active(now, out),
            (State::Active, Event::Change(settings)) => {
                self.active_changes(now, out, |router| router.change(settings, now));
            }

            (State::Fault, Event::Start | Event::Resume) => {}
            (State::Fault, Event::Advertisement(heard)) => {
                self.remember(heard, now);
            }
            (State::Fault, Event::Timer) => {}
            (State::Fault, Event::Penalty(penalty)) => self.penalty = penalty,
            (State::Fault, Event::Fault(true)) => {}
            (State::Fault, Event::Fault(false)) => self.recover(now, out),
            (State::Fault, Event::Paused) => {}
            (State::Fault, Event::Release) => self.released = true,
            (State::Fault, Event::Reclaim) => self.released = false,
            (State::Fault, Event::Stop) => self.stop(out),
            (State::Fault, Event::Change(settings)) => self.settings = sane(settings),
        }
    }

    /// When [`Event::Timer`] is due; none while nothing is waited for.
    #[must_use]
    pub fn due(&self) -> Option<Now> {
        match self.state {
            State::Initialize | State::Fault => None,
            State::Backup if self.backup.wanting => None,
            State::Backup => {
                let due =
                    self.questions.due().map_or(self.backup.due, |at| at.min(self.backup.due));
                Some(match self.backup.delay {
                    Delay::Running(until) => until.min(due),
                    Delay::None | Delay::Over => due,
                })
            }
            State::Active => {
                let next = self.active.next;
                Some(self.active.leaving.map_or(next, |leaving| leaving.until.min(next)))
            }
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The configured priority less the penalty, at least 1.
    #[must_use]
    pub fn effective_priority(&self) -> u8 {
        self.settings.priority.saturating_sub(self.penalty).max(LOWEST)
    }

    /// Has an operator asked that another gateway serve?
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.released
    }

    /// The router last heard as active, if it has not said since that it left.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// How long an active router has to be silent until this one takes it for lost: three of its intervals and the
    /// skew time (RFC 9568, 6.1).
    #[must_use]
    pub fn down_interval(&self) -> Duration {
        self.interval() * 3 + self.skew()
    }

    /// The priority it advertises: the lowest while it wants to leave. A released backup waits as one of this priority.
    pub(super) fn advertised(&self) -> u8 {
        let leaving = self.state == State::Active && self.active.leaving.is_some();
        if self.released || leaving { LOWEST } else { self.effective_priority() }
    }

    /// The active router's interval: our own, or the one learned from a peer.
    pub(super) fn interval(&self) -> Duration {
        self.learned.unwrap_or(self.settings.interval)
    }

    /// How much longer it waits than a router of priority 256 would (RFC 9568, 6.1).
    pub(super) fn skew(&self) -> Duration {
        self.interval() * (256 - u32::from(self.advertised())) / 256
    }

    /// The longest interval that a peer can make us believe in.
    pub(super) fn longest(&self) -> Duration {
        self.settings.interval * self.settings.longest_learned
    }

    /// Notes who is active, and gives what was known before.
    pub(super) fn remember(&mut self, heard: Heard, now: Now) -> Option<Peer> {
        let Heard { source, priority, interval } = heard;
        let before = self.peer.filter(|peer| now.saturating_sub(peer.heard) <= self.longest() * 4);
        if priority > 0 {
            self.peer = Some(Peer { source, priority, interval, heard: now });
        } else if self.peer.is_some_and(|peer| peer.source == source) {
            self.peer = None;
        }
        before
    }

    /// Tells what looks like a mistake in somebody's configuration.
    pub(super) fn notice_mistakes(&self, heard: Heard, out: &mut Vec<Action>) {
        let Heard { source, priority, interval } = heard;
        if priority == OWNER && self.settings.priority == OWNER {
            out.push(Action::Notice(Notice::TwoOwners { source }));
        }
        if priority > 0 && interval != self.settings.interval {
            let ours = self.settings.interval;
            out.push(Action::Notice(Notice::OtherInterval { source, interval, ours }));
        }
    }

    /// Changes the state and tells it.
    pub(super) fn enter(&mut self, to: State, reason: Reason, out: &mut Vec<Action>) {
        let from = std::mem::replace(&mut self.state, to);
        out.push(Action::Transition { from, to, reason });
    }

    /// Begins as the owner of the address or as a backup.
    fn start(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.stopped {
            return;
        }
        if self.failing {
            return self.enter(State::Fault, Reason::Fault, out);
        }
        if self.is_owner() {
            return self.become_active(Reason::Owner, now, out);
        }
        self.become_backup(Reason::Started, now, out);
        let Settings { preempt, preempt_delay, .. } = self.settings;
        if preempt && !preempt_delay.is_zero() {
            self.backup.delay = Delay::Running(now + preempt_delay);
        }
    }

    /// Begins as the active router that it was.
    fn resume(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.stopped || self.failing || self.released {
            self.start(now, out);
        } else {
            self.become_active(Reason::Resumed, now, out);
        }
    }

    /// Comes back after a fault.
    fn recover(&mut self, now: Now, out: &mut Vec<Action>) {
        self.failing = false;
        if self.is_owner() {
            self.become_active(Reason::Recovered, now, out);
        } else {
            self.become_backup(Reason::Recovered, now, out);
        }
    }

    /// Fails without having been active.
    fn fail(&mut self, out: &mut Vec<Action>) {
        self.failing = true;
        self.enter(State::Fault, Reason::Fault, out);
    }

    /// Stops without having been active.
    fn stop(&mut self, out: &mut Vec<Action>) {
        self.stopped = true;
        self.enter(State::Initialize, Reason::Stopped, out);
    }

    /// Owns the address and has not given it away.
    fn is_owner(&self) -> bool {
        self.effective_priority() == OWNER && !self.released
    }

    /// Takes other settings while it runs.
    fn change(&mut self, settings: Settings, now: Now) {
        self.settings = sane(settings);
        let Settings { preempt, preempt_delay, .. } = self.settings;
        self.backup.delay = match self.backup.delay {
            Delay::Running(_) if !preempt || preempt_delay.is_zero() => Delay::None,
            Delay::Running(until) => Delay::Running(until.min(now + preempt_delay)),
            Delay::None | Delay::Over => self.backup.delay,
        };
        self.learned = self.learned.map(|learned| learned.clamp(CENTISECOND, self.longest()));
    }
}

/// The settings within their bounds.
fn sane(mut settings: Settings) -> Settings {
    settings.priority = settings.priority.max(LOWEST);
    settings.interval = settings.interval.max(CENTISECOND);
    settings.longest_learned = settings.longest_learned.max(1);
    settings
}

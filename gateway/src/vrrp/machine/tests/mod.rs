//! Tests of one router, and what they share.

#![allow(clippy::unwrap_used)]

mod active;
mod ask;
mod backup;
mod group;
mod leaving;
mod table;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::{Action, Event, Heard, Notice, Now, Router, Settings, State};

/// The interval of all routers here, unless they say another.
pub(super) const INTERVAL: Duration = ms(100);

pub(super) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(super) const fn us(microseconds: u64) -> Duration {
    Duration::from_micros(microseconds)
}

/// 10.0.0.`last`.
pub(super) fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

/// The router under test is 10.0.0.10.
pub(super) fn settings(priority: u8) -> Settings {
    Settings {
        priority,
        interval: INTERVAL,
        preempt: true,
        preempt_delay: Duration::ZERO,
        own: ip(10),
        longest_learned: 10,
        fast: false,
    }
}

/// An advertisement of 10.0.0.`last`.
pub(super) fn advert(last: u8, priority: u8) -> Event {
    slow(last, priority, INTERVAL)
}

/// An advertisement with another interval.
pub(super) fn slow(last: u8, priority: u8, interval: Duration) -> Event {
    Event::Advertisement(Heard { source: ip(last), priority, interval })
}

/// A router and its time.
pub(super) struct Bench {
    pub(super) router: Router,
    pub(super) now: Now,
}

impl Bench {
    /// A router that has not been started.
    pub(super) fn new(settings: Settings) -> Self {
        Self { router: Router::new(settings), now: ms(1_000_000) }
    }

    pub(super) fn backup(settings: Settings) -> Self {
        let mut bench = Self::new(settings);
        bench.tell(Event::Start);
        assert_eq!(bench.router.state(), State::Backup);
        bench
    }

    pub(super) fn active(settings: Settings) -> Self {
        let mut bench = Self::backup(settings);
        bench.run_out();
        assert_eq!(bench.router.state(), State::Active);
        bench
    }

    pub(super) fn fault(settings: Settings) -> Self {
        let mut bench = Self::backup(settings);
        bench.tell(Event::Fault(true));
        bench
    }

    /// What it does about the event, now.
    pub(super) fn tell(&mut self, event: Event) -> String {
        let mut out = Vec::new();
        self.router.step(event, self.now, &mut out);
        out.iter().filter_map(short).collect::<Vec<_>>().join(", ")
    }

    /// What it does about the event, later.
    pub(super) fn later(&mut self, by: Duration, event: Event) -> String {
        self.now += by;
        self.tell(event)
    }

    /// What it notices.
    pub(super) fn notices(&mut self, event: Event) -> Vec<Notice> {
        let mut out = Vec::new();
        self.router.step(event, self.now, &mut out);
        let notices = out.into_iter().filter_map(|action| match action {
            Action::Notice(notice) => Some(notice),
            _ => None,
        });
        notices.collect()
    }

    /// Waits until it is due, and lets it.
    pub(super) fn run_out(&mut self) -> String {
        self.now = self.router.due().unwrap();
        self.tell(Event::Timer)
    }

    /// How long until it is due.
    pub(super) fn left(&self) -> Option<Duration> {
        self.router.due().map(|due| due.saturating_sub(self.now))
    }
}

/// An action in a word or two; notices have tests of their own.
pub(super) fn short(action: &Action) -> Option<String> {
    match action {
        Action::Advertise { priority } => Some(format!("advertise {priority}")),
        Action::Ask => Some("ask".into()),
        Action::Claim => Some("claim".into()),
        Action::Withdraw { linger: true } => Some("withdraw".into()),
        Action::Withdraw { linger: false } => Some("withdraw at once".into()),
        Action::Announce => Some("announce".into()),
        Action::Transition { from, to, .. } => Some(format!("{from} to {to}")),
        Action::Notice(_) => None,
    }
}

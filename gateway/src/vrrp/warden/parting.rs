//! Connections of addresses that leave this gateway: told to go, waited for, cut. Pure: the time is an argument.

use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long the VRRP process is kept waiting for connections that have not closed yet.
const LINGER: Duration = Duration::from_millis(50);
/// When those that are left are cut.
const CUT: Duration = Duration::from_millis(100);
/// When those are cut that were still on their way: in the queue of a listener, say.
const SWEEP: Duration = Duration::from_secs(1);
/// How often it is looked whether all are gone.
const LOOK: Duration = Duration::from_millis(5);

/// What connections are to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// To close in order, at once.
    Tell,
    /// To end without a further word.
    Cut,
    /// Nothing: connections may come again.
    Over,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Tell those that are there, and say with [`Parting::are_left`] how many there are.
    Tell,
    /// Cut them.
    Cut,
}

/// Addresses of a virtual router that leave.
#[derive(Debug)]
pub(super) struct Parting {
    /// Its id.
    pub(super) router: usize,
    /// The addresses.
    pub(super) addresses: Vec<IpAddr>,
    began: Instant,
    /// Does the VRRP process wait?
    waits: bool,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Telling,
    Cutting,
    Sweeping,
    Over,
}

impl Parting {
    /// Of addresses that are there for a moment yet if `linger`. `waits`: does the VRRP process want to be told when it
    /// may remove them?
    pub(super) fn new(
        router: usize,
        addresses: Vec<IpAddr>,
        linger: bool,
        waits: bool,
        now: Instant,
    ) -> Self {
        let stage = if linger { Stage::Telling } else { Stage::Cutting };
        let began = if linger { now } else { now - CUT };
        Self { router, addresses, began, waits, stage }
    }

    /// What is due at `now`.
    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        let since = now.saturating_duration_since(self.began);
        match self.stage {
            Stage::Telling if since < CUT => Some(Due::Tell),
            Stage::Telling | Stage::Cutting => {
                self.stage = Stage::Sweeping;
                Some(Due::Cut)
            }
            Stage::Sweeping if since >= SWEEP => {
                self.stage = Stage::Over;
                Some(Due::Cut)
            }
            Stage::Sweeping | Stage::Over => None,
        }
    }

    /// The addresses are gone: what their connections say cannot be heard any more.
    pub(super) fn hasten(&mut self) {
        if self.stage == Stage::Telling {
            self.stage = Stage::Cutting;
        }
    }

    /// So many connections were there at `now`. `true`, once only: the VRRP process may go on.
    pub(super) fn are_left(&mut self, left: usize, now: Instant) -> bool {
        let late = now.saturating_duration_since(self.began) >= LINGER;
        let done = left == 0 || late;
        done && std::mem::replace(&mut self.waits, false)
    }

    /// These addresses are back. Is nothing left that leaves?
    pub(super) fn forget(&mut self, back: &[IpAddr]) -> bool {
        self.addresses.retain(|address| !back.contains(address));
        self.addresses.is_empty()
    }

    /// Is nothing due any more?
    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// When to look again.
    pub(super) fn next(&self, now: Instant) -> Instant {
        match self.stage {
            Stage::Telling => now + LOOK,
            Stage::Cutting | Stage::Over => now,
            Stage::Sweeping => self.began + SWEEP,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_process_goes_on_as_soon_as_all_are_gone() {
        let start = Instant::now();
        let mut parting = Parting::new(0, Vec::new(), true, true, start);
        assert_eq!(parting.due(start), Some(Due::Tell));
        assert!(!parting.are_left(3, start));
        assert_eq!(parting.due(start + 5 * MS), Some(Due::Tell));
        assert!(parting.are_left(0, start + 5 * MS));
        assert!(!parting.are_left(0, start + 10 * MS), "said once");
    }

    #[test]
    fn it_waits_fifty_milliseconds_and_whoever_is_left_after_a_hundred_is_cut() {
        let start = Instant::now();
        let mut parting = Parting::new(0, Vec::new(), true, true, start);
        assert!(!parting.are_left(1, start + 49 * MS));
        assert!(parting.are_left(1, start + 50 * MS));
        assert_eq!(parting.due(start + 99 * MS), Some(Due::Tell));
        assert_eq!(parting.due(start + 100 * MS), Some(Due::Cut));
        assert_eq!(parting.due(start + 101 * MS), None);
        assert_eq!(parting.next(start + 101 * MS), start + 1000 * MS);
        assert_eq!(parting.due(start + 1000 * MS), Some(Due::Cut), "who was on the way");
        assert!(parting.is_over());
    }

    #[test]
    fn whoever_was_told_is_cut_once_the_process_has_ended() {
        let start = Instant::now();
        let mut parting = Parting::new(0, Vec::new(), true, true, start);
        assert_eq!(parting.due(start), Some(Due::Tell));
        parting.hasten();
        assert_eq!(parting.due(start + 66 * MS), Some(Due::Cut));
        parting.hasten();
        assert_eq!(parting.due(start + 67 * MS), None, "once");
    }

    #[test]
    fn connections_of_an_address_that_is_gone_are_cut_at_once() {
        let start = Instant::now();
        let mut parting = Parting::new(0, Vec::new(), false, true, start);
        assert_eq!(parting.due(start), Some(Due::Cut));
        assert!(parting.are_left(7, start));
    }
}

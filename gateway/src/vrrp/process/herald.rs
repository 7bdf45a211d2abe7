//! When the addresses of a virtual router are announced to the neighbours. Pure: time comes as an argument.
//!
//! Announcements stand behind advertisements: they are many, and a neighbour that learns of the move late is better than
//! a peer that hears of us late and takes over again.

use std::time::Duration;

/// Neighbours may not have been ready, and a router that has just lost the addresses may have answered for a moment.
const SOON: Duration = Duration::from_millis(100);
/// At most so often for reasons that a peer can cause and goes on causing: 8 a second.
const GAP: Duration = Duration::from_millis(125);
/// A peer that has just made itself active announces itself after it has said so, keepalived by up to 12 ms on a busy
/// machine, and stands down without a word. So our answer is announced again when it has.
const ECHOES: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(80), Duration::from_secs(1)];
/// What a peer causes after such a silence is a new affair. Three announcements each: fewer than ten a second.
const QUIET: Duration = Duration::from_millis(310);

/// Addresses that are put back again sooner than this are not announced as if they were new.
const BETWEEN_CLAIMS: Duration = Duration::from_secs(1);

/// The schedule of one virtual router; see [`Garp`](crate::config::model::Garp).
#[derive(Debug)]
pub(super) struct Herald {
    repeat: u32,
    delay: Duration,
    refresh: Option<Duration>,
    /// Times that are due, each with how many announcements of each address. At most one of a kind.
    due: Vec<(Kind, Duration, u32)>,
    /// The last time anything was announced.
    last: Option<Duration>,
    /// The last time the addresses were put on.
    claimed: Option<Duration>,
    /// The last time a peer was a reason to.
    asked: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Claimed,
    Soon,
    Delayed,
    Refresh,
    Again,
    Echo,
}

impl Herald {
    pub(super) fn new(repeat: u32, delay: Duration, refresh: Option<Duration>) -> Self {
        Self { repeat, delay, refresh, due: Vec::new(), last: None, claimed: None, asked: None }
    }

    /// Another schedule. What is due already stays so; `holds`: are the addresses ours?
    pub(super) fn change(
        &mut self,
        repeat: u32,
        delay: Duration,
        refresh: Option<Duration>,
        holds: bool,
        now: Duration,
    ) {
        let other = refresh != self.refresh;
        (self.repeat, self.delay, self.refresh) = (repeat, delay, refresh);
        if other {
            self.due.retain(|(kind, ..)| *kind != Kind::Refresh);
            if let Some(refresh) = refresh.filter(|_| holds) {
                self.plan(Kind::Refresh, now + refresh, 1);
            }
        }
    }

    /// The addresses are ours from `now` on.
    pub(super) fn claimed(&mut self, now: Duration) {
        self.claimed = Some(now);
        self.due.clear();
        self.plan(Kind::Claimed, now, self.repeat);
        self.plan(Kind::Soon, now + SOON, 1);
        if self.delay > Duration::ZERO {
            self.plan(Kind::Delayed, now + self.delay, self.repeat);
        }
        if let Some(refresh) = self.refresh {
            self.plan(Kind::Refresh, now + refresh, 1);
        }
    }

    /// The addresses are back after somebody removed them. One who does so again and again must not flood the network.
    pub(super) fn restored(&mut self, now: Duration) {
        if self.claimed.is_some_and(|claimed| now.saturating_sub(claimed) < BETWEEN_CLAIMS) {
            self.again(now);
        } else {
            self.claimed(now);
        }
    }

    /// Neighbours may have been misled: say it again, but not too often.
    pub(super) fn again(&mut self, now: Duration) {
        let asked = self.asked.replace(now);
        if asked.is_none_or(|asked| now.saturating_sub(asked) >= QUIET) {
            self.plan(Kind::Again, now, 1);
            self.due.retain(|(kind, ..)| *kind != Kind::Echo);
            ECHOES.iter().for_each(|after| self.plan(Kind::Echo, now + *after, 1));
        } else if self.due.iter().all(|(kind, ..)| *kind != Kind::Again) {
            let at = self.last.map_or(now, |last| now.max(last + GAP));
            self.plan(Kind::Again, at, 1);
        }
    }

    /// The addresses are not ours any more.
    pub(super) fn withdrawn(&mut self) {
        self.due.clear();
    }

    /// When there is something to do next.
    pub(super) fn due(&self) -> Option<Duration> {
        self.due.iter().map(|(_, at, _)| *at).min()
    }

    /// How many announcements of each address are due at `now`.
    pub(super) fn take(&mut self, now: Duration) -> u32 {
        let mut count = 0;
        let mut refreshed = false;
        self.due.retain(|(kind, at, repeat)| {
            let is_due = *at <= now;
            if is_due {
                count = count.max(*repeat);
                refreshed |= *kind == Kind::Refresh;
            }
            !is_due
        });
        if let Some(refresh) = self.refresh.filter(|_| refreshed) {
            self.plan(Kind::Refresh, now + refresh, 1);
        }
        if count > 0 {
            self.last = Some(now);
        }
        count
    }

    fn plan(&mut self, kind: Kind, at: Duration, repeat: u32) {
        self.due.push((kind, at, repeat));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// All announcements until `end`, as (milliseconds, how many).
    fn run(herald: &mut Herald, end: Duration) -> Vec<(u128, u32)> {
        let mut all = Vec::new();
        while let Some(at) = herald.due().filter(|at| *at <= end) {
            all.push((at.as_millis(), herald.take(at)));
        }
        all
    }

    #[test]
    fn a_claim_is_announced_at_once_soon_after_the_delay_and_then_refreshed() {
        let mut herald = Herald::new(5, 5000 * MS, Some(10_000 * MS));
        herald.claimed(1000 * MS);
        let expected = [(1000, 5), (1100, 1), (6000, 5), (11_000, 1), (21_000, 1)];
        assert_eq!(run(&mut herald, 22_000 * MS), expected);
    }

    #[test]
    fn a_peer_causes_at_most_ten_announcements_a_second_and_the_last_word_is_announced() {
        let mut herald = Herald::new(5, Duration::ZERO, None);
        herald.claimed(Duration::ZERO);
        assert_eq!(run(&mut herald, 200 * MS), [(0, 5), (100, 1)]);
        let mut counts = [0; 2];
        for at in 1000..3000u32 {
            herald.again(at * MS);
            counts[at as usize / 1000 - 1] += herald.take(at * MS);
        }
        assert_eq!(counts, [10, 8]);
        // What was asked for in between is not forgotten.
        assert_eq!(run(&mut herald, 4000 * MS).len(), 1);
    }

    #[test]
    fn a_peer_of_whatever_interval_causes_at_most_ten_announcements_a_second() {
        for interval in [10, 100, 250, 309, 310, 311, 400, 999, 1000, 5000] {
            let mut herald = Herald::new(5, Duration::ZERO, None);
            let count: u32 = (0..20_000u32)
                .map(|at| {
                    if at % interval == 0 {
                        herald.again(at * MS);
                    }
                    herald.take(at * MS)
                })
                .sum();
            assert!(count <= 200, "{count} with {interval} ms");
        }
    }

    #[test]
    fn what_a_peer_causes_once_is_announced_again_after_its_own_late_announcements() {
        let mut herald = Herald::new(5, Duration::ZERO, None);
        for start in [0, 60_000] {
            herald.again(start * MS);
            let start = u128::from(start);
            let expected = [(start, 1), (start + 20, 1), (start + 80, 1), (start + 1000, 1)];
            assert_eq!(run(&mut herald, 100_000 * MS), expected);
        }
    }

    #[test]
    fn who_removes_an_address_again_and_again_causes_a_bounded_number_of_announcements() {
        let mut herald = Herald::new(5, Duration::ZERO, None);
        herald.claimed(Duration::ZERO);
        let count: u32 = (0..10_000u32)
            .map(|at| {
                herald.restored(at * MS);
                herald.take(at * MS)
            })
            .sum();
        // Each second: as if they were new, and eight more.
        assert!((60..=170).contains(&count), "{count}");
    }

    #[test]
    fn another_schedule_announces_nothing_by_itself() {
        let mut herald = Herald::new(5, Duration::ZERO, Some(10_000 * MS));
        herald.claimed(Duration::ZERO);
        run(&mut herald, 1000 * MS);
        herald.change(2, Duration::ZERO, Some(3000 * MS), true, 1000 * MS);
        assert_eq!(run(&mut herald, 8000 * MS), [(4000, 1), (7000, 1)]);
        herald.change(2, Duration::ZERO, None, true, 8000 * MS);
        assert_eq!(herald.due(), None);
        herald.change(2, Duration::ZERO, Some(3000 * MS), false, 8000 * MS);
        assert_eq!(herald.due(), None, "they are not ours");
    }

    #[test]
    fn nothing_is_announced_once_the_addresses_are_gone() {
        let mut herald = Herald::new(5, 5000 * MS, Some(10_000 * MS));
        herald.claimed(Duration::ZERO);
        herald.withdrawn();
        assert_eq!(herald.due(), None);
    }
}

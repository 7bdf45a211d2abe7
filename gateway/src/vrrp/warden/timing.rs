//! When the gateway speaks, and how long it waits. Pure: the time is an argument.

use std::time::{Duration, Instant};

use crate::config::model::VirtualRouter;

/// A gateway whose control runtime does nothing for so long counts as dead.
const LIFELESS: Duration = Duration::from_secs(3);
/// A thread that wakes up so late was not let run: whoever it waited for may not have been either.
const STANDSTILL: Duration = Duration::from_millis(500);
/// For the VRRP process to open its sockets and to clean up.
const START: Duration = Duration::from_secs(5);
/// A process that lived longer did not die of how it was started.
const LONG_LIFE: Duration = Duration::from_secs(10);
/// Pause before the second new start in a row; doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often the gateway shows that it lives, and what silence means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// From one beat to the next.
    pub(super) beat: Duration,
    /// Silence of the gateway after which the VRRP process takes it for dead.
    pub(super) patience: Duration,
    /// Silence of the VRRP process after which it is killed.
    pub(super) silence: Duration,
}

impl Times {
    /// Of these virtual routers.
    pub(super) fn of<'a>(
        routers: impl IntoIterator<Item = &'a VirtualRouter>,
        real_time: bool,
    ) -> Self {
        let intervals = routers.into_iter().map(|router| router.advertisement_interval);
        Self::new(intervals.min().unwrap_or(Duration::from_secs(1)), real_time)
    }

    /// `interval` = the shortest advertisement interval; `real_time`: is the thread that sends the beats let run at once?
    pub(super) fn new(interval: Duration, real_time: bool) -> Self {
        let beat = interval.clamp(Duration::from_millis(10), Duration::from_millis(100));
        let patience = match real_time {
            true => (3 * beat).max(Duration::from_millis(300)),
            false => (10 * beat).max(Duration::from_secs(2)),
        };
        Self { beat, patience, silence: (3 * patience).max(Duration::from_secs(1)) }
    }
}

/// Whether the gateway's control runtime lives, and the VRRP process.
#[derive(Debug)]
pub(super) struct Vigil {
    /// When this was looked at last.
    looked: Instant,
    /// The control runtime's counter, and when it moved last.
    counter: u64,
    moved: Instant,
    /// Until when the VRRP process has to say something.
    until: Instant,
    lapsed: bool,
}

impl Vigil {
    pub(super) fn new(now: Instant) -> Self {
        Self { looked: now, counter: 0, moved: now, until: now, lapsed: false }
    }

    /// A process was started.
    pub(super) fn started(&mut self, now: Instant) {
        self.until = now + START;
    }

    /// It has said something.
    pub(super) fn heard(&mut self, now: Instant, times: Times) {
        self.until = now + times.silence;
    }

    /// To be called often: does the control runtime live, whose counter stands at `counter`?
    pub(super) fn lives(&mut self, counter: u64, now: Instant, times: Times) -> bool {
        let stood_still = now.saturating_duration_since(self.looked) > STANDSTILL;
        self.looked = now;
        if counter != self.counter || stood_still {
            self.counter = counter;
            self.moved = now;
        }
        if stood_still {
            self.until = self.until.max(now + times.silence);
        }
        let lives = now.saturating_duration_since(self.moved) < LIFELESS;
        if lives == self.lapsed {
            self.lapsed = !lives;
            // Without beats it has nothing to answer, and some time to end.
            self.until = self.until.max(now + START);
        }
        lives
    }

    /// When the VRRP process will have been silent for too long.
    pub(super) fn until(&self) -> Instant {
        self.until
    }
}

/// When a process that died may be started again: at once, but not again and again.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    pause: Duration,
    /// Has the last process died at its start, and left addresses behind?
    dies_of_them: bool,
}

impl Restarts {
    /// Was no process lost shortly before one that has lived for `lived`?
    pub(super) fn is_rare(&self, lived: Duration) -> bool {
        self.pause.is_zero() || lived >= LONG_LIFE
    }

    /// The pause before the next start, if the last process has lived for `lived`.
    ///
    /// None if it left addresses behind (`held`): somebody has to see to them at once.
    pub(super) fn pause(&mut self, lived: Duration, held: bool) -> Duration {
        if lived >= LONG_LIFE {
            self.pause = Duration::ZERO;
        }
        let pause = self.pause;
        self.pause = (2 * pause).clamp(PAUSE, LONGEST_PAUSE);
        // One that dies of having them is no exception, but for the first time.
        let dies_of_them = held && lived < PAUSE;
        let again = std::mem::replace(&mut self.dies_of_them, dies_of_them);
        if held && !(dies_of_them && again) { Duration::ZERO } else { pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn beats_are_as_frequent_as_advertisements_within_bounds() {
        let times = |interval, real_time| Times::new(interval, real_time);
        assert_eq!(
            times(100 * MS, true),
            Times { beat: 100 * MS, patience: 300 * MS, silence: SECOND }
        );
        assert_eq!(times(SECOND, true), times(100 * MS, true));
        assert_eq!(times(10 * MS, true).beat, 10 * MS);
        assert_eq!(times(10 * MS, true).patience, 300 * MS);
        assert_eq!(times(100 * MS, false).patience, 2 * SECOND);
        assert_eq!(times(100 * MS, false).silence, 6 * SECOND);
    }

    #[test]
    fn a_gateway_whose_control_runtime_hangs_for_three_seconds_counts_as_dead() {
        let (start, times) = (Instant::now(), Times::new(100 * MS, true));
        let mut vigil = Vigil::new(start);
        for step in 0..100 {
            assert!(vigil.lives(step, start + 100 * MS * step as u32, times));
        }
        let hung = start + 9900 * MS;
        let mut lived = true;
        for step in 1..=30 {
            lived = vigil.lives(99, hung + 100 * MS * step, times);
            assert_eq!(lived, step < 30, "{step}");
        }
        assert!(!lived && vigil.until() > hung + 3 * SECOND, "it has time to end");
        assert!(vigil.lives(100, hung + 3100 * MS, times));
    }

    #[test]
    fn nobody_is_judged_right_after_a_standstill() {
        let (start, times) = (Instant::now(), Times::new(100 * MS, true));
        let mut vigil = Vigil::new(start);
        vigil.heard(start, times);
        assert!(vigil.lives(1, start + 100 * MS, times));
        let back = start + 10 * SECOND;
        assert!(vigil.lives(1, back, times));
        assert_eq!(vigil.until(), back + times.silence);
    }

    #[test]
    fn a_process_that_keeps_dying_is_started_ever_more_rarely_until_it_lives() {
        let mut restarts = Restarts::default();
        let mut pauses = || restarts.pause(SECOND, false).as_millis();
        let first: Vec<_> = (0..9).map(|_| pauses()).collect();
        assert_eq!(first, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(restarts.pause(11 * SECOND, false), Duration::ZERO);
        assert_eq!(restarts.pause(SECOND, false), 100 * MS);
    }

    #[test]
    fn a_process_that_dies_with_addresses_is_followed_at_once_unless_it_dies_of_them() {
        let mut restarts = Restarts::default();
        for _ in 0..9 {
            assert_eq!(restarts.pause(SECOND, true), Duration::ZERO);
        }
        assert_eq!(restarts.pause(MS, true), Duration::ZERO, "the first time");
        assert_eq!(restarts.pause(MS, true), 5 * SECOND);
        assert_eq!(restarts.pause(MS, true), 5 * SECOND);
        assert_eq!(restarts.pause(SECOND, true), Duration::ZERO);
    }
}

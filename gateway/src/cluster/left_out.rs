//! How long something that failed is left out: longer with every failure in a row, and never for good.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// For how long at first; doubled by each further failure.
const FIRST: Duration = Duration::from_millis(500);
/// For how long at most.
const LONGEST: Duration = Duration::from_secs(8);

/// Whether it is left out, and until when.
#[derive(Debug)]
pub struct LeftOut {
    failures: AtomicU32,
    /// Milliseconds after `born` until which it is left out; 0 = it is not.
    until: AtomicU64,
    born: Instant,
}

impl Default for LeftOut {
    fn default() -> Self {
        Self { failures: AtomicU32::new(0), until: AtomicU64::new(0), born: Instant::now() }
    }
}

impl LeftOut {
    /// Did it fail last, and has it not succeeded since?
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.until.load(Ordering::Relaxed) != 0
    }

    /// Is it left out at `now`? Changes nothing.
    #[must_use]
    pub fn is_out(&self, now: Instant) -> bool {
        self.millis(now) < self.until.load(Ordering::Relaxed)
    }

    /// May it be tried at `now`?
    ///
    /// When its time of being left out is over, the one who asks first gets it as a trial; for the others it stays
    /// left out until that trial succeeds or as long again.
    pub fn try_usable(&self, now: Instant) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let now = self.millis(now);
        if now < until {
            return false;
        }
        let again = now + millis(self.time());
        self.until.compare_exchange(until, again, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// It failed: leave it out for a while. Returns for how long.
    pub fn failed(&self, now: Instant) -> Duration {
        let until = self.until.load(Ordering::Relaxed);
        if let Some(left) = until.checked_sub(self.millis(now)).filter(|_| until > 0) {
            // Others have found out at the same time: that is one failure, not many.
            return Duration::from_millis(left);
        }
        let time = self.time();
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.until.store(self.millis(now) + millis(time), Ordering::Relaxed);
        time
    }

    /// It succeeded. Returns whether it had been failing.
    pub fn succeeded(&self) -> bool {
        self.until.store(0, Ordering::Relaxed);
        self.failures.swap(0, Ordering::Relaxed) > 0
    }

    fn time(&self) -> Duration {
        let failures = self.failures.load(Ordering::Relaxed).min(8);
        (FIRST * 2_u32.pow(failures)).min(LONGEST)
    }

    fn millis(&self, now: Instant) -> u64 {
        // Never 0, which means "not left out".
        millis(now.saturating_duration_since(self.born)) + 1
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_left_out_then_tried_once() {
        let (node, start) = (LeftOut::default(), Instant::now());
        assert!(node.try_usable(start));
        let time = node.failed(start);
        assert!(!node.try_usable(start + time / 2) && node.is_out(start + time / 2));
        let later = start + time + Duration::from_millis(2);
        assert!(node.try_usable(later), "the trial");
        assert!(!node.try_usable(later), "everybody else waits for the trial");
        assert!(node.has_failed() && node.succeeded());
        assert!(node.try_usable(later));
        assert!(!node.has_failed() && !node.succeeded());
    }

    #[test]
    fn repeated_failures_leave_it_out_longer_but_not_forever() {
        let (node, start) = (LeftOut::default(), Instant::now());
        let mut now = start;
        let times: Vec<_> = (0..8)
            .map(|_| {
                let time = node.failed(now);
                now += time + Duration::from_millis(1);
                time
            })
            .collect();
        assert!(times.windows(2).all(|w| w[0] <= w[1]));
        assert_eq!(times.last(), Some(&LONGEST));
    }
}

//! How many lines a second a tap gets: a token bucket that several threads draw from, by the coarse clock.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::worker::Clock;

/// Lines a second.
pub(super) const RATE: u32 = 1000;
/// Lines at once, when there were none for a while.
pub(super) const BURST: u32 = RATE;
const A_TICK: u32 = RATE * Clock::TICK.as_millis() as u32 / 1000;

/// The tick of the last refill in the high half, what is left in the low one.
#[derive(Debug)]
pub(super) struct Bucket(AtomicU64);

impl Default for Bucket {
    fn default() -> Self {
        Self(AtomicU64::new(u64::from(BURST)))
    }
}

impl Bucket {
    /// Is there a line to be had at this tick?
    pub(super) fn take(&self, tick: u32) -> bool {
        let draw = |state: u64| {
            let (last, left) = ((state >> 32) as u32, state as u32);
            // Another thread may have seen a later tick.
            let passed = tick.saturating_sub(last);
            let left = passed.saturating_mul(A_TICK).saturating_add(left).min(BURST);
            let now = u64::from(last.max(tick)) << 32;
            left.checked_sub(1).map(|left| now | u64::from(left))
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, draw).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_there_are_so_many_a_second() {
        let bucket = Bucket::default();
        let taken = |tick| std::iter::repeat_with(|| bucket.take(tick)).take_while(|t| *t).count();
        assert_eq!(taken(7), BURST as usize);
        assert_eq!(taken(7), 0);
        assert_eq!(taken(8), A_TICK as usize);
        assert_eq!(taken(6), 0, "a thread that is late");
        assert_eq!(taken(12), RATE as usize);
        assert_eq!(taken(4_000_000_000), BURST as usize);
    }
}

//! How long something took, of late: counts by size, of which whoever looks takes the difference to the time before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts for each doubling of the time: a value is told to within a quarter of itself.
const STEPS: u32 = 4;
/// From four microseconds to half an hour.
const DOUBLINGS: u32 = 31;
const BUCKETS: usize = (STEPS * DOUBLINGS) as usize;

/// Counts observations; each costs one addition.
#[derive(Debug)]
pub struct Latencies([AtomicU64; BUCKETS]);

/// The observations up to some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread([u64; BUCKETS]);

impl Default for Latencies {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Latencies {
    /// It took so long.
    pub fn observe(&self, took: Duration) {
        if let Some(count) = self.0.get(bucket(took)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All observations so far.
    #[must_use]
    pub fn spread(&self) -> Spread {
        Spread(std::array::from_fn(|at| self.0[at].load(Ordering::Relaxed)))
    }
}

impl Default for Spread {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Spread {
    /// Those that `before` does not have.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at].saturating_sub(before.0[at])))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// So large a `share` of them took no longer than this; `None` if there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = (self.count() as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let at = self.0.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(upper(at))
    }
}

fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(4);
    let doublings = micros.ilog2();
    // The two bits below the first tell the quarter.
    let quarter = micros >> (doublings - 2) & 3;
    let at = u64::from(doublings * STEPS) + quarter;
    usize::try_from(at).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The end of a bucket.
fn upper(at: usize) -> Duration {
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    let (doublings, quarter) = (at / STEPS, at % STEPS);
    let micros = f64::from(doublings).exp2() * (1.0 + f64::from(quarter + 1) / f64::from(STEPS));
    Duration::from_secs_f64(micros / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_told_to_within_a_quarter() {
        for micros in [1_u64, 3, 10, 999, 4_200, 77_000, 1_500_000, 90_000_000] {
            let latencies = Latencies::default();
            let took = Duration::from_micros(micros);
            latencies.observe(took);
            let told = latencies.spread().quantile(0.99).expect("one");
            assert!(told >= took, "{took:?} is told as {told:?}");
            assert!(micros < 4 || told <= took.mul_f64(1.26), "{took:?} is told as {told:?}");
        }
        let endless = Latencies::default();
        endless.observe(Duration::MAX);
        assert_eq!(endless.spread().count(), 1);
    }

    #[test]
    fn only_what_came_since_counts() {
        let latencies = Latencies::default();
        (0..1000).for_each(|_| latencies.observe(Duration::from_secs(5)));
        let before = latencies.spread();
        (0..99).for_each(|_| latencies.observe(Duration::from_millis(1)));
        latencies.observe(Duration::from_secs(1));
        let since = latencies.spread().since(&before);
        assert_eq!(since.count(), 100);
        assert!(since.quantile(0.99).expect("some") < Duration::from_millis(2));
        assert!(since.quantile(1.0).expect("some") > Duration::from_millis(999));
        assert_eq!(before.since(&before).quantile(0.99), None);
    }
}

//! When to warn of a certificate's end.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// Days before the end, the latest first; 0 = it is over.
const THRESHOLDS: [u32; 5] = [0, 1, 7, 14, 30];

const DAY: Duration = Duration::from_secs(24 * 3600);

/// From when until when something is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

impl Lifetime {
    /// The threshold that is reached at `now`. One that was reached the day it began does not count: whoever renews a
    /// certificate every week knows that it ends within the month.
    fn reached(self, now: SystemTime) -> Option<u32> {
        let whole = self.not_after.duration_since(self.not_before).unwrap_or_default();
        let left = self.not_after.duration_since(now).unwrap_or_default();
        let counts = |days: &u32| *days == 0 || DAY * *days < whole;
        THRESHOLDS.into_iter().filter(counts).find(|days| left <= DAY * *days)
    }
}

/// What has been warned of.
#[derive(Debug, Default)]
pub(super) struct Warned {
    /// For each certificate, by where it is named: its end, and the threshold.
    last: HashMap<String, (SystemTime, u32)>,
}

impl Warned {
    /// The threshold, in days, that the certificate at `key` has reached since it was looked at last. Each is told once.
    pub(super) fn news(&mut self, key: &str, lifetime: Lifetime, now: SystemTime) -> Option<u32> {
        let Some(reached) = lifetime.reached(now) else {
            self.last.remove(key);
            return None;
        };
        match self.last.get(key) {
            Some((end, told)) if *end == lifetime.not_after && *told <= reached => None,
            _ => {
                self.last.insert(key.to_owned(), (lifetime.not_after, reached));
                Some(reached)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * day
    }

    fn lifetime(from: u32, to: u32) -> Lifetime {
        Lifetime { not_before: day(from), not_after: day(to) }
    }

    #[test]
    fn each_threshold_is_told_once_and_the_end_last() {
        let mut warned = Warned::default();
        let told: Vec<_> = (0..120)
            .filter_map(|now| Some((now, warned.news("x", lifetime(0, 100), day(now))?)))
            .collect();
        assert_eq!(told, [(70, 30), (86, 14), (93, 7), (99, 1), (100, 0)]);
    }

    #[test]
    fn at_the_start_only_the_closest_threshold_is_told() {
        let mut warned = Warned::default();
        assert_eq!(warned.news("x", lifetime(0, 100), day(95)), Some(7));
        assert_eq!(warned.news("x", lifetime(0, 100), day(96)), None);
        assert_eq!(warned.news("y", lifetime(0, 100), day(200)), Some(0));
    }

    #[test]
    fn a_renewed_certificate_begins_anew() {
        let mut warned = Warned::default();
        assert_eq!(warned.news("x", lifetime(0, 100), day(99)), Some(1));
        assert_eq!(warned.news("x", lifetime(99, 199), day(99)), None);
        assert_eq!(warned.news("x", lifetime(99, 199), day(198)), Some(1));
        // One that ends as soon as the old one is no better.
        assert_eq!(warned.news("x", lifetime(50, 200), day(198)), Some(7));
    }

    #[test]
    fn a_certificate_for_a_week_is_not_warned_of_the_day_it_is_issued() {
        let mut warned = Warned::default();
        assert_eq!(warned.news("x", lifetime(0, 7), day(0)), None);
        assert_eq!(warned.news("x", lifetime(0, 7), day(6)), Some(1));
    }
}

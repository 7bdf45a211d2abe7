//! How many transitions of a virtual router are told: a peer can cause as many as it likes. Pure: the time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many within the span are told one by one.
const MOST: usize = 20;
const SPAN: Duration = Duration::from_secs(10);
/// The others are summed up so often.
const SUM: Duration = Duration::from_secs(1);

/// The transitions of a virtual router that were told, and those that were not.
#[derive(Debug, Default)]
pub(super) struct Pace {
    told: VecDeque<Instant>,
    more: u64,
    /// When they are summed up.
    due: Option<Instant>,
}

impl Pace {
    /// One has happened: is it told by itself?
    pub(super) fn tells(&mut self, now: Instant) -> bool {
        let told = &mut self.told;
        while told.front().is_some_and(|at| now.saturating_duration_since(*at) >= SPAN) {
            told.pop_front();
        }
        // Behind others that are still to be summed up, it would be told out of turn.
        let tells = self.due.is_none() && told.len() < MOST;
        if tells {
            told.push_back(now);
        } else {
            self.more += 1;
            self.due.get_or_insert(now + SUM);
        }
        tells
    }

    /// When the others are to be summed up, if there are any.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// How many others there were, once that is due.
    pub(super) fn more(&mut self, now: Instant) -> Option<u64> {
        self.due.take_if(|due| now >= *due).map(|_| std::mem::take(&mut self.more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_flood_is_summed_up_once_a_second() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        let told: Vec<_> = (0..1000).filter(|&at| pace.tells(start + at * MS)).collect();
        assert_eq!(told, (0..20).collect::<Vec<_>>());
        assert_eq!(pace.due(), Some(start + 1020 * MS));
        assert_eq!(pace.more(start + 1019 * MS), None);
        assert_eq!(pace.more(start + 1020 * MS), Some(980));
        assert_eq!((pace.due(), pace.more(start + 2000 * MS)), (None, None));
    }

    #[test]
    fn what_happens_now_and_then_is_told_one_by_one() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        assert!((0..1000).all(|count| pace.tells(start + count * 500 * MS)));
        let quiet = start + 510_000 * MS;
        assert!((0..20).all(|_| pace.tells(quiet)) && !pace.tells(quiet));
    }
}

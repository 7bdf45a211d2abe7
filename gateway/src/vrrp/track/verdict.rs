//! How long something tracked counts as failed, and what all of it costs. Pure: the time is an argument.

use std::time::{Duration, Instant};

use crate::config::model::Cost;
use crate::vrrp::warden::Burden;

/// Whether a tracked thing counts as well.
#[derive(Debug)]
pub struct Standing {
    wrong: Option<String>,
    /// Since when it has been well again, while that does not count yet.
    well: Option<Instant>,
    /// Has it ever been well?
    known: bool,
    hold: Duration,
}

impl Standing {
    /// Of something that nobody has looked at: it is not well, for the reason `unknown`. After a failure it has to be well
    /// for as long as `hold`.
    #[must_use]
    pub fn new(unknown: String, hold: Duration) -> Self {
        Self { wrong: Some(unknown), well: None, known: false, hold }
    }

    /// It was looked at: what is wrong? Tells whether it counts otherwise now than before.
    pub fn look(&mut self, wrong: Option<String>, now: Instant) -> bool {
        let failed = self.wrong.is_some();
        if let Some(wrong) = wrong {
            self.well = None;
            // What was known of it before it was ever well was nothing.
            let news = !failed || !self.known;
            let news = news && self.wrong.as_ref() != Some(&wrong);
            self.wrong = Some(wrong);
            return news;
        }
        let since = *self.well.get_or_insert(now);
        if !self.known || now.saturating_duration_since(since) >= self.hold {
            (self.wrong, self.well, self.known) = (None, None, true);
        }
        failed != self.wrong.is_some()
    }

    /// What is wrong with it; `None` = it counts as well.
    #[must_use]
    pub fn wrong(&self) -> Option<&str> {
        self.wrong.as_deref()
    }

    /// When to look again for that alone.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.well.map(|since| since + self.hold)
    }
}

/// What all tracked things of a virtual router cost together: penalties add up, and a fault is a fault.
pub fn sum<'a>(things: impl IntoIterator<Item = (Cost, Option<&'a str>)>) -> Burden {
    let mut burden = Burden::default();
    for (cost, wrong) in things {
        let Some(wrong) = wrong else { continue };
        match cost {
            Cost::Weight(weight) => burden.penalty = burden.penalty.saturating_add(weight),
            Cost::Fault => drop(burden.fault.get_or_insert_with(|| wrong.to_owned())),
        }
    }
    burden
}

/// The results of a script, of which so many in a row count.
#[derive(Debug)]
pub struct Rounds {
    rise: u32,
    fall: u32,
    well: Option<bool>,
    streak: u32,
}

impl Rounds {
    /// `rise` successes in a row are well, `fall` failures are not.
    #[must_use]
    pub fn new(rise: u32, fall: u32) -> Self {
        Self { rise, fall, well: None, streak: 0 }
    }

    /// One more result. Does it count as well now? The first one decides alone.
    pub fn take(&mut self, success: bool) -> bool {
        let Some(well) = self.well else {
            self.well = Some(success);
            return success;
        };
        if success == well {
            self.streak = 0;
            return well;
        }
        self.streak += 1;
        if self.streak < if success { self.rise } else { self.fall } {
            return well;
        }
        (self.well, self.streak) = (Some(success), 0);
        success
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn wrong() -> Option<String> {
        Some("broken".to_owned())
    }

    #[test]
    fn a_failure_counts_at_once_and_wellness_once_it_has_lasted() {
        let now = Instant::now();
        let mut standing = Standing::new("unknown".to_owned(), SECOND);
        assert_eq!(standing.wrong(), Some("unknown"));
        assert!(standing.look(None, now), "the first time at once");
        assert_eq!(standing.wrong(), None);
        assert!(standing.look(wrong(), now));
        assert!(!standing.look(wrong(), now));
        assert!(!standing.look(None, now));
        assert_eq!(standing.next(), Some(now + SECOND));
        assert!(!standing.look(wrong(), now + SECOND / 2), "it was not over");
        assert!(!standing.look(None, now + SECOND));
        assert!(!standing.look(None, now + SECOND * 19 / 10));
        assert_eq!(standing.wrong(), Some("broken"));
        assert!(standing.look(None, now + 2 * SECOND));
        assert_eq!((standing.wrong(), standing.next()), (None, None));
    }

    #[test]
    fn costs_add_up_to_a_limit_and_a_fault_is_a_fault() {
        let weight = |weight, wrong| (Cost::Weight(weight), wrong);
        assert_eq!(sum([weight(40, None), (Cost::Fault, None)]), Burden::default());
        let burden = sum([weight(40, Some("a")), weight(20, Some("b")), weight(9, None)]);
        assert_eq!(burden, Burden { penalty: 60, fault: None });
        let burden =
            sum([weight(200, Some("a")), weight(200, Some("b")), (Cost::Fault, Some("c"))]);
        assert_eq!(burden, Burden { penalty: 255, fault: Some("c".to_owned()) });
    }

    #[test]
    fn a_script_has_to_rise_and_to_fall_but_for_its_first_result() {
        let mut rounds = Rounds::new(2, 3);
        assert!(!rounds.take(false));
        let results = [true, false, true, true, false, false, true, false, false, false];
        let taken = results.map(|result| rounds.take(result));
        let expected = [false, false, false, true, true, true, true, true, true, false];
        assert_eq!(taken, expected);
    }
}

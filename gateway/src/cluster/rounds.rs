//! What the rounds of checks of a node have shown, by time: whether it is the node that fails, or the way there. Pure.

use std::time::Instant;

/// Rounds of checks of a node that came out alike, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    good: bool,
    /// When the first of them was over.
    known_since: Instant,
    /// When the last of them began.
    last_begun: Instant,
}

impl Row {
    /// Where a node stands after another round.
    #[must_use]
    pub fn after(before: Option<Self>, good: bool, begun: Instant, ended: Instant) -> Self {
        let known_since =
            before.filter(|row| row.good == good).map_or(ended, |row| row.known_since);
        Self { good, known_since, last_begun: begun }
    }

    /// Did the last round pass?
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.good
    }

    /// Has the node not been asked again since that one began to fail?
    #[must_use]
    pub fn is_older_than(&self, failing: &Self) -> bool {
        self.last_begun <= failing.known_since
    }

    /// Does the node fail while `other` passes? Each must have been asked after the other was known to be so.
    ///
    /// What all nodes have in common, such as the gateway's own network, fails and comes back for one after another, as
    /// they are asked: for a while some look fine beside others that do not.
    #[must_use]
    pub fn fails_beside(&self, other: &Self) -> bool {
        !self.good && other.good && !other.is_older_than(self) && !self.is_older_than(other)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A row of rounds that begin at these times, in milliseconds, and take one each.
    fn row(start: Instant, good: bool, times: &[u64]) -> Row {
        let at = |millis: u64| start + Duration::from_millis(millis);
        let next = |row, &time: &u64| Some(Row::after(row, good, at(time), at(time + 1)));
        times.iter().fold(None, next).expect("a round")
    }

    #[test]
    fn a_node_fails_alone_only_if_the_other_passed_after_that_and_it_failed_again_after_that() {
        let start = Instant::now();
        let good = |times: &[u64]| row(start, true, times);
        let bad = |times: &[u64]| row(start, false, times);
        assert!(bad(&[100, 200]).fails_beside(&good(&[0, 150])));
        assert!(!bad(&[100, 200]).fails_beside(&good(&[0, 90])), "not asked since it fails");
        assert!(!bad(&[100, 200]).fails_beside(&good(&[0, 101])), "asked before that was known");
        assert!(!bad(&[100, 200]).fails_beside(&good(&[250, 350])), "it may be back as well");
        assert!(bad(&[100, 200, 300]).fails_beside(&good(&[250, 350])));
        assert!(!bad(&[100, 200]).fails_beside(&bad(&[0, 150])));
        assert!(!good(&[100, 200]).fails_beside(&good(&[0, 150])));
    }

    #[test]
    fn a_row_begins_anew_with_a_round_that_comes_out_otherwise() {
        let start = Instant::now();
        let later = |millis| start + Duration::from_millis(millis);
        let bad = row(start, false, &[0, 10]);
        let good = Row::after(Some(bad), true, later(20), later(21));
        assert!(good.is_good());
        let again = Row::after(Some(good), false, later(30), later(31));
        assert_eq!(again, row(start, false, &[30]));
    }
}

//! What the checks of a node found last, for whoever shows it, and what of it is news, for whoever acts on it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::node::Node;
use crate::config::model::Check;

/// What the checks of a node found last.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// When the verdict became what it is; `None` while there is none.
    pub since: Option<SystemTime>,
    /// Why the node is down; `None` while it is not.
    pub reason: Option<Arc<str>>,
    /// What the broker calls itself, `rabbit@host`; `None` where the management API has not been asked.
    pub broker: Option<Arc<str>>,
    /// Its version, as its management API or its handshake gives it.
    pub version: Option<Arc<str>>,
    /// Has it been asked at all?
    pub asked: bool,
    /// The last result of each check, in the order of the configuration.
    pub checks: Vec<CheckReport>,
}

/// The last result of one check.
#[derive(Debug, Clone)]
pub struct CheckReport {
    /// Which check.
    pub check: Check,
    /// How it came out.
    pub outcome: Outcome,
    /// How long it took.
    pub latency: Duration,
    /// What was wrong, and where it can be told what would mend it. Holds no secret.
    pub text: Option<Arc<str>>,
    /// When it ended.
    pub at: SystemTime,
    /// Those before it and itself, the oldest first, at most [`KEPT`].
    pub past: Arc<[Past]>,
}

/// Results that are kept of each check: at the usual pace, the last minutes.
pub const KEPT: usize = 120;

/// A result that a check came to once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// How it came out.
    pub outcome: Outcome,
    /// How long it took.
    pub latency: Duration,
    /// When it ended.
    pub at: SystemTime,
}

impl CheckReport {
    /// With what there was before it.
    #[must_use]
    pub fn after(self, before: Option<&Self>) -> Self {
        let kept = before.map_or(&[][..], |before| &before.past);
        let old = &kept[kept.len().saturating_sub(KEPT - 1)..];
        let now = Past { outcome: self.outcome, latency: self.latency, at: self.at };
        Self { past: old.iter().copied().chain([now]).collect(), ..self }
    }
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing speaks against the node.
    Passed,
    /// The node does not do what it should.
    Failed,
    /// The check cannot be made as it is configured: a wrong password, a right that is missing. It says nothing about
    /// the node, and does not count.
    Misconfigured,
}

impl Outcome {
    /// Its name in tables and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Misconfigured => "misconfigured",
        }
    }
}

/// Something new about a node.
#[derive(Debug, Clone)]
pub struct HealthEvent {
    /// The node. Its condition and report already say the same.
    pub node: Arc<Node>,
    /// What is new.
    pub change: Change,
}

/// What is new about a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It works, for the first time or again.
    Up,
    /// It does not.
    Down {
        /// What was found wrong.
        reason: Arc<str>,
    },
    /// It went into maintenance, or came out of it.
    Maintenance(bool),
    /// It has lost the greater part of its cluster, or found it again. A node in the minority is as good as down.
    Minority(bool),
    /// It blocks publishers, or does not any more.
    Alarm(bool),
    /// Queues would lose their majority without it, or would not any more.
    QuorumCritical(bool),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_results_of_a_check_are_kept_the_oldest_first() {
        let result = |millis| CheckReport {
            check: Check::Amqp,
            outcome: Outcome::Passed,
            latency: Duration::from_millis(millis),
            text: None,
            at: SystemTime::UNIX_EPOCH,
            past: [].into(),
        };
        let mut last = result(0).after(None);
        for millis in 1..=KEPT as u64 {
            last = result(millis).after(Some(&last));
        }
        assert_eq!(last.past.len(), KEPT);
        assert_eq!(last.past[0].latency, Duration::from_millis(1));
        assert_eq!(last.past[KEPT - 1].latency, last.latency);
    }
}

//! The configurations that were in force, or were to be.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use crate::telemetry::events::Actor;

/// Revisions and refused attempts that are kept.
const KEPT: usize = 50;
/// Texts that are kept, to be put in force again …
const TEXTS: usize = 20;
/// … as long as they are not longer than this together; the one in force is always kept.
const TEXT_BYTES: usize = 32 * 1024 * 1024;
/// Words on one of them.
const WORDS: usize = 200;

/// Who put a configuration in force, or wanted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    Start,
    Signal,
    FileChange,
    Operator(Actor),
}

impl Who {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Start => "start",
            Self::Signal => "SIGHUP",
            Self::FileChange => "file change",
            Self::Operator(actor) => &actor.name,
        }
    }

    pub(super) fn actor(&self) -> Option<&Actor> {
        match self {
            Self::Operator(actor) => Some(actor),
            _ => None,
        }
    }
}

/// A configuration that was put in force, or was to be.
#[derive(Debug, Clone)]
pub(super) struct Revision {
    /// 0 for one that was refused.
    pub(super) number: u64,
    pub(super) at: SystemTime,
    pub(super) who: Who,
    /// What changed, or what was wrong.
    pub(super) words: Vec<String>,
    /// As it was written, secrets included. Of those that were refused there is none.
    pub(super) text: Option<Arc<str>>,
}

/// All that are known, the latest last.
#[derive(Debug)]
pub(super) struct Revisions {
    kept: VecDeque<Revision>,
    last: u64,
}

impl Revisions {
    /// The first one is in force.
    pub(super) fn new(text: Arc<str>, at: SystemTime) -> Self {
        let mut revisions = Self { kept: VecDeque::new(), last: 0 };
        revisions.applied(text, Who::Start, Vec::new(), at);
        revisions
    }

    /// The number of the one in force.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The one in force.
    pub(super) fn in_force(&self) -> Option<&Revision> {
        self.find(self.last)
    }

    pub(super) fn find(&self, number: u64) -> Option<&Revision> {
        self.kept.iter().find(|revision| number != 0 && revision.number == number)
    }

    /// The latest first.
    pub(super) fn list(&self) -> impl Iterator<Item = &Revision> {
        self.kept.iter().rev()
    }

    /// This one is in force now; its number.
    pub(super) fn applied(
        &mut self,
        text: Arc<str>,
        who: Who,
        words: Vec<String>,
        at: SystemTime,
    ) -> u64 {
        self.last += 1;
        self.add(Revision { number: self.last, at, who, words, text: Some(text) });
        self.last
    }

    /// One was to be, and was not possible.
    pub(super) fn refused(&mut self, who: Who, words: Vec<String>, at: SystemTime) {
        self.add(Revision { number: 0, at, who, words, text: None });
    }

    fn add(&mut self, mut revision: Revision) {
        if revision.words.len() > WORDS {
            let more = revision.words.len() - WORDS;
            revision.words.truncate(WORDS);
            revision.words.push(format!("and {more} more"));
        }
        self.kept.push_back(revision);
        if self.kept.len() > KEPT {
            // However many were refused since, the one in force stays known.
            let oldest = self.kept.iter().position(|old| old.number != self.last);
            oldest.and_then(|oldest| self.kept.remove(oldest));
        }
        let (mut texts, mut bytes) = (0, 0);
        for revision in self.kept.iter_mut().rev() {
            let Some(text) = &revision.text else { continue };
            (texts, bytes) = (texts + 1, bytes + text.len());
            if revision.number != self.last && (texts > TEXTS || bytes > TEXT_BYTES) {
                revision.text = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)
    }

    #[test]
    fn the_latest_are_kept_with_the_texts_of_the_last_twenty() {
        let mut revisions = Revisions::new("1".into(), at(0));
        for number in 2..=60 {
            revisions.applied(number.to_string().into(), Who::Signal, Vec::new(), at(number));
        }
        assert_eq!((revisions.list().count(), revisions.last()), (KEPT, 60));
        let with_text = revisions.list().filter(|revision| revision.text.is_some());
        let numbers: Vec<_> = with_text.map(|revision| revision.number).collect();
        assert_eq!(numbers, (41..=60).rev().collect::<Vec<_>>());
        assert!(revisions.find(10).is_none() && revisions.find(11).is_some());
    }

    #[test]
    fn the_one_in_force_is_known_however_many_were_refused_since() {
        let mut revisions = Revisions::new("1".into(), at(0));
        for second in 0..200 {
            let words = vec!["wrong".to_owned(); 1000];
            revisions.refused(Who::FileChange, words, at(second));
        }
        let in_force = revisions.in_force().expect("known");
        assert_eq!((in_force.number, in_force.text.as_deref()), (1, Some("1")));
        assert_eq!(revisions.list().count(), KEPT);
        assert!(revisions.list().all(|revision| revision.words.len() <= WORDS + 1));
        assert!(revisions.find(0).is_none(), "the refused have no number");
    }

    #[test]
    fn texts_have_a_bound_in_bytes_but_for_the_one_in_force() {
        let long: Arc<str> = "x".repeat(TEXT_BYTES / 2 + 1).into();
        let mut revisions = Revisions::new(long.clone(), at(0));
        revisions.applied(long.clone(), Who::Signal, Vec::new(), at(1));
        let kept = |revisions: &Revisions| revisions.list().filter(|r| r.text.is_some()).count();
        assert_eq!(kept(&revisions), 1);
        revisions.applied("short".into(), Who::Signal, Vec::new(), at(2));
        assert_eq!(kept(&revisions), 2);
    }
}

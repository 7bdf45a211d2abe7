//! A backup asks an active router whose advertisement is overdue whether it is still there.
//!
//! An advertisement of the lowest priority is the question: a router that answers lower ones at once, as keepalived does
//! and this machine, is heard; nobody else minds it. So a router that is cut off, frozen or dead is found out in two
//! of its intervals, and one that is late or unheard once is not. Not every router answers (RFC 9568 6.4.3 has lower
//! ones discarded; keepalived's vrrp_strict, other addresses): so each is asked once while it is well known to be there,
//! and one that has not answered then is waited for as the RFC has it.

use std::net::IpAddr;
use std::time::Duration;

use super::{Action, Heard, LOWEST, Now, Peer, Reason, Router};

/// How often an overdue router is asked.
const QUESTIONS: u32 = 3;

/// How often a router that is there is asked whether it answers at all.
const TRIALS: u32 = 3;

/// The least time for an answer, and twice that for an advertisement to be late.
const ANSWER: Duration = Duration::from_millis(5);

/// What is known of the active router's answers.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// Who answers questions.
    answers: Option<IpAddr>,
    /// Who was asked whether he does, how often, and when last.
    trial: Option<(IpAddr, u32, Now)>,
    /// When the next question is due.
    due: Option<Now>,
    /// How often the overdue router was asked.
    asked: u32,
}

impl Questions {
    /// When the next question is due.
    pub(super) fn due(&self) -> Option<Now> {
        self.due
    }

    /// Nobody is asked any more.
    pub(super) fn stop(&mut self) {
        self.due = None;
        self.asked = 0;
    }

    fn trials(&self, source: IpAddr) -> u32 {
        self.trial.filter(|(tried, ..)| *tried == source).map_or(0, |(_, count, _)| count)
    }
}

impl Router {
    /// The active router has advertised: when is it to be asked?
    pub(super) fn plan_question(&mut self, heard: Heard, now: Now) {
        // The question must be lower than both: than the active router's priority, that it answers, and than ours.
        let lowest = heard.priority.min(self.advertised());
        if !self.settings.fast || lowest <= LOWEST {
            return;
        }
        let interval = self.interval();
        if self.questions.answers == Some(heard.source) {
            self.questions.due = Some(now + interval + (interval / 4).max(ANSWER * 2));
        } else if self.questions.trials(heard.source) < TRIALS {
            self.questions.due = Some(now + interval * 2 / 5);
        }
    }

    /// An advertisement soon after a trial, and before it would be due, is an answer.
    pub(super) fn hear_answer(&mut self, heard: Heard, now: Now) {
        let soon = |at: Now| now.saturating_sub(at) <= self.interval() * 3 / 10;
        if self.questions.trial.is_some_and(|(source, _, at)| source == heard.source && soon(at)) {
            self.questions.answers = Some(heard.source);
        }
    }

    /// The time for a question, `at`, has come.
    pub(super) fn ask(&mut self, at: Now, now: Now, out: &mut Vec<Action>) {
        let Some(Peer { source, heard, .. }) = self.peer else {
            return self.questions.stop();
        };
        if self.questions.answers != Some(source) {
            self.questions.due = None;
            // Later, the next advertisement might be taken for an answer.
            if now < heard + self.interval() / 2 {
                let count = self.questions.trials(source) + 1;
                self.questions.trial = Some((source, count, now));
                out.push(Action::Ask);
            }
        } else if self.questions.asked == QUESTIONS {
            self.questions.stop();
            // If it was there after all, it has to show again that it answers.
            (self.questions.answers, self.questions.trial) = (None, None);
            self.take_over(Reason::NoAnswer { source }, now, out);
        } else {
            out.push(Action::Ask);
            self.questions.asked += 1;
            let time = (self.interval() / 4).max(ANSWER);
            // Of several backups the one of the highest priority gives up hope first.
            let last = self.questions.asked == QUESTIONS;
            let skew = if last { self.skew() / 10 } else { Duration::ZERO };
            // From when it was due, as long as that leaves time for an answer.
            self.questions.due = Some(at.max(now.saturating_sub(time / 2)) + time + skew);
        }
    }

    /// Is it another backup that asks the active router? That is not for us.
    pub(super) fn is_question(&self, heard: Heard, now: Now) -> bool {
        let fresh = |peer: &Peer| now.saturating_sub(peer.heard) < self.interval() * 2;
        let other = self.peer.filter(fresh).is_some_and(|peer| peer.source != heard.source);
        heard.priority == LOWEST && other && self.effective_priority() > LOWEST
    }
}

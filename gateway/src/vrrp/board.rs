//! What the gateway knows of its virtual routers: the VRRP process writes it, everybody else reads it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::broadcast;

use super::talk::{Alarm, Counters, State, Status, Word};
use crate::config::model::VirtualRouter;

/// News that a slow reader may be behind.
const NEWS: usize = 256;
/// Transitions that are kept of each virtual router.
const HISTORY: usize = 100;

/// All virtual routers of this gateway.
#[derive(Debug)]
pub struct Board {
    routers: Vec<Arc<VirtualRouter>>,
    known: Mutex<Vec<Known>>,
    news: broadcast::Sender<News>,
}

/// What is known of a virtual router.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// As the VRRP process told it last; `None` = not yet.
    pub status: Option<Status>,
    /// Misconfigurations that stand, with their texts.
    pub alarms: Vec<(Alarm, String)>,
    /// The latest transitions, oldest first.
    pub history: Vec<Transition>,
    /// Transitions since the start of the gateway, by the name of the state they led to.
    pub transitions: BTreeMap<&'static str, u64>,
    /// What all VRRP processes since the start of the gateway have counted.
    pub totals: Counters,
}

/// A change of state.
#[derive(Debug, Clone)]
pub struct Transition {
    /// Before.
    pub from: State,
    /// Since then.
    pub to: State,
    /// The effective priority.
    pub priority: u8,
    /// Why.
    pub reason: String,
    /// When.
    pub at: SystemTime,
}

/// Something that an operator may want to be told.
#[derive(Debug, Clone)]
pub enum News {
    /// A virtual router changed its state.
    Transition(Arc<VirtualRouter>, Transition),
    /// A misconfiguration was noticed (with what is wrong), or is over (`None`).
    Alarm(Arc<VirtualRouter>, Alarm, Option<String>),
}

impl Board {
    /// The virtual routers of a configuration, of which nothing is known yet.
    #[must_use]
    pub fn new(routers: &[VirtualRouter]) -> Self {
        Self {
            routers: routers.iter().cloned().map(Arc::new).collect(),
            known: Mutex::new(vec![Known::default(); routers.len()]),
            news: broadcast::channel(NEWS).0,
        }
    }

    /// In the order of the configuration; positions in [`super::talk`] are positions here.
    #[must_use]
    pub fn routers(&self) -> &[Arc<VirtualRouter>] {
        &self.routers
    }

    /// What is known of each, in the same order.
    #[must_use]
    pub fn known(&self) -> Vec<Known> {
        self.lock().clone()
    }

    /// Transitions and alarms from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// Writes down what the VRRP process said at `at`, and tells everybody.
    pub fn hear(&self, word: &Word, at: SystemTime) {
        self.note(word, at, true);
    }

    /// Tells everybody of the last transition of the virtual router at this position: not all before it were told.
    pub fn tell_last(&self, router: usize) {
        let last = self.lock().get(router).and_then(|known| known.history.last().cloned());
        if let (Some(of), Some(last)) = (self.routers.get(router), last) {
            let _ = self.news.send(News::Transition(of.clone(), last));
        }
    }

    /// Writes down what the VRRP process said at `at`. Everybody is told of it only if `tells`.
    pub fn note(&self, word: &Word, at: SystemTime, tells: bool) {
        let news = match word {
            Word::Status(statuses) => {
                for (known, status) in self.lock().iter_mut().zip(statuses) {
                    known.learn(status);
                }
                None
            }
            Word::Transition { router, from, to, priority, reason } => {
                let transition = Transition {
                    from: *from,
                    to: *to,
                    priority: *priority,
                    reason: reason.clone(),
                    at,
                };
                self.with(*router, |known| known.note(transition.clone()));
                self.routers.get(*router).map(|of| News::Transition(of.clone(), transition))
            }
            Word::Alarm { router, alarm, text } => {
                self.with(*router, |known| known.raise(*alarm, text.clone()));
                self.routers.get(*router).map(|of| News::Alarm(of.clone(), *alarm, text.clone()))
            }
            _ => None,
        };
        if let Some(news) = news.filter(|_| tells) {
            // Nobody may be listening.
            let _ = self.news.send(news);
        }
    }

    fn with(&self, router: usize, change: impl FnOnce(&mut Known)) {
        if let Some(known) = self.lock().get_mut(router) {
            change(known);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// A VRRP process that was started anew counts from zero.
    fn learn(&mut self, status: &Status) {
        let none = Counters::default();
        let (now, before) = (&status.counters, self.status.as_ref().map_or(&none, |s| &s.counters));
        let grown = |now: u64, before: u64| if now >= before { now - before } else { now };
        let totals = &mut self.totals;
        totals.sent += grown(now.sent, before.sent);
        totals.received += grown(now.received, before.received);
        totals.announced += grown(now.announced, before.announced);
        for (reason, count) in &now.errors {
            let of = |errors: &[(String, u64)]| {
                errors.iter().find(|(other, _)| other == reason).map_or(0, |(_, count)| *count)
            };
            let grown = grown(*count, of(&before.errors));
            match totals.errors.iter_mut().find(|(other, _)| other == reason) {
                Some((_, total)) => *total += grown,
                None => totals.errors.push((reason.clone(), grown)),
            }
        }
        self.status = Some(status.clone());
    }

    fn note(&mut self, transition: Transition) {
        if self.history.len() == HISTORY {
            self.history.remove(0);
        }
        *self.transitions.entry(transition.to.name()).or_default() += 1;
        self.history.push(transition);
    }

    fn raise(&mut self, alarm: Alarm, text: Option<String>) {
        self.alarms.retain(|(other, _)| *other != alarm);
        self.alarms.extend(text.map(|text| (alarm, text)));
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::vrrp::samples::router;

    fn status(sent: u64, errors: &[(&str, u64)]) -> Word {
        let errors = errors.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
        let counters = Counters { sent, errors, ..Counters::default() };
        let state = State::Active;
        let (released, holds) = (false, true);
        Word::Status(vec![Status { state, priority: 100, released, holds, peer: None, counters }])
    }

    #[test]
    fn what_is_counted_never_falls_when_the_vrrp_process_is_started_anew() {
        let board = Board::new(&[router("a")]);
        for word in [
            status(5, &[("checksum", 2)]),
            status(9, &[("checksum", 2), ("ttl", 1)]),
            status(1, &[]),
            status(3, &[("ttl", 4)]),
        ] {
            board.hear(&word, UNIX_EPOCH);
        }
        let totals = board.known().remove(0).totals;
        assert_eq!(totals.sent, 12);
        assert_eq!(totals.errors, [("checksum".to_owned(), 2), ("ttl".to_owned(), 5)]);
    }

    #[test]
    fn transitions_are_counted_beyond_those_that_are_kept() {
        let board = Board::new(&[router("a")]);
        for _ in 0..150 {
            let (from, to) = (State::Backup, State::Active);
            let word =
                Word::Transition { router: 0, from, to, priority: 100, reason: String::new() };
            board.hear(&word, UNIX_EPOCH);
        }
        let known = board.known().remove(0);
        assert_eq!((known.history.len(), known.transitions["active"]), (HISTORY, 150));
    }

    #[test]
    fn an_alarm_stands_until_it_is_over_and_both_are_news() {
        let board = Board::new(&[router("a")]);
        let mut news = board.subscribe();
        let say = |text: Option<&str>| {
            let text = text.map(str::to_owned);
            board.hear(&Word::Alarm { router: 0, alarm: Alarm::TwoOwners, text }, UNIX_EPOCH);
            board.known()[0].alarms.clone()
        };
        assert_eq!(say(Some("first")), [(Alarm::TwoOwners, "first".to_owned())]);
        assert_eq!(say(Some("second")), [(Alarm::TwoOwners, "second".to_owned())]);
        assert_eq!(say(None), []);
        for expected in [Some("first"), Some("second"), None] {
            let Ok(News::Alarm(_, Alarm::TwoOwners, text)) = news.try_recv() else { panic!() };
            assert_eq!(text.as_deref(), expected);
        }
    }
}

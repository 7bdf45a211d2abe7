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
    entries: Mutex<Vec<Entry>>,
    news: broadcast::Sender<News>,
}

/// A virtual router, by its name.
#[derive(Debug)]
struct Entry {
    router: Arc<VirtualRouter>,
    /// What it is called in [`super::talk`]: its own id, and those it had before, while these hand over.
    ids: Vec<usize>,
    /// Has it left the configuration?
    removed: bool,
    known: Known,
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
    /// These are the virtual routers from now on, with those that hand over because they have left the configuration.
    Routers(Vec<Arc<VirtualRouter>>),
}

impl Board {
    /// The virtual routers of a configuration, of which nothing is known yet. Their positions are their ids.
    #[must_use]
    pub fn new(routers: &[VirtualRouter]) -> Self {
        let board = Self { entries: Mutex::default(), news: broadcast::channel(NEWS).0 };
        board.change(routers.iter().cloned().map(Arc::new).enumerate());
        board
    }

    /// The virtual routers of the configuration, in its order.
    #[must_use]
    pub fn routers(&self) -> Vec<Arc<VirtualRouter>> {
        let entries = self.lock();
        let there = entries.iter().filter(|entry| !entry.removed);
        there.map(|entry| entry.router.clone()).collect()
    }

    /// They, and what is known of each.
    #[must_use]
    pub fn list(&self) -> Vec<(Arc<VirtualRouter>, Known)> {
        let entries = self.lock();
        let there = entries.iter().filter(|entry| !entry.removed);
        there.map(|entry| (entry.router.clone(), entry.known.clone())).collect()
    }

    /// These are the virtual routers from now on, in the order of the configuration, each with its id. What is known of a
    /// name stays known. Those that are not among them stay until they are [`Word::Gone`].
    pub fn change(&self, routers: impl IntoIterator<Item = (usize, Arc<VirtualRouter>)>) {
        let mut entries = self.lock();
        let mut before = std::mem::take(&mut *entries);
        for (id, router) in routers {
            let known = before.iter().position(|entry| entry.router.name == router.name);
            let mut entry = match known {
                Some(at) => Entry { router, removed: false, ..before.remove(at) },
                None => Entry { router, ids: vec![], removed: false, known: Known::default() },
            };
            entry.ids.retain(|former| *former != id);
            entry.ids.push(id);
            entries.push(entry);
        }
        entries.extend(before.into_iter().map(|entry| Entry { removed: true, ..entry }));
        self.tell_routers(&entries);
    }

    /// One with this id hands nothing over any more.
    fn gone(&self, id: usize) {
        let mut entries = self.lock();
        entries.iter_mut().for_each(|entry| entry.ids.retain(|other| *other != id));
        let count = entries.len();
        entries.retain(|entry| !(entry.removed && entry.ids.is_empty()));
        if entries.len() < count {
            self.tell_routers(&entries);
        }
    }

    /// Those of [`Board::routers`], and those that still hand over.
    #[must_use]
    pub fn all_routers(&self) -> Vec<Arc<VirtualRouter>> {
        self.lock().iter().map(|entry| entry.router.clone()).collect()
    }

    fn tell_routers(&self, entries: &[Entry]) {
        let routers = entries.iter().map(|entry| entry.router.clone()).collect();
        let _ = self.news.send(News::Routers(routers));
    }

    /// Alarms that stand of the virtual router with this id.
    pub(super) fn alarms(&self, router: usize) -> Vec<Alarm> {
        let alarms =
            self.with(router, |known| known.alarms.iter().map(|(alarm, _)| *alarm).collect());
        alarms.map(|(_, alarms)| alarms).unwrap_or_default()
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

    /// Tells everybody of the last transition of the virtual router with this id: not all before it were told.
    pub fn tell_last(&self, router: usize) {
        let last = self.with(router, |known| known.history.last().cloned());
        if let Some((of, Some(last))) = last {
            let _ = self.news.send(News::Transition(of, last));
        }
    }

    /// Writes down what the VRRP process said at `at`. Everybody is told of it only if `tells`.
    pub fn note(&self, word: &Word, at: SystemTime, tells: bool) {
        let news = match word {
            Word::Status(statuses) => {
                for status in statuses {
                    self.with(status.router, |known| known.learn(status));
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
                let of = self.with(*router, |known| known.note(transition.clone()));
                of.map(|(of, ())| News::Transition(of, transition))
            }
            Word::Alarm { router, alarm, text } => {
                let of = self.with(*router, |known| known.raise(*alarm, text.clone()));
                of.map(|(of, ())| News::Alarm(of, *alarm, text.clone()))
            }
            Word::Gone { router } => {
                self.gone(*router);
                None
            }
            _ => None,
        };
        if let Some(news) = news.filter(|_| tells) {
            // Nobody may be listening.
            let _ = self.news.send(news);
        }
    }

    /// Does it with what is known of the virtual router with this id, if there is one.
    fn with<T>(
        &self,
        id: usize,
        change: impl FnOnce(&mut Known) -> T,
    ) -> Option<(Arc<VirtualRouter>, T)> {
        let mut entries = self.lock();
        let entry = entries.iter_mut().find(|entry| entry.ids.contains(&id))?;
        Some((entry.router.clone(), change(&mut entry.known)))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
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
        Word::Status(vec![Status {
            router: 0,
            state,
            priority: 100,
            released,
            holds,
            peer: None,
            counters,
        }])
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
        let totals = board.list().remove(0).1.totals;
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
        let known = board.list().remove(0).1;
        assert_eq!((known.history.len(), known.transitions["active"]), (HISTORY, 150));
    }

    #[test]
    fn what_is_known_of_a_name_outlives_a_change_and_one_that_was_removed_stays_until_it_is_gone() {
        let board = Board::new(&[router("a"), router("b")]);
        let mut news = board.subscribe();
        let say = |router, to| {
            let (from, reason) = (State::Active, String::new());
            let word = Word::Transition { router, from, to, priority: 100, reason };
            board.hear(&word, UNIX_EPOCH);
        };
        let names = |routers: &[Arc<VirtualRouter>]| {
            routers.iter().map(|router| router.name.to_string()).collect::<Vec<_>>().join(" ")
        };
        say(0, State::Active);
        board.change([(2, Arc::new(router("c"))), (3, Arc::new(router("a")))]);
        assert_eq!(names(&board.routers()), "c a");
        assert_eq!(names(&board.all_routers()), "c a b");
        say(0, State::Initialize);
        say(3, State::Backup);
        say(1, State::Initialize);
        let history = board.list().remove(1).1.history;
        let states: Vec<_> = history.iter().map(|transition| transition.to).collect();
        assert_eq!(states, [State::Active, State::Initialize, State::Backup]);
        board.hear(&Word::Gone { router: 0 }, UNIX_EPOCH);
        board.hear(&Word::Gone { router: 1 }, UNIX_EPOCH);
        assert_eq!(names(&board.all_routers()), "c a");
        let mut told = Vec::new();
        while let Ok(news) = news.try_recv() {
            told.push(match news {
                News::Transition(of, transition) => format!("{} {}", of.name, transition.to.name()),
                News::Routers(routers) => names(&routers),
                News::Alarm(..) => panic!("no alarm"),
            });
        }
        let last = ["c a b", "a initialize", "a backup", "b initialize", "c a"];
        assert_eq!(told, [&["a active"][..], &last].concat());
    }

    #[test]
    fn an_alarm_stands_until_it_is_over_and_both_are_news() {
        let board = Board::new(&[router("a")]);
        let mut news = board.subscribe();
        let say = |text: Option<&str>| {
            let text = text.map(str::to_owned);
            board.hear(&Word::Alarm { router: 0, alarm: Alarm::TwoOwners, text }, UNIX_EPOCH);
            board.list()[0].1.alarms.clone()
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

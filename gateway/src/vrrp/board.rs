//! What the gateway knows of its virtual routers: the VRRP process writes it, everybody else reads it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::broadcast;

use super::talk::{Alarm, State, Status, Word};
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

    /// Writes down what the VRRP process said at `at`.
    pub fn hear(&self, word: &Word, at: SystemTime) {
        let news = match word {
            Word::Status(statuses) => {
                for (known, status) in self.lock().iter_mut().zip(statuses) {
                    known.status = Some(status.clone());
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
        if let Some(news) = news {
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
    fn note(&mut self, transition: Transition) {
        if self.history.len() == HISTORY {
            self.history.remove(0);
        }
        self.history.push(transition);
    }

    fn raise(&mut self, alarm: Alarm, text: Option<String>) {
        self.alarms.retain(|(other, _)| *other != alarm);
        self.alarms.extend(text.map(|text| (alarm, text)));
    }
}

//! What happened to the gateway, kept for a while and told to whoever listens: nodes that go down, transitions, reloads, and
//! what operators do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::broadcast;

/// Events that are kept of each [`Sort`].
pub const KEPT: usize = 1000;
/// Events that a slow listener may be behind; one that misses some reads those that are kept.
const BACKLOG: usize = 256;

/// The latest events of a gateway; share it as `Arc<EventLog>`.
#[derive(Debug)]
pub struct EventLog {
    kept: Mutex<Kept>,
    news: broadcast::Sender<Arc<Event>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// One for each [`Sort`].
    rings: [VecDeque<Arc<Event>>; 4],
    last: u64,
}

/// What may push what out: only its like. What strangers can cause as often as they like pushes no change out.
#[derive(Debug, Clone, Copy)]
enum Sort {
    /// What operators have changed.
    Change,
    /// Logins that began or ended.
    Login,
    /// What was asked for by somebody who may not, and logins that failed.
    Refusal,
    /// What happened by itself.
    Other,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Grows by one with each.
    pub id: u64,
    /// When.
    pub at: SystemTime,
    /// What it is.
    pub what: What,
}

/// What happened. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct What {
    /// What it is about.
    pub kind: Kind,
    /// How bad.
    pub severity: Severity,
    /// The name of what it is about: `main/rabbit1` for a node.
    pub subject: String,
    /// In words.
    pub text: String,
    /// Who did it, if somebody did.
    pub actor: Option<Actor>,
    /// More of it, by name.
    pub details: BTreeMap<String, String>,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Node,
    Cluster,
    VirtualRouter,
    Config,
    /// Somebody changed something by the API.
    Operator,
    Login,
    Certificate,
    Gateway,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Severity {
    Info,
    Warning,
    /// Clients suffer, or will soon.
    Critical,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Name of the user or token; `local` without logins.
    pub name: String,
    /// How they showed who they are: `cookie`, `bearer`, `token`, `basic` or `local`.
    pub by: &'static str,
    /// The address they came from; for the file and for signals there is none.
    pub from: String,
}

impl What {
    /// Something that nobody did.
    #[must_use]
    pub fn new(
        kind: Kind,
        severity: Severity,
        subject: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        let (subject, text) = (subject.into(), text.into());
        Self { kind, severity, subject, text, actor: None, details: BTreeMap::new() }
    }

    /// Somebody did it.
    #[must_use]
    pub fn by(self, actor: Actor) -> Self {
        Self { actor: Some(actor), ..self }
    }
}

impl Sort {
    fn of(what: &What) -> Self {
        match (what.kind, what.severity) {
            (Kind::Operator, Severity::Info) => Self::Change,
            (Kind::Login, Severity::Info) => Self::Login,
            (Kind::Operator | Kind::Login, _) => Self::Refusal,
            _ => Self::Other,
        }
    }
}

impl Default for EventLog {
    fn default() -> Self {
        Self { kept: Mutex::default(), news: broadcast::channel(BACKLOG).0 }
    }
}

impl EventLog {
    /// Keeps it, and tells everybody.
    pub fn add(&self, what: What) {
        self.add_at(what, SystemTime::now());
    }

    fn add_at(&self, what: What, at: SystemTime) {
        let mut kept = self.lock();
        kept.last += 1;
        let sort = Sort::of(&what);
        let event = Arc::new(Event { id: kept.last, at, what });
        let ring = &mut kept.rings[sort as usize];
        if ring.len() == KEPT {
            ring.pop_front();
        }
        ring.push_back(event.clone());
        // With the lock held: whoever subscribes and then reads what is kept misses none.
        let _ = self.news.send(event);
    }

    /// Those that are kept with a number above `after`, the oldest first. The very last is always among them; of those
    /// before, some may be gone while older ones of another sort are still there.
    #[must_use]
    pub fn since(&self, after: u64) -> Vec<Arc<Event>> {
        let mut events: Vec<_> = {
            let kept = self.lock();
            kept.rings.iter().flatten().filter(|event| event.id > after).cloned().collect()
        };
        events.sort_unstable_by_key(|event| event.id);
        events
    }

    /// Those from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.news.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept_and_told_in_order() {
        let log = EventLog::default();
        let mut news = log.subscribe();
        for number in 0..KEPT + 2 {
            log.add(What::new(Kind::Node, Severity::Info, "main/r1", number.to_string()));
        }
        let kept = log.since(0);
        assert_eq!((kept.len(), kept[0].id), (KEPT, 3));
        assert_eq!(log.since(KEPT as u64 + 1).len(), 1);
        assert!(matches!(news.try_recv(), Err(broadcast::error::TryRecvError::Lagged(_))));
        assert!(news.try_recv().is_ok());
    }

    #[test]
    fn what_others_cause_pushes_no_change_of_an_operator_out() {
        let log = EventLog::default();
        let add = |kind, severity| log.add(What::new(kind, severity, "x", "x"));
        add(Kind::Operator, Severity::Info);
        add(Kind::Node, Severity::Info);
        for _ in 0..KEPT + 1 {
            add(Kind::Operator, Severity::Warning);
            add(Kind::Login, Severity::Info);
            add(Kind::Login, Severity::Warning);
        }
        let kept: Vec<_> = log.since(0).iter().map(|event| event.id).collect();
        assert_eq!((kept[0], kept[1], kept.len()), (1, 2, 2 + 2 * KEPT));
        assert!(kept.is_sorted(), "one numbering, in order");
        assert_eq!(kept.last(), Some(&(2 + 3 * (KEPT as u64 + 1))));
    }
}

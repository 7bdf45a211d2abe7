//! The list of live sessions, made at most once a second, whoever asks. A row holds the session and numbers; texts are
//! made of those alone that are shown.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::figures;
use crate::admin::view::status::{Rates, Traffic};
use crate::route::RouteId;
use crate::session::ledger::Passed;
use crate::session::registry::{Registry, Session, SessionFacts, SessionId};

/// For how long a list is shown to everybody who asks.
const FRESH: Duration = Duration::from_secs(1);
/// A list that is older tells nothing of what passes a second now.
const TELLS: Duration = Duration::from_secs(15);

/// The latest list.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<Option<Arc<List>>>);

/// All live sessions at one moment, by number.
#[derive(Debug)]
pub(super) struct List {
    pub(super) at: Instant,
    pub(super) rows: Vec<Row>,
}

/// A session at one moment.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: SessionId,
    pub(super) session: Arc<Session>,
    pub(super) state: State,
    pub(super) channels: u64,
    pub(super) unconfirmed: u64,
    pub(super) totals: Traffic,
    pub(super) rates: Rates,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum State {
    Handshake,
    Waiting,
    Open,
    Closing,
}

impl Lists {
    /// A list that is at most a second old at `now`.
    pub(super) fn get(&self, registry: &Registry, now: Instant) -> Arc<List> {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh =
            latest.as_ref().filter(|list| now.saturating_duration_since(list.at) < FRESH).cloned();
        fresh.unwrap_or_else(|| {
            let list = Arc::new(List::make(registry, latest.as_deref(), now));
            *latest = Some(list.clone());
            list
        })
    }

    /// Lets go of a list that tells nothing any more, and of the ended sessions in it.
    pub(super) fn forget(&self, now: Instant) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.as_ref().is_some_and(|list| !list.tells_at(now)) {
            *latest = None;
        }
    }
}

impl List {
    /// Of the sessions there are now; `before` tells what has passed since.
    pub(super) fn make(registry: &Registry, before: Option<&Self>, now: Instant) -> Self {
        // Brought in order while it is small, and without another look at the sessions.
        let mut sessions = Vec::with_capacity(registry.len());
        registry.each(|session| sessions.push((session.id, session.clone())));
        sessions.sort_unstable_by_key(|(id, _)| *id);
        let mut rows: Vec<_> = sessions.into_iter().map(|(_, session)| Row::of(session)).collect();
        if let Some(before) = before.filter(|before| before.tells_at(now)) {
            before.compare(&mut rows, now);
        }
        Self { at: now, rows }
    }

    fn tells_at(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < TELLS
    }

    /// Both are in the order of their numbers.
    fn compare(&self, rows: &mut [Row], now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        let mut before = self.rows.iter().peekable();
        for row in rows {
            while before.next_if(|other| other.id < row.id).is_some() {}
            let same = before.next_if(|other| other.id == row.id);
            let then = same.map(|same| same.totals).unwrap_or_default();
            row.rates = figures::rates(&then, &row.totals, passed);
        }
    }
}

impl Row {
    pub(super) fn of(session: Arc<Session>) -> Self {
        Self {
            state: State::of(&session),
            channels: session.counters.channels.get(),
            unconfirmed: session.counters.unconfirmed.get(),
            totals: figures::traffic(&Passed::of(&session)),
            rates: Rates::default(),
            id: session.id,
            session,
        }
    }

    pub(super) fn facts(&self) -> Option<&SessionFacts> {
        self.session.facts()
    }

    pub(super) fn listener(&self) -> &str {
        &self.session.arrival.listener.0
    }

    pub(super) fn user(&self) -> Option<&str> {
        self.facts()?.user.as_deref()
    }

    pub(super) fn vhost(&self) -> Option<&str> {
        self.facts()?.vhost.as_deref()
    }

    /// Cluster and node.
    pub(super) fn node(&self) -> Option<(&str, &str)> {
        let node = &self.facts()?.node;
        Some((&node.cluster.0, &node.name))
    }

    /// What the client calls itself, else its product.
    pub(super) fn client(&self) -> Option<&str> {
        let software = &self.facts()?.software;
        software.connection_name.as_deref().or(software.product.as_deref())
    }

    /// The position, from 1, of the route that leads it; `None` if its listener does.
    pub(super) fn route(&self) -> Option<usize> {
        let RouteId(position) = self.facts()?.routed.route()?;
        usize::try_from(position).ok()?.checked_add(1)
    }
}

impl State {
    pub(super) fn of(session: &Session) -> Self {
        if session.has_order() {
            Self::Closing
        } else if session.facts().is_some() {
            Self::Open
        } else if session.is_held() {
            Self::Waiting
        } else {
            Self::Handshake
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Waiting => "waiting",
            Self::Open => "open",
            Self::Closing => "closing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::observe::samples::{registry, session};
    use crate::session::registry::Order;

    #[test]
    fn rates_are_those_since_the_list_before() {
        let (registry, start) = (registry(3), Instant::now());
        let published =
            |id, count| registry.get(SessionId(id)).expect("it").counters.published.set(count);
        published(1, 100);
        published(2, 50);
        let first = List::make(&registry, None, start);
        assert!(first.rows.iter().all(|row| row.rates == Rates::default()));
        published(1, 140);
        registry.remove(SessionId(2));
        registry.insert(session(9));
        published(9, 8);
        let second = List::make(&registry, Some(&first), start + Duration::from_secs(4));
        let rates: Vec<_> =
            second.rows.iter().map(|row| (row.session.id.0, row.rates.published)).collect();
        assert_eq!(rates, [(1, 10.0), (3, 0.0), (9, 2.0)]);
        let late = List::make(&registry, Some(&first), start + TELLS);
        assert!(late.rows.iter().all(|row| row.rates == Rates::default()));
    }

    #[test]
    fn a_list_is_made_once_a_second_and_forgotten_when_nobody_asks() {
        let (lists, registry, start) = (Lists::default(), registry(2), Instant::now());
        let first = lists.get(&registry, start);
        assert!(Arc::ptr_eq(&first, &lists.get(&registry, start + FRESH / 2)));
        let second = lists.get(&registry, start + FRESH);
        assert!(!Arc::ptr_eq(&first, &second));
        lists.forget(start + FRESH + TELLS / 2);
        assert_eq!(Arc::strong_count(&second), 2);
        lists.forget(start + FRESH + TELLS);
        assert_eq!(Arc::strong_count(&second), 1);
    }

    #[test]
    fn a_session_that_was_told_to_close_is_closing() {
        let session = session(1);
        assert_eq!(State::of(&session), State::Open);
        session.order(Order::OperatorClose);
        assert_eq!(State::of(&session), State::Closing);
    }
}

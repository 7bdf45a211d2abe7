//! What sessions that are over have passed, for whoever asks by vhost or by user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use amqp_codec::reply;

use super::record::messages;
use super::registry::Session;
use crate::telemetry::access::Messages;

/// Most names of vhosts, and of users, that are kept; what comes under further names counts as [`OTHER`].
pub const MOST_NAMES: usize = 1000;
/// The name that all those count under for whom there is no room.
pub const OTHER: &str = "other";
/// Of those, names that no session was ever opened with: strangers make up as many as they like.
const MOST_REFUSED: usize = MOST_NAMES / 2;
/// Longest name, in bytes; that of AMQP's short strings.
const LONGEST_NAME: usize = 255;

/// What has passed through sessions.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Passed {
    pub bytes_from_client: u64,
    pub bytes_from_node: u64,
    pub messages: Messages,
}

/// What has come under one name.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Of sessions that were open.
    pub passed: Passed,
    /// Sessions refused before they were.
    pub refused: u64,
    /// For how long sessions were held until they were admitted.
    pub delayed: Duration,
}

/// The accounts of ended sessions.
#[derive(Debug, Default)]
pub struct Ledger {
    all: Mutex<Passed>,
    vhosts: Mutex<HashMap<Arc<str>, Account>>,
    users: Mutex<HashMap<Arc<str>, Account>>,
}

impl Passed {
    /// What has passed through a session so far.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        Self {
            bytes_from_client: session.counters.bytes_from_client.get(),
            bytes_from_node: session.counters.bytes_from_node.get(),
            messages: messages(session),
        }
    }

    /// And this.
    pub fn add(&mut self, more: &Self) {
        self.bytes_from_client += more.bytes_from_client;
        self.bytes_from_node += more.bytes_from_node;
        self.messages.add(&more.messages);
    }
}

impl Ledger {
    /// Adds a session that has ended.
    pub(super) fn add(&self, session: &Session) {
        let passed = Passed::of(session);
        lock(&self.all).add(&passed);
        let Some(facts) = session.facts() else { return };
        let delayed = session.held_for();
        let named = [(&self.vhosts, facts.vhost.as_deref()), (&self.users, facts.user.as_deref())];
        for (accounts, name) in named {
            let Some(name) = name else { continue };
            book(&mut lock(accounts), name, MOST_NAMES, |account| {
                account.passed.add(&passed);
                account.delayed += delayed;
            });
        }
    }

    /// Adds a session that was refused before it was open, and what it had named.
    pub(super) fn refused(&self, session: &Session, user: Option<&str>, vhost: Option<&str>) {
        let delayed = session.held_for();
        for (accounts, name) in [(&self.vhosts, vhost), (&self.users, user)] {
            let Some(name) = name else { continue };
            book(&mut lock(accounts), name, MOST_REFUSED, |account| {
                account.refused += 1;
                account.delayed += delayed;
            });
        }
    }

    /// What all sessions have passed, those included that were never open.
    #[must_use]
    pub fn all(&self) -> Passed {
        *lock(&self.all)
    }

    /// The accounts of vhosts.
    #[must_use]
    pub fn vhosts(&self) -> HashMap<Arc<str>, Account> {
        copy(&self.vhosts)
    }

    /// The accounts of users.
    #[must_use]
    pub fn users(&self) -> HashMap<Arc<str>, Account> {
        copy(&self.users)
    }
}

fn book(
    accounts: &mut HashMap<Arc<str>, Account>,
    name: &str,
    most: usize,
    entry: impl FnOnce(&mut Account),
) {
    let name = reply::cut(name, LONGEST_NAME);
    if let Some(account) = accounts.get_mut(name) {
        return entry(account);
    }
    let name = if accounts.len() < most { name } else { OTHER };
    entry(accounts.entry(name.into()).or_default());
}

/// Sessions that end wait for it no longer than names are counted up: neither room nor order is made meanwhile.
fn copy(accounts: &Mutex<HashMap<Arc<str>, Account>>) -> HashMap<Arc<str>, Account> {
    let mut all = Vec::with_capacity(MOST_NAMES + 1);
    all.extend(lock(accounts).iter().map(|(name, account)| (name.clone(), *account)));
    all.into_iter().collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::ListenerName;
    use crate::session::registry::SessionId;
    use crate::stream::arrival::Arrival;

    fn session() -> Session {
        let client = ([127, 0, 0, 1], 4000).into();
        Session::new(SessionId(1), Arrival::new(ListenerName("amqp".into()), client))
    }

    #[test]
    fn names_that_strangers_make_up_leave_room_for_those_that_are_served() {
        let (ledger, session) = (Ledger::default(), session());
        for number in 0..2 * MOST_NAMES {
            ledger.refused(&session, Some(&format!("user {number}")), Some("/"));
        }
        let users = ledger.users();
        assert_eq!(users.len(), MOST_REFUSED + 1);
        assert_eq!(users[OTHER].refused as usize, 2 * MOST_NAMES - MOST_REFUSED);
        assert_eq!(ledger.vhosts()["/"].refused as usize, 2 * MOST_NAMES);
        book(&mut lock(&ledger.users), "late", MOST_NAMES, |account| account.refused += 1);
        assert_eq!(ledger.users()["late"].refused, 1);
    }

    #[test]
    fn accounts_are_handed_out_with_the_very_names_that_are_kept() {
        let (ledger, session) = (Ledger::default(), session());
        ledger.refused(&session, Some("app"), None);
        let (first, second) = (ledger.users(), ledger.users());
        let name = |users: &HashMap<Arc<str>, Account>| users.keys().next().cloned();
        let (first, second) = (name(&first).expect("it"), name(&second).expect("it"));
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn all_that_has_passed_is_added_up_though_it_was_never_open() {
        let (ledger, session) = (Ledger::default(), session());
        session.counters.bytes_from_client.add(8);
        ledger.add(&session);
        ledger.add(&session);
        assert_eq!(ledger.all().bytes_from_client, 16);
        assert!(ledger.vhosts().is_empty() && ledger.users().is_empty());
    }
}

//! Sums over sessions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

use super::figures;
use super::list::Row;
use crate::admin::view::status::{Rates, Traffic};
use crate::admin::view::traffic::Share;
use crate::cluster::condition::Fitness;
use crate::session::Shared;
use crate::session::ledger::Passed;

/// Names that are listed of those who use something.
const LISTED: usize = 20;

/// Of some sessions.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sum {
    pub(super) sessions: usize,
    pub(super) totals: Traffic,
    pub(super) rates: Rates,
    pub(super) unconfirmed: u64,
    pub(super) delayed: Duration,
}

impl Sum {
    pub(super) fn add(&mut self, row: &Row) {
        self.sessions += 1;
        figures::add(&mut self.totals, &row.totals);
        figures::add_rates(&mut self.rates, &row.rates);
        self.unconfirmed += row.unconfirmed;
        self.delayed += row.session.held_for();
    }
}

/// The sums of rows that have something in common.
pub(super) fn by<'a, K: Eq + Hash>(
    rows: &'a [Row],
    key: impl Fn(&'a Row) -> Option<K>,
) -> HashMap<K, Sum> {
    let mut sums: HashMap<K, Sum> = HashMap::new();
    for row in rows {
        if let Some(key) = key(row) {
            sums.entry(key).or_default().add(row);
        }
    }
    sums
}

/// Of sessions with a name in common.
#[derive(Debug, Default)]
pub(super) struct Tally<'a> {
    pub(super) sum: Sum,
    /// The first of them by name.
    pub(super) others: BTreeSet<&'a str>,
    nodes: BTreeMap<(&'a str, &'a str), usize>,
}

impl<'a> Tally<'a> {
    /// Adds a session that is used by, or uses, `other`.
    pub(super) fn add(&mut self, row: &'a Row, other: Option<&'a str>) {
        self.sum.add(row);
        if let Some(other) = other {
            self.others.insert(other);
            if self.others.len() > LISTED {
                self.others.pop_last();
            }
        }
        if let Some(node) = row.node() {
            *self.nodes.entry(node).or_default() += 1;
        }
    }

    pub(super) fn others(&self) -> Vec<String> {
        self.others.iter().map(|name| (*name).to_owned()).collect()
    }

    pub(super) fn shares(&self) -> Vec<Share> {
        let share = |(&(cluster, node), &sessions): (&(&str, &str), &usize)| Share {
            at: format!("{cluster}/{node}"),
            sessions,
        };
        self.nodes.iter().map(share).collect()
    }
}

/// Of the whole gateway, at one moment.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Whole {
    pub(super) sessions: usize,
    pub(super) in_handshake: usize,
    pub(super) channels: u64,
    pub(super) unconfirmed: u64,
    /// Since the start of the process, ended sessions included.
    pub(super) totals: Traffic,
}

impl Whole {
    /// Ended sessions first: one that ends meanwhile is missed, and never counted twice.
    pub(super) fn take(shared: &Shared) -> Self {
        let mut passed = shared.ended.ledger.all();
        let mut whole = Self::default();
        shared.registry.each(|session| {
            whole.sessions += 1;
            whole.in_handshake += usize::from(session.facts().is_none());
            whole.channels += session.counters.channels.get();
            whole.unconfirmed += session.counters.unconfirmed.get();
            passed.add(&Passed::of(session));
        });
        Self { totals: figures::traffic(&passed), ..whole }
    }
}

/// Does that fitness let it serve?
pub(super) fn serves(fitness: Fitness) -> bool {
    fitness < Fitness::Unfit
}

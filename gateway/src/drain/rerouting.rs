//! After a reload: closes sessions whose route leads elsewhere now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::info;

use super::pace::Closing;
use crate::session::registry::{Order, Registry, Session, SessionFacts, SessionId};
use crate::snapshot::Snapshot;

/// How often it is looked for sessions that were in their handshake at the reload, and have gone where routes led before.
const LOOK: Duration = Duration::from_millis(250);

/// Sessions that lead elsewhere by the routes of one revision.
#[derive(Debug)]
pub(super) struct Rerouting {
    /// Whoever began later goes by the new routes.
    last: SessionId,
    closing: Closing,
    elsewhere: Vec<Arc<Session>>,
    looked: Option<Instant>,
    /// Is there a session in its handshake that may have been decided by the old ones?
    awaits: bool,
}

impl Rerouting {
    /// Begins; finds whoever is open already.
    pub(super) fn begin(snapshot: &Snapshot, registry: &Registry) -> Self {
        let patience = snapshot.all_clusters().map(|cluster| cluster.model.drain_patience).max();
        let closing =
            Closing::new(Order::RouteChanged, snapshot.drain_rate, patience.unwrap_or_default());
        let mut rerouting = Self {
            last: registry.last_id(),
            closing,
            elsewhere: Vec::new(),
            looked: None,
            awaits: true,
        };
        rerouting.look(snapshot, registry);
        let sessions = rerouting.left();
        if sessions > 0 {
            info!(sessions, "closing sessions whose route leads elsewhere now");
        }
        rerouting
    }

    /// How many are to be told still.
    pub(super) fn left(&self) -> usize {
        self.elsewhere.len()
    }

    /// Tells those whose turn it is at `now`. Is there more to come?
    pub(super) fn step(&mut self, snapshot: &Snapshot, registry: &Registry, now: Instant) -> bool {
        if self.looked.is_none_or(|at| now.saturating_duration_since(at) >= LOOK) {
            self.looked = Some(now);
            if self.awaits {
                self.look(snapshot, registry);
            }
        }
        let all = || self.elsewhere.clone();
        self.closing.step(now, all);
        self.elsewhere.retain(|session| !session.has_order() && !session.has_ended());
        self.awaits || !self.elsewhere.is_empty()
    }

    /// Finds those that are open and have not been looked at.
    fn look(&mut self, snapshot: &Snapshot, registry: &Registry) {
        self.awaits = false;
        let mut unrouted = Vec::new();
        registry.each(|session| {
            if session.facts().is_none() {
                self.awaits |= session.id <= self.last;
            } else if session.is_unrouted(snapshot.revision) {
                unrouted.push(session.clone());
            }
        });
        // Only now: whoever connects does not wait for routes to be looked through.
        unrouted.retain(|session| {
            session.hold_against(&snapshot.routes, snapshot.revision)
                && !session.has_order()
                && !is_removed(session, snapshot)
        });
        unrouted.sort_unstable_by_key(|session| session.id);
        self.elsewhere.append(&mut unrouted);
    }
}

/// Is its node gone from the configuration? Then it is closed for that.
fn is_removed(session: &Session, snapshot: &Snapshot) -> bool {
    session.facts().is_some_and(|SessionFacts { node, .. }| {
        let cluster = snapshot.clusters.get(&node.cluster);
        !cluster.is_some_and(|cluster| cluster.configures(node))
    })
}

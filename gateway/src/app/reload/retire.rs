//! Closes the sessions of listeners that are gone.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tracing::info;

use super::super::Gateway;
use crate::config::model::ListenerName;
use crate::drain::pace::{Closing, STEP};
use crate::session::Shared;
use crate::session::registry::{Order, Session, SessionId};

/// The sessions of listeners that are gone.
pub(super) struct Leaving {
    shared: Arc<Shared>,
    gone: HashSet<ListenerName>,
    /// Whoever began later came to another listener of that name.
    last: SessionId,
}

impl Leaving {
    /// The listeners accept no more. Sessions still in their handshake are told at once: nothing is lost with them.
    pub(super) fn of(shared: &Arc<Shared>, gone: HashSet<ListenerName>) -> Self {
        let leaving = Self { shared: shared.clone(), gone, last: shared.registry.last_id() };
        for session in leaving.sessions().iter().filter(|session| session.facts().is_none()) {
            session.order(Order::ListenerRemoved);
        }
        leaving
    }

    fn sessions(&self) -> Vec<Arc<Session>> {
        if self.gone.is_empty() {
            return Vec::new();
        }
        let mut all = self.shared.registry.list();
        all.retain(|s| s.id <= self.last && self.gone.contains(&s.arrival.listener));
        all
    }

    /// Closes them at a pace.
    pub(super) fn close(self, gateway: &Gateway, rate: NonZeroU32) {
        let sessions = self.sessions().len();
        if sessions > 0 {
            info!(sessions, "closing sessions of listeners that are gone");
            let stop = gateway.stop_accepting.clone();
            let patience = self.patience();
            gateway.tasks.spawn(async move {
                stop.run_until_cancelled(self.run(rate, patience)).await;
            });
        }
    }

    /// How long sessions with publishes under way are waited for.
    fn patience(&self) -> Duration {
        let snapshot = self.shared.snapshot.load();
        let longest = snapshot.clusters.values().map(|cluster| cluster.model.drain_patience).max();
        longest.unwrap_or_default()
    }

    async fn run(self, rate: NonZeroU32, patience: Duration) {
        let mut closing = Closing::new(Order::ListenerRemoved, rate, patience);
        let mut steps = interval(STEP);
        steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut left = true;
        while left {
            steps.tick().await;
            closing.step(Instant::now(), || {
                let sessions = self.sessions();
                left = !sessions.is_empty();
                sessions
            });
        }
    }
}

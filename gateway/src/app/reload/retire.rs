//! Closes the sessions of listeners that are gone.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

use super::super::Gateway;
use crate::config::model::ListenerName;
use crate::drain::pace::{Closing, STEP};
use crate::session::Shared;
use crate::session::registry::{Order, Session, SessionId};

/// Whoever was accepted last may still be on the way to another thread, and have no session yet.
const ON_THE_WAY: Duration = Duration::from_secs(5);

/// The sessions of listeners that are gone.
#[derive(Clone)]
pub(super) struct Leaving {
    shared: Arc<Shared>,
    /// The listeners, and the last session there was when they went: if there is one of that name again, whoever began
    /// later came to that one.
    gone: HashMap<ListenerName, SessionId>,
}

/// Those that are being closed, by one task at one pace, whenever their listeners went.
pub(in crate::app) struct UnderWay {
    leaving: Leaving,
    _task: AbortOnDropHandle<()>,
}

impl Leaving {
    /// The listeners accept no more. Sessions still in their handshake are told at once: nothing is lost with them.
    pub(super) fn of(shared: &Arc<Shared>, gone: HashSet<ListenerName>) -> Self {
        let last = shared.registry.last_id();
        let gone = gone.into_iter().map(|name| (name, last)).collect();
        let leaving = Self { shared: shared.clone(), gone };
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
        let snapshot = self.shared.snapshot.load();
        all.retain(|session| {
            let listener = &session.arrival.listener;
            let last = self.gone.get(listener);
            last.is_some_and(|last| session.id <= *last || !snapshot.routes.has_listener(listener))
        });
        all
    }

    /// Closes them at a pace, and those that are being closed already with them.
    pub(super) fn close(mut self, gateway: &mut Gateway, rate: NonZeroU32) {
        if self.gone.is_empty() {
            return;
        }
        let sessions = self.sessions().len();
        if sessions > 0 {
            info!(sessions, "closing sessions of listeners that are gone");
        }
        if let Some(before) = gateway.leaving.take() {
            self.take_over(before.leaving);
        }
        let stop = gateway.stop_accepting.clone();
        let (leaving, patience) = (self.clone(), self.patience());
        let task = gateway.tasks.spawn(async move {
            stop.run_until_cancelled(self.run(rate, patience)).await;
        });
        gateway.leaving = Some(UnderWay { leaving, _task: AbortOnDropHandle::new(task) });
    }

    /// Goes on with listeners that went before, as far as they have sessions.
    fn take_over(&mut self, mut before: Self) {
        let sessions = before.sessions();
        before.gone.retain(|name, _| sessions.iter().any(|s| s.arrival.listener == *name));
        for (name, last) in before.gone {
            self.gone.entry(name).or_insert(last);
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
        let all_are_here = Instant::now() + ON_THE_WAY;
        let mut left = true;
        while left {
            let now = steps.tick().await.into_std();
            closing.step(now, || {
                let sessions = self.sessions();
                left = !sessions.is_empty() || now < all_are_here;
                sessions
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;

    use super::*;
    use crate::config::model::{Model, samples};
    use crate::session::Ended;
    use crate::session::registry::Registry;
    use crate::session::tap::Taps;
    use crate::snapshot::Snapshot;
    use crate::stream::arrival::Arrival;
    use crate::telemetry::metrics::Metrics;

    fn begin(shared: &Shared, listener: &str) -> Arc<Session> {
        let arrival = Arrival::new(ListenerName(listener.into()), ([127, 0, 0, 1], 4000).into());
        let session = Arc::new(Session::new(shared.registry.next_id(), arrival));
        shared.registry.insert(session.clone());
        session
    }

    fn with_listeners(names: &[&str]) -> Snapshot {
        let listeners = names.iter().map(|name| samples::listener(name, None)).collect();
        let model = Model { listeners, ..samples::model(Vec::new()) };
        Snapshot::new(&model, &Default::default(), 1)
    }

    #[test]
    fn whoever_begins_late_at_a_listener_that_is_gone_leaves_too_and_at_another_of_its_name_stays()
    {
        let shared = Arc::new(Shared {
            name: "gw".into(),
            snapshot: ArcSwap::from_pointee(with_listeners(&["kept"])),
            registry: Registry::default(),
            taps: Taps::default(),
            ended: Ended::default(),
            metrics: Arc::new(Metrics::new()),
            access: None,
            events: Arc::default(),
        });
        let early = begin(&shared, "gone");
        let leaving = Leaving::of(&shared, HashSet::from([ListenerName("gone".into())]));
        assert!(early.has_order());
        let (late, other) = (begin(&shared, "gone"), begin(&shared, "kept"));
        let ids = |leaving: &Leaving| {
            let mut ids: Vec<_> = leaving.sessions().iter().map(|session| session.id).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(&leaving), [early.id, late.id]);
        shared.snapshot.store(Arc::new(with_listeners(&["kept", "gone"])));
        assert_eq!(ids(&leaving), [early.id]);
        let mut next = Leaving::of(&shared, HashSet::from([other.arrival.listener.clone()]));
        next.take_over(leaving);
        assert_eq!(ids(&next), [early.id, other.id], "one goes on with those of both");
    }
}

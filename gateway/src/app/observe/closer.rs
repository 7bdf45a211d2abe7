//! Closes the sessions that an operator has chosen, at a pace: one for all that were asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tracing::info;

use crate::drain::Keeper;
use crate::drain::pace::{Closing, STEP};
use crate::session::Shared;
use crate::session::registry::{Order, Session, SessionId};

/// Wishes that may wait; a wish waits no longer than a step.
const WAITING: usize = 16;

/// Takes wishes.
pub(super) type Wishes = mpsc::Sender<Vec<Arc<Session>>>;

/// Where wishes are made, and where they come out.
pub(super) fn channel() -> (Wishes, mpsc::Receiver<Vec<Arc<Session>>>) {
    mpsc::channel(WAITING)
}

/// Closes what is wished for, until nobody can wish any more.
pub(super) async fn run(
    shared: Arc<Shared>,
    keeper: Arc<Keeper>,
    mut wishes: mpsc::Receiver<Vec<Arc<Session>>>,
) {
    while let Some(wish) = wishes.recv().await {
        let mut chosen = Chosen::default();
        chosen.add(wish);
        let (rate, sessions) = (keeper.drain_rate(), chosen.0.len());
        info!(sessions, %rate, "an operator closes sessions");
        let mut closing = Closing::new(Order::OperatorClose, rate, patience(&shared));
        let mut steps = interval(STEP);
        steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !chosen.0.is_empty() {
            steps.tick().await;
            while let Ok(more) = wishes.try_recv() {
                chosen.add(more);
            }
            closing.step(Instant::now(), || chosen.left());
        }
        info!(sessions = closing.told(), "the sessions are told");
    }
}

/// Who is to be closed still, each once however often it was wished for: so there are no more than live sessions.
#[derive(Debug, Default)]
struct Chosen(BTreeMap<SessionId, Arc<Session>>);

impl Chosen {
    fn add(&mut self, more: Vec<Arc<Session>>) {
        self.0.extend(more.into_iter().map(|session| (session.id, session)));
    }

    /// Forgets whoever is over or told; lists the others, oldest first.
    fn left(&mut self) -> Vec<Arc<Session>> {
        self.0.retain(|_, session| !session.has_ended() && !session.has_order());
        self.0.values().cloned().collect()
    }
}

/// How long sessions with publishes under way are waited for: as long as by the most patient cluster.
fn patience(shared: &Shared) -> Duration {
    let snapshot = shared.snapshot.load();
    let longest = snapshot.clusters.values().map(|cluster| cluster.model.drain_patience).max();
    longest.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::observe::samples::session;

    #[test]
    fn who_is_wished_for_again_and_again_waits_once_and_not_at_all_when_it_is_over_or_told() {
        let (all, mut chosen) = ([session(3), session(1), session(2)], Chosen::default());
        for _ in 0..100 {
            chosen.add(all.to_vec());
        }
        assert_eq!(chosen.0.len(), 3);
        let left: Vec<_> = chosen.left().iter().map(|session| session.id.0).collect();
        assert_eq!(left, [1, 2, 3]);
        all[0].order(Order::Drain);
        all[1].end();
        chosen.add(all.to_vec());
        let left: Vec<_> = chosen.left().iter().map(|session| session.id.0).collect();
        assert_eq!((left, chosen.0.len()), (vec![2], 1));
    }
}

//! Closes the sessions that an operator has chosen, at a pace: one for all that were asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tracing::info;

use crate::drain::Keeper;
use crate::drain::pace::{Closing, STEP};
use crate::session::Shared;
use crate::session::registry::{Order, Session};

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
    while let Some(mut chosen) = wishes.recv().await {
        let (rate, sessions) = (keeper.drain_rate(), chosen.len());
        info!(sessions, %rate, "an operator closes sessions");
        let mut closing = Closing::new(Order::OperatorClose, rate, patience(&shared));
        let mut steps = interval(STEP);
        steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !chosen.is_empty() {
            steps.tick().await;
            while let Ok(more) = wishes.try_recv() {
                chosen.extend(more);
            }
            closing.step(Instant::now(), || {
                chosen.retain(|session| !session.has_ended() && !session.has_order());
                chosen.clone()
            });
        }
        info!(sessions = closing.told(), "the sessions are told");
    }
}

/// How long sessions with publishes under way are waited for: as long as by the most patient cluster.
fn patience(shared: &Shared) -> Duration {
    let snapshot = shared.snapshot.load();
    let longest = snapshot.clusters.values().map(|cluster| cluster.model.drain_patience).max();
    longest.unwrap_or_default()
}

//! Stops sessions: paced, with a reason, and not for ever.

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{info, warn};

use crate::drain::pace::{Closing, STEP};
use crate::session::Shared;
use crate::session::registry::Order;

/// How long sessions that were cut may take to go.
const LAST: Duration = Duration::from_secs(2);

/// Closes all sessions with 320, `rate` a second; cuts what is left after `timeout`, or when `cut` is ready.
pub(super) async fn drain(
    shared: &Arc<Shared>,
    rate: NonZeroU32,
    timeout: Duration,
    cut: impl Future<Output = ()>,
) {
    let deadline = Instant::now() + timeout;
    let why = tokio::select! {
        () = close_all(shared, rate, patience(shared, timeout)) => {
            info!("all sessions are closed");
            return;
        }
        () = sleep_until(deadline) => "gateway.drain_timeout is over",
        () = cut => "second signal",
    };
    warn!(sessions = shared.registry.len(), why, "cutting the sessions that are left");
    shared.registry.each(|session| session.order(Order::Cut));
    let _ = tokio::time::timeout(LAST, gone(shared)).await;
}

/// How long sessions with publishes under way are waited for: the longest patience of any cluster, but not so long that
/// they would be cut instead of closed.
fn patience(shared: &Shared, timeout: Duration) -> Duration {
    let snapshot = shared.snapshot.load();
    let longest = snapshot.clusters.values().map(|c| c.model.drain_patience).max();
    longest.unwrap_or_default().min(timeout / 2)
}

/// Tells the sessions, and those that begin only now: a client may have been accepted just before.
async fn close_all(shared: &Arc<Shared>, rate: NonZeroU32, patience: Duration) {
    let mut closing = Closing::new(Order::Drain, rate, patience);
    let mut steps = interval(STEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !shared.registry.is_empty() {
        steps.tick().await;
        closing.step(Instant::now().into_std(), || shared.registry.list());
    }
}

async fn gone(shared: &Arc<Shared>) {
    let mut looks = interval(STEP);
    while !shared.registry.is_empty() {
        looks.tick().await;
    }
}

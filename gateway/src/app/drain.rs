//! Stops sessions: paced, with a reason, and not for ever.

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{info, warn};

use crate::session::Shared;
use crate::session::registry::Order;

/// How often a batch of sessions is told.
const STEP: Duration = Duration::from_millis(20);
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
    let patient = async {
        // Once more and again: a client that was accepted just before may begin its session only now.
        while !shared.registry.is_empty() {
            close_paced(shared, rate).await;
            tokio::time::sleep(STEP).await;
        }
    };
    let why = tokio::select! {
        () = patient => {
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

/// Tells the sessions, oldest first, `rate` a second.
async fn close_paced(shared: &Arc<Shared>, rate: NonZeroU32) {
    let mut steps = interval(STEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let per_step = f64::from(rate.get()) * STEP.as_secs_f64();
    let mut due = 0.0;
    for session in shared.registry.list().iter().filter(|session| !session.has_order()) {
        while due < 1.0 {
            steps.tick().await;
            due += per_step;
        }
        due -= 1.0;
        session.order(Order::Drain);
    }
}

async fn gone(shared: &Arc<Shared>) {
    let mut looks = interval(STEP);
    while !shared.registry.is_empty() {
        looks.tick().await;
    }
}

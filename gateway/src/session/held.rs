//! A session that is held in its handshake until its cluster admits it, and for how long it was.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::Shared;
use super::end::End;
use super::registry::Session;
use super::search::watched;
use crate::cluster::Cluster;
use crate::cluster::admission::{Place, Refused};

/// How often the time of a session that is held right now is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// For how long a session was held. Written by the session alone.
#[derive(Debug, Default)]
pub struct Held {
    /// Milliseconds, of the times that are over.
    before: AtomicU64,
    /// Since so many milliseconds after accept, and one; 0 = not now.
    since: AtomicU64,
}

impl Session {
    /// For how long it has been held so far.
    #[must_use]
    pub fn held_for(&self) -> Duration {
        let before = Duration::from_millis(self.held.before.load(Ordering::Relaxed));
        match self.held.since.load(Ordering::Relaxed).checked_sub(1) {
            Some(since) => {
                before
                    + self.arrival.accepted.elapsed().saturating_sub(Duration::from_millis(since))
            }
            None => before,
        }
    }

    /// Is it held right now?
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held.since.load(Ordering::Relaxed) > 0
    }
}

/// Waits until `cluster` admits one more connection for this session.
///
/// # Errors
/// The end of the session, as soon as `watch` finds it; it leaves the line by that.
pub(super) async fn admit(
    shared: &Shared,
    session: &Session,
    cluster: &Cluster,
    place: &mut Place,
    watch: impl FnMut(&mut Context<'_>) -> Poll<End>,
) -> Result<Result<(), Refused>, End> {
    let Some(admission) = &cluster.admission else { return Ok(Ok(())) };
    let patience = admission.wait.saturating_sub(session.held_for());
    let _hold = Hold::begin(shared, session, cluster);
    watched(admission.admit(place, patience), watch).await
}

/// A time for which a session is held; over when dropped.
struct Hold<'a> {
    shared: &'a Shared,
    session: &'a Session,
    cluster: &'a Cluster,
    begun: Instant,
}

impl<'a> Hold<'a> {
    fn begin(shared: &'a Shared, session: &'a Session, cluster: &'a Cluster) -> Self {
        session.held.since.store(millis(session.arrival.accepted.elapsed()) + 1, Ordering::Relaxed);
        Self { shared, session, cluster, begun: Instant::now() }
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let (held, waited) = (&self.session.held, self.begun.elapsed());
        held.before.fetch_add(millis(waited), Ordering::Relaxed);
        held.since.store(0, Ordering::Relaxed);
        self.shared.metrics.admission(&self.cluster.name.0, waited);
    }
}

/// Runs a handshake that has `timeout` from accept; for a session that is held, time stands still. `None` if it took longer.
pub(super) async fn in_time<T>(
    session: &Session,
    timeout: Duration,
    handshake: impl Future<Output = T>,
) -> Option<T> {
    let mut handshake = pin!(handshake);
    let mut deadline = session.arrival.accepted + timeout;
    loop {
        if let Ok(done) = timeout_at(deadline.into(), handshake.as_mut()).await {
            return Some(done);
        }
        let extended = session.arrival.accepted + timeout + session.held_for();
        if session.is_held() {
            deadline = extended.max(Instant::now() + LOOK_AGAIN);
        } else if extended > deadline {
            deadline = extended;
        } else {
            return None;
        }
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

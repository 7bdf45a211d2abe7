//! Connections to one node that wait for a request.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::link::Link;

/// Connections that wait, at most.
const MOST: usize = 32;
/// How long one may wait: less than RabbitMQ keeps it, so that hardly any request meets one that is being closed.
const LONGEST: Duration = Duration::from_secs(30);

/// The connections of one node that wait for a request, the last one used at the end.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<(Link, Instant)>>);

impl Pool {
    /// One that is open, as far as is known.
    pub(super) fn take(&self, now: Instant) -> Option<Link> {
        self.sweep(now);
        self.lock().pop().map(|(link, _)| link)
    }

    /// Keeps one whose answer has come to its end.
    pub(super) fn put(&self, link: Link, now: Instant) {
        let mut waiting = self.lock();
        if waiting.len() < MOST {
            waiting.push((link, now));
        }
    }

    /// Lets those go that are closed, or have waited for too long.
    pub(super) fn sweep(&self, now: Instant) {
        let young = |since: Instant| now.saturating_duration_since(since) < LONGEST;
        self.lock().retain(|(link, since)| young(*since) && link.is_open());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Link, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Admission: how many connections to the nodes of a cluster may begin at once, and who waits in line for the next one.
//!
//! There is no task behind it: the first in line has a timer, and whoever leaves the front wakes the next.

mod line;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use line::{Answer, Line};
use tokio::time::{Sleep, sleep_until};

use crate::config::model;

/// The admission of a cluster.
#[derive(Debug)]
pub struct Admission {
    line: Mutex<Line>,
    born: Instant,
    /// How long a session may wait, over all of its connections.
    pub wait: Duration,
}

/// A session's place in line. It is kept for a further connection of the same session: who has waited once is not sent to
/// the end again because a node did not answer.
#[derive(Debug, Default)]
pub struct Place(Option<u64>);

/// Why a session is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// As many wait as may wait.
    Full,
    /// It has waited as long as it may.
    Overdue,
}

impl Admission {
    /// The admission of a configuration.
    #[must_use]
    pub fn new(model: &model::Admission) -> Self {
        let line = Mutex::new(Line::new(model.rate, model.queue));
        Self { line, born: Instant::now(), wait: model.wait }
    }

    /// How many sessions wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line().waiting()
    }

    /// Waits until one more connection to a node may begin, but no longer than `patience`. Whoever drops the future leaves
    /// the line.
    ///
    /// # Errors
    /// When the line is full, or `patience` is over.
    pub async fn admit(&self, place: &mut Place, patience: Duration) -> Result<(), Refused> {
        let ticket = *place.0.get_or_insert_with(|| self.line().ticket());
        let mut waiting = Waiting { admission: self, ticket, queued: false };
        let deadline = Instant::now() + patience;
        let mut timer = pin!(sleep_until(deadline.into()));
        std::future::poll_fn(|cx| waiting.poll(cx, deadline, timer.as_mut())).await
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing in there can panic half-way.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn since_birth(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }
}

/// Someone in line; leaves it when dropped.
struct Waiting<'a> {
    admission: &'a Admission,
    ticket: u64,
    queued: bool,
}

impl Waiting<'_> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Instant,
        mut timer: Pin<&mut Sleep>,
    ) -> Poll<Result<(), Refused>> {
        loop {
            let (admission, now) = (self.admission, Instant::now());
            let may_wait = now < deadline;
            let at = admission.since_birth(now);
            let answer = admission.line().ask(self.ticket, at, may_wait.then_some(cx.waker()));
            let wake_at = match answer {
                Answer::Admitted { next } => {
                    self.queued = false;
                    next.iter().for_each(Waker::wake_by_ref);
                    return Poll::Ready(Ok(()));
                }
                Answer::Refused if may_wait => return Poll::Ready(Err(Refused::Full)),
                Answer::Refused => return Poll::Ready(Err(Refused::Overdue)),
                Answer::First { at } => deadline.min(admission.born + at),
                Answer::Behind => deadline,
            };
            self.queued = true;
            if timer.deadline() != wake_at.into() {
                timer.as_mut().reset(wake_at.into());
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.queued {
            let next = self.admission.line().leave(self.ticket);
            next.iter().for_each(Waker::wake_by_ref);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use tokio::task::JoinSet;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn admission(rate: u32, queue: usize) -> Arc<Admission> {
        let rate = NonZeroU32::new(rate).expect("rate");
        Arc::new(Admission::new(&model::Admission { rate, queue, wait: LONG }))
    }

    /// One that admits nobody for now.
    fn exhausted(queue: usize) -> Arc<Admission> {
        let admission = admission(1, queue);
        admission.line().exhaust(LONG * 60);
        admission
    }

    async fn admit(admission: &Admission, patience: Duration) -> Result<(), Refused> {
        admission.admit(&mut Place::default(), patience).await
    }

    /// Waits until so many are in line.
    async fn in_line(admission: &Admission, count: usize) {
        while admission.waiting() != count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn all_get_on_in_their_order_at_the_rate() {
        let (admission, start) = (admission(100, 100), Instant::now());
        let mut clients = JoinSet::new();
        for number in 0..50 {
            let own = admission.clone();
            clients.spawn(async move {
                admit(&own, LONG).await.expect("a place");
                number
            });
        }
        let mut order = Vec::new();
        while let Some(number) = clients.join_next().await {
            order.push(number.expect("no panic"));
        }
        assert!(order.is_sorted(), "{order:?}");
        // Ten at once, forty at a hundred a second.
        assert!(start.elapsed() >= Duration::from_millis(390), "{:?}", start.elapsed());
        assert_eq!(admission.waiting(), 0);
    }

    #[tokio::test]
    async fn over_the_queue_there_is_no_admission() {
        let admission = exhausted(1);
        let own = admission.clone();
        let waiting = tokio::spawn(async move { admit(&own, LONG).await });
        in_line(&admission, 1).await;
        assert_eq!(admit(&admission, LONG).await, Err(Refused::Full));
        assert_eq!(admission.waiting(), 1);
        waiting.abort();
    }

    #[tokio::test]
    async fn over_the_wait_there_is_no_admission() {
        let admission = exhausted(10);
        for patience in [Duration::from_millis(50), Duration::ZERO] {
            assert_eq!(admit(&admission, patience).await, Err(Refused::Overdue));
            assert_eq!(admission.waiting(), 0);
        }
    }

    #[tokio::test]
    async fn who_leaves_gives_its_place_up() {
        let admission = exhausted(1);
        for _ in 0..3 {
            let own = admission.clone();
            let gone = tokio::spawn(async move { admit(&own, LONG).await });
            in_line(&admission, 1).await;
            gone.abort();
            in_line(&admission, 0).await;
        }
    }
}

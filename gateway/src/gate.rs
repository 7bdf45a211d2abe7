//! Limits on sessions at once: of the gateway, and of each listener.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// How many sessions there are, and may be.
#[derive(Debug)]
pub struct Gate {
    live: AtomicUsize,
    most: AtomicUsize,
    left: Notify,
}

impl Gate {
    /// A gate that lets `most` sessions in at once.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { live: AtomicUsize::new(0), most: AtomicUsize::new(most), left: Notify::new() }
    }

    /// Sessions now.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// The most that may be in at once.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// Lets `most` in at once from now on. Those who are in stay.
    pub fn set_limit(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
        self.left.notify_waiters();
    }

    /// Takes a place, if there is one.
    fn enter(&self) -> bool {
        let most = self.most();
        let more = |live| (live < most).then_some(live + 1);
        self.live.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Takes a place, even if there is none.
    fn squeeze_in(&self) {
        self.live.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
        self.left.notify_waiters();
    }

    async fn wait(&self) {
        loop {
            let left = self.left.notified();
            if self.enter() {
                return;
            }
            left.await;
        }
    }
}

/// A session's passage through the gates of its listener and of the gateway.
#[derive(Debug)]
pub struct Passage {
    listener: Arc<Gate>,
    gateway: Arc<Gate>,
}

impl Passage {
    /// Waits for room under both limits.
    pub async fn wait(listener: &Arc<Gate>, gateway: &Arc<Gate>) -> Self {
        gateway.wait().await;
        if !listener.enter() {
            // A full listener must not keep a place from the others.
            gateway.leave();
            listener.wait().await;
            gateway.wait().await;
        }
        Self { listener: listener.clone(), gateway: gateway.clone() }
    }

    /// Passes both at once, over the limits if need be: for a client that is only to be told that the gateway stops.
    #[must_use]
    pub fn at_once(listener: &Arc<Gate>, gateway: &Arc<Gate>) -> Self {
        listener.squeeze_in();
        gateway.squeeze_in();
        Self { listener: listener.clone(), gateway: gateway.clone() }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.listener.leave();
        self.gateway.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_is_over_a_limit_waits_until_somebody_leaves() {
        let (listener, gateway) = (Arc::new(Gate::new(1)), Arc::new(Gate::new(5)));
        let first = Passage::wait(&listener, &gateway).await;
        let second = tokio::spawn({
            let (listener, gateway) = (listener.clone(), gateway.clone());
            async move { Passage::wait(&listener, &gateway).await }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        assert_eq!(gateway.live(), 1, "who waits at a full listener takes no place of the others");
        drop(first);
        let second = second.await.expect("a passage");
        assert_eq!((listener.live(), gateway.live()), (1, 1));
        drop(second);
        assert_eq!((listener.live(), gateway.live()), (0, 0));
    }

    #[tokio::test]
    async fn a_limit_that_is_raised_lets_those_in_who_wait_and_one_that_is_lowered_sends_nobody_away()
     {
        let (listener, gateway) = (Arc::new(Gate::new(1)), Arc::new(Gate::new(5)));
        let first = Passage::wait(&listener, &gateway).await;
        let second = tokio::spawn({
            let (listener, gateway) = (listener.clone(), gateway.clone());
            async move { Passage::wait(&listener, &gateway).await }
        });
        tokio::task::yield_now().await;
        listener.set_limit(2);
        let second = second.await.expect("a passage");
        listener.set_limit(1);
        assert_eq!(listener.live(), 2);
        drop(first);
        assert!(!listener.enter());
        drop(second);
        assert!(listener.enter());
    }
}

//! What sessions notice about a node, for the task that watches over it. Cheap to leave, from any thread.

use std::sync::atomic::{AtomicBool, Ordering};

use amqp_codec::reply::{CloseReason, ReplyCode};
use tokio::sync::Notify;

/// A letter box: many leave notices, one takes them out.
#[derive(Debug, Default)]
pub struct Notices {
    failed: AtomicBool,
    served: AtomicBool,
    stopping: AtomicBool,
    maintenance: AtomicBool,
    asked: AtomicBool,
    arrived: Notify,
}

/// What lay in the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Noticed {
    /// A client's connection or handshake failed because of the node.
    pub failed: bool,
    /// After such failures a client was served.
    pub served: bool,
    /// The node has told a client that it is shutting down.
    pub stopping: bool,
    /// The node has told a client that it goes into maintenance.
    pub maintenance: bool,
    /// Somebody wants to know at once how it is.
    pub asked: bool,
}

impl Notices {
    /// A client's connection or handshake failed because of the node.
    pub fn failed(&self) {
        self.failed.store(true, Ordering::Relaxed);
        self.arrived.notify_one();
    }

    /// A client was served, after others had failed.
    pub fn served(&self) {
        self.served.store(true, Ordering::Relaxed);
        self.arrived.notify_one();
    }

    /// The node closed a connection: with 320 it may tell that it is about to go.
    ///
    /// What it says when an operator closes one connection says nothing about the node.
    pub fn closed(&self, reason: &CloseReason) {
        if reason.code != ReplyCode::CONNECTION_FORCED {
            return;
        }
        let text = reason.text();
        let flag = if text.contains("maintenance mode") {
            &self.maintenance
        } else if text.contains("'shutdown'") {
            &self.stopping
        } else {
            return;
        };
        flag.store(true, Ordering::Relaxed);
        self.arrived.notify_one();
    }

    /// Somebody wants to know at once how the node is.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.arrived.notify_one();
    }

    /// Waits until something lies in the box, and takes it out.
    pub async fn take(&self) -> Noticed {
        loop {
            let noticed = Noticed {
                failed: self.failed.swap(false, Ordering::Relaxed),
                served: self.served.swap(false, Ordering::Relaxed),
                stopping: self.stopping.swap(false, Ordering::Relaxed),
                maintenance: self.maintenance.swap(false, Ordering::Relaxed),
                asked: self.asked.swap(false, Ordering::Relaxed),
            };
            if noticed != Noticed::default() {
                return noticed;
            }
            self.arrived.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn taken(notices: &Notices) -> Option<Noticed> {
        match pin!(notices.take()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(noticed) => Some(noticed),
            Poll::Pending => None,
        }
    }

    /// As RabbitMQ says it.
    fn forced(text: &str) -> CloseReason {
        CloseReason::new(ReplyCode::CONNECTION_FORCED, text)
    }

    #[test]
    fn what_is_left_is_taken_once_and_together() {
        let notices = Notices::default();
        assert_eq!(taken(&notices), None);
        notices.failed();
        notices.failed();
        notices.closed(&forced("broker forced connection closure with reason 'shutdown'"));
        let both = Noticed { failed: true, stopping: true, ..Noticed::default() };
        assert_eq!(taken(&notices), Some(both));
        assert_eq!(taken(&notices), None);
    }

    #[test]
    fn only_what_a_close_says_about_the_node_counts() {
        let notices = Notices::default();
        notices.closed(&forced("Closed via management plugin"));
        let maintenance = "Node was put into maintenance mode";
        notices.closed(&CloseReason::new(ReplyCode::NOT_ALLOWED, maintenance));
        assert_eq!(taken(&notices), None);
        notices.closed(&forced(maintenance));
        assert!(taken(&notices).is_some_and(|noticed| noticed.maintenance && !noticed.stopping));
    }
}

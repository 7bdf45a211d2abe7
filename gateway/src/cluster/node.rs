//! One RabbitMQ node: where it is, how many sessions it has, whether it answered lately.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use amqp_codec::handshake::bridge::Learned;
use amqp_codec::reply::CloseReason;
use arc_swap::{ArcSwap, ArcSwapOption};

use super::condition::Condition;
use super::left_out::LeftOut;
use super::notices::Notices;
use super::report::Report;
use super::target::Target;
use crate::config::model::{self, ClusterName, ManagementUrl};

/// The log tells that the gateway itself cannot reach a node at most so often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// A node and what sessions have found out about it.
#[derive(Debug)]
pub struct Node {
    /// The cluster it belongs to.
    pub cluster: ClusterName,
    /// Its name: that of its section in the configuration or, where the section gives a name to resolve, the section's
    /// with what it led to: `new1@10.0.0.5`.
    pub name: Arc<str>,
    /// The name of its section in the configuration.
    pub section: Arc<str>,
    /// Where it speaks AMQP.
    pub address: SocketAddr,
    /// The host name or IP address that it is known by, as its certificate has to bear it.
    pub host: Arc<str>,
    /// Its share of new sessions; an operator may change it.
    weight: AtomicU32,
    /// Its share by configuration and DNS.
    given_weight: AtomicU32,
    /// Sessions at once.
    pub max_connections: Option<usize>,
    /// Used only while no other node is usable.
    pub backup: bool,
    /// Where its management API answers.
    pub management: Option<ManagementUrl>,
    /// The host of that URL as it is configured, as its certificate has to bear it.
    pub management_host: Arc<str>,
    /// What its checks, its broker and the operator say of it.
    pub condition: Condition,
    /// What its checks found last.
    pub report: ArcSwap<Report>,
    /// What its sessions noticed.
    pub notices: Notices,
    learned: ArcSwapOption<Learned>,
    lessons: AtomicU64,
    sessions: AtomicUsize,
    left_out: LeftOut,
    /// Milliseconds after `born` from when on there may be a complaint again.
    complain_from: AtomicU64,
    born: Instant,
}

impl Node {
    /// A node of the section `section`, found at `target`.
    #[must_use]
    pub fn new(cluster: &ClusterName, section: &model::Node, target: &Target) -> Self {
        let weight = target.weight_in(section).get();
        Self {
            cluster: cluster.clone(),
            name: target.node_name(section),
            section: section.name.clone(),
            address: target.address,
            host: target.host_in(section),
            weight: AtomicU32::new(weight),
            given_weight: AtomicU32::new(weight),
            max_connections: section.max_connections,
            backup: target.is_backup_in(section),
            management: target.management(section),
            management_host: section
                .management
                .as_ref()
                .map(|url| url.host.clone())
                .unwrap_or_default(),
            condition: Condition::default(),
            report: ArcSwap::default(),
            notices: Notices::default(),
            learned: ArcSwapOption::empty(),
            lessons: AtomicU64::new(0),
            sessions: AtomicUsize::new(0),
            left_out: LeftOut::default(),
            complain_from: AtomicU64::new(0),
            born: Instant::now(),
        }
    }

    /// A node for tests, whose section gives its IP address.
    #[cfg(test)]
    pub(crate) fn sample(cluster: &str, section: &model::Node) -> Self {
        let target = Target::at(section.address.literal().expect("an IP address"));
        Self::new(&ClusterName(cluster.into()), section, &target)
    }

    /// Its share of new sessions, relative to the other nodes.
    #[must_use]
    pub fn weight(&self) -> NonZeroU32 {
        NonZeroU32::new(self.weight.load(Ordering::Relaxed)).unwrap_or(NonZeroU32::MIN)
    }

    /// Changes its share; returns what it was.
    pub fn set_weight(&self, weight: NonZeroU32) -> NonZeroU32 {
        let before = self.weight.swap(weight.get(), Ordering::Relaxed);
        NonZeroU32::new(before).unwrap_or(NonZeroU32::MIN)
    }

    /// DNS has told its share again. Only news count: an operator's word stands until then.
    pub(super) fn given_weight(&self, weight: NonZeroU32) {
        if self.given_weight.swap(weight.get(), Ordering::Relaxed) != weight.get() {
            self.set_weight(weight);
        }
    }

    /// Did its last connection fail, and has none succeeded since?
    #[must_use]
    pub fn is_left_out(&self) -> bool {
        self.left_out.has_failed()
    }

    /// What its last handshake told of it.
    #[must_use]
    pub fn learned(&self) -> Option<Arc<Learned>> {
        self.learned.load_full()
    }

    /// How often it has told something new.
    #[must_use]
    pub fn lessons(&self) -> u64 {
        self.lessons.load(Ordering::Acquire)
    }

    /// Keeps what a handshake told. Cheap if it is nothing new.
    pub fn learn(&self, told: &Learned) {
        if self.learned.load().as_deref() != Some(told) {
            self.learned.store(Some(Arc::new(told.clone())));
            self.lessons.fetch_add(1, Ordering::Release);
        }
    }

    /// Live sessions, those in their handshake included.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Is there room for one more session?
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.max_connections.is_none_or(|max| self.sessions() < max)
    }

    /// May it be tried at `now`? See [`LeftOut::try_usable`].
    pub fn try_usable(&self, now: Instant) -> bool {
        self.left_out.try_usable(now)
    }

    /// Is it left out at `now`? Changes nothing.
    #[must_use]
    pub fn is_skipped(&self, now: Instant) -> bool {
        self.left_out.is_out(now)
    }

    /// It did not answer: leave it out for a while. Returns for how long.
    pub fn failed(&self, now: Instant) -> Duration {
        self.notices.failed();
        self.left_out.failed(now)
    }

    /// It answered. Returns whether it had been failing.
    pub fn answered(&self) -> bool {
        let had_failed = self.left_out.succeeded();
        if had_failed {
            self.notices.served();
        }
        had_failed
    }

    /// May the log tell at `now` that the gateway itself cannot reach it? Once in a while: every client would meet it.
    pub fn may_be_complained_of(&self, now: Instant) -> bool {
        let now = self.millis(now);
        let from = self.complain_from.load(Ordering::Relaxed);
        let next = now + millis(COMPLAIN_EVERY);
        let swap = || {
            self.complain_from.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed)
        };
        now >= from && swap().is_ok()
    }

    /// It closed a session that was opened at that time. A client that reads slowly hears late what the node said before it
    /// went: that says nothing about the node that came back.
    pub fn closed(&self, reason: &CloseReason, opened: Instant) {
        if !self.condition.has_recovered_since(opened) {
            self.notices.closed(reason);
        }
    }

    fn millis(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.born))
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

/// A session's place on a node: counted from the choice of the node to the session's end.
#[derive(Debug)]
pub struct Lease {
    node: Arc<Node>,
}

impl Lease {
    /// Takes a place.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        node.sessions.fetch_add(1, Ordering::Relaxed);
        Self { node }
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.node.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use amqp_codec::reply::ReplyCode;

    use super::*;
    use crate::cluster::condition::{BrokerSays, Verdict};
    use crate::config::model::samples;

    fn node() -> Node {
        let limited = model::Node { max_connections: Some(1), ..samples::node("r1", 5672) };
        Node::sample("main", &limited)
    }

    #[test]
    fn what_every_client_meets_is_told_once_in_a_while() {
        let (node, start) = (node(), Instant::now());
        let told = |after: Duration| node.may_be_complained_of(start + after);
        assert!(told(Duration::ZERO));
        assert!(!told(Duration::ZERO) && !told(COMPLAIN_EVERY - Duration::from_millis(1)));
        assert!(told(COMPLAIN_EVERY) && !told(COMPLAIN_EVERY));
    }

    #[test]
    fn a_lease_counts_while_it_lives() {
        let node = Arc::new(node());
        assert!(node.has_room());
        let lease = Lease::new(node.clone());
        assert_eq!((node.sessions(), node.has_room()), (1, false));
        drop(lease);
        assert_eq!(node.sessions(), 0);
    }

    #[test]
    fn what_a_node_said_before_it_went_says_nothing_about_it_once_it_is_back() {
        let (start, node) = (Instant::now(), node());
        let text = "broker forced connection closure with reason 'shutdown'";
        let shutdown = CloseReason::new(ReplyCode::CONNECTION_FORCED, text);
        let heard = |opened| {
            node.closed(&shutdown, opened);
            let mut context = Context::from_waker(Waker::noop());
            pin!(node.notices.take()).poll(&mut context).is_ready()
        };
        node.condition.set_verdict(Verdict::Up);
        assert!(heard(start), "it is up for the first time, and was never away");
        node.condition.set_verdict(Verdict::Down);
        assert!(heard(start));
        node.condition.set_verdict(Verdict::Up);
        assert!(!heard(start), "whoever was there before it went");
        assert!(heard(Instant::now() + Duration::from_millis(1)), "whoever came since");
    }

    #[test]
    fn what_a_node_said_in_its_maintenance_is_old_when_that_is_over() {
        let (start, node) = (Instant::now(), node());
        let maintenance = BrokerSays { maintenance: true, ..BrokerSays::default() };
        node.condition.set_says(maintenance);
        assert!(!node.condition.has_recovered_since(start));
        node.condition.set_says(BrokerSays::default());
        assert!(node.condition.has_recovered_since(start));
    }
}

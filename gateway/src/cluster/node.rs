//! One RabbitMQ node: where it is, how many sessions it has, whether it answered lately.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use amqp_codec::handshake::bridge::Learned;
use amqp_codec::reply::CloseReason;
use arc_swap::{ArcSwap, ArcSwapOption};

use super::condition::Condition;
use super::left_out::LeftOut;
use super::notices::Notices;
use super::report::Report;
use super::target::Target;
use crate::config::model::{self, ClusterName, ManagementUrl, NodeAddress};

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
    /// The address that its section gives.
    pub configured: NodeAddress,
    /// Where it speaks AMQP.
    pub address: SocketAddr,
    /// Is it behind others by its SRV priority?
    pub later: bool,
    /// The host name or IP address that it is known by, as its certificate has to bear it.
    pub host: Arc<str>,
    /// Its share of new sessions; an operator may change it.
    weight: AtomicU32,
    /// Its share by configuration and DNS.
    given_weight: AtomicU32,
    /// What DNS says of its share.
    share: AtomicU32,
    /// Sessions at once; the greatest number = no limit.
    max_connections: AtomicUsize,
    /// Used only while no other node is usable.
    backup: AtomicBool,
    management: ArcSwapOption<Management>,
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

/// Where the management API of a node answers.
#[derive(Debug)]
struct Management {
    url: ManagementUrl,
    /// The host of that URL as it is configured.
    host: Arc<str>,
}

impl Management {
    fn of(section: &model::Node, target: &Target) -> Option<Arc<Self>> {
        let host = section.management.as_ref()?.host.clone();
        Some(Arc::new(Self { url: target.management(section)?, host }))
    }
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
            configured: section.address.clone(),
            address: target.address,
            later: target.later,
            host: target.host_in(section),
            weight: AtomicU32::new(weight),
            given_weight: AtomicU32::new(weight),
            share: AtomicU32::new(target.weight.get()),
            max_connections: AtomicUsize::new(section.max_connections.unwrap_or(usize::MAX)),
            backup: AtomicBool::new(target.is_backup_in(section)),
            management: ArcSwapOption::new(Management::of(section, target)),
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

    /// DNS has told its share again.
    pub(super) fn told(&self, section: &model::Node, target: &Target) {
        self.share.store(target.weight.get(), Ordering::Relaxed);
        self.given_weight(target.weight_in(section));
    }

    /// The configuration says this of it now. What it is beside that stays: it is the same node.
    pub(super) fn configure(&self, section: &model::Node) {
        let weight = NonZeroU32::new(self.share.load(Ordering::Relaxed));
        let weight = weight.unwrap_or(NonZeroU32::MIN);
        let target = Target { weight, later: self.later, ..Target::at(self.address) };
        self.given_weight(target.weight_in(section));
        let most = section.max_connections.unwrap_or(usize::MAX);
        self.max_connections.store(most, Ordering::Relaxed);
        self.backup.store(target.is_backup_in(section), Ordering::Relaxed);
        self.management.store(Management::of(section, &target));
    }

    /// Is it a node of this section, as far as the address goes?
    #[must_use]
    pub fn is_of(&self, section: &model::Node) -> bool {
        self.section == section.name && self.configured == section.address
    }

    /// Only news count: an operator's word stands until then.
    fn given_weight(&self, weight: NonZeroU32) {
        if self.given_weight.swap(weight.get(), Ordering::Relaxed) != weight.get() {
            self.set_weight(weight);
        }
    }

    /// Sessions at once; `None` = no limit.
    #[must_use]
    pub fn max_connections(&self) -> Option<usize> {
        Some(self.max_connections.load(Ordering::Relaxed)).filter(|most| *most != usize::MAX)
    }

    /// Is it used only while no other node is usable?
    #[must_use]
    pub fn is_backup(&self) -> bool {
        self.backup.load(Ordering::Relaxed)
    }

    /// Where its management API answers.
    #[must_use]
    pub fn management(&self) -> Option<ManagementUrl> {
        self.management.load().as_ref().map(|management| management.url.clone())
    }

    /// The host of that URL as it is configured, as its certificate has to bear it.
    #[must_use]
    pub fn management_host(&self) -> Arc<str> {
        self.management
            .load()
            .as_ref()
            .map(|management| management.host.clone())
            .unwrap_or_default()
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
        self.sessions() < self.max_connections.load(Ordering::Relaxed)
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

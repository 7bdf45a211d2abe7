//! Live sessions: what is known of each, and a way to tell it something from outside.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::{Duration, Instant};

use amqp_codec::handshake::server::Hello;
use amqp_codec::reply;
use atomic_waker::AtomicWaker;
use dashmap::DashMap;

use super::held::Held;
use super::routed::{Keepsakes, Routed};
use super::tap::Tapped;
use crate::cluster::node::Node;
use crate::stream::arrival::Arrival;
use crate::telemetry::counters::SessionCounters;

/// Number of a session: unique while the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// A live session, from accept to close.
#[derive(Debug)]
pub struct Session {
    /// Its number.
    pub id: SessionId,
    /// Where it comes from, and how.
    pub arrival: Arrival,
    /// What has passed.
    pub counters: SessionCounters,
    /// When the client and the node were heard last.
    pub heard: Heard,
    /// For how long it was held until its cluster admitted it.
    pub held: Held,
    /// What the handshake told; set at open-ok.
    facts: OnceLock<Box<SessionFacts>>,
    ended: AtomicBool,
    order: AtomicU8,
    /// Who watches it.
    pub(super) tapped: Tapped,
    waker: AtomicWaker,
}

/// What a session's handshake told.
#[derive(Debug)]
pub struct SessionFacts {
    /// The node.
    pub node: Arc<Node>,
    /// The user, if the mechanism named one.
    pub user: Option<Box<str>>,
    /// The vhost the client opened; `None` for AMQP 1.0, where it is not read.
    pub vhost: Option<Arc<str>>,
    /// From the client properties.
    pub software: Software,
    /// From accept to the last word of the client, and from there to open-ok.
    pub handshake: (Duration, Duration),
    /// Which way it went, and what else routes ask for.
    pub routed: Routed,
}

/// What the client properties say of the client's software.
#[derive(Debug, Default, Clone)]
#[allow(missing_docs)]
pub struct Software {
    pub product: Option<Box<str>>,
    pub version: Option<Box<str>>,
    pub platform: Option<Box<str>>,
    pub connection_name: Option<Box<str>>,
}

impl Software {
    /// Longest text kept of one property, in bytes.
    pub(super) const LONGEST: usize = 256;

    /// Reads client properties.
    #[must_use]
    pub fn of(hello: &Hello) -> Self {
        let text = |key| Some(Box::from(reply::cut(hello.properties.text(key)?, Self::LONGEST)));
        Self {
            product: text("product"),
            version: text("version"),
            platform: text("platform"),
            connection_name: text("connection_name"),
        }
    }
}

/// When each peer was heard last, in ticks of the gateway's coarse clock.
#[derive(Debug, Default)]
pub struct Heard {
    /// The last bytes of the client.
    pub client: AtomicU32,
    /// The last bytes of the node.
    pub node: AtomicU32,
    /// Seconds, as negotiated; 0 = none.
    pub heartbeat: AtomicU16,
    /// Is the client not read because the node does not take more?
    pub client_held: AtomicU8,
    /// Is the node not read because the client does not take more?
    pub node_held: AtomicU8,
}

/// What a session is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Order {
    /// The gateway stops: close with 320.
    Drain = 1,
    /// The client was silent for twice its heartbeat: cut it, and leave the node.
    ClientSilent = 2,
    /// The node was silent for twice the heartbeat: close with 320.
    NodeSilent = 3,
    /// Nothing has passed for the configured idle timeout.
    Idle = 4,
    /// Drop both connections now.
    Cut = 5,
    /// The operator drains the node: close with 320.
    NodeDraining = 6,
    /// The broker of the node is in maintenance: close with 320.
    NodeMaintenance = 7,
    /// Another node has fewer sessions: close with 320.
    Rebalance = 8,
    /// The node is down: close with 320, and do not wait for the node.
    NodeDown = 9,
    /// The address that it arrived at moves to another gateway: close with 320 at once.
    AddressLost = 10,
    /// The configuration has the node no more: close with 320.
    NodeRemoved = 11,
    /// By the configuration in force now, its route leads elsewhere: close with 320.
    RouteChanged = 12,
    /// The configuration has its listener no more: close with 320.
    ListenerRemoved = 13,
    /// An operator closes it: close with 320.
    OperatorClose = 14,
}

impl Order {
    const ALL: [Self; 14] = [
        Self::Drain,
        Self::ClientSilent,
        Self::NodeSilent,
        Self::Idle,
        Self::Cut,
        Self::NodeDraining,
        Self::NodeMaintenance,
        Self::Rebalance,
        Self::NodeDown,
        Self::AddressLost,
        Self::NodeRemoved,
        Self::RouteChanged,
        Self::ListenerRemoved,
        Self::OperatorClose,
    ];
}

impl Session {
    /// A session that begins.
    #[must_use]
    pub fn new(id: SessionId, arrival: Arrival) -> Self {
        Self {
            id,
            arrival,
            counters: SessionCounters::default(),
            heard: Heard::default(),
            held: Held::default(),
            facts: OnceLock::new(),
            ended: AtomicBool::new(false),
            order: AtomicU8::new(0),
            tapped: Tapped::default(),
            waker: AtomicWaker::new(),
        }
    }

    /// What the handshake told, once it is over.
    #[must_use]
    pub fn facts(&self) -> Option<&SessionFacts> {
        self.facts.get().map(|facts| &**facts)
    }

    /// When the handshake was over; while it is not, when the session was accepted.
    #[must_use]
    pub fn opened_at(&self) -> Instant {
        self.arrival.accepted
            + self.facts().map_or(Duration::ZERO, |f| f.handshake.0 + f.handshake.1)
    }

    /// The handshake is over.
    pub fn opened(&self, facts: Box<SessionFacts>) {
        let _ = self.facts.set(facts);
    }

    /// Tells the session something and wakes it. A later order replaces an earlier one only if it is a cut.
    pub fn order(&self, order: Order) {
        if order == Order::Cut {
            self.order.store(order as u8, Ordering::Release);
        } else {
            let new = order as u8;
            let _ = self.order.compare_exchange(0, new, Ordering::Release, Ordering::Relaxed);
        }
        self.waker.wake();
    }

    /// Is no message under way: none waits for its confirm, and the client is not in the middle of sending one?
    ///
    /// What the client is sending is told from where its stream stands, which misses the gaps between the frames of a
    /// body. A session in its handshake, or of opaque bytes, is always at rest.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.counters.unconfirmed.get() == 0 && self.counters.half_sent.get() == 0
    }

    /// Is it over? Whoever still holds it then only looks back.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// It is over.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Has it been told anything?
    #[must_use]
    pub fn has_order(&self) -> bool {
        self.order.load(Ordering::Relaxed) != 0
    }

    /// What the session has been told. Wakes `waker` when something new comes.
    #[inline]
    pub fn poll_order(&self, waker: &Waker) -> Option<Order> {
        self.waker.register(waker);
        match self.order.load(Ordering::Acquire) {
            0 => None,
            order => Order::ALL.into_iter().find(|o| *o as u8 == order),
        }
    }
}

/// All live sessions.
#[derive(Debug, Default)]
pub struct Registry {
    sessions: DashMap<SessionId, Arc<Session>>,
    next: AtomicU64,
    /// Client properties that sessions have in common.
    pub(super) keepsakes: Keepsakes,
}

impl Registry {
    /// The number that was given last.
    #[must_use]
    pub fn last_id(&self) -> SessionId {
        SessionId(self.next.load(Ordering::Relaxed))
    }

    /// A number for a new session.
    pub fn next_id(&self) -> SessionId {
        SessionId(self.next.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Adds a session.
    pub fn insert(&self, session: Arc<Session>) {
        self.sessions.insert(session.id, session);
    }

    /// Takes a session out: it is over.
    pub fn remove(&self, id: SessionId) {
        if let Some((_, session)) = self.sessions.remove(&id) {
            session.end();
        }
    }

    /// The session of that number, if it is live.
    #[must_use]
    pub fn get(&self, id: SessionId) -> Option<Arc<Session>> {
        self.sessions.get(&id).map(|entry| entry.value().clone())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Calls `look` with each. It must not call back into the registry.
    pub fn each(&self, mut look: impl FnMut(&Arc<Session>)) {
        for entry in &self.sessions {
            look(entry.value());
        }
    }

    /// The sessions there are now, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Session>> {
        let mut all: Vec<_> = self.sessions.iter().map(|entry| entry.value().clone()).collect();
        all.sort_unstable_by_key(|session| session.id);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::ListenerName;

    fn session(id: u64) -> Arc<Session> {
        let client = ([127, 0, 0, 1], 4000).into();
        let arrival = Arrival::new(ListenerName("amqp".into()), client);
        Arc::new(Session::new(SessionId(id), arrival))
    }

    #[test]
    fn the_first_order_stands_unless_a_cut_follows() {
        let session = session(1);
        assert_eq!(session.poll_order(Waker::noop()), None);
        session.order(Order::Drain);
        session.order(Order::Idle);
        assert_eq!(session.poll_order(Waker::noop()), Some(Order::Drain));
        session.order(Order::Cut);
        assert_eq!(session.poll_order(Waker::noop()), Some(Order::Cut));
    }

    #[test]
    fn sessions_are_listed_oldest_first_until_removed() {
        let registry = Registry::default();
        for id in [3, 1, 2] {
            registry.insert(session(id));
        }
        registry.remove(SessionId(2));
        let ids: Vec<_> = registry.list().iter().map(|s| s.id.0).collect();
        assert_eq!(ids, [1, 3]);
        assert!(registry.get(SessionId(2)).is_none());
        assert_eq!(registry.len(), 2);
    }
}

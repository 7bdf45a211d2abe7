//! A rebalance under way: which sessions are moved next, and their pace.

use std::collections::{HashMap, HashSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Planned;
use super::balance::{self, Load, Role};
use super::moved::{Client, Moved};
use super::pace::Pace;
use crate::cluster::Cluster;
use crate::cluster::condition::Fitness;
use crate::cluster::node::Node;
use crate::session::registry::{Order, Registry, Session, SessionId};

/// How often it is planned anew: moved sessions that have landed are seen then.
const PLAN: Duration = Duration::from_secs(1);

/// A rebalance of one cluster.
#[derive(Debug)]
pub(super) struct Run {
    /// Sessions that were too many when it began.
    pub(super) planned: usize,
    /// Sessions that have been told.
    pub(super) moved: usize,
    /// Moved clients on their way back, at the last plan.
    pub(super) coming: usize,
    pace: Pace,
    rate: NonZeroU32,
    patience: Duration,
    next: VecDeque<(Client, Arc<Session>)>,
    /// Sessions with publishes under way, and since when that is known.
    busy: HashMap<SessionId, Instant>,
    plan_at: Option<Instant>,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It goes on.
    On,
    /// Every node has its share.
    Even,
    /// Whoever is still too many was moved within the last minute.
    Exhausted,
}

/// The sessions of a cluster at one moment, by node.
pub(super) struct Census {
    nodes: Arc<Vec<Arc<Node>>>,
    sessions: Vec<Vec<Arc<Session>>>,
}

impl Census {
    /// Counts.
    pub(super) fn take(cluster: &Cluster, registry: &Registry) -> Self {
        let nodes = cluster.nodes();
        let mut sessions: Vec<Vec<Arc<Session>>> = vec![Vec::new(); nodes.len()];
        let place: HashMap<_, _> =
            (0..nodes.len()).map(|at| (Arc::as_ptr(&nodes[at]), at)).collect();
        registry.each(|session| {
            let at = session.facts().and_then(|facts| place.get(&Arc::as_ptr(&facts.node)));
            if let Some(&at) = at {
                sessions[at].push(session.clone());
            }
        });
        Self { nodes, sessions }
    }

    /// How many sessions of each node are too many.
    pub(super) fn surplus(&self, coming: usize, now: Instant) -> Vec<usize> {
        let loads = self.nodes.iter().zip(&self.sessions).map(|(node, sessions)| {
            let leaving = sessions.iter().filter(|session| session.has_order()).count();
            Load {
                role: role(node, now),
                weight: node.weight().get(),
                sessions: node.sessions().saturating_sub(leaving),
                most: node.max_connections(),
            }
        });
        balance::surplus(&loads.collect::<Vec<_>>(), coming)
    }

    /// What each node has too many.
    pub(super) fn plan(&self, now: Instant) -> Vec<Planned> {
        let nodes = self.nodes.iter().zip(self.surplus(0, now));
        let planned = |(node, surplus): (&Arc<Node>, usize)| Planned {
            node: node.name.clone(),
            sessions: node.sessions(),
            surplus,
        };
        nodes.map(planned).collect()
    }

    /// All sessions on all nodes.
    pub(super) fn total(&self) -> usize {
        self.nodes.iter().map(|node| node.sessions()).sum()
    }

    fn clients<'a>(&'a self, moved: &'a Moved) -> impl Iterator<Item = (Client, Instant)> + 'a {
        let all = self.sessions.iter().flatten();
        all.filter_map(|session| Some((client(moved, session)?, session.arrival.accepted)))
    }
}

/// What a node is to a rebalance.
fn role(node: &Node, now: Instant) -> Role {
    match node.condition.fitness() {
        Fitness::Fit | Fitness::Alarmed if node.is_backup() => Role::Gives,
        Fitness::Fit if !node.is_skipped(now) => Role::Takes,
        _ => Role::Apart,
    }
}

/// The client of a session that can be moved. Opaque bytes can only be cut, which balance is no reason for.
pub(super) fn client(moved: &Moved, session: &Session) -> Option<Client> {
    let facts = session.facts()?;
    let vhost = facts.vhost.as_deref()?;
    Some(moved.client(session.arrival.client.ip(), facts.user.as_deref(), Some(vhost)))
}

impl Run {
    /// Begins.
    pub(super) fn new(cluster: &Cluster, planned: usize) -> Self {
        let rate = cluster.model.rebalance_rate;
        Self {
            planned,
            moved: 0,
            coming: 0,
            pace: Pace::new(rate),
            rate,
            patience: cluster.model.drain_patience,
            next: VecDeque::new(),
            busy: HashMap::new(),
            plan_at: None,
        }
    }

    /// Moves those whose turn it is at `now`.
    pub(super) fn step(
        &mut self,
        cluster: &Cluster,
        registry: &Registry,
        moved: &mut Moved,
        now: Instant,
    ) -> Step {
        if self.plan_at.is_none_or(|at| now >= at) {
            self.plan_at = Some(now + PLAN);
            moved.forget(now);
            let end = self.plan(&Census::take(cluster, registry), moved, now);
            if end != Step::On {
                return end;
            }
        }
        for _ in 0..self.pace.due(now) {
            let Some((client, session)) = self.next_session(now) else { break };
            session.order(Order::Rebalance);
            moved.note(client, now);
            self.pace.spend(1);
            self.moved += 1;
        }
        Step::On
    }

    /// The next of the plan who may still be moved: one that has begun to publish since is put off.
    fn next_session(&mut self, now: Instant) -> Option<(Client, Arc<Session>)> {
        while let Some((client, session)) = self.next.pop_front() {
            let waited = self.busy.get(&session.id);
            let tired = waited.is_some_and(|since| now.duration_since(*since) >= self.patience);
            if !session.has_order() && (session.is_at_rest() || tired) {
                return Some((client, session));
            }
        }
        None
    }

    /// Chooses who is moved within the next second: of each node no more than are too many, those at rest first, the
    /// oldest before the younger, all nodes in turn.
    fn plan(&mut self, census: &Census, moved: &Moved, now: Instant) -> Step {
        let returned = moved.returned(census.clients(moved), now);
        self.coming = returned.coming;
        let surplus = census.surplus(returned.coming, now);
        self.next.clear();
        if surplus.iter().all(|&much| much == 0) {
            return if returned.coming == 0 { Step::Even } else { Step::On };
        }
        let mut still_busy = HashSet::new();
        let mut by_node: Vec<VecDeque<_>> = Vec::new();
        for (sessions, &much) in census.sessions.iter().zip(&surplus) {
            let free = sessions.iter().filter(|_| much > 0).filter_map(|session| {
                let client = client(moved, session)?;
                let may = !session.has_order() && !returned.has(client, session.arrival.accepted);
                may.then(|| (client, session.clone()))
            });
            let (mut rest, mut busy): (Vec<_>, Vec<_>) = free.partition(|(_, s)| s.is_at_rest());
            still_busy.extend(busy.iter().map(|(_, session)| session.id));
            rest.sort_unstable_by_key(|(_, session)| session.id);
            busy.retain(|(_, session)| self.has_waited(session, now));
            rest.extend(busy);
            rest.truncate(much);
            by_node.push(rest.into());
        }
        self.busy.retain(|id, _| still_busy.contains(id));
        let waits = !self.busy.is_empty() || returned.coming > 0 || moved.is_full();
        if !moved.is_full() {
            self.interleave(by_node);
        }
        if self.next.is_empty() && !waits { Step::Exhausted } else { Step::On }
    }

    /// Has a session with publishes under way been waited for long enough?
    fn has_waited(&mut self, session: &Session, now: Instant) -> bool {
        let since = self.busy.entry(session.id).or_insert(now);
        now.duration_since(*since) >= self.patience
    }

    /// Fills the plan for a second.
    fn interleave(&mut self, mut by_node: Vec<VecDeque<(Client, Arc<Session>)>>) {
        let most = self.rate.get() as usize;
        while self.next.len() < most && by_node.iter().any(|node| !node.is_empty()) {
            self.next.extend(by_node.iter_mut().filter_map(VecDeque::pop_front));
        }
    }
}

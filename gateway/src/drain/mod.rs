//! Moves sessions away: from nodes that shall have none, and from those that have too many.
//!
//! One task looks at what is known of the nodes, and does what follows from it. So it does not matter who found out
//! what, nor in which order: a node that is draining is emptied, and one that is not any more is left alone.

pub mod balance;
pub mod moved;
pub mod pace;

mod rerouting;
mod run;
mod wanted;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tracing::{info, warn};

use crate::cluster::Cluster;
use crate::cluster::condition::{Fitness, Verdict};
use crate::cluster::node::Node;
use crate::config::model::{ClusterName, Model, Strategy};
use crate::route::RouteTable;
use crate::session::Shared;
use crate::session::registry::{Order, Session};
use crate::session::routed::Way;
use crate::telemetry::events::{Kind, Severity, What};
use moved::Moved;
use pace::{Closing, STEP};
use rerouting::Rerouting;
use run::{Census, Run, Step};

/// How often the nodes are looked at while nothing is to be done.
const LOOK: Duration = Duration::from_millis(200);
/// A node that came back has to stay for so long before sessions are moved to it.
const SETTLE: Duration = Duration::from_secs(3);
/// Without being asked, sessions are moved only if at least one in so many is on the wrong node.
const WORTH: usize = 20;

/// Moves sessions away as the state of their nodes demands, and on request.
#[derive(Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    nodes: HashMap<NodeKey, OfNode>,
    clusters: HashMap<ClusterName, OfCluster>,
    rerouting: Option<Rerouting>,
}

/// Cluster, name, address, and whether it is behind others: when its address or its priority in DNS changes, a node becomes
/// another one of the same name, while the old one may still have sessions.
type NodeKey = (ClusterName, Arc<str>, SocketAddr, bool);

#[derive(Debug, Default)]
struct OfNode {
    closing: Option<(Closing, usize)>,
    /// Has it been told that they are all closed?
    empty_told: bool,
    away: bool,
    fit_since: Option<Instant>,
}

#[derive(Debug, Default)]
struct OfCluster {
    moved: Moved,
    run: Option<Run>,
}

/// How far the sessions of a node are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Sessions when it began.
    pub total: usize,
    /// Sessions that are gone.
    pub closed: usize,
    /// Sessions that are still there.
    pub left: usize,
}

/// How far a rebalance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebalance {
    /// Sessions that were too many when it began.
    pub planned: usize,
    /// Sessions moved since.
    pub moved: usize,
    /// Moved clients that have not come back yet.
    pub coming: usize,
}

/// What a rebalance would do to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its name.
    pub node: Arc<str>,
    /// Its sessions, those that leave it already included.
    pub sessions: usize,
    /// Sessions that would be moved away from it.
    pub surplus: usize,
}

/// Why a cluster cannot be rebalanced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such cluster.
    #[error("there is no such cluster")]
    Unknown,
    /// A client comes back to the node that it was moved from.
    #[error(
        "with balance = \"{0}\" a client that is moved comes back to the same node; weights move shares, \
         or drain a node"
    )]
    Fixed(&'static str),
}

impl Keeper {
    /// For the sessions of a gateway.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, state: Mutex::default(), wake: Notify::new() }
    }

    /// Another configuration is in force: closes sessions that lead elsewhere by it, and those on nodes that it has no more.
    pub fn reloaded(&self) {
        let snapshot = self.shared.snapshot.load();
        let rerouting = Rerouting::begin(&snapshot, &self.shared.registry);
        self.state().rerouting = Some(rerouting);
        self.look();
    }

    /// Does what is to be done, for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            let pause = if self.step(Instant::now()) { STEP } else { LOOK };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    /// How many sessions this configuration would close, without those that are told already to go; and those that are
    /// `also` to be closed.
    pub fn would_close(&self, model: &Model, also: impl Fn(&Session) -> bool) -> usize {
        let routes = RouteTable::new(model);
        let stays = |node: &Node| {
            let cluster = model.clusters.iter().find(|cluster| cluster.name == node.cluster);
            cluster.is_some_and(|cluster| cluster.nodes.iter().any(|section| node.is_of(section)))
        };
        let closes = |session: &Session| {
            let goes_anyway = session.has_order();
            let facts = session.facts().filter(|_| !goes_anyway);
            facts.is_some_and(|facts| {
                !stays(&facts.node)
                    || !routes.has_listener(&session.arrival.listener)
                    || session.way(&routes) == Way::Another
                    || also(session)
            })
        };
        // Listed first: whoever connects does not wait for routes to be looked through.
        self.shared.registry.list().iter().filter(|session| closes(session)).count()
    }

    /// Looks at the nodes now: an operator has changed something.
    pub fn look(&self) {
        self.step(Instant::now());
        self.wake.notify_one();
    }

    /// How far a node is drained; `None` if its sessions are not being closed.
    #[must_use]
    pub fn progress(&self, node: &Node) -> Option<Progress> {
        let state = self.state();
        let (_, total) = state.nodes.get(&key(node))?.closing.as_ref()?;
        let left = node.sessions();
        Some(Progress { total: *total, closed: total.saturating_sub(left), left })
    }

    /// How far a cluster is rebalanced; `None` if it is not.
    #[must_use]
    pub fn rebalance_progress(&self, cluster: &ClusterName) -> Option<Rebalance> {
        let state = self.state();
        state.clusters.get(cluster)?.run.as_ref().map(Rebalance::of)
    }

    /// What a rebalance that began now would move.
    ///
    /// # Errors
    /// When there is no such cluster, or its strategy sends each client back to where it was.
    pub fn rebalance_plan(&self, name: &ClusterName) -> Result<Vec<Planned>, Refused> {
        let cluster = self.movable(name)?;
        Ok(Census::take(&cluster, &self.shared.registry).plan(Instant::now()))
    }

    /// Begins to rebalance a cluster, if it is not being done already; tells what is to be done.
    ///
    /// # Errors
    /// When there is no such cluster, or its strategy sends each client back to where it was.
    pub fn rebalance(&self, name: &ClusterName) -> Result<Rebalance, Refused> {
        let cluster = self.movable(name)?;
        let told = self.begin(&cluster, &mut self.state(), Instant::now(), usize::MAX);
        self.look();
        Ok(told)
    }

    fn movable(&self, name: &ClusterName) -> Result<Arc<Cluster>, Refused> {
        let snapshot = self.shared.snapshot.load();
        let cluster = snapshot.clusters.get(name).ok_or(Refused::Unknown)?;
        match is_fixed(cluster.model.balance) {
            true => Err(Refused::Fixed(cluster.model.balance.name())),
            false => Ok(cluster.clone()),
        }
    }

    /// Ends a rebalance; tells how far it had come. `None` if there was none.
    pub fn stop_rebalance(&self, name: &ClusterName) -> Option<Rebalance> {
        let run = self.state().clusters.get_mut(name)?.run.take()?;
        if let Some(cluster) = self.shared.snapshot.load().clusters.get(name) {
            cluster.set_rebalancing(false);
        }
        info!(cluster = %name, moved = run.moved, "rebalance stopped");
        let text = format!("rebalance stopped by an operator, {} sessions moved", run.moved);
        self.tell(Kind::Cluster, &name.0, text);
        Some(Rebalance::of(&run))
    }

    /// Nodes are drained, and sessions closed, so many a second.
    #[must_use]
    pub fn drain_rate(&self) -> NonZeroU32 {
        self.shared.snapshot.load().drain_rate
    }

    fn tell(&self, kind: Kind, subject: &str, text: String) {
        self.shared.events.add(What::new(kind, Severity::Info, subject, text));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is due at `now`. Is there more to come soon?
    fn step(&self, now: Instant) -> bool {
        let snapshot = self.shared.snapshot.load();
        let mut state = self.state();
        let mut busy = false;
        let mut known = HashSet::new();
        for cluster in snapshot.all_clusters() {
            for node in cluster.nodes().iter() {
                known.insert(key(node));
                let closing = self.step_closing(cluster, node, &mut state, now);
                busy |= closing;
                self.note_return(cluster, node, &mut state, now, closing);
            }
            // What an operator has begun goes on, though no name leads there any more; and whoever is on a node that the
            // configuration has no more is to leave it.
            for node in cluster.gone().iter().filter(|node| node.sessions() > 0) {
                known.insert(key(node));
                busy |= self.step_closing(cluster, node, &mut state, now);
            }
            busy |= self.step_rebalance(cluster, &mut state, now);
        }
        state.nodes.retain(|node, _| known.contains(node));
        let is_there =
            |name: &ClusterName| snapshot.all_clusters().any(|cluster| cluster.name == *name);
        state.clusters.retain(|name, _| is_there(name));
        if let Some(rerouting) = &mut state.rerouting {
            match rerouting.step(&snapshot, &self.shared.registry, now) {
                true => busy = true,
                false => state.rerouting = None,
            }
        }
        busy
    }

    /// Closes sessions of a node as it is due. Is there one left that is to be closed?
    fn step_closing(
        &self,
        cluster: &Cluster,
        node: &Arc<Node>,
        state: &mut State,
        now: Instant,
    ) -> bool {
        let of_node = state.nodes.entry(key(node)).or_default();
        let wanted = wanted::order(node, cluster, now);
        let drain_rate = self.shared.snapshot.load().drain_rate;
        if of_node.closing.as_ref().map(|(closing, _)| closing.order) != wanted {
            let sessions = node.sessions();
            let text = log_change(node, of_node.closing.as_ref(), wanted, sessions);
            if let Some(text) = text {
                self.tell(Kind::Node, &format!("{}/{}", node.cluster, node.name), text);
            }
            let closing = |order| wanted::closing(order, cluster, drain_rate, sessions);
            of_node.empty_told = false;
            of_node.closing = wanted.map(|order| (closing(order), sessions));
        }
        let Some((closing, total)) = &mut of_node.closing else { return false };
        if matches!(closing.order, Order::NodeDraining | Order::NodeRemoved) {
            // A reload may have changed it.
            closing.set_rate(drain_rate);
        }
        if node.sessions() == 0 {
            if !std::mem::replace(&mut of_node.empty_told, true) && *total > 0 {
                let subject = format!("{}/{}", node.cluster, node.name);
                self.tell(Kind::Node, &subject, format!("all its {total} sessions are closed"));
            }
            return false;
        }
        let told = closing.step(now, || self.sessions_of(node));
        let moved = &mut state.clusters.entry(cluster.name.clone()).or_default().moved;
        for session in told {
            if let Some(client) = run::client(moved, &session) {
                moved.note(client, now);
            }
        }
        true
    }

    /// Notes whether a node has come back: then sessions may be moved to it.
    fn note_return(
        &self,
        cluster: &Cluster,
        node: &Node,
        state: &mut State,
        now: Instant,
        closing: bool,
    ) {
        let returned = state.nodes.entry(key(node)).or_default().returned(node, now);
        let automatic = cluster.model.rebalance && !is_fixed(cluster.model.balance);
        if returned && automatic && !closing {
            info!(cluster = %node.cluster, node = %node.name, "is back");
            self.begin(cluster, state, now, WORTH);
        }
    }

    /// The sessions on a node that have been told nothing yet, oldest first.
    fn sessions_of(&self, node: &Arc<Node>) -> Vec<Arc<Session>> {
        let mut found = Vec::new();
        self.shared.registry.each(|session| {
            let here = session.facts().is_some_and(|facts| Arc::ptr_eq(&facts.node, node));
            if here && !session.has_order() {
                found.push(session.clone());
            }
        });
        found.sort_unstable_by_key(|session| session.id);
        found
    }

    /// Begins a rebalance, unless there is one, or fewer than one session in `worth` is to be moved.
    fn begin(&self, cluster: &Cluster, state: &mut State, now: Instant, worth: usize) -> Rebalance {
        let of_cluster = state.clusters.entry(cluster.name.clone()).or_default();
        if let Some(run) = &of_cluster.run {
            return Rebalance::of(run);
        }
        let census = Census::take(cluster, &self.shared.registry);
        let planned = census.surplus(0, now).iter().sum();
        let run = Run::new(cluster, planned);
        let told = Rebalance::of(&run);
        if planned > 0 && planned.saturating_mul(worth) >= census.total() {
            info!(cluster = %cluster.name, sessions = planned, rate = cluster.model.rebalance_rate, "rebalancing");
            self.tell(Kind::Cluster, &cluster.name.0, format!("rebalancing {planned} sessions"));
            of_cluster.run = Some(run);
            cluster.set_rebalancing(true);
        }
        told
    }

    fn step_rebalance(&self, cluster: &Cluster, state: &mut State, now: Instant) -> bool {
        let Some(OfCluster { moved, run }) = state.clusters.get_mut(&cluster.name) else {
            return false;
        };
        let Some(under_way) = run else { return false };
        if is_fixed(cluster.model.balance) {
            info!(cluster = %cluster.name, moved = under_way.moved, "rebalance ends: clients would come back to where they were");
            *run = None;
            cluster.set_rebalancing(false);
            return false;
        }
        let step = under_way.step(cluster, &self.shared.registry, moved, now);
        let moved = under_way.moved;
        let how = match step {
            Step::On => return true,
            Step::Even => {
                info!(cluster = %cluster.name, moved, "rebalanced");
                "rebalanced"
            }
            Step::Exhausted => {
                warn!(
                    cluster = %cluster.name, moved,
                    "rebalance ends uneven: whoever is still too many was moved within the last minute, or speaks AMQP 1.0"
                );
                "rebalance ends uneven"
            }
        };
        self.tell(Kind::Cluster, &cluster.name.0, format!("{how}, {moved} sessions moved"));
        *run = None;
        cluster.set_rebalancing(false);
        false
    }
}

impl OfNode {
    /// Was the node out of use, and has it been back for a while?
    fn returned(&mut self, node: &Node, now: Instant) -> bool {
        // Left out until a client finds it working: where checks do, nobody waits for that.
        let unproven = node.is_left_out() && node.condition.verdict() != Verdict::Up;
        if node.condition.fitness() >= Fitness::Unfit || node.is_skipped(now) || unproven {
            self.away = true;
            self.fit_since = None;
            return false;
        }
        let since = *self.fit_since.get_or_insert(now);
        let returned = self.away && now.saturating_duration_since(since) >= SETTLE;
        self.away &= !returned;
        returned
    }
}

impl Rebalance {
    fn of(run: &Run) -> Self {
        Self { planned: run.planned, moved: run.moved, coming: run.coming }
    }
}

/// Tells that the sessions of a node are to be closed, or not any more; nothing where there are none. Returns it in words.
fn log_change(
    node: &Node,
    before: Option<&(Closing, usize)>,
    wanted: Option<Order>,
    sessions: usize,
) -> Option<String> {
    let (cluster, name) = (&node.cluster, &node.name);
    match (wanted, before) {
        (Some(order), _) if sessions > 0 => {
            info!(%cluster, node = %name, sessions, ?order, "closing its sessions");
            let why = wanted::in_words(order);
            Some(format!("closing its {sessions} sessions: {why}"))
        }
        (None, Some((closing, _))) if sessions > 0 => {
            let told = closing.told();
            info!(%cluster, node = %name, told, left = sessions, "its sessions are left alone again");
            Some(format!("its {sessions} sessions are left alone again, {told} were closed"))
        }
        _ => None,
    }
}

fn key(node: &Node) -> NodeKey {
    (node.cluster.clone(), node.name.clone(), node.address, node.later)
}

/// Does this strategy send a client back to where it was?
fn is_fixed(strategy: Strategy) -> bool {
    match strategy {
        Strategy::RoundRobin | Strategy::LeastConnections | Strategy::RandomTwo => false,
        Strategy::SourceHash | Strategy::VhostHash | Strategy::First => true,
    }
}

#[cfg(test)]
mod tests;

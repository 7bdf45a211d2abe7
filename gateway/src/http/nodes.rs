//! The nodes of a cluster as HTTP listeners see them: those with a management address, and which one takes a request.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use super::pool::Pool;
use crate::cluster::Cluster;
use crate::cluster::balance::{self, Candidate, Draw, FULL};
use crate::cluster::condition::{AdminState, Verdict};
use crate::cluster::left_out::LeftOut;
use crate::cluster::node::Node;
use crate::config::model::{HttpStrategy, ManagementUrl, Strategy};

/// A cluster with a listener for HTTP.
#[derive(Debug)]
pub(super) struct HttpCluster {
    pub(super) cluster: Arc<Cluster>,
    known: ArcSwap<Known>,
    turn: AtomicUsize,
}

/// The nodes, and the cluster's that they were made of.
#[derive(Debug, Default)]
struct Known {
    of: Arc<Vec<Arc<Node>>>,
    nodes: Arc<Vec<Arc<HttpNode>>>,
}

/// A node with a management address.
#[derive(Debug)]
pub(super) struct HttpNode {
    /// The node.
    pub(super) node: Arc<Node>,
    /// Where its management answers.
    pub(super) url: ManagementUrl,
    /// What its own check comes to. It tells whoever waits for a node's answer that there will be none.
    pub(super) verdict: watch::Sender<Verdict>,
    /// Connections that were not taken.
    pub(super) left_out: LeftOut,
    /// It did not take a connection: it is to be checked soon.
    pub(super) suspect: Notify,
    /// Connections that wait for a request.
    pub(super) pool: Pool,
    under_way: AtomicUsize,
}

/// What decides a request's node, where the listener goes by that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    /// The client's address.
    pub(super) source: IpAddr,
    /// Path and query.
    pub(super) target: &'a str,
}

impl HttpCluster {
    /// A cluster; of nodes that it shares with the one before it, all stays that is known of them.
    pub(super) fn after(before: Option<&Self>, cluster: Arc<Cluster>) -> Self {
        let nodes = before.map(|before| before.known.load().nodes.clone()).unwrap_or_default();
        let known = Known { of: Arc::default(), nodes };
        Self { cluster, known: ArcSwap::from_pointee(known), turn: AtomicUsize::new(0) }
    }

    /// Its nodes with a management address. Those behind a name come and go. Only asked on the thread of HTTP: two that find
    /// a new node would each make one of it.
    pub(super) fn nodes(&self) -> Arc<Vec<Arc<HttpNode>>> {
        let (of, known) = (self.cluster.nodes(), self.known.load());
        if Arc::ptr_eq(&of, &known.of) {
            return known.nodes.clone();
        }
        let nodes = of.iter().filter_map(|node| {
            let url = node.management();
            let same = |known: &&Arc<HttpNode>| {
                Arc::ptr_eq(&known.node, node) && url.as_ref() == Some(&known.url)
            };
            let before = known.nodes.iter().find(same).cloned();
            before.or_else(|| HttpNode::new(node.clone()).map(Arc::new))
        });
        let nodes = Arc::new(nodes.collect::<Vec<_>>());
        self.known.store(Arc::new(Known { of, nodes: nodes.clone() }));
        nodes
    }

    /// Those that [`HttpCluster::nodes`] told last, for other threads.
    pub(super) fn known(&self) -> Arc<Vec<Arc<HttpNode>>> {
        self.known.load().nodes.clone()
    }

    /// Takes a place on a node for a request, none of `tried`. `None` if there is none left.
    pub(super) fn choose(
        &self,
        strategy: HttpStrategy,
        tried: &[Arc<HttpNode>],
        key: &Key<'_>,
        now: Instant,
    ) -> Option<Turn> {
        let nodes = self.nodes();
        let untried = |node: &&Arc<HttpNode>| !tried.iter().any(|t| Arc::ptr_eq(t, node));
        let ranked: Vec<_> = nodes.iter().filter(untried).map(|n| (n.rank(now), n)).collect();
        let best = ranked.iter().map(|(rank, _)| *rank).min()?;
        let best: Vec<_> =
            ranked.iter().filter(|(rank, _)| *rank == best).map(|(_, n)| n).collect();
        let candidates: Vec<Candidate<'_>> = best
            .iter()
            .enumerate()
            .map(|(index, http)| Candidate {
                index,
                name: &http.node.name,
                weight: http.node.weight(),
                ramp: FULL,
                sessions: http.under_way.load(Ordering::Relaxed),
            })
            .collect();
        let (strategy, key) = key.of(strategy);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let draw = Draw { turn, random: fastrand::u64(..), key: &key };
        let index = balance::pick(strategy, &candidates, &draw)?;
        best.get(index).map(|node| Turn::new((**node).clone()))
    }

    /// Is there a node besides `tried` of which nothing bad is known?
    pub(super) fn has_another(&self, tried: &[Arc<HttpNode>], now: Instant) -> bool {
        let untried = |node: &Arc<HttpNode>| !tried.iter().any(|t| Arc::ptr_eq(t, node));
        self.nodes().iter().any(|node| untried(node) && node.rank(now) < Rank::LeftOut)
    }
}

/// How good a node is for a request, the best first. None is ruled out: with nobody else to ask, an unlikely node is better
/// than a refusal, and management answers on nodes that take no AMQP clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Good,
    /// Good, and only to be used when the others are not.
    Backup,
    /// Operator or broker want nobody there, or it sees only the smaller part of its cluster.
    Closed,
    /// It did not take a connection just now.
    LeftOut,
    /// Its HTTP check fails. With one member hung, RabbitMQ's overview hangs on all: so those come first that speak AMQP.
    Down,
    /// It does not speak AMQP either.
    Dead,
}

impl HttpNode {
    fn new(node: Arc<Node>) -> Option<Self> {
        Some(Self {
            url: node.management()?,
            node,
            verdict: watch::Sender::new(Verdict::Unknown),
            left_out: LeftOut::default(),
            suspect: Notify::new(),
            pool: Pool::default(),
            under_way: AtomicUsize::new(0),
        })
    }

    fn rank(&self, now: Instant) -> Rank {
        let (condition, says) = (&self.node.condition, self.node.condition.says());
        let down = *self.verdict.borrow() == Verdict::Down;
        if down && condition.verdict() == Verdict::Down {
            Rank::Dead
        } else if down {
            Rank::Down
        } else if self.left_out.is_out(now) {
            Rank::LeftOut
        } else if condition.admin() != AdminState::Enabled || says.maintenance || says.minority {
            Rank::Closed
        } else if self.node.is_backup() {
            Rank::Backup
        } else {
            Rank::Good
        }
    }

    /// It did not take a connection, or broke it off before it answered.
    pub(super) fn failed(&self, now: Instant) {
        self.left_out.failed(now);
        self.suspect.notify_one();
    }
}

impl Key<'_> {
    /// The strategy in the balancer's terms: its hashes only know bytes.
    fn of(&self, strategy: HttpStrategy) -> (Strategy, Vec<u8>) {
        match strategy {
            HttpStrategy::RoundRobin => (Strategy::RoundRobin, Vec::new()),
            HttpStrategy::LeastConnections => (Strategy::LeastConnections, Vec::new()),
            HttpStrategy::SourceHash => (
                Strategy::SourceHash,
                match self.source.to_canonical() {
                    IpAddr::V4(ip) => ip.octets().to_vec(),
                    IpAddr::V6(ip) => ip.octets().to_vec(),
                },
            ),
            HttpStrategy::UriHash => (Strategy::SourceHash, self.target.as_bytes().to_vec()),
        }
    }
}

/// A request's place on a node: counted from the choice of the node to the end of its answer.
#[derive(Debug)]
pub(super) struct Turn(Arc<HttpNode>);

impl Turn {
    fn new(node: Arc<HttpNode>) -> Self {
        node.under_way.fetch_add(1, Ordering::Relaxed);
        Self(node)
    }

    pub(super) fn node(&self) -> &Arc<HttpNode> {
        &self.0
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::condition::BrokerSays;
    use crate::config::model::{self, samples};

    const KEY: Key<'_> =
        Key { source: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), target: "/api/queues" };

    /// The last one is a backup, and one more has no management address.
    fn cluster() -> HttpCluster {
        let node = |i: u16| {
            let host = "127.0.0.1".into();
            let management = ManagementUrl { tls: false, host, port: 15672 + i, prefix: "".into() };
            let management = Some(management).filter(|_| i != 9);
            model::Node { management, backup: i == 3, ..samples::node(&format!("r{i}"), 5672 + i) }
        };
        let nodes = [0, 1, 2, 3, 9].into_iter().map(node).collect();
        let cluster = Cluster::new(&samples::cluster("main", nodes));
        HttpCluster::after(None, Arc::new(cluster))
    }

    fn chosen(cluster: &HttpCluster, strategy: HttpStrategy, key: &Key<'_>) -> String {
        let turn = cluster.choose(strategy, &[], key, Instant::now()).expect("a node");
        turn.node().node.name.to_string()
    }

    fn in_turn(cluster: &HttpCluster, count: usize) -> Vec<String> {
        (0..count).map(|_| chosen(cluster, HttpStrategy::RoundRobin, &KEY)).collect()
    }

    #[test]
    fn requests_go_round_the_nodes_with_a_management_address() {
        let cluster = cluster();
        assert_eq!(cluster.nodes().len(), 4);
        assert_eq!(in_turn(&cluster, 4), ["r0", "r1", "r2", "r0"]);
    }

    #[test]
    fn nodes_that_are_down_closed_or_left_out_come_last_and_in_that_case_are_used() {
        let (cluster, now) = (cluster(), Instant::now());
        let nodes = cluster.nodes();
        nodes[0].verdict.send_replace(Verdict::Down);
        nodes[1].node.condition.set_admin(AdminState::Draining);
        assert_eq!(in_turn(&cluster, 2), ["r2", "r2"]);
        nodes[2].failed(now);
        assert_eq!(in_turn(&cluster, 2), ["r3", "r3"], "the backup");
        nodes[3].failed(now);
        assert_eq!(in_turn(&cluster, 1), ["r1"]);
        let minority = BrokerSays { minority: true, ..BrokerSays::default() };
        nodes[1].node.condition.set_says(minority);
        assert_eq!(in_turn(&cluster, 1), ["r1"]);
        for node in nodes.iter() {
            node.verdict.send_replace(Verdict::Down);
            node.node.condition.set_verdict(Verdict::Down);
        }
        nodes[2].node.condition.set_verdict(Verdict::Up);
        assert_eq!(in_turn(&cluster, 1), ["r2"], "it speaks AMQP");
        assert!(cluster.choose(HttpStrategy::RoundRobin, &nodes, &KEY, now).is_none());
    }

    #[test]
    fn least_connections_counts_requests_under_way() {
        let (cluster, now) = (cluster(), Instant::now());
        let least = HttpStrategy::LeastConnections;
        let choose = || cluster.choose(least, &[], &KEY, now).expect("a node");
        let (first, second, _third) = (choose(), choose(), choose());
        let name = |turn: &Turn| turn.node().node.name.to_string();
        let freed = name(&second);
        assert_ne!(name(&first), freed);
        drop(second);
        assert_eq!(chosen(&cluster, least, &KEY), freed);
    }

    #[test]
    fn a_hash_gives_a_path_or_a_client_its_node_until_that_is_lost() {
        let cluster = cluster();
        let paths: Vec<_> = (0..40).map(|i| format!("/api/queues/%2F/q{i}")).collect();
        let by_path = |target| chosen(&cluster, HttpStrategy::UriHash, &Key { target, ..KEY });
        let by_source = |i: u8| {
            let key = Key { source: [10, 0, 0, i].into(), ..KEY };
            chosen(&cluster, HttpStrategy::SourceHash, &key)
        };
        let before: Vec<_> = paths.iter().map(|path| by_path(path)).collect();
        let sources: Vec<_> = (0..40).map(by_source).collect();
        for of in [&before, &sources] {
            assert!(["r0", "r1", "r2"].iter().all(|name| of.iter().any(|node| node == name)));
        }
        cluster.nodes()[1].verdict.send_replace(Verdict::Down);
        for (before, path) in before.iter().zip(&paths) {
            let after = by_path(path);
            assert!(after != "r1" && (*before == after || before == "r1"), "{before} -> {after}");
        }
        assert!((0..40).all(|i| sources[usize::from(i)] == by_source(i) || sources[usize::from(i)] == "r1"));
    }
}

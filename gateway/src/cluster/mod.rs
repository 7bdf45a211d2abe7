//! Clusters: their nodes, and which one takes a session.

pub mod balance;
pub mod node;
pub mod offer;
pub mod resolve;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use balance::Candidate;
use node::{Lease, Node};

use crate::config::model::{self, ClusterName, Strategy};

/// A cluster and its nodes.
#[derive(Debug)]
pub struct Cluster {
    /// Its name.
    pub name: ClusterName,
    /// Further nodes tried before open-ok.
    pub retry: u32,
    /// For the TCP connection to a node.
    pub connect_timeout: Duration,
    /// How often names are resolved.
    pub resolve_interval: Duration,
    /// In the order of the configuration.
    pub nodes: Vec<Arc<Node>>,
    strategy: Strategy,
    turn: AtomicUsize,
}

impl Cluster {
    /// A cluster as configured.
    #[must_use]
    pub fn new(model: &model::Cluster) -> Self {
        Self {
            name: model.name.clone(),
            retry: model.retry,
            connect_timeout: model.connect_timeout,
            resolve_interval: model.resolve_interval,
            nodes: model.nodes.iter().map(|n| Arc::new(Node::new(&model.name, n))).collect(),
            strategy: model.balance,
            turn: AtomicUsize::new(0),
        }
    }

    /// Takes a place on a node for a new session, none of `tried`. `None` if there is none left.
    ///
    /// Nodes that answered lately come first, then backups, then those that are being left out: with nobody else to
    /// ask, an unlikely node is better than a refusal.
    #[must_use]
    pub fn choose(&self, tried: &[Arc<Node>], now: Instant) -> Option<Lease> {
        let open = |node: &Arc<Node>| {
            node.has_room()
                && !node.resolved.load().is_empty()
                && !tried.iter().any(|t| Arc::ptr_eq(t, node))
        };
        self.pick_usable(now, |node| !node.backup && open(node))
            .or_else(|| self.pick_usable(now, |node| node.backup && open(node)))
            .or_else(|| self.pick(open))
    }

    /// Is there a node besides `tried` that is not being left out?
    #[must_use]
    pub fn has_another(&self, tried: &[Arc<Node>], now: Instant) -> bool {
        self.nodes.iter().any(|node| {
            node.has_room()
                && !node.is_skipped(now)
                && !node.resolved.load().is_empty()
                && !tried.iter().any(|t| Arc::ptr_eq(t, node))
        })
    }

    /// Is there a node that is not being left out?
    #[must_use]
    pub fn is_usable(&self, now: Instant) -> bool {
        self.has_another(&[], now)
    }

    /// Picks among the nodes that are not being left out. One whose time is over takes a single session as a trial:
    /// whoever comes second looks for another node.
    fn pick_usable(&self, now: Instant, filter: impl Fn(&Arc<Node>) -> bool) -> Option<Lease> {
        let mut on_trial: Vec<Arc<Node>> = Vec::new();
        loop {
            let lease = self.pick(|node| {
                filter(node)
                    && !node.is_skipped(now)
                    && !on_trial.iter().any(|t| Arc::ptr_eq(t, node))
            })?;
            if lease.node().try_usable(now) {
                return Some(lease);
            }
            on_trial.push(lease.node().clone());
        }
    }

    fn pick(&self, filter: impl Fn(&Arc<Node>) -> bool) -> Option<Lease> {
        let candidates: Vec<Candidate> = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| filter(node))
            .map(|(index, node)| Candidate {
                index,
                weight: node.weight,
                sessions: node.sessions(),
            })
            .collect();
        if candidates.is_empty() {
            return None;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let index = balance::pick(self.strategy, &candidates, turn, fastrand::u64(..))?;
        self.nodes.get(index).map(|node| Lease::new(node.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::config::model::NodeAddress;

    fn cluster(backups: &[bool]) -> Cluster {
        let nodes = backups.iter().enumerate().map(|(i, &backup)| model::Node {
            name: format!("r{i}").into(),
            address: NodeAddress { host: "127.0.0.1".into(), port: 5672 + i as u16 },
            weight: NonZeroU32::MIN,
            max_connections: None,
            backup,
        });
        Cluster::new(&model::Cluster {
            name: ClusterName("main".into()),
            balance: Strategy::LeastConnections,
            retry: 2,
            connect_timeout: Duration::from_secs(5),
            resolve_interval: Duration::from_secs(30),
            nodes: nodes.collect(),
        })
    }

    fn name(lease: Option<Lease>) -> Option<String> {
        lease.map(|lease| lease.node().name.to_string())
    }

    #[test]
    fn a_backup_serves_only_while_no_other_node_is_usable() {
        let (cluster, now) = (cluster(&[false, true]), Instant::now());
        assert_eq!(name(cluster.choose(&[], now)).as_deref(), Some("r0"));
        cluster.nodes[0].failed(now);
        assert_eq!(name(cluster.choose(&[], now)).as_deref(), Some("r1"));
    }

    #[test]
    fn a_node_left_out_is_better_than_none() {
        let (cluster, now) = (cluster(&[false, false]), Instant::now());
        cluster.nodes[0].failed(now);
        cluster.nodes[1].failed(now);
        assert!(!cluster.is_usable(now));
        assert!(cluster.choose(&[], now).is_some());
        assert!(cluster.choose(&cluster.nodes, now).is_none());
    }

    #[test]
    fn those_tried_are_not_chosen_again() {
        let (cluster, now) = (cluster(&[false, false, false]), Instant::now());
        let tried = &cluster.nodes[..2];
        assert_eq!(name(cluster.choose(tried, now)).as_deref(), Some("r2"));
        assert!(cluster.has_another(tried, now));
        assert!(!cluster.has_another(&cluster.nodes, now));
    }
}

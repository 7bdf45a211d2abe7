//! Says what is news about a node: sets it, logs it, and tells those who act on it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::broadcast;
use tracing::{error, info, warn};

use super::partition::{self, View};
use super::probe::view::Seen;
use crate::cluster::Cluster;
use crate::cluster::condition::{BrokerSays, Fitness, Verdict};
use crate::cluster::node::Node;
use crate::cluster::report::{Change, HealthEvent, Report};
use crate::telemetry::metrics::Metrics;

/// One cluster, and what its nodes say of each other.
#[derive(Debug)]
pub(super) struct News {
    pub(super) cluster: Arc<Cluster>,
    pub(super) metrics: Arc<Metrics>,
    events: broadcast::Sender<HealthEvent>,
    /// By the node's name in the configuration.
    seen: Mutex<HashMap<Arc<str>, Seen>>,
    /// Is there no healthy node?
    lost: AtomicBool,
}

impl News {
    pub(super) fn new(
        cluster: Arc<Cluster>,
        metrics: Arc<Metrics>,
        events: broadcast::Sender<HealthEvent>,
    ) -> Self {
        Self { cluster, metrics, events, seen: Mutex::default(), lost: AtomicBool::new(false) }
    }

    /// The verdict on a node is another.
    pub(super) fn verdict(&self, node: &Arc<Node>, verdict: Verdict, reason: Option<Arc<str>>) {
        node.condition.set_verdict(verdict);
        let report = Report {
            since: Some(SystemTime::now()),
            reason: reason.clone(),
            ..Report::clone(&node.report.load())
        };
        node.report.store(Arc::new(report));
        let (cluster, name, address) = (&node.cluster, &node.name, &node.address);
        let change = match (verdict, reason) {
            (Verdict::Down, reason) => {
                let reason = reason.unwrap_or_default();
                warn!(%cluster, node = %name, %address, %reason, "node is down");
                Change::Down { reason }
            }
            (Verdict::Up, _) => {
                info!(%cluster, node = %name, %address, "node is up");
                Change::Up
            }
            (Verdict::Unknown, _) => {
                warn!(%cluster, node = %name, %address, "none of its checks can be made: the node is used again");
                Change::Up
            }
        };
        self.tell(node, change);
        self.look_at_cluster();
    }

    /// What the broker says of itself may be another.
    pub(super) fn says(&self, node: &Arc<Node>, update: impl FnOnce(&mut BrokerSays)) {
        let before = node.condition.says();
        let mut now = before;
        update(&mut now);
        if now == before {
            return;
        }
        node.condition.set_says(now);
        let (cluster, name) = (&node.cluster, &node.name);
        if now.alarmed() != before.alarmed() {
            let (memory, disk) = (now.memory_alarm, now.disk_alarm);
            match now.alarmed() {
                true => {
                    warn!(%cluster, node = %name, memory, disk, "node is in alarm: its cluster takes no messages")
                }
                false => info!(%cluster, node = %name, "node is out of alarm"),
            }
            self.tell(node, Change::Alarm(now.alarmed()));
        }
        if now.maintenance != before.maintenance {
            match now.maintenance {
                true => warn!(%cluster, node = %name, "node is in maintenance: no new sessions"),
                false => info!(%cluster, node = %name, "node is out of maintenance"),
            }
            self.tell(node, Change::Maintenance(now.maintenance));
        }
        if now.minority != before.minority {
            match now.minority {
                true => warn!(%cluster, node = %name, "node is on the smaller side of a partition"),
                false => {
                    info!(%cluster, node = %name, "node is not on the smaller side of a partition any more")
                }
            }
            self.tell(node, Change::Minority(now.minority));
        }
        if now.quorum_critical != before.quorum_critical {
            match now.quorum_critical {
                true => {
                    info!(%cluster, node = %name, "queues would lose their majority without the node: do not stop it")
                }
                false => {
                    info!(%cluster, node = %name, "no queue needs the node for its majority any more")
                }
            }
            self.tell(node, Change::QuorumCritical(now.quorum_critical));
        }
        self.look_at_cluster();
    }

    /// How a node sees its cluster now; `None` = it does not say.
    pub(super) fn sees(&self, node: &Arc<Node>, seen: Option<Seen>) {
        let critical = seen.as_ref().and_then(|seen| seen.quorum_critical);
        match seen {
            Some(seen) => self.seen().insert(node.name.clone(), seen),
            None => self.seen().remove(&node.name),
        };
        self.judge_sides();
        self.says(node, |says| says.quorum_critical = critical.unwrap_or(false));
    }

    /// What a node said last of its place in the cluster, if it said anything.
    pub(super) fn last_seen(&self, node: &Node) -> Option<Seen> {
        self.seen().get(&node.name).cloned()
    }

    /// The cluster has other nodes now.
    pub(super) fn forget_all_but(&self, nodes: &[Arc<Node>]) {
        self.seen().retain(|name, _| nodes.iter().any(|node| node.name == *name));
        self.judge_sides();
        self.look_at_cluster();
    }

    fn judge_sides(&self) {
        let nodes = self.cluster.nodes();
        let views: Vec<Option<View>> = {
            let seen = self.seen();
            nodes.iter().map(|node| seen.get(&node.name).map(|seen| seen.view.clone())).collect()
        };
        for (node, minority) in nodes.iter().zip(partition::minority(&views)) {
            self.says(node, |says| says.minority = minority);
        }
    }

    /// Says loudly when the last healthy node goes, and when one is back.
    fn look_at_cluster(&self) {
        let nodes = self.cluster.nodes();
        let lost = !nodes.iter().any(|node| node.condition.fitness() < Fitness::Unfit);
        if self.lost.swap(lost, Ordering::Relaxed) == lost {
            return;
        }
        let cluster = &self.cluster.name;
        match lost {
            true => error!(
                %cluster, nodes = nodes.len(),
                "no node of the cluster is healthy: new sessions try all nodes but those drained, disabled or in \
                 maintenance"
            ),
            false => info!(%cluster, "the cluster has a healthy node again"),
        }
    }

    fn tell(&self, node: &Arc<Node>, change: Change) {
        // Fails where nobody listens.
        let _ = self.events.send(HealthEvent { node: node.clone(), change });
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<Arc<str>, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

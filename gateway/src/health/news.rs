//! Says what is news about a node: sets it, logs it, and tells those who act on it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, broadcast};
use tracing::{error, info, warn};

use super::partition::{self, View};
use super::probe::view::Seen;
use crate::cluster::Cluster;
use crate::cluster::condition::{BrokerSays, Fitness, Verdict};
use crate::cluster::node::Node;
use crate::cluster::report::{Change, HealthEvent, Report};
use crate::cluster::rounds::Row;
use crate::telemetry::metrics::Metrics;

/// How long what a node said of its cluster holds while it says nothing: longer than the members of a cluster say nothing
/// because one of them hangs.
const HOLDS: Duration = Duration::from_secs(90);

/// One cluster, and what its nodes say of each other.
#[derive(Debug)]
pub(super) struct News {
    cluster: ArcSwap<Cluster>,
    /// There is another one.
    pub(super) replaced: Notify,
    pub(super) metrics: Arc<Metrics>,
    events: broadcast::Sender<HealthEvent>,
    /// By the node's name in the configuration, with the time when it said so.
    seen: Mutex<HashMap<Arc<str>, (Seen, Instant)>>,
    /// Is there no healthy node?
    lost: AtomicBool,
}

impl News {
    pub(super) fn new(
        cluster: Arc<Cluster>,
        metrics: Arc<Metrics>,
        events: broadcast::Sender<HealthEvent>,
    ) -> Self {
        let (cluster, replaced) = (ArcSwap::new(cluster), Notify::new());
        let (seen, lost) = (Mutex::default(), AtomicBool::new(false));
        Self { cluster, replaced, metrics, events, seen, lost }
    }

    /// The cluster, as it is configured now.
    pub(super) fn cluster(&self) -> Arc<Cluster> {
        self.cluster.load_full()
    }

    /// The cluster has come in the place of the one before.
    pub(super) fn follow(&self, cluster: Arc<Cluster>) {
        self.cluster.store(cluster);
        self.replaced.notify_one();
    }

    /// The verdict on a node is another.
    pub(super) fn verdict(&self, node: &Arc<Node>, verdict: Verdict, reason: Option<Arc<str>>) {
        node.condition.set_verdict(verdict);
        if verdict == Verdict::Up {
            // What the checks have reached need not wait for the trial of a client, which may never come.
            node.answered();
        }
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

    /// A node is not checked any more: it is used as one of which nothing is known.
    pub(super) fn unchecked(&self, node: &Arc<Node>) {
        self.seen().remove(&node.name);
        node.condition.forget_rounds();
        self.says(node, |says| *says = BrokerSays::default());
        node.report.store(Arc::default());
        let before = node.condition.set_verdict(Verdict::Unknown);
        let (cluster, name) = (&node.cluster, &node.name);
        info!(%cluster, node = %name, "node is not checked any more");
        if before == Verdict::Down {
            self.tell(node, Change::Up);
        }
        self.look_at_cluster();
    }

    /// The management API of a node is not asked any more: what it said is old.
    pub(super) fn unasked(&self, node: &Arc<Node>) {
        self.seen().remove(&node.name);
        self.says(node, |says| {
            *says = BrokerSays { maintenance: says.maintenance, ..BrokerSays::default() }
        });
    }

    /// How a node sees its cluster at `now`; `None` = it does not say. Then what it said last holds for a while: that it
    /// does not say does not bring it back to its cluster.
    pub(super) fn sees(&self, node: &Arc<Node>, seen: Option<Seen>, now: Instant) {
        if let Some(seen) = seen {
            self.seen().insert(node.name.clone(), (seen, now));
        } else {
            let down = node.condition.verdict() == Verdict::Down;
            self.seen().retain(|name, (_, at)| {
                *name != node.name || (!down && now.saturating_duration_since(*at) < HOLDS)
            });
        }
        let critical = self.last_seen(node).and_then(|seen| seen.quorum_critical);
        self.judge_sides();
        self.says(node, |says| says.quorum_critical = critical.unwrap_or(false));
    }

    /// What a node said last of its place in the cluster, if it said anything.
    pub(super) fn last_seen(&self, node: &Node) -> Option<Seen> {
        self.seen().get(&node.name).map(|(seen, _)| seen.clone())
    }

    /// A node fails: the others are to show that it is not the gateway, unless they have done so since.
    ///
    /// One that fails itself is not asked out of turn: where all fail at once, they would make each other down.
    pub(super) fn ask_others(&self, node: &Arc<Node>, failing: &Row) {
        let may_show = |other: &&Arc<Node>| {
            let condition = &other.condition;
            condition.fitness() < Fitness::Unfit
                && condition.row().is_some_and(|row| row.is_good() && row.is_older_than(failing))
        };
        let nodes = self.cluster().nodes();
        for other in nodes.iter().filter(|other| !Arc::ptr_eq(other, node)).filter(may_show) {
            other.notices.ask();
        }
    }

    /// The cluster has other nodes now.
    pub(super) fn forget_all_but(&self, nodes: &[Arc<Node>]) {
        self.seen().retain(|name, _| nodes.iter().any(|node| node.name == *name));
        self.judge_sides();
        self.look_at_cluster();
    }

    fn judge_sides(&self) {
        let nodes = self.cluster().nodes();
        let views: Vec<Option<View>> = {
            let seen = self.seen();
            nodes.iter().map(|node| Some(seen.get(&node.name)?.0.view.clone())).collect()
        };
        for (node, minority) in nodes.iter().zip(partition::minority(&views)) {
            self.says(node, |says| says.minority = minority);
        }
    }

    /// Says loudly when the last healthy node goes, and when one is back.
    fn look_at_cluster(&self) {
        let nodes = self.cluster().nodes();
        let lost = !nodes.iter().any(|node| node.condition.fitness() < Fitness::Unfit);
        if self.lost.swap(lost, Ordering::Relaxed) == lost {
            return;
        }
        let cluster = &self.cluster().name;
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

    fn seen(&self) -> MutexGuard<'_, HashMap<Arc<str>, (Seen, Instant)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;
    use crate::config::model::samples;

    fn news(nodes: u16) -> (News, Arc<Vec<Arc<Node>>>) {
        let nodes = (1..=nodes).map(|n| samples::node(&format!("r{n}"), n));
        let cluster = Arc::new(Cluster::new(&samples::cluster("main", nodes.collect())));
        let (events, _) = broadcast::channel(8);
        let nodes = cluster.nodes();
        (News::new(cluster, Arc::new(Metrics::new()), events), nodes)
    }

    #[test]
    fn a_node_found_up_again_is_not_left_out_for_what_clients_met_before() {
        let (news, nodes) = news(1);
        let node = nodes[0].clone();
        node.failed(Instant::now());
        news.verdict(&node, Verdict::Down, Some("tcp: refused".into()));
        assert!(node.is_left_out());
        news.verdict(&node, Verdict::Up, None);
        assert!(!node.is_left_out());
    }

    /// What a node says that sees `running` and knows itself to be parted from `partitions`.
    fn seen(name: &str, running: &[&str], partitions: &[&str]) -> Option<Seen> {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let (running, partitions) = (names(running), names(partitions));
        let view = View { name: name.to_owned(), running, partitions };
        Some(Seen { view, ..Seen::default() })
    }

    #[test]
    fn a_node_on_the_smaller_side_that_says_nothing_stays_there_until_it_is_down_or_long_silent() {
        for goes_down in [true, false] {
            let (news, nodes) = news(3);
            let start = Instant::now();
            let minority = || nodes.iter().map(|n| n.condition.says().minority).collect::<Vec<_>>();
            news.sees(&nodes[0], seen("a", &["a", "b"], &[]), start);
            news.sees(&nodes[2], seen("c", &["c"], &["a", "b"]), start);
            assert_eq!(minority(), [false, false, true]);
            for silent in [0, 2] {
                news.sees(&nodes[silent], None, start + HOLDS / 2);
            }
            assert_eq!(minority(), [false, false, true], "neither of them has said otherwise");
            if goes_down {
                news.verdict(&nodes[2], Verdict::Down, None);
            }
            let later = if goes_down { start + HOLDS / 2 } else { start + HOLDS };
            news.sees(&nodes[2], None, later);
            assert_eq!(minority(), [false; 3]);
        }
    }

    #[test]
    fn when_a_node_fails_others_are_asked_that_passed_only_before() {
        let (news, nodes) = news(5);
        let start = Instant::now();
        let round = |node: usize, good, second| {
            let at = start + Duration::from_secs(second);
            nodes[node].condition.round(good, at, at)
        };
        round(1, true, 1);
        round(2, true, 3);
        round(3, false, 1);
        let failing = round(0, false, 2);
        news.ask_others(&nodes[0], &failing);
        let asked = nodes.iter().map(|node| {
            pin!(node.notices.take()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
        });
        assert_eq!(asked.collect::<Vec<_>>(), [false, true, false, false, false]);
    }
}

//! What the admin API shows and changes.

mod virtual_router;

use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use tracing::info;

use crate::admin::operator::{Operator, Refusal};
use crate::admin::view;
use crate::cluster::Cluster;
use crate::cluster::condition::{AdminState, Fitness, Verdict};
use crate::cluster::node::Node;
use crate::cluster::report::{CheckReport, Past};
use crate::config::model::ClusterName;
use crate::drain::{self, Keeper};
use crate::session::Shared;
use crate::vrrp::board::Board;
use crate::vrrp::warden::Hand;

/// Serves the API from the running gateway.
pub(super) struct Desk {
    pub(super) shared: Arc<Shared>,
    pub(super) keeper: Arc<Keeper>,
    pub(super) board: Arc<Board>,
    /// Empty until VRRP runs.
    pub(super) hand: Arc<OnceLock<Hand>>,
}

impl Operator for Desk {
    fn nodes(&self) -> Vec<view::Node> {
        let of_cluster = |cluster: &Arc<Cluster>| all_nodes(cluster);
        let view = |(node, gone): (Arc<Node>, bool)| self.view(&node, gone);
        let snapshot = self.shared.snapshot.load();
        // Also of those that the configuration has no more.
        let mut clusters: Vec<_> = snapshot.all_clusters().collect();
        clusters.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        clusters.into_iter().flat_map(of_cluster).map(view).collect()
    }

    fn clusters(&self) -> Vec<view::Cluster> {
        self.by_name().iter().map(|cluster| self.view_cluster(cluster)).collect()
    }

    fn change(
        &self,
        cluster: &str,
        node: &str,
        change: view::NodeChange,
    ) -> Result<view::Node, Refusal> {
        let nodes = all_nodes(&*self.cluster(cluster)?);
        let found = nodes.iter().find(|(n, _)| *n.name == *node);
        let unknown = || Refusal::Unknown(format!("There is no node {node} in cluster {cluster}."));
        let (node, gone) = found.ok_or_else(unknown)?;
        if let Some(weight) = change.weight {
            let before = node.set_weight(weight);
            info!(%cluster, node = %node.name, %weight, %before, "an operator changes a node");
        }
        if let Some(wanted) = change.admin_state {
            let before = admin_state(node.condition.set_admin(state_of(wanted))).name();
            let admin_state = wanted.name();
            info!(%cluster, node = %node.name, admin_state, before, "an operator changes a node");
        }
        self.keeper.look();
        Ok(self.view(node, *gone))
    }

    fn rebalance_plan(&self, cluster: &str) -> Result<view::RebalancePlan, Refusal> {
        let cluster = self.cluster(cluster)?;
        let plan = self.keeper.rebalance_plan(&cluster.name);
        let plan = plan.map_err(|error| not_rebalanced(&cluster, error))?;
        let of_node = |of: &drain::Planned| view::RebalanceNode {
            node: of.node.to_string(),
            sessions: of.sessions,
            surplus: of.surplus,
        };
        Ok(view::RebalancePlan {
            planned: plan.iter().map(|of| of.surplus).sum(),
            rate: cluster.model.rebalance_rate.get(),
            nodes: plan.iter().map(of_node).collect(),
        })
    }

    fn rebalance(&self, cluster: &str) -> Result<view::Rebalance, Refusal> {
        let cluster = self.cluster(cluster)?;
        info!(cluster = %cluster.name, "an operator rebalances");
        let begun = self.keeper.rebalance(&cluster.name);
        begun.map(|run| rebalance(&cluster, run)).map_err(|error| not_rebalanced(&cluster, error))
    }

    fn stop_rebalance(&self, cluster: &str) -> Result<view::Rebalance, Refusal> {
        let cluster = self.cluster(cluster)?;
        let stopped = self.keeper.stop_rebalance(&cluster.name);
        let idle =
            || Refusal::Conflict(format!("Cluster {} is not being rebalanced.", cluster.name));
        stopped.map(|run| rebalance(&cluster, run)).ok_or_else(idle)
    }

    fn virtual_routers(&self) -> Vec<view::vrrp::VirtualRouter> {
        virtual_router::all(&self.board)
    }

    fn release(&self, name: &str) -> Result<view::vrrp::VirtualRouter, Refusal> {
        virtual_router::wish(&self.board, &self.hand, name, |hand, router| {
            info!(virtual_router = name, "an operator releases the shared addresses");
            hand.release(router);
        })
    }

    fn reclaim(&self, name: &str) -> Result<view::vrrp::VirtualRouter, Refusal> {
        virtual_router::wish(&self.board, &self.hand, name, |hand, router| {
            info!(virtual_router = name, "an operator reclaims the shared addresses");
            hand.reclaim(router);
        })
    }
}

impl Desk {
    fn by_name(&self) -> Vec<Arc<Cluster>> {
        let mut clusters: Vec<_> = self.shared.snapshot.load().clusters.values().cloned().collect();
        clusters.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        clusters
    }

    fn cluster(&self, name: &str) -> Result<Arc<Cluster>, Refusal> {
        let found = self.shared.snapshot.load().clusters.get(&ClusterName(name.into())).cloned();
        found.ok_or_else(|| unknown_cluster(name))
    }

    fn view(&self, node: &Node, gone: bool) -> view::Node {
        let report = node.report.load();
        let condition = &node.condition;
        let drain = self.keeper.progress(node);
        view::Node {
            cluster: node.cluster.to_string(),
            node: node.name.to_string(),
            address: node.address.to_string(),
            admin_state: admin_state(condition.admin()),
            verdict: verdict(condition.verdict()).to_owned(),
            since: report.since.map(time),
            reason: report.reason.as_deref().map(str::to_owned),
            fitness: fitness(condition.fitness()).to_owned(),
            gone,
            left_out: node.is_skipped(Instant::now()),
            broker: broker(node),
            weight: node.weight().get(),
            backup: node.is_backup(),
            max_connections: node.max_connections(),
            sessions: node.sessions(),
            drain: drain.map(|d| view::Drain { total: d.total, closed: d.closed, left: d.left }),
            checks: report.checks.iter().map(check).collect(),
        }
    }

    fn view_cluster(&self, cluster: &Cluster) -> view::Cluster {
        let nodes = cluster.nodes();
        let run = self.keeper.rebalance_progress(&cluster.name);
        view::Cluster {
            cluster: cluster.name.to_string(),
            balance: cluster.model.balance.name().to_owned(),
            usable: cluster.is_usable(Instant::now()),
            sessions: nodes.iter().map(|node| node.sessions()).sum(),
            nodes: nodes.iter().map(|node| node.name.to_string()).collect(),
            rebalance: run.map(|run| rebalance(cluster, run)),
        }
    }
}

/// And whether each is gone: those no name leads to any more count while they have sessions, which may have to be drained.
fn all_nodes(cluster: &Cluster) -> Vec<(Arc<Node>, bool)> {
    let gone = cluster.gone().into_iter().filter(|node| node.sessions() > 0);
    let gone = gone.map(|node| (node, true));
    cluster.nodes().iter().map(|node| (node.clone(), false)).chain(gone).collect()
}

fn unknown_cluster(name: &str) -> Refusal {
    Refusal::Unknown(format!("There is no cluster {name}."))
}

fn broker(node: &Node) -> view::Broker {
    let (says, report) = (node.condition.says(), node.report.load());
    view::Broker {
        name: report.broker.as_deref().map(str::to_owned),
        version: report.version.as_deref().map(str::to_owned),
        memory_alarm: says.memory_alarm,
        disk_alarm: says.disk_alarm,
        maintenance: says.maintenance,
        minority: says.minority,
        quorum_critical: says.quorum_critical,
    }
}

fn check(report: &CheckReport) -> view::Check {
    view::Check {
        check: report.check.name().to_owned(),
        outcome: report.outcome.name().to_owned(),
        latency_ms: report.latency.as_micros() as f64 / 1000.0,
        text: report.text.as_deref().map(str::to_owned),
        at: time(report.at),
        past: report.past.iter().map(past).collect(),
    }
}

fn past(past: &Past) -> view::PastCheck {
    view::PastCheck {
        outcome: past.outcome.name().to_owned(),
        latency_ms: past.latency.as_micros() as f64 / 1000.0,
        at: time(past.at),
    }
}

fn not_rebalanced(cluster: &Cluster, error: drain::Refused) -> Refusal {
    match error {
        drain::Refused::Unknown => unknown_cluster(&cluster.name.0),
        drain::Refused::Fixed(_) => {
            Refusal::Conflict(format!("Cluster {} cannot be rebalanced: {error}.", cluster.name))
        }
    }
}

fn rebalance(cluster: &Cluster, run: drain::Rebalance) -> view::Rebalance {
    let drain::Rebalance { planned, moved, coming } = run;
    view::Rebalance { planned, moved, coming, rate: cluster.model.rebalance_rate.get() }
}

/// As RFC 3339 has it.
pub(super) fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

fn admin_state(state: AdminState) -> view::AdminState {
    match state {
        AdminState::Enabled => view::AdminState::Enabled,
        AdminState::Draining => view::AdminState::Draining,
        AdminState::Disabled => view::AdminState::Disabled,
    }
}

fn state_of(state: view::AdminState) -> AdminState {
    match state {
        view::AdminState::Enabled => AdminState::Enabled,
        view::AdminState::Draining => AdminState::Draining,
        view::AdminState::Disabled => AdminState::Disabled,
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Unknown => "unknown",
        Verdict::Up => "up",
        Verdict::Down => "down",
    }
}

fn fitness(fitness: Fitness) -> &'static str {
    match fitness {
        Fitness::Fit => "fit",
        Fitness::Alarmed => "alarmed",
        Fitness::Unfit => "unfit",
        Fitness::Closed => "closed",
    }
}

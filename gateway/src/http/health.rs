//! Whether the management of nodes answers: asked at the pace of the cluster's health, and apart from it. A node whose
//! management is down keeps its AMQP clients, and one that takes no AMQP clients may be looked at.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use super::Shared;
use super::nodes::{HttpCluster, HttpNode};
use crate::cluster::condition::Verdict;
use crate::cluster::report::Outcome;
use crate::config::model::Health;
use crate::health::machine::{Machine, Round, Rules};
use crate::health::probe::overview::OverviewCheck;
use crate::health::probe::{Site, Wrong};

/// How often it is looked at whether the cluster has other nodes, and whether connections have waited for too long.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(1);
/// The name of the check in labels.
const CHECK: &str = "http";

/// Watches over the nodes of a cluster, also those that come and go.
pub(super) async fn watch(shared: Arc<Shared>, cluster: Arc<HttpCluster>) {
    let checked = !cluster.cluster.model.health.checks.is_empty();
    let mut driven: Vec<(Arc<HttpNode>, AbortOnDropHandle<()>)> = Vec::new();
    loop {
        let nodes = cluster.nodes();
        driven.retain(|(node, _)| nodes.iter().any(|other| Arc::ptr_eq(node, other)));
        for node in nodes.iter() {
            node.pool.sweep(Instant::now());
            if checked && !driven.iter().any(|(other, _)| Arc::ptr_eq(node, other)) {
                let driving = drive(shared.clone(), cluster.clone(), node.clone());
                driven.push((node.clone(), AbortOnDropHandle::new(tokio::spawn(driving))));
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Asks a node again and again.
async fn drive(shared: Arc<Shared>, cluster: Arc<HttpCluster>, node: Arc<HttpNode>) {
    let health = &cluster.cluster.model.health;
    let mut judge = Judge {
        shared,
        node: node.clone(),
        last: None,
        machine: Machine::new(Rules::from(&**health)),
    };
    let Some(site) = Site::of(&node.node, &cluster.cluster) else { return };
    let mut check = OverviewCheck::new(site, health.login.as_ref());
    loop {
        let begun = tokio::time::Instant::now();
        let result = ask(&mut check, health).await;
        judge.round(result);
        tokio::select! {
            () = tokio::time::sleep_until(begun + judge.machine.wait(fastrand::f64())) => {}
            () = node.suspect.notified() => {}
        }
    }
}

async fn ask(check: &mut OverviewCheck, health: &Health) -> Result<Option<Wrong>, Wrong> {
    let limit = health.timeout;
    match tokio::time::timeout(limit, check.check()).await {
        Ok(result) => result,
        Err(_) => Err(Wrong::silent("timeout", format!("no answer within {limit:?}"))),
    }
}

/// What judges the answers of a node.
struct Judge {
    shared: Arc<Shared>,
    node: Arc<HttpNode>,
    machine: Machine,
    /// What was wrong in the last round.
    last: Option<&'static str>,
}

impl Judge {
    fn round(&mut self, result: Result<Option<Wrong>, Wrong>) {
        let (round, wrong) = match result {
            Ok(remark) => (Round::Good, remark),
            Err(wrong) if wrong.outcome == Outcome::Misconfigured => (Round::Mute, Some(wrong)),
            Err(wrong) => (Round::Bad, Some(wrong)),
        };
        self.note(round, wrong.as_ref());
        if !self.machine.round(round) {
            return;
        }
        let verdict = self.machine.verdict();
        let (cluster, name, url) = (&self.node.node.cluster, &self.node.node.name, &self.node.url);
        match verdict {
            Verdict::Down => {
                let text = wrong.map(|wrong| wrong.text).unwrap_or_default();
                warn!(%cluster, node = %name, %url, reason = text, "management of the node is down");
            }
            Verdict::Up | Verdict::Unknown => {
                self.node.left_out.succeeded();
                info!(%cluster, node = %name, %url, "management of the node is up");
            }
        }
        self.node.verdict.send_replace(verdict);
    }

    /// Counts and logs what is wrong: once, not every round.
    fn note(&mut self, round: Round, wrong: Option<&Wrong>) {
        let Some(wrong) = wrong else {
            self.last = None;
            return;
        };
        let (cluster, node) = (&self.node.node.cluster, &self.node.node.name);
        self.shared.metrics.node_probe_failed(&cluster.0, node, CHECK, wrong.reason);
        let text = &wrong.text;
        if self.last.replace(wrong.reason) == Some(wrong.reason) {
            debug!(%cluster, %node, text, "check of the management fails");
        } else if round == Round::Bad {
            info!(%cluster, %node, text, "check of the management fails");
        } else {
            warn!(%cluster, %node, text, "check of the management cannot be made as configured: it does not count");
        }
    }
}

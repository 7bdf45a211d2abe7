//! Watches over a cluster: a task for each of its nodes, also for those that come and go.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::GOODBYE;
use super::driver;
use super::news::News;
use crate::cluster::Cluster;
use crate::cluster::node::Node;
use crate::config::model::{Health, ManagementUrl, ProxyOut};
use crate::tls::client::Origination;

/// How often it is looked at whether the cluster has other nodes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches until told to stop.
pub(super) async fn watch(news: Arc<News>, gateway: Arc<str>, stop: CancellationToken) {
    let (drivers, mut driven) = (TaskTracker::new(), Vec::<Driven>::new());
    while !stop.is_cancelled() {
        let cluster = news.cluster();
        let nodes = cluster.nodes();
        let checked = !cluster.model.health.checks.is_empty();
        let is_present = |driven: &Driven| nodes.iter().any(|node| Arc::ptr_eq(node, &driven.node));
        driven.retain(is_present);
        if !checked {
            driven.drain(..).for_each(|driven| news.unchecked(&driven.node));
        }
        for node in nodes.iter().filter(|_| checked) {
            let manner = Manner::of(node, &cluster);
            let at = driven.iter().position(|driven| Arc::ptr_eq(&driven.node, node));
            if at.is_some_and(|at| driven[at].manner.is(&manner)) {
                continue;
            }
            let before = at.map(|at| driven.swap_remove(at));
            let stop = stop.child_token();
            let (drive_on, node) = ((news.clone(), gateway.clone(), stop.clone()), node.clone());
            let of = node.clone();
            let task = drivers.spawn(async move {
                if let Some(before) = before {
                    before.ended().await;
                }
                let (news, gateway, stop) = drive_on;
                driver::drive(of, news, gateway, stop).await;
            });
            driven.push(Driven { node, manner, stop, task });
        }
        if checked {
            news.forget_all_but(&nodes);
        }
        drop(cluster);
        tokio::select! {
            () = stop.cancelled() => {}
            () = news.replaced.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    drop(driven);
    drivers.close();
    let _ = tokio::time::timeout(2 * GOODBYE, drivers.wait()).await;
}

/// A node that has a task, which ends with this.
struct Driven {
    node: Arc<Node>,
    manner: Manner,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Driven {
    /// Ends it, and waits until it has left the node: two that ask the same at once might be in each other's way.
    async fn ended(mut self) {
        self.stop.cancel();
        let _ = tokio::time::timeout(2 * GOODBYE, &mut self.task).await;
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// How a node is asked. If that changes, the task of the node makes way for another.
struct Manner {
    health: Arc<Health>,
    proxy_protocol: ProxyOut,
    management: Option<ManagementUrl>,
    tls: [Option<Arc<Origination>>; 2],
}

impl Manner {
    fn of(node: &Node, cluster: &Cluster) -> Self {
        Self {
            health: cluster.model.health.clone(),
            proxy_protocol: cluster.model.proxy_protocol,
            management: node.management(),
            tls: [cluster.tls.clone(), cluster.https.clone()],
        }
    }

    fn is(&self, other: &Self) -> bool {
        let tls = |manner: &Self| manner.tls.each_ref().map(|tls| tls.as_ref().map(Arc::as_ptr));
        self.health == other.health
            && self.proxy_protocol == other.proxy_protocol
            && self.management == other.management
            && tls(self) == tls(other)
    }
}

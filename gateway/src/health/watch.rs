//! Watches over a cluster: a task for each of its nodes, also for those that come and go.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::GOODBYE;
use super::driver;
use super::news::News;
use crate::cluster::node::Node;

/// How often it is looked at whether the cluster has other nodes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches until told to stop.
pub(super) async fn watch(news: Arc<News>, gateway: Arc<str>, stop: CancellationToken) {
    if news.cluster.model.health.checks.is_empty() {
        return;
    }
    let (drivers, mut driven) = (TaskTracker::new(), Vec::<Driven>::new());
    while !stop.is_cancelled() {
        let nodes = news.cluster.nodes();
        let is_present = |driven: &Driven| nodes.iter().any(|node| Arc::ptr_eq(node, &driven.node));
        driven.retain(is_present);
        let is_new = |node: &&Arc<Node>| !driven.iter().any(|d| Arc::ptr_eq(&d.node, node));
        let new: Vec<Arc<Node>> = nodes.iter().filter(is_new).cloned().collect();
        for node in new {
            let stop = stop.child_token();
            let drive = driver::drive(node.clone(), news.clone(), gateway.clone(), stop.clone());
            drivers.spawn(drive);
            driven.push(Driven { node, stop });
        }
        news.forget_all_but(&nodes);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    drivers.close();
    let _ = tokio::time::timeout(2 * GOODBYE, drivers.wait()).await;
}

/// A node that has a task, which ends with this.
struct Driven {
    node: Arc<Node>,
    stop: CancellationToken,
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

//! Keeps the addresses of nodes that are given by name.

use std::sync::Arc;

use tracing::{info, warn};

use super::Cluster;
use super::node::Node;

/// Resolves every name of a cluster once, side by side, with a warning for those that fail.
pub async fn resolve_all(cluster: &Cluster) {
    let nodes = cluster.nodes();
    let named = nodes.iter().filter(|node| node.address.literal().is_none());
    let tasks: Vec<_> = named.cloned().map(|node| tokio::spawn(resolve(node))).collect();
    for task in tasks {
        // A lookup that panicked keeps its node's last addresses; so does one that failed.
        let _ = task.await;
    }
}

/// Resolves every name of a cluster again and again.
pub async fn keep_resolved(cluster: Arc<Cluster>) {
    if cluster.nodes().iter().all(|node| node.address.literal().is_some()) {
        return;
    }
    let mut interval = tokio::time::interval(cluster.resolve_interval);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        resolve_all(&cluster).await;
    }
}

async fn resolve(node: Arc<Node>) {
    let (cluster, name) = (&node.cluster, &node.name);
    let Some(port) = node.address.port else {
        warn!(%cluster, node = %name, host = node.address.host, "SRV names are not resolved");
        return;
    };
    let address = (node.address.host.as_str(), port);
    match tokio::net::lookup_host(address).await {
        Ok(found) => {
            let mut found: Vec<_> = found.collect();
            found.sort_unstable();
            if found.is_empty() {
                warn!(%cluster, node = %name, host = node.address.host, "name has no addresses");
            } else if **node.resolved.load() != found {
                info!(%cluster, node = %name, host = node.address.host, ?found, "name resolved");
                node.resolved.store(Arc::new(found));
            }
        }
        Err(error) => {
            let known = node.resolved.load().len();
            warn!(
                %cluster, node = %name, host = node.address.host, %error, known,
                "name does not resolve: its last known addresses stay in use"
            );
        }
    }
}

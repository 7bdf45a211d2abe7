//! `[cluster.NAME]` and its nodes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{Context, DAY, MILLISECOND, MINUTE, SECOND, number, positive};
use crate::config::defaults;
use crate::config::file::{self, At};
use crate::config::model::{Cluster, ClusterName, Listener, Node, NodeAddress, Strategy};
use crate::config::values;

pub(super) fn clusters(
    context: &mut Context<'_, '_>,
    files: &[(At<String>, file::Cluster)],
    listeners: &[Listener],
) -> Vec<Cluster> {
    files.iter().map(|(name, file)| cluster(context, name, file, listeners)).collect()
}

fn cluster(
    context: &mut Context<'_, '_>,
    name: &At<String>,
    file: &file::Cluster,
    listeners: &[Listener],
) -> Cluster {
    let section = format!("cluster.{}", name.as_str());
    warn_unused(context, &section, name);
    Cluster {
        name: ClusterName(context.name(&section, name).into()),
        balance: file.balance.unwrap_or(Strategy::LeastConnections),
        retry: number(file.retry.as_ref(), defaults::RETRY),
        connect_timeout: context.duration(
            &format!("{section}.connect_timeout"),
            file.connect_timeout.as_ref(),
            MILLISECOND..=10 * MINUTE,
            defaults::CONNECT_TIMEOUT,
        ),
        resolve_interval: context.duration(
            &format!("{section}.resolve_interval"),
            file.resolve_interval.as_ref(),
            SECOND..=DAY,
            defaults::RESOLVE_INTERVAL,
        ),
        slow_start: defaults::SLOW_START,
        admission: None,
        rebalance: false,
        rebalance_rate: positive(None, defaults::REBALANCE_RATE),
        drain_patience: defaults::DRAIN_PATIENCE,
        loopback_users: defaults::LOOPBACK_USERS.map(Arc::from).to_vec(),
        health: Arc::default(),
        nodes: nodes(context, &section, file, listeners),
    }
}

fn warn_unused(context: &mut Context<'_, '_>, section: &str, name: &At<String>) {
    let misread = ["listener", "route"].iter().any(|part| context.dropped.mistake_under(part));
    let used = context.used_clusters.contains(name.as_str());
    if !used && !context.misnamed_cluster && !misread {
        context.report.warning(
            name.span(),
            format!("{section} is not used: no listener or route names it"),
            "name it in a [listener.NAME] or a [[route]], or remove it".to_owned(),
        );
    }
}

fn nodes(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::Cluster,
    listeners: &[Listener],
) -> Vec<Node> {
    let mut seen: HashMap<NodeAddress, usize> = HashMap::new();
    let mut nodes = Vec::new();
    for (name, file) in file.node.iter().flat_map(|named| &named.0) {
        let section = format!("{section}.node.{}", name.as_str());
        let name = context.name(&section, name);
        let key = format!("{section}.address");
        let Some(text) = &file.address else { continue };
        let Some(address) = context.take(&key, text, values::node_address) else {
            continue;
        };
        if let Some(place) = seen.insert(address.clone(), text.span().start) {
            let line = context.report.line_of(place);
            let message = format!("{key}: {address} is the node of line {line} once more");
            let advice = "remove one of the two; `weight` gives a node a larger share".to_owned();
            context.report.warning(text.span(), message, advice);
        }
        warn_of_loop(context, &key, text, &address, listeners);
        nodes.push(node(name, address, file));
    }
    nodes
}

fn node(name: String, address: NodeAddress, file: &file::Node) -> Node {
    Node {
        name: name.into(),
        address,
        weight: positive(file.weight.as_ref(), defaults::WEIGHT),
        max_connections: file.max_connections.as_ref().map(|number| **number as usize),
        backup: file.backup.unwrap_or(defaults::BACKUP),
        management: None,
    }
}

/// A node that is a listener of this very gateway is a session that never ends arriving.
fn warn_of_loop(
    context: &mut Context<'_, '_>,
    key: &str,
    text: &At<String>,
    address: &NodeAddress,
    listeners: &[Listener],
) {
    let Some(node) = address.literal() else {
        return;
    };
    let reaches = |bound: &SocketAddr| {
        let everywhere = bound.ip().is_unspecified() && bound.is_ipv4() == node.is_ipv4();
        bound.port() == node.port()
            && (bound.ip() == node.ip() || (everywhere && node.ip().is_loopback()))
    };
    if let Some(listener) = listeners.iter().find(|listener| listener.bind.iter().any(reaches)) {
        context.report.warning(
            text.span(),
            format!("{key}: {node} is listener {} of this gateway", listener.name),
            "write the address of the RabbitMQ node, or give the listener another port".to_owned(),
        );
    }
}

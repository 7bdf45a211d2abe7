//! `[cluster.NAME]` and its nodes.

mod management;
mod strangers;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::{Context, DAY, HOUR, MILLISECOND, SECOND, TEN_MINUTES, health, number, positive, tls};
use crate::config::defaults;
use crate::config::file::{self, At};
use crate::config::model::{
    Admission, Cluster, ClusterName, Listener, Node, NodeAddress, ProxyOut, Route, Strategy,
};
use crate::config::values;

const UP_TO_AN_HOUR: RangeInclusive<Duration> = Duration::ZERO..=HOUR;

pub(super) fn clusters(
    context: &mut Context<'_, '_>,
    files: &[(At<String>, file::Cluster)],
    ways: (&[Listener], &[Route]),
) -> Vec<Cluster> {
    files.iter().map(|(name, file)| cluster(context, name, file, ways)).collect()
}

fn cluster(
    context: &mut Context<'_, '_>,
    name: &At<String>,
    file: &file::Cluster,
    (listeners, routes): (&[Listener], &[Route]),
) -> Cluster {
    let section = format!("cluster.{}", name.as_str());
    warn_unused(context, &section, name);
    management::check(context, &section, name, file, listeners);
    let name = ClusterName(context.name(&section, name).into());
    tls::warn_of_unasked_identities(context, &section, file, listeners);
    let nodes = nodes(context, &section, file, listeners);
    strangers::warn(context, (&name, file), listeners, routes);
    let loopback_users = loopback_users(context, &section, file.loopback_users.as_deref());
    let asked = (&*nodes, &*loopback_users);
    let health = Arc::new(health::health(context, &section, file.health.as_ref(), asked));
    let mut duration = |key: &str, text: &Option<At<String>>, range, default| {
        context.duration(&format!("{section}.{key}"), text.as_ref(), range, default)
    };
    let (connect, resolve) = (defaults::CONNECT_TIMEOUT, defaults::RESOLVE_INTERVAL);
    let (slow_start, patience) = (defaults::SLOW_START, defaults::DRAIN_PATIENCE);
    Cluster {
        name,
        connect_timeout: duration(
            "connect_timeout",
            &file.connect_timeout,
            MILLISECOND..=TEN_MINUTES,
            connect,
        ),
        resolve_interval: duration(
            "resolve_interval",
            &file.resolve_interval,
            SECOND..=DAY,
            resolve,
        ),
        drain_patience: duration("drain_patience", &file.drain_patience, UP_TO_AN_HOUR, patience),
        slow_start: duration("slow_start", &file.slow_start, UP_TO_AN_HOUR, slow_start),
        balance: balance(context, &section, file),
        retry: number(file.retry.as_ref(), defaults::RETRY),
        admission: admission(context, &section, file.admission.as_ref()),
        rebalance: file.rebalance == Some(file::Rebalance::Auto),
        rebalance_rate: positive(file.rebalance_rate.as_ref(), defaults::REBALANCE_RATE),
        loopback_users,
        proxy_protocol: file.proxy_protocol.unwrap_or(ProxyOut::Off),
        tls: file.tls.as_ref().map(|tls| Arc::new(tls::of_cluster(context, &section, tls))),
        identities: tls::identities(context, &section, file),
        health,
        nodes,
    }
}

fn balance(context: &mut Context<'_, '_>, section: &str, file: &file::Cluster) -> Strategy {
    let strategy = file.balance.as_deref().copied().unwrap_or(Strategy::LeastConnections);
    if let Some(slow_start) = &file.slow_start
        && matches!(strategy, Strategy::SourceHash | Strategy::VhostHash | Strategy::First)
    {
        context.report.warning(
            slow_start.span(),
            format!("{section}.slow_start has no effect with this balance"),
            "remove it; source-hash, vhost-hash and first give each session its one node"
                .to_owned(),
        );
    }
    strategy
}

fn admission(
    context: &mut Context<'_, '_>,
    section: &str,
    file: Option<&file::Admission>,
) -> Option<Admission> {
    let file = file?;
    let (key, range) = (format!("{section}.admission.wait"), MILLISECOND..=HOUR);
    let wait = context.duration(&key, file.wait.as_ref(), range, defaults::ADMISSION_WAIT);
    Some(Admission {
        // One that is missing or unusable was reported.
        rate: NonZeroU32::new(**file.rate.as_ref()?)?,
        queue: number(file.queue.as_ref(), defaults::ADMISSION_QUEUE) as usize,
        wait,
    })
}

fn loopback_users(
    context: &mut Context<'_, '_>,
    section: &str,
    file: Option<&[At<String>]>,
) -> Vec<Arc<str>> {
    let Some(users) = file else { return defaults::LOOPBACK_USERS.map(Arc::from).to_vec() };
    let key = format!("{section}.loopback_users");
    let users = users.iter();
    users.filter_map(|user| context.text(&key, user, values::short_string)).collect()
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
        let key = format!("{section}.management");
        let management = file.management.as_ref();
        let management = management.and_then(|text| {
            let url = context.take(&key, text, values::management_url)?;
            let address = NodeAddress { host: (*url.host).to_owned(), port: Some(url.port) };
            warn_of_loop(context, &key, text, &address, listeners);
            Some(url)
        });
        nodes.push(Node { management, ..node(name, address, file) });
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

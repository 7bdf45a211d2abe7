//! `[cluster.NAME]` and what lies below it.

use super::{Section, list, maybe, of_login, one, pair, path, section, time, word};
use crate::config::model::{Admission, Cluster, ClusterTls, Health, Identity, Node};

pub(super) fn of_cluster(cluster: &Cluster) -> Vec<Section> {
    let Cluster {
        name,
        balance,
        retry,
        connect_timeout,
        resolve_interval,
        slow_start,
        admission,
        rebalance,
        rebalance_rate,
        drain_patience,
        loopback_users,
        proxy_protocol,
        tls,
        identities,
        health,
        nodes,
    } = cluster;
    let path = format!("cluster.{name}");
    let admission = admission.as_ref().map(|Admission { rate, queue, wait }| {
        format!("rate {rate}, queue {queue}, wait {}", humantime::format_duration(*wait))
    });
    let mut all = vec![section(
        path.clone(),
        vec![
            ("balance", one(balance.name())),
            ("retry", one(retry)),
            ("connect_timeout", time(*connect_timeout)),
            ("resolve_interval", time(*resolve_interval)),
            ("slow_start", time(*slow_start)),
            ("admission", maybe(admission)),
            ("rebalance", one(if *rebalance { "auto" } else { "off" })),
            ("rebalance_rate", one(rebalance_rate)),
            ("drain_patience", time(*drain_patience)),
            ("loopback_users", list(loopback_users)),
            ("proxy_protocol", word(proxy_protocol)),
        ],
    )];
    all.extend(tls.as_ref().map(|tls| of_cluster_tls(&path, tls)));
    all.extend(identities.iter().map(|identity| of_identity(&path, identity)));
    all.push(of_health(&path, health));
    all.extend(nodes.iter().map(|node| of_node(&path, balance.name() == "first", node)));
    all
}

fn of_cluster_tls(cluster: &str, tls: &ClusterTls) -> Section {
    let ClusterTls { ca, server_name, certificate } = tls;
    section(
        format!("{cluster}.tls"),
        vec![
            ("ca", maybe(ca.as_ref().map(path))),
            ("server_name", maybe(server_name.as_ref())),
            ("certificate", maybe(certificate.as_ref().map(pair))),
        ],
    )
}

fn of_identity(cluster: &str, identity: &Identity) -> Section {
    let Identity { name, common_name, san, login } = identity;
    let mut keys = vec![("common_name", maybe(common_name.as_ref())), ("san", maybe(san.as_ref()))];
    keys.extend(of_login(Some(login)));
    let group = format!("{cluster}.identity");
    Section { first_of: Some(group.clone()), ..section(format!("{group}.{name}"), keys) }
}

fn of_health(cluster: &str, health: &Health) -> Section {
    let Health {
        interval,
        fast_interval,
        timeout,
        rise,
        fall,
        passive,
        checks,
        login,
        vhost,
        script,
        queue,
        on_down,
    } = health;
    let passive = passive.map(|passive| {
        let within = humantime::format_duration(passive.within);
        format!("{} failures within {within}", passive.failures)
    });
    let script = script.as_ref().map(|script| {
        let timeout = humantime::format_duration(script.timeout);
        format!("{} within {timeout}", script.command.join(" "))
    });
    let mut keys = vec![
        ("interval", time(*interval)),
        ("fast_interval", time(*fast_interval)),
        ("timeout", time(*timeout)),
        ("rise", one(rise)),
        ("fall", one(fall)),
        ("passive", passive.map_or_else(|| one("off"), one)),
        ("checks", list(checks.iter().map(|check| check.name()))),
        ("vhost", one(vhost)),
        ("script", maybe(script)),
        ("queue", one(queue)),
        ("on_down", word(on_down)),
    ];
    keys.extend(of_login(login.as_ref()));
    section(format!("{cluster}.health"), keys)
}

/// `ordered`: the first that is usable is the one.
fn of_node(cluster: &str, ordered: bool, node: &Node) -> Section {
    let Node { name, address, weight, max_connections, backup, management } = node;
    let keys = vec![
        ("address", one(address)),
        ("weight", one(weight)),
        ("max_connections", maybe(max_connections.as_ref())),
        ("backup", one(backup)),
        ("management", maybe(management.as_ref())),
    ];
    let group = format!("{cluster}.node");
    let first_of = ordered.then(|| group.clone());
    Section { first_of, ..section(format!("{group}.{name}"), keys) }
}

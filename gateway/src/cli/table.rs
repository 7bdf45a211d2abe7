//! Tables for people.

use super::figures::plain;
use crate::admin::view::vrrp::VirtualRouter;
use crate::admin::view::{Cluster, Node};

/// The heads of [`node_row`].
pub(super) const NODE_HEAD: [&str; 7] =
    ["NODE", "ADDRESS", "STATE", "HEALTH", "SESSIONS", "WEIGHT", "REMARKS"];

/// The nodes, one a line, and what is to be said of each.
pub(super) fn nodes(nodes: &[Node]) -> String {
    let mut rows = vec![NODE_HEAD.map(str::to_owned)];
    rows.extend(nodes.iter().map(node_row));
    aligned(&rows)
}

/// One node, as a row.
pub(super) fn node_row(node: &Node) -> [String; 7] {
    [
        format!("{}/{}", node.cluster, node.node),
        node.address.clone(),
        node.admin_state.name().to_owned(),
        node.verdict.clone(),
        node.sessions.to_string(),
        node.weight.to_string(),
        remarks(node).join("; "),
    ]
}

fn remarks(node: &Node) -> Vec<String> {
    let broker = &node.broker;
    let mut remarks: Vec<String> = [
        (broker.memory_alarm, "memory alarm"),
        (broker.disk_alarm, "disk alarm"),
        (broker.maintenance, "in maintenance"),
        (broker.minority, "in the minority of its cluster"),
        (broker.quorum_critical, "queues need it"),
        (node.gone, "gone from its name"),
        (node.left_out, "left out: clients could not connect"),
        (node.backup, "backup"),
    ]
    .into_iter()
    .filter(|(holds, _)| *holds)
    .map(|(_, remark)| remark.to_owned())
    .collect();
    if let Some(drain) = &node.drain {
        remarks.push(format!("{} of {} sessions closed", drain.closed, drain.total));
    }
    remarks.extend(node.reason.clone());
    let failed = node.checks.iter().filter(|check| check.outcome != "passed");
    remarks.extend(failed.map(|check| {
        let text = check.text.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
        format!("{} {}{text}", check.check, check.outcome)
    }));
    remarks
}

/// The clusters, one a line.
pub(super) fn clusters(clusters: &[Cluster]) -> String {
    let head = ["CLUSTER", "BALANCE", "USABLE", "SESSIONS", "NODES", "REMARKS"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(clusters.iter().map(|cluster| {
        let moved = cluster
            .rebalance
            .as_ref()
            .map(|r| format!("{} of {} sessions moved", r.moved, r.planned));
        [
            cluster.cluster.clone(),
            cluster.balance.clone(),
            if cluster.usable { "yes" } else { "no" }.to_owned(),
            cluster.sessions.to_string(),
            cluster.nodes.join(" "),
            moved.unwrap_or_default(),
        ]
    }));
    aligned(&rows)
}

/// The virtual routers, one a line, and what is to be said of each.
pub(super) fn virtual_routers(routers: &[VirtualRouter]) -> String {
    let head = ["NAME", "INTERFACE", "VRID", "STATE", "PRIORITY", "ADDRESSES", "PEER", "REMARKS"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(routers.iter().map(|router| {
        let peer = router.peer.as_ref();
        [
            router.virtual_router.clone(),
            router.interface.clone(),
            router.virtual_router_id.to_string(),
            router.state.clone(),
            match router.effective_priority {
                Some(effective) if effective != router.priority => {
                    format!("{effective} of {}", router.priority)
                }
                _ => router.priority.to_string(),
            },
            router.addresses.join(" "),
            peer.map_or_else(|| "-".to_owned(), |p| format!("{} ({})", p.address, p.priority)),
            remarks_on_router(router).join("; "),
        ]
    }));
    aligned(&rows)
}

fn remarks_on_router(router: &VirtualRouter) -> Vec<String> {
    let mut remarks = Vec::new();
    if router.released {
        remarks.push("released".to_owned());
    }
    if router.state == "fault" {
        remarks.extend(router.reason.clone());
    }
    if router.holds_addresses != (router.state == "active") {
        let has = if router.holds_addresses { "has" } else { "does not have" };
        remarks.push(format!("{has} the addresses"));
    }
    remarks.extend(router.alarms.iter().map(|a| format!("ALARM {}: {}", a.alarm, a.text)));
    remarks
}

/// Columns as wide as they have to be, two spaces between them.
pub(super) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| plain(cell))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::view::vrrp::{Alarm, Counters, Peer};
    use crate::admin::view::{AdminState, Broker, Drain};

    #[test]
    fn each_node_has_a_line_with_what_is_to_be_said_of_it() {
        let broker = Broker {
            name: None,
            version: None,
            memory_alarm: true,
            disk_alarm: false,
            maintenance: false,
            minority: false,
            quorum_critical: false,
        };
        let node = Node {
            cluster: "main".into(),
            node: "rabbit1".into(),
            address: "10.0.0.1:5672".into(),
            admin_state: AdminState::Draining,
            verdict: "down".into(),
            since: None,
            reason: Some("tcp: connection refused".into()),
            fitness: "closed".into(),
            gone: true,
            left_out: false,
            broker,
            weight: 1,
            backup: false,
            max_connections: None,
            sessions: 40,
            drain: Some(Drain { total: 100, closed: 60, left: 40 }),
            checks: Vec::new(),
        };
        let expected = "\
NODE          ADDRESS        STATE     HEALTH  SESSIONS  WEIGHT  REMARKS
main/rabbit1  10.0.0.1:5672  draining  down    40        1       memory alarm; gone from its name; \
                        60 of 100 sessions closed; tcp: connection refused
";
        assert_eq!(nodes(&[node]), expected);
    }

    #[test]
    fn each_virtual_router_has_a_line_with_who_has_its_addresses() {
        let amqp = VirtualRouter {
            virtual_router: "amqp".into(),
            interface: "eth0".into(),
            virtual_router_id: 51,
            version: 3,
            addresses: vec!["10.0.0.9/24".into(), "10.0.0.10/32".into()],
            sync_group: None,
            state: "active".into(),
            since: None,
            reason: None,
            priority: 100,
            effective_priority: Some(100),
            released: false,
            holds_addresses: true,
            peer: None,
            alarms: Vec::new(),
            counters: Counters::default(),
            history: Vec::new(),
        };
        let alarm = Alarm { alarm: "two_owners".into(), text: "lower one priority".into() };
        let web = VirtualRouter {
            virtual_router: "web".into(),
            addresses: vec!["10.0.0.8/24".into()],
            state: "fault".into(),
            reason: Some("interface eth1 is down".into()),
            effective_priority: Some(60),
            released: true,
            peer: Some(Peer { address: "10.0.0.2".into(), priority: 90, heard_ms: 3 }),
            alarms: vec![alarm],
            ..amqp.clone()
        };
        let expected = "\
NAME  INTERFACE  VRID  STATE   PRIORITY   ADDRESSES                 PEER           REMARKS
amqp  eth0       51    active  100        10.0.0.9/24 10.0.0.10/32  -
web   eth0       51    fault   60 of 100  10.0.0.8/24               10.0.0.2 (90)  released; \
                        interface eth1 is down; has the addresses; ALARM two_owners: lower one priority
";
        assert_eq!(virtual_routers(&[amqp, web]), expected);
    }
}

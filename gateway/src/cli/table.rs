//! Tables for people.

use crate::admin::view::Node;

/// The nodes, one a line, and what is to be said of each.
pub(super) fn nodes(nodes: &[Node]) -> String {
    let head = ["NODE", "ADDRESS", "STATE", "HEALTH", "SESSIONS", "WEIGHT", "REMARKS"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(nodes.iter().map(|node| {
        [
            format!("{}/{}", node.cluster, node.node),
            node.address.clone(),
            node.admin_state.name().to_owned(),
            node.verdict.clone(),
            node.sessions.to_string(),
            node.weight.to_string(),
            remarks(node).join("; "),
        ]
    }));
    aligned(&rows)
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

/// Columns as wide as they have to be, two spaces between them.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
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
}

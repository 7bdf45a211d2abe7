//! Nodes that DNS takes away while their sessions are being closed.

use super::*;
use crate::config::model::NodeAddress;

/// The node `new@10.0.0.5`, found by name, with ten sessions; two more have an address.
fn stage() -> (Stage, Arc<Node>) {
    let address = NodeAddress { host: "rabbit.internal".to_owned(), port: Some(5672) };
    let mut stage = Stage::new(|cluster| {
        cluster.nodes[0] = model::Node { address, ..samples::node("new", 5672) };
    });
    stage.cluster.lead_to("new", &[[10, 0, 0, 5]]);
    stage.fill([10, 0, 0]);
    let node = stage.node(1);
    assert_eq!((&*node.name, node.sessions()), ("new@10.0.0.5", 10));
    (stage, node)
}

#[test]
fn a_drain_goes_on_when_no_name_leads_to_the_node_any_more() {
    let (mut stage, node) = stage();
    node.condition.set_admin(AdminState::Draining);
    stage.cluster.lead_to("new", &[[10, 0, 0, 6]]);
    stage.seconds(0.05);
    let progress = stage.keeper.progress(&node).unwrap();
    assert!(progress.total == 10 && progress.closed > 0, "{progress:?}");
    stage.seconds(1.0);
    assert_eq!(stage.orders(), [Order::NodeDraining; 10]);
    assert_eq!(node.sessions(), 0);
}

#[test]
fn a_node_that_is_gone_for_good_is_forgotten() {
    let (mut stage, node) = stage();
    stage.seconds(0.1);
    let known = |stage: &Stage| stage.keeper.state().nodes.len();
    assert_eq!(known(&stage), 3);
    stage.cluster.lead_to("new", &[[10, 0, 0, 6]]);
    stage.seconds(0.1);
    assert_eq!(known(&stage), 4, "the old one still has sessions");
    node.condition.set_admin(AdminState::Draining);
    drop(node);
    stage.seconds(1.0);
    assert_eq!(known(&stage), 3);
}

//! Nodes to which clients from anywhere look local.

use super::*;

fn local(more: &str) -> Vec<String> {
    let here = SMALLEST.replace("192.168.1.10", "127.0.0.1").replace("5672'\ncl", "5671'\ncl");
    problems(&format!("{here}{more}\n")).iter().map(in_one_line).collect()
}

const MQTT: &str = "[listener.mqtt]\nbind = '0.0.0.0:1883'\nprotocol = 'tcp'\nnode_port = 1883\n";

#[test]
fn a_node_at_a_loopback_address_is_warned_of_where_clients_from_other_hosts_may_reach_it() {
    let found = local("");
    assert_eq!(found.len(), 1, "{found:?}");
    says(&found[0], "5:11", "warning cluster.main: to the node at 127.0.0.1", "guest");
    assert!(found[0].contains("listener amqp takes clients from other hosts"), "{found:?}");
    assert_eq!(problems(SMALLEST), [], "a node elsewhere judges by itself");
    let nobody = "[cluster.main]\nloopback_users = []";
    assert_eq!(local(nobody), [""; 0]);
}

#[test]
fn a_listener_that_reads_no_login_and_leads_to_such_a_node_refuses_all_of_them() {
    let found = local(&format!("{MQTT}cluster = 'main'"));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].contains("listener mqtt takes clients from other hosts"), "{found:?}");
    assert!(found[1].contains("it refuses them all"), "{found:?}");
    assert!(found[1].contains("name the node by another address of its host"), "{found:?}");
    let routed = "[[route]]\nlistener = 'mqtt'\nsource = '10.0.0.0/8'\ncluster = 'main'";
    assert_eq!(local(&format!("{MQTT}{routed}")).len(), 2);
    let elsewhere = "cluster = 'other'\n[cluster.other.node.r1]\naddress = '192.168.1.9:5672'";
    assert_eq!(local(&format!("{MQTT}{elsewhere}")).len(), 1);
    let passthrough = "[listener.x]\nbind = '0.0.0.0:5674'\nprotocol = 'tls-passthrough'\n";
    assert_eq!(local(&format!("{passthrough}cluster = 'main'")).len(), 2);
    let here = MQTT.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(local(&format!("{here}cluster = 'main'")).len(), 1);
}

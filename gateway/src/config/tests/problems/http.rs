//! HTTP listeners, and the management addresses that they lead to.

use super::*;

const HTTP: &str = "[listener.ui]\nbind = '0.0.0.0:15672'\nprotocol = 'http'\n";
const MANAGED: &str = "management = 'http://192.168.1.10:15672'\n";

fn http(node: &str, listener: &str) -> String {
    format!("{SMALLEST}{node}{HTTP}{listener}\n")
}

#[test]
fn an_http_listener_with_a_cluster_whose_nodes_have_management_is_fine() {
    assert_eq!(problems(&http(MANAGED, "cluster = 'main'")).len(), 0);
    let proxied = "cluster = 'main'\ntrusted_proxies = ['10.0.0.0/8']";
    assert_eq!(problems(&http(MANAGED, proxied)).len(), 0, "they may send X-Forwarded-For");
    assert_eq!(problems(&http("", "redirect_to_https = 15671")).len(), 0);
}

#[test]
fn an_http_listener_needs_a_cluster_whatever_the_routes() {
    let found = only(&http("", "[[route]]\nvhost = '*'\ncluster = 'main'"));
    says(&found, "8:12", "listener.ui with protocol = \"http\" needs a cluster", "add cluster");
}

#[test]
fn an_http_listener_needs_management_addresses_of_its_nodes() {
    let found = only(&http("", "cluster = 'main'"));
    says(&found, "4:10", "error cluster.main: no node has a management address", "listener ui");
    let second = format!("{MANAGED}[cluster.main.node.r2]\naddress = '192.168.1.11:5672'\n");
    let found = only(&http(&second, "cluster = 'main'"));
    says(&found, "7:20", "warning cluster.main.node.r2 has no management", "listener ui skips it");
}

#[test]
fn a_management_address_that_is_the_gateways_own_is_a_loop() {
    let text = http("management = 'http://127.0.0.1:15672'\n", "cluster = 'main'");
    let text = format!("{text}[cluster.main]\nloopback_users = []\n");
    says(&only(&text), "6:14", "127.0.0.1:15672 is listener ui of this gateway", "RabbitMQ node");
}

#[test]
fn a_management_at_a_loopback_address_is_not_for_clients_of_other_hosts() {
    let text = http("management = 'http://localhost:15673'\n", "cluster = 'main'");
    says(&only(&text), "6:14", "every client looks local, and listener ui", "another address");
}

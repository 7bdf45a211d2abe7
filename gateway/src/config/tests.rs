//! What a whole text gives: the model of a good one, every problem of a bad one.
#![allow(clippy::unwrap_used)]

mod documents;
mod never_panics;
mod problems;

use std::net::SocketAddr;
use std::time::Duration;

use super::model::{LogFormat, LogLevel, LogOutput, NodeAddress, RouteAction, Strategy};
use super::{Environment, Outcome, defaults, parse};

const SMALLEST: &str = "\
[listener.amqp]
bind = '0.0.0.0:5672'
cluster = 'main'
[cluster.main.node.rabbit1]
address = '192.168.1.10:5672'
";

fn read(text: &str) -> Outcome {
    let variable = |name: &str| (name == "NODE").then(|| "rabbit1.internal".to_owned());
    let environment = Environment { variable: &variable, host_name: "edge-1".to_owned() };
    parse(text, "gateway.toml", &environment)
}

#[test]
fn the_smallest_file_has_the_documented_defaults() {
    let (model, warnings) = read(SMALLEST).unwrap();
    assert_eq!(warnings, []);
    let gateway = &model.gateway;
    assert_eq!(&*gateway.name, "edge-1");
    assert_eq!((gateway.workers, gateway.max_connections), (0, 20_000));
    assert_eq!(gateway.handshake_timeout, Duration::from_secs(10));
    assert_eq!((gateway.idle_timeout, &gateway.user, &gateway.group), (None, &None, &None));
    assert_eq!((gateway.drain_timeout, gateway.drain_rate.get()), (Duration::from_secs(60), 200));
    let log = &model.log;
    assert_eq!((log.level, log.format), (LogLevel::Info, LogFormat::Text));
    assert_eq!((&log.output, log.access), (&LogOutput::Stdout, true));
    let cluster = &model.clusters[0];
    assert_eq!((cluster.balance, cluster.retry), (Strategy::LeastConnections, 2));
    assert_eq!(cluster.connect_timeout, Duration::from_secs(5));
    assert_eq!(cluster.resolve_interval, Duration::from_secs(30));
    let node = &cluster.nodes[0];
    assert_eq!((node.weight.get(), node.max_connections, node.backup), (1, None, false));
    assert!(model.admin.is_none() && model.routes.is_empty());
}

#[test]
fn every_key_of_gateway_and_log_reaches_the_model() {
    let (model, warnings) = read(include_str!("tests/full.toml")).unwrap();
    assert_eq!(warnings, []);
    let gateway = &model.gateway;
    assert_eq!((&*gateway.name, gateway.workers, gateway.max_connections), ("gw1", 3, 7));
    assert_eq!(gateway.handshake_timeout, Duration::from_millis(1500));
    assert_eq!(gateway.idle_timeout, Some(Duration::from_secs(3600)));
    assert_eq!((gateway.user.as_deref(), gateway.group.as_deref()), (Some("u"), Some("g")));
    assert_eq!((gateway.drain_timeout, gateway.drain_rate.get()), (Duration::ZERO, 9));
    assert_eq!((model.log.level, model.log.format), (LogLevel::Debug, LogFormat::Json));
    assert_eq!(model.log.output, LogOutput::Syslog("127.0.0.1:514".parse().unwrap()));
    assert!(!model.log.access);
}

#[test]
fn every_key_of_listener_cluster_and_admin_reaches_the_model() {
    let (model, _) = read(include_str!("tests/full.toml")).unwrap();
    let listener = &model.listeners[0];
    let bind: Vec<SocketAddr> =
        vec!["127.0.0.1:5672".parse().unwrap(), "[::1]:5672".parse().unwrap()];
    assert_eq!((&*listener.name.0, &listener.bind), ("zulu", &bind));
    assert_eq!(listener.cluster.as_ref().unwrap().to_string(), "main");
    assert_eq!(listener.max_connections, Some(5));
    assert_eq!(model.admin.unwrap().bind, "127.0.0.1:15680".parse().unwrap());
    let cluster = &model.clusters[0];
    assert_eq!((cluster.balance, cluster.retry), (Strategy::RandomTwo, 0));
    assert_eq!(cluster.connect_timeout, Duration::from_millis(250));
    assert_eq!(cluster.resolve_interval, Duration::from_secs(60));
    let node = &cluster.nodes[0];
    assert_eq!((node.weight.get(), node.max_connections, node.backup), (4, Some(6), true));
}

#[test]
fn routes_reach_the_model_with_conditions_and_action() {
    let (model, _) = read(include_str!("tests/full.toml")).unwrap();
    let [to, reject] = model.routes.as_slice() else { panic!("{:?}", model.routes) };
    assert_eq!(to.name.as_deref(), Some("first"));
    let conditions = &to.conditions;
    assert!(conditions.vhost.as_ref().unwrap().matches("team-a"));
    assert!(conditions.user.as_ref().unwrap().matches("eu-1"));
    assert_eq!(conditions.listener.as_ref().unwrap().to_string(), "zulu");
    let sources: Vec<_> = conditions.source.iter().map(ToString::to_string).collect();
    assert_eq!(sources, ["10.0.0.0/8", "192.168.1.7/32"]);
    let (property, pattern) = &conditions.client_property[0];
    assert!(property == "product" && pattern.matches("pika 1.3"));
    let RouteAction::To { cluster, rename_vhost } = &to.action else { panic!("{:?}", to.action) };
    assert_eq!((cluster.to_string().as_str(), rename_vhost.as_deref()), ("main", Some("v2")));
    let expected = RouteAction::Reject { code: 530, text: "closed".into() };
    assert_eq!(reject.action, expected);
}

#[test]
fn sections_keep_the_order_of_the_file() {
    let more = "[listener.zulu]\nbind = '127.0.0.1:1'\ncluster = 'main'\n\
                [listener.alfa]\nbind = '127.0.0.1:2'\ncluster = 'main'\n\
                [cluster.main.node.b]\naddress = 'b:5672'\n\
                [cluster.main.node.a]\naddress = 'a:5672'\n";
    let (model, _) = read(&format!("{SMALLEST}{more}")).unwrap();
    let listeners: Vec<_> = model.listeners.iter().map(|l| l.name.to_string()).collect();
    assert_eq!(listeners, ["amqp", "zulu", "alfa"]);
    let nodes: Vec<_> = model.clusters[0].nodes.iter().map(|n| &*n.name).collect();
    assert_eq!(nodes, ["rabbit1", "b", "a"]);
}

#[test]
fn a_variable_is_expanded_before_the_value_is_checked() {
    let text = SMALLEST.replace("192.168.1.10", "${NODE}");
    let (model, _) = read(&text).unwrap();
    let expected = NodeAddress { host: "rabbit1.internal".to_owned(), port: Some(5672) };
    assert_eq!(model.clusters[0].nodes[0].address, expected);
}

#[test]
fn off_is_accepted_where_only_off_is_available() {
    let text = SMALLEST.replace("cluster = 'main'", "cluster = 'main'\nproxy_protocol = 'off'");
    let text = format!("{text}[cluster.main]\nproxy_protocol = 'off'\nrebalance = 'off'\n");
    let (_, warnings) = read(&text).unwrap();
    assert_eq!(warnings, []);
}

#[test]
fn default_durations_are_written_as_the_file_writes_them() {
    assert_eq!(defaults::text(defaults::DRAIN_TIMEOUT), "1m");
    assert_eq!(defaults::text(defaults::CONNECT_TIMEOUT), "5s");
}

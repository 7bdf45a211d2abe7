//! What a whole text gives: the model of a good one, every problem of a bad one.
#![allow(clippy::unwrap_used)]

mod documents;
mod never_panics;
mod problems;
mod vrrp;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::model::{
    Check, Health, LogFormat, LogLevel, LogOutput, NodeAddress, OnDown, RouteAction, Strategy,
};
use super::{Environment, Outcome, defaults, file, model, parse};

const SMALLEST: &str = "\
[listener.amqp]
bind = '0.0.0.0:5672'
cluster = 'main'
[cluster.main.node.rabbit1]
address = '192.168.1.10:5672'
";

/// One file with a password, and one with nothing in it.
fn secrets(path: &Path) -> io::Result<Vec<u8>> {
    match path.to_str() {
        Some("/run/password") => Ok(b"from the file\n".to_vec()),
        Some("/run/empty") => Ok(Vec::new()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn read(text: &str) -> Outcome {
    let variable = |name: &str| (name == "NODE").then(|| "rabbit1.internal".to_owned());
    let environment =
        Environment { variable: &variable, file: &secrets, host_name: "edge-1".to_owned() };
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
    assert_eq!((cluster.slow_start, cluster.admission), (Duration::ZERO, None));
    assert_eq!((cluster.rebalance, cluster.rebalance_rate.get()), (false, 20));
    assert_eq!(cluster.drain_patience, Duration::from_secs(5));
    assert_eq!(cluster.loopback_users, ["guest".into()]);
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
    assert_eq!(gateway.name_servers, ["127.0.0.1:5353".parse().unwrap()]);
    assert!(gateway.reload_on_change);
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
    let admin = model.admin.unwrap();
    assert_eq!(admin.bind, "127.0.0.1:15680".parse().unwrap());
    assert_eq!((admin.certificates.len(), admin.metrics_auth), (1, true));
    let (user, token) = (&admin.users[0], &admin.tokens[0]);
    assert_eq!((&*user.name, user.role), ("ops", model::Role::Operator));
    assert!(user.password_hash.starts_with("$argon2id$"));
    assert_eq!(
        (&*token.name, token.hash[0], token.role),
        ("prometheus", 0x31, model::Role::Viewer)
    );
    let shown = format!("{admin:?}");
    assert!(!shown.contains("argon2") && !shown.contains("hash"), "{shown}");
    let cluster = &model.clusters[0];
    assert_eq!((cluster.balance, cluster.retry), (Strategy::RandomTwo, 0));
    assert_eq!(cluster.connect_timeout, Duration::from_millis(250));
    assert_eq!(cluster.resolve_interval, Duration::from_secs(60));
    assert_eq!(cluster.slow_start, Duration::from_secs(30));
    let admission = cluster.admission.unwrap();
    assert_eq!((admission.rate.get(), admission.queue), (500, 7));
    assert_eq!(admission.wait, Duration::from_secs(20));
    assert!(cluster.rebalance);
    assert_eq!(cluster.rebalance_rate.get(), 4);
    assert_eq!(cluster.drain_patience, Duration::from_secs(2));
    let users: Vec<_> = cluster.loopback_users.iter().map(|user| &**user).collect();
    assert_eq!(users, ["guest", "local"]);
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
fn every_key_of_health_reaches_the_model() {
    let (model, _) = read(include_str!("tests/full.toml")).unwrap();
    let health = &*model.clusters[0].health;
    let (interval, fast) = (Duration::from_secs(2), Duration::from_millis(500));
    assert_eq!((health.interval, health.fast_interval), (interval, fast));
    assert_eq!(health.timeout, Duration::from_secs(1));
    assert_eq!((health.rise.get(), health.fall.get()), (4, 5));
    let passive = health.passive.unwrap();
    assert_eq!((passive.failures.get(), passive.within), (6, Duration::from_secs(7)));
    assert_eq!(
        health.checks,
        [
            Check::Icmp,
            Check::Tcp,
            Check::Amqp,
            Check::ChannelRoundtrip,
            Check::Management,
            Check::Script
        ]
    );
    let login = health.login.as_ref().unwrap();
    assert_eq!((&*login.username, &*login.password), ("health", "from the file"));
    let script = health.script.as_ref().unwrap();
    assert_eq!(script.command, ["/bin/check", "-v"]);
    assert_eq!(script.timeout, Duration::from_secs(3));
    assert_eq!((&*health.vhost, &*health.queue, health.on_down), ("probe", "probe", OnDown::Keep));
    let management = model.clusters[0].nodes[0].management.as_ref().unwrap();
    assert_eq!((&*management.host, management.port), ("rabbit1", 15672));
    assert_eq!(&*management.prefix, "/rabbit");
}

#[test]
fn the_checks_by_default_are_those_that_can_be_made() {
    let health = |more: &str| {
        let text = format!("{SMALLEST}{more}\n[cluster.main.health]\nusername = 'health'\n");
        let (model, warnings) = read(&format!("{text}password = '${{NODE}}'\n")).unwrap();
        assert_eq!(warnings, []);
        model.clusters[0].health.clone()
    };
    let (model, _) = read(SMALLEST).unwrap();
    assert_eq!(*model.clusters[0].health, Health::default());
    assert_eq!(model.clusters[0].health.checks, [Check::Tcp]);
    assert_eq!(health("").checks, [Check::Tcp, Check::Amqp]);
    assert_eq!(&*health("").login.as_ref().unwrap().password, "rabbit1.internal");
    let all = health("management = 'http://192.168.1.10:15672'");
    assert_eq!(all.checks, [Check::Tcp, Check::Amqp, Check::Management]);
}

#[test]
fn a_word_or_an_empty_list_turns_checks_off() {
    let health = "[cluster.main.health]\npassive = 'off'\nchecks = []\n";
    let (model, warnings) = read(&format!("{SMALLEST}{health}")).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(
        (model.clusters[0].health.passive, &*model.clusters[0].health.checks),
        (None, &[][..])
    );
}

#[test]
fn no_debug_output_shows_a_password() {
    let text = format!("{SMALLEST}[cluster.main.health]\nusername = 'u'\npassword = 's3cret'\n");
    let (model, _) = read(&text).unwrap();
    let shown = format!("{model:?}");
    assert!(shown.contains("Login") && !shown.contains("s3cret"), "{shown}");
    let file: file::File = toml::from_str(&text).unwrap();
    let shown = format!("{file:?}");
    assert!(shown.contains("Secret") && !shown.contains("s3cret"), "{shown}");
}

#[test]
fn off_is_accepted_where_only_off_is_available() {
    let text = SMALLEST.replace("cluster = 'main'", "cluster = 'main'\nproxy_protocol = 'off'");
    let text = format!("{text}[cluster.main]\nproxy_protocol = 'off'\n");
    let (_, warnings) = read(&text).unwrap();
    assert_eq!(warnings, []);
}

#[test]
fn default_durations_are_written_as_the_file_writes_them() {
    assert_eq!(defaults::text(defaults::DRAIN_TIMEOUT), "1m");
    assert_eq!(defaults::text(defaults::CONNECT_TIMEOUT), "5s");
}

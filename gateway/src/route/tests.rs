use std::net::Ipv4Addr;

use super::*;
use crate::config::pattern::Pattern;

fn name(text: &str) -> ClusterName {
    ClusterName(text.into())
}

fn listener(text: &str) -> ListenerName {
    ListenerName(text.into())
}

fn pattern(text: &str) -> Option<Pattern> {
    Some(Pattern::parse(text).expect("pattern"))
}

fn to(cluster: &str) -> RouteAction {
    RouteAction::To { cluster: name(cluster), rename_vhost: None }
}

fn route(conditions: Conditions, action: RouteAction) -> Route {
    Route { name: None, conditions, action }
}

fn table(routes: Vec<Route>, default: Option<&str>) -> RouteTable {
    let defaults = vec![(listener("amqp"), default.map(name))];
    RouteTable { routes, defaults, by_vhost: vec![name("hashed")] }
}

fn vhost_is(text: &str) -> Conditions {
    Conditions { vhost: pattern(text), ..Conditions::default() }
}

fn user_is(text: &str) -> Conditions {
    Conditions { user: pattern(text), ..Conditions::default() }
}

struct Session {
    listener: ListenerName,
    properties: Table,
}

impl Session {
    fn new() -> Self {
        let content = b"\x07productS\0\0\0\x0bpika Python";
        let bytes = [&(content.len() as u32).to_be_bytes(), content.as_slice()].concat();
        let (properties, _) = Table::read(&bytes).expect("a table");
        Self { listener: listener("amqp"), properties }
    }

    fn at_accept(&self) -> Facts<'_> {
        let source = Ipv4Addr::new(10, 20, 0, 7).into();
        Facts {
            listener: &self.listener,
            source,
            sni: None,
            common_name: None,
            login: None,
            vhost: None,
        }
    }

    fn at_start_ok<'a>(&'a self, user: &'a str) -> Facts<'a> {
        let login = Login { user: Some(user), properties: &self.properties, connection_name: None };
        Facts { login: Some(login), ..self.at_accept() }
    }

    fn at_open<'a>(&'a self, user: &'a str, vhost: &'a str) -> Facts<'a> {
        Facts { vhost: Some(vhost), ..self.at_start_ok(user) }
    }
}

fn goes_to(decision: Decision) -> String {
    match decision {
        Decision::To(target) => target.cluster.to_string(),
        Decision::Rejected(reason) => reason.to_string(),
        Decision::NeedsMore => "needs more".into(),
    }
}

#[test]
fn without_routes_the_default_decides_at_accept() {
    let session = Session::new();
    assert_eq!(goes_to(table(vec![], Some("main")).decide(&session.at_accept())), "main");
    let refusal = "530 NOT_ALLOWED - no route on listener amqp";
    assert_eq!(goes_to(table(vec![], None).decide(&session.at_accept())), refusal);
}

#[test]
fn a_vhost_route_waits_for_open() {
    let session = Session::new();
    let table = table(vec![route(vhost_is("billing"), to("blue"))], Some("main"));
    assert_eq!(goes_to(table.decide(&session.at_accept())), "needs more");
    assert_eq!(goes_to(table.decide(&session.at_start_ok("app"))), "needs more");
    assert_eq!(goes_to(table.decide(&session.at_open("app", "billing"))), "blue");
    assert_eq!(goes_to(table.decide(&session.at_open("app", "orders"))), "main");
}

#[test]
fn a_route_that_would_decide_the_same_does_not_delay() {
    let session = Session::new();
    let table = table(vec![route(vhost_is("billing"), to("main"))], Some("main"));
    assert_eq!(goes_to(table.decide(&session.at_accept())), "main");
}

#[test]
fn a_user_route_decides_at_start_ok_and_the_first_match_wins() {
    let session = Session::new();
    let both = Conditions { vhost: pattern("orders"), ..user_is("batch-*") };
    let table = table(vec![route(both, to("blue")), route(user_is("batch-*"), to("red"))], None);
    assert_eq!(goes_to(table.decide(&session.at_accept())), "needs more");
    assert_eq!(goes_to(table.decide(&session.at_start_ok("batch-1"))), "needs more");
    assert_eq!(goes_to(table.decide(&session.at_open("batch-1", "orders"))), "blue");
    assert_eq!(goes_to(table.decide(&session.at_open("batch-1", "audit"))), "red");
    let refused = "530 NOT_ALLOWED - no route on listener amqp";
    assert_eq!(goes_to(table.decide(&session.at_start_ok("app"))), refused);
}

#[test]
fn source_listener_and_client_property_are_conditions() {
    let session = Session::new();
    let source =
        |net: &str| Conditions { source: vec![net.parse().expect("net")], ..Conditions::default() };
    let routes = vec![
        route(source("10.30.0.0/16"), to("no")),
        route(Conditions { listener: Some(listener("other")), ..Conditions::default() }, to("no")),
        route(
            Conditions {
                client_property: vec![("product".into(), pattern("pika*").expect("some"))],
                ..source("10.20.0.0/16")
            },
            to("batch"),
        ),
    ];
    let table = table(routes, Some("main"));
    assert_eq!(goes_to(table.decide(&session.at_accept())), "needs more");
    assert_eq!(goes_to(table.decide(&session.at_start_ok("app"))), "batch");
}

#[test]
fn an_ipv4_source_on_an_ipv6_listener_is_still_ipv4() {
    let session = Session::new();
    let conditions =
        Conditions { source: vec!["10.20.0.0/16".parse().expect("net")], ..Conditions::default() };
    let table = table(vec![route(conditions, to("blue"))], Some("main"));
    let mapped = Ipv4Addr::new(10, 20, 0, 7).to_ipv6_mapped();
    let facts = Facts { source: mapped.into(), ..session.at_accept() };
    assert_eq!(goes_to(table.decide(&facts)), "blue");
}

#[test]
fn a_reject_route_refuses_with_its_code_and_text() {
    let session = Session::new();
    let reject = RouteAction::Reject { code: 530, text: "closed until Monday".into() };
    let table = table(vec![route(vhost_is("forbidden"), reject)], Some("main"));
    let refused = "530 NOT_ALLOWED - closed until Monday";
    assert_eq!(goes_to(table.decide(&session.at_open("app", "forbidden"))), refused);
}

#[test]
fn without_more_facts_to_come_the_default_serves() {
    let session = Session::new();
    let routes = || vec![route(vhost_is("billing"), to("blue"))];
    let with = table(routes(), Some("main"));
    assert_eq!(goes_to(with.decide_without_more(&session.at_accept())), "main");
    let without = table(routes(), None);
    let refused = "530 NOT_ALLOWED - no route on listener amqp";
    assert_eq!(goes_to(without.decide_without_more(&session.at_accept())), refused);
}

#[test]
fn a_cluster_that_goes_by_the_vhost_waits_for_it() {
    let session = Session::new();
    let with = table(vec![route(user_is("app"), to("main"))], Some("hashed"));
    assert_eq!(goes_to(with.decide(&session.at_accept())), "needs more");
    assert_eq!(goes_to(with.decide(&session.at_start_ok("app"))), "main");
    assert_eq!(goes_to(with.decide(&session.at_start_ok("batch"))), "needs more");
    assert_eq!(goes_to(with.decide(&session.at_open("batch", "orders"))), "hashed");
    assert_eq!(goes_to(with.decide_without_more(&session.at_accept())), "hashed");
}

#[test]
fn a_route_to_a_cluster_that_goes_by_the_vhost_serves_a_session_that_has_none() {
    let session = Session::new();
    let here = Conditions { listener: Some(listener("amqp")), ..Conditions::default() };
    let with = table(vec![route(here, to("hashed"))], Some("main"));
    assert_eq!(goes_to(with.decide(&session.at_accept())), "needs more");
    assert_eq!(goes_to(with.decide_without_more(&session.at_accept())), "hashed");
}

#[test]
fn reachable_names_each_cluster_once() {
    let elsewhere = Conditions { listener: Some(listener("other")), ..Conditions::default() };
    let routes = vec![
        route(vhost_is("a"), to("blue")),
        route(vhost_is("b"), to("blue")),
        route(elsewhere, to("far")),
    ];
    let table = table(routes, Some("main"));
    assert_eq!(table.reachable(&listener("amqp")), [&name("blue"), &name("main")]);
}

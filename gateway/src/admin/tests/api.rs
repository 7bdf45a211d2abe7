//! The API over real TCP, with a gateway of one node behind it.

use std::num::NonZeroU32;
use std::sync::Mutex;

use serde_json::json;

use super::super::extract::MAX_BODY;
use super::super::operator::Refusal;
use super::super::view::{self, AdminState, Broker};
use super::*;

/// One cluster with one node.
pub(super) struct Desk(Mutex<view::Node>);

impl Default for Desk {
    fn default() -> Self {
        Self(Mutex::new(view::Node {
            cluster: "main".into(),
            node: "n1".into(),
            address: "127.0.0.1:5672".into(),
            admin_state: AdminState::Enabled,
            verdict: "up".into(),
            since: Some("2026-11-21T10:00:00.000Z".into()),
            reason: None,
            fitness: "fit".into(),
            gone: false,
            left_out: false,
            broker: Broker {
                name: None,
                version: Some("3.10.8".into()),
                memory_alarm: false,
                disk_alarm: false,
                maintenance: false,
                minority: false,
                quorum_critical: false,
            },
            weight: 1,
            backup: false,
            max_connections: None,
            sessions: 3,
            drain: None,
            checks: Vec::new(),
        }))
    }
}

fn virtual_router(released: bool) -> view::vrrp::VirtualRouter {
    view::vrrp::VirtualRouter {
        virtual_router: "amqp".into(),
        interface: "eth0".into(),
        virtual_router_id: 51,
        version: 3,
        addresses: vec!["10.0.0.9/24".into()],
        sync_group: None,
        state: "active".into(),
        since: None,
        reason: None,
        priority: 100,
        effective_priority: Some(100),
        released,
        holds_addresses: true,
        peer: None,
        alarms: Vec::new(),
        counters: view::vrrp::Counters::default(),
        history: Vec::new(),
    }
}

impl Operator for Desk {
    fn nodes(&self) -> Vec<view::Node> {
        vec![self.0.lock().unwrap().clone()]
    }

    fn clusters(&self) -> Vec<view::Cluster> {
        vec![view::Cluster {
            cluster: "main".into(),
            balance: "least-connections".into(),
            usable: true,
            sessions: 3,
            nodes: vec!["n1".into()],
            rebalance: None,
        }]
    }

    fn change(
        &self,
        cluster: &str,
        node: &str,
        change: view::NodeChange,
    ) -> Result<view::Node, Refusal> {
        if (cluster, node) != ("main", "n1") {
            return Err(Refusal::Unknown(format!("There is no node {node}.")));
        }
        let mut node = self.0.lock().unwrap();
        node.admin_state = change.admin_state.unwrap_or(node.admin_state);
        node.weight = change.weight.map_or(node.weight, NonZeroU32::get);
        Ok(node.clone())
    }

    fn rebalance_plan(&self, cluster: &str) -> Result<view::RebalancePlan, Refusal> {
        let node = view::RebalanceNode { node: "n1".into(), sessions: 9, surplus: 7 };
        match cluster {
            "main" => Ok(view::RebalancePlan { planned: 7, rate: 20, nodes: vec![node] }),
            _ => Err(Refusal::Unknown(format!("There is no cluster {cluster}."))),
        }
    }

    fn rebalance(&self, cluster: &str) -> Result<view::Rebalance, Refusal> {
        match cluster {
            "main" => Ok(view::Rebalance { planned: 7, moved: 0, coming: 0, rate: 20 }),
            _ => Err(Refusal::Unknown(format!("There is no cluster {cluster}."))),
        }
    }

    fn stop_rebalance(&self, cluster: &str) -> Result<view::Rebalance, Refusal> {
        Err(Refusal::Conflict(format!("Cluster {cluster} is not being rebalanced.")))
    }

    fn virtual_routers(&self) -> Vec<view::vrrp::VirtualRouter> {
        vec![virtual_router(false)]
    }

    fn release(&self, name: &str) -> Result<view::vrrp::VirtualRouter, Refusal> {
        match name {
            "amqp" => Ok(virtual_router(true)),
            _ => Err(Refusal::Unknown(format!("There is no virtual router {name}."))),
        }
    }

    fn reclaim(&self, name: &str) -> Result<view::vrrp::VirtualRouter, Refusal> {
        Err(Refusal::Conflict(format!("Virtual router {name}: VRRP does not run yet.")))
    }
}

/// Status and body of the answer to a request with these headers and this body.
pub(super) fn send(
    server: &AdminServer,
    request: &str,
    headers: &[&str],
    body: &str,
) -> (u16, Value) {
    let mut stream = connect(server);
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    // A server that refuses a long body may have gone before all of it is out.
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    if status >= 400 {
        assert!(head.to_lowercase().contains("content-type: application/problem+json"), "{head}");
    }
    (status, serde_json::from_str(body).unwrap())
}

pub(super) const PROGRAM: &[&str] = &["Host: 127.0.0.1:15680", "Content-Type: application/json"];
const NODE: &str = "PATCH /api/v1/nodes/main/n1";

/// Status and detail of a refusal.
pub(super) fn refused(
    server: &AdminServer,
    request: &str,
    headers: &[&str],
    body: &str,
) -> (u16, String) {
    let (status, problem) = send(server, request, headers, body);
    assert_eq!(problem["status"], status);
    (status, problem["detail"].as_str().unwrap().to_owned())
}

#[test]
fn nodes_and_clusters_are_listed_and_found_by_name() {
    let server = start(sources());
    let get = |path: &str| send(&server, &format!("GET {path}"), &["Host: localhost"], "");
    let (status, all) = get("/api/v1/nodes");
    assert_eq!(status, 200);
    assert_eq!(get("/api/v1/nodes/main/n1"), (200, all["nodes"][0].clone()));
    assert_eq!(all["nodes"][0]["admin_state"], "enabled");
    let (_, all) = get("/api/v1/clusters");
    assert_eq!(get("/api/v1/clusters/main"), (200, all["clusters"][0].clone()));
    assert_eq!(get("/api/v1/nodes/main/n2").0, 404);
    assert_eq!(get("/api/v1/clusters/blue").0, 404);
}

#[test]
fn a_node_is_changed_and_told_as_it_is_then() {
    let server = start(sources());
    let (status, node) = send(&server, NODE, PROGRAM, r#"{"admin_state":"draining","weight":4}"#);
    assert_eq!(
        (status, &node["admin_state"], &node["weight"]),
        (200, &json!("draining"), &json!(4))
    );
    let (_, node) = send(&server, NODE, PROGRAM, r#"{"admin_state":"enabled"}"#);
    assert_eq!((&node["admin_state"], &node["weight"]), (&json!("enabled"), &json!(4)));
}

#[test]
fn a_body_that_says_something_else_is_refused_with_what_is_possible() {
    let server = start(sources());
    let cases = [
        (r#"{"admin_state":"gone"}"#, 400, "expected one of `enabled`, `draining`, `disabled`"),
        (
            r#"{"admin":"enabled"}"#,
            400,
            "unknown field `admin`, expected `admin_state` or `weight`",
        ),
        (r#"{"weight":0}"#, 400, "expected a nonzero u32"),
        ("{}", 400, "Nothing to change"),
        ("", 400, "The body: EOF"),
        (r#"{"weight":1}{"weight":2}"#, 400, "trailing characters"),
    ];
    for (body, expected, text) in cases {
        let (status, detail) = refused(&server, NODE, PROGRAM, body);
        assert_eq!(status, expected, "{body}");
        assert!(detail.contains(text), "{body}: {detail}");
    }
    let long = format!("{{\"weight\":{}1}}", " ".repeat(MAX_BODY));
    assert_eq!(refused(&server, NODE, PROGRAM, &long).0, 413);
    let (status, detail) =
        refused(&server, "POST /api/v1/clusters/main/rebalance", PROGRAM, r#"{"rate":5}"#);
    assert!(status == 400 && detail.contains("has to be empty"), "{status} {detail}");
}

#[test]
fn a_rebalance_answers_what_it_will_move_and_refusals_say_why() {
    let server = start(sources());
    let (status, run) = send(&server, "POST /api/v1/clusters/main/rebalance", PROGRAM, "");
    assert_eq!((status, &run["planned"]), (200, &json!(7)));
    let (status, plan) = send(&server, "GET /api/v1/clusters/main/rebalance", PROGRAM, "");
    assert_eq!((status, &plan["nodes"][0]["surplus"]), (200, &json!(7)));
    let post = |name: &str| format!("POST /api/v1/clusters/{name}/rebalance");
    assert_eq!(refused(&server, &post("blue"), PROGRAM, "{}").0, 404);
    let stop = "DELETE /api/v1/clusters/main/rebalance";
    let expected = (409, "Cluster main is not being rebalanced.".to_owned());
    assert_eq!(refused(&server, stop, PROGRAM, ""), expected);
}

#[test]
fn web_pages_and_foreign_names_change_nothing() {
    let server = start(sources());
    let body = r#"{"weight":9}"#;
    let json = "Content-Type: application/json";
    let local = "Host: localhost:15680";
    let cases: [(&[&str], u16, &str); 6] = [
        (&[local], 415, "Content-Type: application/json"),
        (&[local, "Content-Type: text/plain"], 415, "Content-Type: application/json"),
        (&["Host: evil.example:15680", json], 403, "evil.example:15680"),
        (&[json, "Host:"], 403, "names the host"),
        (&[local, json, "Origin: http://evil.example"], 403, "a page of http://evil.example"),
        (&[local, json, "Origin: null"], 403, "a page of null"),
    ];
    for (headers, expected, text) in cases {
        let (status, detail) = refused(&server, NODE, headers, body);
        assert_eq!(status, expected, "{headers:?}");
        assert!(detail.contains(text), "{headers:?}: {detail}");
    }
    let read = "GET /api/v1/nodes/main/n1";
    assert_eq!(send(&server, read, &["Host: evil.example"], "").0, 403, "not even read");
    assert_eq!(send(&server, read, &[local], "").1["weight"], 1);
    let own = [local, json, "Origin: http://localhost:15680"];
    assert_eq!(send(&server, NODE, &own, body).0, 200);
}

#[test]
fn an_address_that_others_reach_shows_and_changes_nothing_without_logins() {
    let server = bind("0.0.0.0:0".parse().unwrap(), false).unwrap().start(sources()).unwrap();
    let port = server.address().port();
    let ask = |request: &str, headers: &[&str], body: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let headers = headers.join("\r\n");
        let length = body.len();
        write!(stream, "{request} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n\r\n{body}")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    for answer in [ask(NODE, PROGRAM, r#"{"weight":9}"#), ask("GET /api/v1/nodes", PROGRAM, "")] {
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains("Nobody can log in"),
            "{answer}"
        );
        assert!(answer.contains("[[admin.user]]"), "what to do: {answer}");
    }
    assert!(ask("GET /health/live", PROGRAM, "").starts_with("HTTP/1.1 200 "));
}

#[test]
fn virtual_routers_are_shown_released_and_reclaimed() {
    let server = start(sources());
    let (_, body) = ask(&server, "GET /api/v1/virtual-routers");
    let all: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(all["virtual_routers"][0]["virtual_router"], "amqp");
    assert_eq!(all["virtual_routers"][0]["effective_priority"], 100);
    let (_, body) = ask(&server, "GET /api/v1/virtual-routers/amqp");
    let one: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(one, all["virtual_routers"][0]);
    assert!(ask(&server, "GET /api/v1/virtual-routers/x").0.starts_with("http/1.1 404 "));
    let post = |path: &str, headers| {
        send(&server, &format!("POST /api/v1/virtual-routers/{path}"), headers, "")
    };
    let (status, one) = post("amqp/release", PROGRAM);
    assert_eq!((status, &one["released"]), (200, &json!(true)));
    let (status, problem) = post("x/release", PROGRAM);
    assert_eq!((status, &problem["detail"]), (404, &json!("There is no virtual router x.")));
    let (status, _) = post("amqp/reclaim", PROGRAM);
    assert_eq!(status, 409);
    let (status, _) = post("amqp/release", &["Host: 127.0.0.1:15680"]);
    assert_eq!(status, 415, "a page in a browser cannot do it");
}

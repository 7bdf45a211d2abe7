//! The management of a real cluster, through an HTTP listener.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use integration::certificates::Authority;
use integration::ports::PortBlock;
use integration::rabbit::Tls;
use integration::{RabbitCluster, http, wait};
use serde_json::{Value, json};

use crate::front::SOON;
use crate::http_front::{HttpFront, HttpSetup};
use crate::shared;

const QUICK: &str = "interval = \"300ms\"\nfast_interval = \"100ms\"\ntimeout = \"5s\"";

pub(crate) fn urls(cluster: &RabbitCluster) -> Vec<String> {
    (1..=cluster.node_count()).map(|n| cluster.mgmt_url(n)).collect()
}

fn api(gateway: SocketAddr, path: &str) -> String {
    format!("http://guest:guest@{gateway}/api/{path}")
}

/// Which node answers.
async fn answers(gateway: SocketAddr) -> String {
    let overview = http::get_json(&api(gateway, "overview")).await.unwrap();
    overview["node"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_api_works_through_the_gateway_with_large_bodies_both_ways() {
    let cluster = &shared::setup().await.cluster;
    let front = HttpSetup::default().managed(urls(cluster)).health(QUICK).start().await;
    let queue = api(front.address, "queues/orders/through-http");
    http::put_json(&queue, &json!({ "durable": true })).await.unwrap();
    assert_eq!(http::get_json(&queue).await.unwrap()["name"], "through-http");
    let large = json!({ "text": "x".repeat(4 * 1024 * 1024) });
    let parameter = json!({ "name": "through-http", "value": large });
    let definitions = json!({ "global_parameters": [parameter] });
    http::post_json(&api(front.address, "definitions"), &definitions).await.unwrap();
    let path = "global-parameters/through-http";
    let read = http::get_json(&api(front.address, path)).await.unwrap();
    assert!(read["value"] == large, "it came back otherwise");
    let (status, page) = http::get(&format!("http://{}/", front.address)).await.unwrap();
    assert!(status == 200 && page.contains("RabbitMQ Management"), "{status} {page}");
}

#[tokio::test]
async fn requests_go_round_all_nodes_and_last_to_one_that_is_drained() {
    let cluster = &shared::setup().await.cluster;
    let front = HttpSetup::default().managed(urls(cluster)).health(QUICK).start().await;
    let mut seen = HashSet::new();
    for _ in 0..3 {
        seen.insert(answers(front.address).await);
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
    let drained = integration::command::run(&front.gateway, &["disable", "main/n1"]).await.unwrap();
    assert_eq!(drained.code, Some(0), "{}", drained.error);
    for _ in 0..6 {
        assert_ne!(answers(front.address).await, cluster.node_name(1));
    }
}

#[tokio::test]
async fn a_hash_gives_a_path_its_node() {
    let cluster = &shared::setup().await.cluster;
    let setup = HttpSetup::default().managed(urls(cluster)).health(QUICK);
    let front = setup.listener("balance = \"uri-hash\"").start().await;
    let first = answers(front.address).await;
    for _ in 0..5 {
        assert_eq!(answers(front.address).await, first);
    }
}

/// Reads until told to stop; how often.
async fn read_until(front: &HttpFront, enough: impl AsyncFn() -> bool) -> usize {
    let mut client = front.client().await;
    let mut count = 0;
    while !enough().await {
        let head = "GET /api/overview HTTP/1.1\r\nHost: h\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n";
        client.send(head).await.unwrap();
        let (head, text) = client.answered().await.unwrap();
        assert_eq!(head.status(), 200, "{text}");
        // And one over a connection of its own.
        answers(front.address).await;
        count += 2;
    }
    count
}

#[tokio::test]
async fn a_killed_node_is_not_noticed_by_whoever_reads() {
    let cluster = RabbitCluster::builder("killed").nodes(2).start().await.unwrap();
    let front = HttpSetup::default().managed(urls(&cluster)).health(QUICK).start().await;
    for node in ["n1", "n2"] {
        let up = |line: &Value| line["message"] == "management of the node is up";
        let its = |line: &Value| up(line) && line["node"] == node;
        front.gateway.wait_for_lines(node, 1, SOON, its).await.unwrap();
    }
    let up = async || {
        let its = front.gateway.metric("amqp_gateway_http_node_up", &["node=\"n2\""]);
        its.await.unwrap() == 1.0
    };
    let reading = read_until(&front, async || !up().await);
    let (count, killed) = tokio::join!(reading, cluster.kill_node(2));
    killed.unwrap();
    assert!(count > 0);
    assert_eq!(answers(front.address).await, cluster.node_name(1));
    front.gateway.wait_for_log("management of the node is down", SOON).await.unwrap();
    assert!(
        front.records().iter().all(|record| record["reason"].is_null()),
        "{:?}",
        front.records()
    );

    cluster.kill_node(1).await.unwrap();
    let (status, text) = http::get(&api(front.address, "overview")).await.unwrap();
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("RabbitMQ cluster main cannot be reached"), "{text}");
    cluster.start_node(1).await.unwrap();
    let back =
        async || http::get(&api(front.address, "overview")).await.is_ok_and(|(s, _)| s == 200);
    wait::until("an answer", Duration::from_secs(60), back).await.unwrap();
}

#[tokio::test]
async fn whoever_reads_from_a_hung_node_is_answered_by_another_once_it_is_found_out() {
    let cluster = RabbitCluster::builder("hung").nodes(2).start().await.unwrap();
    let health = "interval = \"300ms\"\nfast_interval = \"100ms\"\ntimeout = \"2s\"\nfall = 2";
    let front = HttpSetup::default().managed(urls(&cluster)).health(health).start().await;
    let login = "Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=";
    cluster.pause_node(2).await.unwrap();
    // A page of the UI needs no other node, so the one that runs answers it.
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = front.client().await;
        client.send(&format!("GET / HTTP/1.1\r\nHost: h\r\n{login}\r\n\r\n")).await.unwrap();
        clients.push(client);
    }
    for client in &mut clients {
        assert_eq!(client.answered().await.unwrap().0.status(), 200);
    }
    cluster.resume_node(2).await.unwrap();
}

#[tokio::test]
async fn nodes_may_be_reached_by_https() {
    let authority = Authority::new("ca").unwrap();
    let server = authority.server(&["localhost", "127.0.0.1"]).unwrap().write("server").unwrap();
    let cluster = RabbitCluster::builder("byhttps").tls(Tls::new(&authority, &server));
    let cluster = cluster.start().await.unwrap();
    let tls = format!("tls = {{ ca = \"{}\" }}", authority.file().display());
    let setup = HttpSetup::default()
        .cluster(&tls)
        .managed([format!("https://{}", cluster.mgmt_tls_addr(1))]);
    let front = setup.health("checks = [\"tcp\"]\ninterval = \"300ms\"").start().await;
    front.gateway.wait_for_log("management of the node is up", SOON).await.unwrap();
    assert_eq!(answers(front.address).await, cluster.node_name(1));

    let stranger = Authority::new("stranger").unwrap();
    let tls = format!("tls = {{ ca = \"{}\" }}", stranger.file().display());
    let setup = HttpSetup::default()
        .cluster(&tls)
        .managed([format!("https://{}", cluster.mgmt_tls_addr(1))]);
    let front = setup.start().await;
    let (status, text) = http::get(&api(front.address, "overview")).await.unwrap();
    assert!(status == 503 && text.contains("node n1"), "{status} {text}");
}

/// A WebSocket's frame with a short text (RFC 6455 section 5.2). A client has to mask it; this one does so with zeros.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 126);
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

#[tokio::test]
async fn a_websocket_of_a_real_broker_works_through_the_gateway() {
    let cluster = RabbitCluster::builder("websocket").start().await.unwrap();
    let ports = PortBlock::claim().unwrap();
    let port = ports.port(0);
    let settings = format!("[{{ip, \"127.0.0.1\"}}, {{port, {port}}}]");
    let set = format!(
        "application:set_env(rabbitmq_web_stomp, tcp_config, {settings}, [{{persistent, true}}])."
    );
    cluster.ctl(1, &["eval", &set]).await.unwrap();
    cluster.tool(1, "rabbitmq-plugins", &["enable", "rabbitmq_web_stomp"]).await.unwrap();
    let front = HttpSetup::default().managed([format!("http://127.0.0.1:{port}")]).start().await;
    let mut client = front.client().await;
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13";
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket";
    client
        .send(&format!("GET /ws HTTP/1.1\r\nHost: h\r\n{upgrade}\r\n{key}\r\n\r\n"))
        .await
        .unwrap();
    let head = client.head().await.unwrap();
    assert_eq!(head.status(), 101, "{head:?}");
    assert_eq!(head.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    let connect = "CONNECT\naccept-version:1.2\nhost:/\nlogin:app\npasscode:secret\n\n\0";
    client.send_bytes(&frame(connect)).await.unwrap();
    let [0x81, length] = *client.bytes(2).await.unwrap() else { panic!("no whole frame of text") };
    let mut length = usize::from(length);
    if length == 126 {
        let more = client.bytes(2).await.unwrap();
        length = usize::from(u16::from_be_bytes([more[0], more[1]]));
    }
    let text = client.text(length).await.unwrap();
    assert!(text.starts_with("CONNECTED\n"), "{text}");
}

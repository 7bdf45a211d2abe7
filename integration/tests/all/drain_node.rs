//! A node is drained by an operator: its sessions are told 320, paced, and whoever has publishes under way last.

use std::net::SocketAddr;
use std::time::Duration;

use integration::command::{self, Done};
use integration::crowd::Crowd;
use integration::peer::{Args, Frame, Peer, ScriptedBroker};
use integration::steady::{Steady, declare_quorum_queue, drain_queue};
use integration::{RabbitCluster, http, wait};
use serde_json::Value;
use tokio::time::Instant;

use crate::front::{Front, SOON, Setup};
use crate::shared;

async fn run(front: &Front, arguments: &[&str]) -> Done {
    command::run(&front.gateway, arguments).await.unwrap()
}

async fn node(front: &Front, name: &str) -> Value {
    let path = format!("/api/v1/nodes/main/{name}");
    http::get_json(&front.gateway.admin_url(&path).unwrap()).await.unwrap()
}

/// As a node: told connection.close, it answers and goes.
async fn until_told(mut node: Peer) {
    loop {
        node.readable().await.unwrap();
        if node.read_frame().await.unwrap().id() == Some((10, 50)) {
            node.send_close_ok().await.unwrap();
            return;
        }
    }
}

#[tokio::test]
async fn a_drained_node_is_left_by_all_and_nothing_that_was_confirmed_is_lost() {
    let cluster = &shared::setup().await.cluster;
    let addresses: Vec<SocketAddr> = (1..=3).map(|n| cluster.amqp_addr(n)).collect();
    let setup = Setup::at_accept().gateway("drain_rate = 20");
    let front = setup.start(&addresses).await;
    let crowd = Crowd::start(front.address, 90);
    wait::until("all sessions", SOON, async || crowd.open() == 90).await.unwrap();
    let queues: Vec<String> = (1..=3).map(|n| format!("drained-{n}")).collect();
    for queue in &queues {
        declare_quorum_queue(addresses[1], queue).await.unwrap();
    }
    let publishers: Vec<_> =
        queues.iter().map(|queue| Steady::start(front.address, queue)).collect();
    let counts = || publishers.iter().map(Steady::count).collect::<Vec<_>>();
    wait::until("publishers", SOON, async || counts().iter().all(|&count| count > 20))
        .await
        .unwrap();

    let begun = Instant::now();
    let done = run(&front, &["drain", "main/n1"]).await;
    assert_eq!((done.code, done.error.as_str()), (Some(0), ""), "{done:?}");
    assert!(done.out.starts_with("main/n1: drained, "), "{}", done.out);
    assert!(begun.elapsed() >= Duration::from_millis(1300), "30 sessions in {:?}", begun.elapsed());
    let drained = node(&front, "n1").await;
    assert_eq!((&drained["admin_state"], &drained["sessions"]), (&"draining".into(), &0.into()));
    assert_eq!(drained["drain"]["left"], 0);
    assert!(drained["drain"]["closed"].as_u64().unwrap() >= 30, "{drained}");

    wait::until("all sessions", SOON, async || crowd.open() == 90).await.unwrap();
    let told = crowd.told();
    assert!(told.len() >= 29, "{}", told.len());
    for told in told {
        assert_eq!(told.code, 320);
        assert!(told.text.contains("node n1 of cluster main is being drained"), "{}", told.text);
    }
    assert_eq!(crowd.lost(), Vec::<String>::new());
    assert_eq!(node(&front, "n1").await["sessions"], 0, "no new ones");

    let before = counts();
    let on = async || counts().iter().zip(&before).all(|(now, before)| *now > before + 20);
    wait::until("all publishers to go on", SOON, on).await.unwrap();
    for (publisher, queue) in publishers.iter().zip(&queues) {
        let confirmed = publisher.done().confirmed;
        let there = drain_queue(addresses[1], queue).await.unwrap();
        let missing: Vec<_> = confirmed.difference(&there).collect();
        assert!(missing.is_empty(), "confirmed and lost: {missing:?}");
    }
    let enabled = run(&front, &["enable", "main/n1"]).await;
    assert_eq!(enabled.out, "main/n1: enabled, 0 sessions on it\n");
    assert_eq!(node(&front, "n1").await["drain"], Value::Null);
}

/// Opens a channel in confirm mode and publishes an empty message that stays without its confirm.
async fn publish_unconfirmed(client: &mut Peer, node: &mut Peer) {
    client.send_method(1, (20, 10), Args::new().shortstr("")).await.unwrap();
    node.expect_method((20, 10)).await.unwrap();
    node.send_method(1, (20, 11), Args::new().longstr(b"")).await.unwrap();
    client.expect_method((20, 11)).await.unwrap();
    client.send_method(1, (85, 10), Args::new().u8(0)).await.unwrap();
    node.expect_method((85, 10)).await.unwrap();
    node.send_method(1, (85, 11), Args::new()).await.unwrap();
    client.expect_method((85, 11)).await.unwrap();
    let publish = Args::new().u16(0).shortstr("").shortstr("queue").u8(0);
    client.send_method(1, (60, 40), publish).await.unwrap();
    client.send_frame(&Frame::content_header(1, 0)).await.unwrap();
    node.expect_method((60, 40)).await.unwrap();
    node.read_frame().await.unwrap();
}

#[tokio::test]
async fn a_publisher_with_confirms_outstanding_is_closed_last_once_it_has_them() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let setup = Setup::at_accept().gateway("drain_rate = 100").cluster("drain_patience = \"60s\"");
    let front = setup.start(&[broker.address()]).await;
    let (mut publisher, mut its_node) = front.open(&broker).await;
    publish_unconfirmed(&mut publisher, &mut its_node).await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(front.open(&broker).await);
    }
    assert_eq!(run(&front, &["drain", "main/n1", "--no-wait"]).await.code, Some(0));
    for (mut client, node) in others {
        assert_eq!(client.expect_close().await.unwrap().0, 320);
        client.send_close_ok().await.unwrap();
        until_told(node).await;
    }
    wait::until("five to be gone", SOON, async || node(&front, "n1").await["sessions"] == 1)
        .await
        .unwrap();
    // It is still served: the next thing it hears is its confirm, and the close stands behind that.
    its_node.send_method(1, (60, 80), Args::new().u64(1).u8(0)).await.unwrap();
    publisher.expect_method((60, 80)).await.unwrap();
    let (code, text) = publisher.expect_close().await.unwrap();
    assert_eq!(code, 320);
    assert!(text.contains("node n1 of cluster main is being drained, please reconnect"), "{text}");
    publisher.send_close_ok().await.unwrap();
    until_told(its_node).await;
    assert_eq!(front.ends(6).await, vec!["gateway drain node-draining 320"; 6]);
}

#[tokio::test]
async fn confirms_that_never_come_hold_a_drain_up_no_longer_than_its_patience() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let setup = Setup::at_accept().cluster("drain_patience = \"1s\"");
    let front = setup.start(&[broker.address()]).await;
    let (mut publisher, mut its_node) = front.open(&broker).await;
    publish_unconfirmed(&mut publisher, &mut its_node).await;
    let begun = Instant::now();
    assert_eq!(run(&front, &["drain", "main/n1", "--no-wait"]).await.code, Some(0));
    assert_eq!(publisher.expect_close().await.unwrap().0, 320);
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    publisher.send_close_ok().await.unwrap();
    until_told(its_node).await;
}

#[tokio::test]
async fn enabling_a_node_stops_its_drain_and_disabling_closes_nobody() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().gateway("drain_rate = 1").start(&[broker.address()]).await;
    let mut sessions = Vec::new();
    for _ in 0..30 {
        sessions.push(front.open(&broker).await);
    }
    assert_eq!(run(&front, &["drain", "main/n1", "--no-wait"]).await.code, Some(0));
    assert_eq!(sessions[0].0.expect_close().await.unwrap().0, 320);
    assert_eq!(run(&front, &["enable", "main/n1"]).await.code, Some(0));
    assert_eq!(node(&front, "n1").await["drain"], Value::Null);
    assert_eq!(run(&front, &["disable", "main/n1"]).await.code, Some(0));
    let mut refused = front.client().await;
    let error = refused.open("app", "secret", "orders").await.unwrap_err();
    assert!(format!("{error:#}").contains("no node of cluster main is usable"), "{error:#}");
    let (mut drained, mut served) = (0, 0);
    for (mut client, mut node) in sessions {
        // Whoever was told before the node was enabled again has a close waiting; all others are still served.
        if client.send_frame(&Frame::heartbeat()).await.is_ok()
            && node.read_frame().await.is_ok_and(|frame| frame.kind == Frame::HEARTBEAT)
        {
            served += 1;
        } else {
            drained += 1;
        }
    }
    assert!(served >= 10, "{drained} drained, {served} served");
}

#[tokio::test]
async fn commands_find_the_gateway_and_tell_what_they_cannot_do() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address(), broker.address()]).await;
    let listed = run(&front, &["nodes"]).await;
    assert_eq!((listed.code, listed.error.as_str()), (Some(0), ""));
    let lines: Vec<_> = listed.out.lines().collect();
    assert!(lines[0].starts_with("NODE") && lines.len() == 3, "{}", listed.out);
    assert!(lines[1].starts_with("main/n1") && lines[1].contains("enabled"), "{}", listed.out);
    // An operator has none of the gateway's secrets.
    let whole = std::fs::read_to_string(front.gateway.dir().join("gateway.toml")).unwrap();
    let secret = whole.replace("checks = []", "checks = []\npassword = \"${NOT_THE_OPERATORS}\"");
    assert_ne!(secret, whole);
    let config = front.gateway.dir().join("operator.toml");
    std::fs::write(&config, secret).unwrap();
    let arguments = ["nodes", "--json", "--config", config.to_str().unwrap()];
    let json = command::run_with(&arguments, &[]).await.unwrap();
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["nodes"][1]["node"], "n2");

    let wrong = run(&front, &["drain", "main/n9"]).await;
    assert_eq!((wrong.code, wrong.out.as_str()), (Some(1), ""));
    assert_eq!(wrong.error, "There is no node n9 in cluster main.\n");
    let lonely = command::run_with(&["nodes", "--admin", "127.0.0.1:1"], &[]).await.unwrap();
    assert_eq!(lonely.code, Some(1));
    assert!(lonely.error.contains("does the gateway run there?"), "{}", lonely.error);
}

#[tokio::test]
async fn sessions_of_a_node_that_hangs_are_told_320_as_soon_as_it_is_found_down() {
    let cluster = RabbitCluster::builder("hanging").nodes(3).start().await.unwrap();
    let addresses: Vec<SocketAddr> = (1..=3).map(|n| cluster.amqp_addr(n)).collect();
    let login = "username = \"app\"\npassword = \"secret\"\nvhost = \"orders\"";
    let setup = Setup::at_accept().health("checks = [\"amqp\"]").health(login);
    let front = setup.health("interval = \"1s\"\nfall = 2").start(&addresses).await;
    let crowd = Crowd::start(front.address, 60);
    wait::until("all sessions", SOON, async || crowd.open() == 60).await.unwrap();
    let on_it = node(&front, "n2").await["sessions"].as_u64().unwrap();
    assert!(on_it >= 15, "{on_it}");
    cluster.pause_node(2).await.unwrap();
    let down = async || node(&front, "n2").await["verdict"] == "down";
    wait::until("the node to be found down", SOON, down).await.unwrap();
    // Without heartbeats nothing else would tell these clients.
    let told = async || crowd.told().len() as u64 == on_it;
    wait::until("all of its sessions to be told", SOON, told).await.unwrap();
    for told in crowd.told() {
        assert_eq!(told.code, 320);
        assert!(told.text.ends_with("node n2 of cluster main is down"), "{}", told.text);
    }
    wait::until("all to be back", SOON, async || crowd.open() == 60).await.unwrap();
    assert_eq!(crowd.told().len() as u64, on_it, "nobody else was told anything");
    let ends = front.ends(on_it as usize).await;
    assert!(ends.iter().all(|end| end == "gateway relay node-down 320"), "{ends:?}");
    cluster.resume_node(2).await.unwrap();
    cluster.down().await.unwrap();
}

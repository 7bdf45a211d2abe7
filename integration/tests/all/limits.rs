//! Limits on sessions and file descriptors, and how sessions are spread over nodes.

use std::collections::BTreeSet;
use std::time::Duration;

use integration::peer::{BrokerTune, HEADER, Peer, ScriptedBroker};
use integration::ports::PortBlock;
use integration::{http, wait};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::task::JoinSet;

use crate::front::{Front, SOON, Setup, local};

/// A client that said its header has no answer yet.
async fn waits(client: &mut Peer) {
    let mut byte = [0];
    let answered =
        tokio::time::timeout(Duration::from_millis(400), client.stream().peek(&mut byte));
    assert!(answered.await.is_err(), "a client over the limit was served");
}

/// Opens and closes a session whose client has said its header already.
async fn is_served(client: &mut Peer, broker: &ScriptedBroker) {
    let mut node = broker.accept().await.unwrap();
    node.expect_header(HEADER).await.unwrap();
    node.send_start("PLAIN").await.unwrap();
    client.expect_method((10, 10)).await.unwrap();
}

/// Waits until there are so many: one that has ended counts for a moment more.
async fn until_sessions(front: &Front, count: f64) {
    let name = "amqp_gateway_sessions";
    front.gateway.wait_for_metric(name, &[], SOON, |now| now == count).await.unwrap();
}

#[tokio::test]
async fn over_a_listeners_limit_a_client_waits_until_another_leaves() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let setup = Setup::at_accept().listener("max_connections = 2");
    let front = setup.start(&[broker.address()]).await;
    let (first, _node) = front.open(&broker).await;
    let _second = front.open(&broker).await;
    let mut third = front.client().await;
    third.send_raw(&HEADER).await.unwrap();
    waits(&mut third).await;
    until_sessions(&front, 2.0).await;
    drop((first, _node));
    is_served(&mut third, &broker).await;
    until_sessions(&front, 2.0).await;
}

#[tokio::test]
async fn the_gateways_limit_holds_over_all_its_listeners() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let ports = PortBlock::claim().unwrap();
    let other = local(ports.port(0));
    let front = Setup::at_accept()
        .gateway("max_connections = 1")
        .more(&format!("[listener.other]\nbind = \"{other}\"\ncluster = \"main\"\n"))
        .start(&[broker.address()])
        .await;
    for _ in 0..3 {
        let first = front.open(&broker).await;
        let mut second = Peer::connect(other).await.unwrap();
        second.send_raw(&HEADER).await.unwrap();
        waits(&mut second).await;
        until_sessions(&front, 1.0).await;
        drop(first);
        is_served(&mut second, &broker).await;
    }
}

/// Leaves a process so many descriptors beyond those it has open.
fn leave_descriptors(pid: u32, spare: u64) {
    let open: BTreeSet<u64> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    let free_below = |limit: &u64| *limit - open.range(..*limit).count() as u64;
    let limit = (0..).find(|limit| free_below(limit) == spare && !open.contains(limit)).unwrap();
    let pid = Pid::from_raw(pid.try_into().unwrap());
    let limit = Rlimit { current: Some(limit), maximum: Some(4096) };
    prlimit(pid, Resource::Nofile, limit).unwrap();
}

#[tokio::test]
async fn without_file_descriptors_clients_wait_and_are_served_once_some_are_free() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    leave_descriptors(front.gateway.id(), 4);
    let first = front.open(&broker).await;
    let second = front.open(&broker).await;
    let mut third = front.client().await;
    third.send_raw(&HEADER).await.unwrap();
    front.gateway.wait_for_log("fd-limit", SOON).await.unwrap();
    waits(&mut third).await;
    drop(first);
    is_served(&mut third, &broker).await;
    drop((second, third));
    let errors = "amqp_gateway_accept_errors_total";
    let labels = [r#"reason="fd-limit""#, r#"listener="amqp""#];
    wait::until("the errors to be counted", SOON, async || {
        front.gateway.metric(errors, &labels).await.is_ok_and(|count| count >= 1.0)
    })
    .await
    .unwrap();
    front.still_serves(&broker).await;
}

#[tokio::test]
async fn a_node_is_not_blamed_for_a_lack_of_file_descriptors_here() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    leave_descriptors(front.gateway.id(), 3);
    let first = front.open(&broker).await;
    let mut second = front.client().await;
    let tune = second.login("app", "secret").await.unwrap();
    second.send_open("orders", tune).await.unwrap();
    assert_eq!(second.expect_goodbye().await.unwrap().0, 320);
    drop((first, second));
    let nodes = front.gateway.admin_url("/api/v1/nodes").unwrap();
    let mut answer = None;
    wait::until("the admin address to have a descriptor", SOON, async || {
        answer = http::get(&nodes).await.ok();
        answer.is_some()
    })
    .await
    .unwrap();
    let answer = answer.unwrap().1;
    assert!(answer.contains(r#""left_out":false"#), "{answer}");
    front.gateway.wait_for_log("fd-limit", SOON).await.unwrap();
    front.still_serves(&broker).await;
}

/// Serves every connection and keeps it open.
async fn serve_all(broker: ScriptedBroker) {
    let mut kept = Vec::new();
    while let Ok(mut node) = broker.accept().await {
        if node.serve(&BrokerTune::default()).await.is_ok() {
            kept.push(node);
        }
    }
}

/// Sessions on each of three nodes after 30 have been opened.
async fn spread(balance: &str) -> [f64; 3] {
    let (mut brokers, mut nodes) = (JoinSet::new(), Vec::new());
    for _ in 0..3 {
        let broker = ScriptedBroker::bind().await.unwrap();
        nodes.push(broker.address());
        brokers.spawn(serve_all(broker));
    }
    let setup = Setup::at_accept().cluster(&format!("balance = \"{balance}\""));
    let front = setup.start(&nodes).await;
    let mut clients = Vec::new();
    for _ in 0..30 {
        let mut client = front.client().await;
        client.open("app", "secret", "orders").await.unwrap();
        clients.push(client);
    }
    let mut counts = [0.0; 3];
    for (index, count) in counts.iter_mut().enumerate() {
        let node = format!("node=\"n{}\"", index + 1);
        *count = front.gateway.metric("amqp_gateway_node_sessions", &[&node]).await.unwrap();
    }
    counts
}

#[tokio::test]
async fn least_connections_and_round_robin_spread_sessions_evenly() {
    assert_eq!(spread("least-connections").await, [10.0; 3]);
    assert_eq!(spread("round-robin").await, [10.0; 3]);
}

#[tokio::test]
async fn random_two_leaves_no_node_far_behind() {
    let counts = spread("random-two").await;
    assert_eq!(counts.iter().sum::<f64>(), 30.0);
    assert!(counts.iter().all(|count| (6.0..=14.0).contains(count)), "{counts:?}");
}

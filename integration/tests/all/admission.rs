//! Reconnect storms: a cluster takes new sessions at its rate, and who comes on top waits in line.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration::peer::{BrokerTune, HEADER, Peer, ScriptedBroker};
use integration::ports::PortBlock;
use integration::{GatewayProcess, RabbitCluster, wait};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::front::{Front, SOON, Setup, end_of, local};

const CLIENTS: usize = 2000;
/// New connections to the nodes a second.
const RATE: usize = 200;

/// What 2000 clients have seen.
#[derive(Debug, Default)]
struct Seen {
    /// Sessions open now.
    open: AtomicUsize,
    /// Sessions that ended with 320.
    told: AtomicUsize,
    /// Whatever else happened, with how often.
    faults: Mutex<BTreeMap<String, usize>>,
}

/// Opens a session, and a new one at once whenever it is told to go.
async fn always_connected(address: SocketAddr, first: Arc<Semaphore>, seen: Arc<Seen>) {
    let mut permit = Some(first.acquire_owned().await.unwrap());
    loop {
        let told = session(address, &seen, || drop(permit.take())).await;
        if let Err(error) = told {
            *seen.faults.lock().unwrap().entry(format!("{error:#}")).or_default() += 1;
            return;
        }
    }
}

/// One session, up to a 320 and an orderly end.
async fn session(address: SocketAddr, seen: &Seen, opened: impl FnOnce()) -> anyhow::Result<()> {
    let mut client = Peer::connect(address).await?;
    client.open("app", "secret", "orders").await?;
    seen.open.fetch_add(1, Relaxed);
    opened();
    client.stream().peek(&mut [0]).await?;
    let told = client.expect_close().await;
    seen.open.fetch_sub(1, Relaxed);
    let (code, text) = told?;
    anyhow::ensure!(code == 320, "{code} {text}");
    client.send_close_ok().await?;
    client.expect_fin().await?;
    seen.told.fetch_add(1, Relaxed);
    Ok(())
}

#[tokio::test]
async fn after_a_node_was_killed_all_clients_are_back_and_the_rate_was_kept() {
    let quiet = "collect_statistics_interval = 60000";
    let cluster = RabbitCluster::builder("storm").nodes(2).extra_conf(quiet).start().await.unwrap();
    let ports = PortBlock::claim().unwrap();
    let (address, admin) = (local(ports.port(0)), local(ports.port(1)));
    let admission = format!("admission = {{ rate = {RATE}, queue = {CLIENTS}, wait = \"60s\" }}");
    let nodes = cluster.config_section().replacen("]\n", &format!("]\n{admission}\n"), 1);
    let config = format!(
        "[log]\nformat = \"json\"\nlevel = \"debug\"\n[admin]\nbind = \"{admin}\"\n\
         [listener.amqp]\nbind = \"{address}\"\ncluster = \"storm\"\n{nodes}"
    );
    let gateway = GatewayProcess::start(&config).await.unwrap();
    let (seen, mut clients) = (Arc::new(Seen::default()), JoinSet::new());
    // Not all 2000 at once, so that none of them waits for longer than a client does.
    let first = Arc::new(Semaphore::new(400));
    for _ in 0..CLIENTS {
        clients.spawn(always_connected(address, first.clone(), seen.clone()));
    }
    all_open(&seen).await;
    let on_node = async |n: usize| {
        let node = format!("node=\"n{n}\"");
        gateway.metric("amqp_gateway_node_sessions", &[&node]).await.unwrap() as usize
    };
    let lost = on_node(2).await;
    // A busy node that was late with its start has some less.
    assert!(lost.abs_diff(CLIENTS / 2) <= CLIENTS / 20, "{lost} sessions on the node");

    cluster.kill_node(2).await.unwrap();
    wait::until("all clients of the node to be told", SOON, async || {
        seen.told.load(Relaxed) >= lost
    })
    .await
    .unwrap();
    all_open(&seen).await;

    assert_eq!(*seen.faults.lock().unwrap(), BTreeMap::new());
    assert_eq!(seen.told.load(Relaxed), lost, "nobody else was disturbed");
    assert_eq!(on_node(1).await, CLIENTS);
    assert_eq!(gateway.metric("amqp_gateway_admission_waiting", &[]).await.unwrap(), 0.0);
    let connects = connects(&gateway, CLIENTS + lost).await;
    // A time is noted after the admission that it follows: a little, or more on a busy machine.
    let busiest = busiest_second(&connects);
    assert!(busiest <= RATE * 5 / 4, "{busiest} connections within a second, {RATE} are allowed");
}

async fn all_open(seen: &Seen) {
    let all =
        async || seen.open.load(Relaxed) == CLIENTS || !seen.faults.lock().unwrap().is_empty();
    wait::until("2000 open sessions", Duration::from_secs(120), all).await.unwrap();
    assert_eq!(*seen.faults.lock().unwrap(), BTreeMap::new());
}

/// When the gateway connected to nodes, at least so often, in the order of time.
async fn connects(gateway: &GatewayProcess, count: usize) -> Vec<Duration> {
    let connecting = |line: &Value| line["message"] == "connecting to node";
    let lines = gateway.wait_for_lines("connections", count, SOON, connecting).await.unwrap();
    let mut times: Vec<_> = lines
        .iter()
        .map(|line| {
            let time = humantime::parse_rfc3339(line["time"].as_str().unwrap()).unwrap();
            time.duration_since(std::time::UNIX_EPOCH).unwrap()
        })
        .collect();
    times.sort_unstable();
    times
}

/// The most that lie within any second.
fn busiest_second(times: &[Duration]) -> usize {
    let second = |start: usize| {
        let end = times[start] + Duration::from_secs(1);
        times[start..].iter().take_while(|time| **time < end).count()
    };
    (0..times.len()).map(second).max().unwrap_or(0)
}

/// Serves every connection, AMQP 1.0 as well, and keeps it open.
async fn serve_all(broker: ScriptedBroker) {
    let mut sessions = JoinSet::new();
    while let Ok(mut node) = broker.accept().await {
        sessions.spawn(async move {
            let mut head = [0; 8];
            let amqp10 = node.stream().peek(&mut head).await.is_ok() && head[5] == 1;
            if amqp10 {
                let _ = node.send_raw(&head).await;
            } else {
                let _ = node.serve(&BrokerTune::default()).await;
            }
            let _ = node.read_until_gone().await;
        });
    }
}

/// A gateway whose cluster admits one session a second, with the rest of its admission.
async fn slow(setup: Setup, rest: &str) -> (Front, JoinSet<()>) {
    let broker = ScriptedBroker::bind().await.unwrap();
    let node = broker.address();
    let mut brokers = JoinSet::new();
    brokers.spawn(serve_all(broker));
    let setup = setup.cluster(&format!("admission = {{ rate = 1, {rest} }}"));
    (setup.start(&[node]).await, brokers)
}

/// So many clients at once: `None` for each that got a session, the close for each that did not.
async fn all_at_once(front: &Front, count: usize) -> Vec<Option<String>> {
    let mut clients = JoinSet::new();
    for _ in 0..count {
        let mut client = front.client().await;
        clients.spawn(async move {
            let refused = client.open("app", "secret", "orders").await.err();
            (refused.map(|error| format!("{error:#}")), client)
        });
    }
    // The sessions stay open until all have their answer.
    clients.join_all().await.into_iter().map(|(refused, _)| refused).collect()
}

/// All that were refused were told so.
fn refused(answers: &[Option<String>], why: &str) -> usize {
    let refused: Vec<_> = answers.iter().flatten().collect();
    let text = "320 \"CONNECTION_FORCED - gateway gw: cluster main admits no more new sessions now";
    for answer in &refused {
        assert!(answer.contains(text) && answer.contains(why), "{answer}");
    }
    refused.len()
}

#[tokio::test]
async fn over_the_queue_a_client_is_told_320() {
    for setup in [Setup::at_accept(), Setup::at_open()] {
        let (front, _brokers) = slow(setup, "queue = 2, wait = \"30s\"").await;
        let answers = all_at_once(&front, 12).await;
        let refused = refused(&answers, "too many are waiting");
        // More than one and two get on if this machine is slow.
        assert!((4..=9).contains(&refused), "{answers:#?}");
        let ends = front.records(12).await;
        let full = ends.iter().filter(|end| end_of(end) == "gateway connect admission-full 320");
        assert_eq!(full.count(), refused);
    }
}

#[tokio::test]
async fn over_the_wait_a_client_is_told_320() {
    let (front, _brokers) = slow(Setup::at_accept(), "queue = 100, wait = \"300ms\"").await;
    let answers = all_at_once(&front, 6).await;
    assert!(refused(&answers, "the time to wait is over") >= 3, "{answers:#?}");
}

#[tokio::test]
async fn the_time_of_the_handshake_stands_still_in_line() {
    let setup = Setup::at_accept().gateway("handshake_timeout = \"3s\"");
    let (front, _brokers) = slow(setup, "queue = 100, wait = \"60s\"").await;
    assert_eq!(all_at_once(&front, 6).await, [const { None }; 6]);
}

#[tokio::test]
async fn a_client_that_goes_leaves_the_line() {
    let (front, _brokers) = slow(Setup::at_accept(), "queue = 100, wait = \"60s\"").await;
    let waiting = async |count: f64| {
        let now = front.gateway.metric("amqp_gateway_admission_waiting", &["cluster=\"main\""]);
        now.await.unwrap() == count
    };
    let mut clients = Vec::new();
    for _ in 0..40 {
        let mut client = front.client().await;
        client.send_raw(&HEADER).await.unwrap();
        clients.push(client);
    }
    wait::until("a line of clients", SOON, async || !waiting(0.0).await).await.unwrap();
    drop(clients);
    // In line they would stand for forty seconds.
    wait::until("nobody in line", Duration::from_secs(20), async || waiting(0.0).await)
        .await
        .unwrap();
    assert_eq!(all_at_once(&front, 1).await, [None]);
}

#[tokio::test]
async fn a_gateway_that_stops_does_not_wait_for_the_line() {
    let setup = Setup::at_accept().gateway("drain_timeout = \"10m\"");
    let (mut front, _brokers) = slow(setup, "queue = 100, wait = \"10m\"").await;
    let mut clients = Vec::new();
    for _ in 0..60 {
        let mut client = front.client().await;
        client.send_raw(&HEADER).await.unwrap();
        clients.push(client);
    }
    let metric = "amqp_gateway_admission_waiting";
    let waiting = async || front.gateway.metric(metric, &[]).await.unwrap() > 0.0;
    wait::until("a line of clients", SOON, waiting).await.unwrap();
    front.gateway.terminate().unwrap();
    // In line they would stand for a minute.
    assert!(front.gateway.wait(Duration::from_secs(30)).await.unwrap().success());
    let ends = front.records(60).await;
    assert!(ends.iter().any(|end| end["reason"] == "drained"), "{ends:?}");
}

#[tokio::test]
async fn amqp_1_0_waits_in_the_same_line() {
    const AMQP_1_0: [u8; 8] = *b"AMQP\x00\x01\x00\x00";
    let (front, _brokers) = slow(Setup::at_accept(), "queue = 100, wait = \"60s\"").await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = front.client().await;
        client.send_raw(&AMQP_1_0).await.unwrap();
        clients.push(client);
    }
    let metric = "amqp_gateway_admission_waiting";
    let waiting = async || front.gateway.metric(metric, &[]).await.unwrap() > 0.0;
    wait::until("a line of clients", SOON, waiting).await.unwrap();
    for client in &mut clients {
        client.expect_header(AMQP_1_0).await.unwrap();
    }
}

//! A node that was away comes back: sessions move to it, paced, on request or by themselves.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use integration::crowd::Crowd;
use integration::peer::ScriptedBroker;
use integration::{RabbitCluster, command, http, wait};
use serde_json::Value;

use crate::front::{Front, Setup};

const SESSIONS: usize = 300;
/// Sessions moved a second.
const RATE: usize = 20;
/// For what brokers have to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// The nodes as the API tells them.
async fn nodes(front: &Front) -> Vec<Value> {
    let url = front.gateway.admin_url("/api/v1/nodes").unwrap();
    http::get_json(&url).await.unwrap()["nodes"].as_array().unwrap().clone()
}

async fn counts(front: &Front) -> Vec<u64> {
    nodes(front).await.iter().map(|node| node["sessions"].as_u64().unwrap()).collect()
}

async fn wait_for_counts(front: &Front, what: &str, right: impl Fn(&[u64]) -> bool) {
    let waited = wait::until(what, PATIENCE, async || right(&counts(front).await)).await;
    if let Err(error) = waited {
        panic!("{error}: {:?}\n{}", counts(front).await, front.gateway.log());
    }
}

/// All sessions are open, on the first two nodes alone.
async fn wait_for_two(front: &Front, crowd: &Crowd) {
    wait::until("all sessions", PATIENCE, async || crowd.open() == SESSIONS).await.unwrap();
    wait_for_counts(front, "two full nodes and an empty one", |counts| {
        counts[2] == 0 && counts[..2].iter().all(|count| (145..=155).contains(count))
    })
    .await;
}

/// All sessions are open, and each node has its share.
async fn wait_for_balance(front: &Front, crowd: &Crowd) {
    let even = |counts: &[u64]| counts.iter().all(|count| (90..=110).contains(count));
    wait_for_counts(front, "three nodes within a tenth of even", even).await;
    wait::until("all sessions", PATIENCE, async || crowd.open() == SESSIONS).await.unwrap();
    wait_for_counts(front, "an even end", |counts| {
        even(counts) && counts.iter().sum::<u64>() == 300
    })
    .await;
}

/// Everybody who was moved was told 320 and why, at the configured pace, and nobody twice.
fn assert_paced(crowd: &Crowd) {
    let told = crowd.told();
    assert_eq!(crowd.lost(), Vec::<String>::new());
    // A client whose opening takes the young node too long lands elsewhere, and somebody else is moved in its place.
    assert!((90..=120).contains(&told.len()), "{} were moved", told.len());
    for told in &told {
        assert_eq!(told.code, 320, "{}", told.text);
        assert!(told.text.contains("has too many sessions, please reconnect"), "{}", told.text);
    }
    let clients: HashSet<_> = told.iter().map(|told| told.client).collect();
    assert_eq!(clients.len(), told.len(), "somebody was moved twice");
    let took = told.last().unwrap().at - told[0].at;
    let due = Duration::from_secs_f64(told.len() as f64 / RATE as f64);
    assert!(took >= due.mul_f64(0.9), "{} within {took:?}", told.len());
    // No second is much fuller than the pace allows, whatever the machine is busy with.
    for from in &told {
        let second =
            told.iter().filter(|t| t.at >= from.at && t.at < from.at + Duration::from_secs(1));
        let count = second.count();
        assert!(count <= RATE * 5 / 2, "{count} within a second");
    }
}

#[tokio::test]
async fn sessions_move_to_a_node_that_is_back_on_request_and_by_themselves() {
    let cluster = RabbitCluster::builder("rebalanced").nodes(3).start().await.unwrap();
    let addresses: Vec<SocketAddr> = (1..=3).map(|n| cluster.amqp_addr(n)).collect();
    let setup = |rebalance: &str| {
        let pace = format!("rebalance_rate = {RATE}");
        Setup::at_accept().cluster(&pace).cluster(&format!("rebalance = \"{rebalance}\""))
    };

    cluster.stop_node(3).await.unwrap();
    let front = setup("off").start(&addresses).await;
    let crowd = Crowd::start(front.address, SESSIONS);
    wait_for_two(&front, &crowd).await;
    cluster.start_node(3).await.unwrap();
    wait::until("node 3 to be taken as up", PATIENCE, async || {
        let node = &nodes(&front).await[2];
        node["fitness"] == "fit" && node["left_out"] == false
    })
    .await
    .unwrap();
    assert_eq!(counts(&front).await[2], 0, "nobody moves without being asked");
    crowd.forget();
    let done = command::run(&front.gateway, &["rebalance", "main"]).await.unwrap();
    assert_eq!((done.code, done.error.as_str()), (Some(0), ""), "{done:?}");
    assert!(
        done.out.starts_with("main: 1") && done.out.contains(" sessions moved in "),
        "{}",
        done.out
    );
    wait_for_balance(&front, &crowd).await;
    assert_paced(&crowd);
    let again = command::run(&front.gateway, &["rebalance", "main"]).await.unwrap();
    assert_eq!(again.out, "main: every node has its share\n");
    drop((crowd, front));

    cluster.stop_node(3).await.unwrap();
    let checks = "checks = [\"tcp\"]\ninterval = \"500ms\"";
    let front = setup("auto").health(checks).start(&addresses).await;
    let crowd = Crowd::start(front.address, SESSIONS);
    wait_for_two(&front, &crowd).await;
    crowd.forget();
    cluster.start_node(3).await.unwrap();
    wait_for_balance(&front, &crowd).await;
    assert_paced(&crowd);
    front.gateway.wait_for_log("is back", PATIENCE).await.unwrap();
    drop((crowd, front));
    cluster.down().await.unwrap();
}

#[tokio::test]
async fn a_cluster_whose_clients_would_come_back_to_the_same_node_is_not_rebalanced() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let setup = Setup::at_accept().cluster("balance = \"source-hash\"");
    let front = setup.start(&[broker.address()]).await;
    let done = command::run(&front.gateway, &["rebalance", "main"]).await.unwrap();
    assert_eq!((done.code, done.out.as_str()), (Some(1), ""));
    assert!(done.error.contains("balance = \"source-hash\""), "{}", done.error);
    let done = command::run(&front.gateway, &["rebalance", "blue"]).await.unwrap();
    assert_eq!(done.code, Some(1));
    assert_eq!(done.error, "There is no cluster blue.\n");
    let done = command::run(&front.gateway, &["rebalance", "main", "--stop"]).await.unwrap();
    assert_eq!(done.error, "Cluster main is not being rebalanced.\n");
}

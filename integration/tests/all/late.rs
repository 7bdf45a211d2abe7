//! SIGTERM meets clients that have connected, but whose session is not open yet: all of them come to an orderly end, and
//! the gateway ends with 0.

use integration::peer::{HEADER, Peer, ScriptedBroker};
use integration::process::Signal;
use integration::wait;
use tokio::net::TcpListener;

use crate::front::{Front, SOON, Setup, local};

/// What a client has heard when the connection ended in order: nothing or start, and then perhaps 320.
async fn end_heard(client: &mut Peer) -> Vec<(u16, u16)> {
    let mut heard = Vec::new();
    loop {
        if client.stream().peek(&mut [0]).await.unwrap() == 0 {
            return heard;
        }
        let frame = client.read_frame().await.unwrap();
        heard.push(frame.id().unwrap());
        if frame.id() == Some((10, 50)) {
            assert_eq!(frame.arguments().u16().unwrap(), 320);
            client.send_close_ok().await.unwrap();
        }
    }
}

async fn sessions(front: &Front, count: f64) {
    wait::until(format!("{count} sessions"), SOON, async || {
        front.gateway.metric("amqp_gateway_sessions", &[]).await.unwrap() == count
    })
    .await
    .unwrap();
}

async fn drained(front: &mut Front, count: usize) {
    assert!(front.gateway.wait(SOON).await.unwrap().success());
    front.gateway.wait_for_log("all sessions are closed", SOON).await.unwrap();
    for end in front.ends(count).await {
        assert!(["gateway drain drained", "gateway drain drained 320"].contains(&&*end), "{end}");
    }
}

#[tokio::test]
async fn clients_that_wait_in_the_accept_queue_at_the_end_come_to_an_orderly_end() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let mut front = Setup::at_open().gateway("workers = 2").start(&[broker.address()]).await;
    // While it stands still, the kernel alone answers: when it goes on, signal and clients are there at once.
    front.gateway.signal(Signal::STOP).unwrap();
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = front.client().await;
        client.send_raw(&HEADER).await.unwrap();
        clients.push(client);
    }
    front.gateway.terminate().unwrap();
    front.gateway.signal(Signal::CONT).unwrap();
    for client in &mut clients {
        let heard = end_heard(client).await;
        let start_and_close = [(10, 10), (10, 50)];
        assert!(heard.is_empty() || heard == start_and_close, "{heard:?}");
    }
    drop(clients);
    drained(&mut front, 20).await;
}

#[tokio::test]
async fn a_client_whose_node_is_still_silent_at_the_end_is_told_320() {
    // Takes connections by the kernel alone, and has nobody to take its place.
    let silent = TcpListener::bind(local(0)).await.unwrap();
    let mut front = Setup::at_open().start(&[silent.local_addr().unwrap()]).await;
    let mut client = front.client().await;
    let tune = client.login("app", "secret").await.unwrap();
    client.send_open("orders", tune).await.unwrap();
    let (_node, _) = silent.accept().await.unwrap();
    front.gateway.terminate().unwrap();
    assert_eq!(client.expect_goodbye().await.unwrap().0, 320);
    drained(&mut front, 1).await;
}

#[tokio::test]
async fn a_client_that_waits_for_room_at_the_end_comes_to_an_orderly_end() {
    for limited in [
        Setup::at_accept().gateway("max_connections = 1\nworkers = 2"),
        Setup::at_accept().gateway("workers = 2").listener("max_connections = 1"),
    ] {
        let broker = ScriptedBroker::bind().await.unwrap();
        let mut front = limited.start(&[broker.address()]).await;
        let (mut client, mut node) = front.open(&broker).await;
        let mut waiting = Vec::new();
        for _ in 0..5 {
            let mut client = front.client().await;
            client.send_raw(&HEADER).await.unwrap();
            waiting.push(client);
        }
        sessions(&front, 1.0).await;
        front.gateway.terminate().unwrap();
        let all = async {
            for client in &mut waiting {
                assert_eq!(end_heard(client).await, [], "nobody serves who was over the limit");
            }
            assert_eq!(client.expect_goodbye().await.unwrap().0, 320);
            drop(waiting);
        };
        let leave = async {
            node.expect_close().await.unwrap();
            node.send_close_ok().await.unwrap();
            node.expect_fin().await.unwrap();
            drop(node);
        };
        let both = async { tokio::join!(all, leave) };
        tokio::time::timeout(SOON, both).await.unwrap();
        drained(&mut front, 6).await;
    }
}

//! SIGTERM: sessions are told to reconnect elsewhere, one after the other, and nothing that was
//! sent is lost.

use std::time::Duration;

use futures_util::future::join_all;
use integration::peer::{Frame, HEADER, Peer, ScriptedBroker};
use integration::{http, wait};
use tokio::time::Instant;

use crate::front::{Front, SOON, Setup};

/// As a node: told connection.close, it answers and goes; all it got before.
async fn until_told(node: &mut Peer) -> Vec<u8> {
    let mut got = Vec::new();
    loop {
        let frame = node.read_frame().await.unwrap();
        if frame.id() == Some((10, 50)) {
            assert_eq!(frame.arguments().u16().unwrap(), 320);
            node.send_close_ok().await.unwrap();
            return got;
        }
        got.extend(frame.encode());
    }
}

/// SIGTERM, and new clients are refused from then on.
async fn terminate(front: &mut Front) {
    front.gateway.terminate().unwrap();
    // A client that comes before this would have a session of its own.
    front.gateway.wait_for_log("stopping", SOON).await.unwrap();
    let address = front.address;
    wait::until("the listener to be closed", SOON, async || !front.gateway.accepts(address).await)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_drain_tells_every_client_320_at_the_configured_rate_and_ends_with_0() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let mut front = Setup::at_accept().gateway("drain_rate = 25").start(&[broker.address()]).await;
    let mut sessions = Vec::new();
    for _ in 0..50 {
        sessions.push(front.open(&broker).await);
    }
    let begin = Instant::now();
    let ended = sessions.into_iter().map(async |(mut client, mut node)| {
        let told = async {
            let (code, text) = client.expect_close().await.unwrap();
            assert_eq!(code, 320);
            assert!(text.contains("gateway gw"), "{text}");
            let at = begin.elapsed();
            client.send_close_ok().await.unwrap();
            client.expect_fin().await.unwrap();
            at
        };
        let leave = async {
            assert!(until_told(&mut node).await.is_empty());
            node.expect_fin().await.unwrap();
            drop(node);
        };
        tokio::join!(told, leave).0
    });
    let ((), mut times) = tokio::join!(terminate(&mut front), join_all(ended));
    times.sort_unstable();
    let half = times[25] - times[0];
    assert!(half >= Duration::from_millis(700), "25 sessions within {half:?}");
    assert!(times[49] - times[0] >= Duration::from_millis(1500), "{times:?}");
    assert!(front.gateway.wait(SOON).await.unwrap().success());
    front.gateway.wait_for_log("all sessions are closed", SOON).await.unwrap();
    assert_eq!(front.ends(50).await, vec!["gateway drain drained 320"; 50]);
}

#[tokio::test]
async fn a_drain_waits_for_the_end_of_a_frame_in_both_directions() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let mut front = Setup::at_accept().start(&[broker.address()]).await;
    let (mut publisher, mut node_of_publisher) = front.open(&broker).await;
    let (mut consumer, mut node_of_consumer) = front.open(&broker).await;
    let message = [
        Frame::content_header(1, 200_000).encode(),
        Frame::body(1, &[1; 100_000]).encode(),
        Frame::body(1, &[2; 100_000]).encode(),
    ]
    .concat();
    let (first, second) = message.split_at(150_000);
    publisher.send_raw(first).await.unwrap();
    node_of_consumer.send_raw(first).await.unwrap();
    wait::until("both halves to have passed", SOON, async || {
        let bytes = front.gateway.metric("amqp_gateway_bytes_total", &[]).await.unwrap();
        bytes >= 300_000.0
    })
    .await
    .unwrap();
    terminate(&mut front).await;

    // A close comes behind the frame that was on its way, and before the next one.
    let next = Frame::body(1, &[3; 50_000]).encode();
    node_of_consumer.send_raw(&[second, &next].concat()).await.unwrap();
    let mut got = Vec::new();
    let code = loop {
        let frame = consumer.read_frame().await.unwrap();
        if frame.id() == Some((10, 50)) {
            break frame.arguments().u16().unwrap();
        }
        got.extend(frame.encode());
    };
    assert_eq!(code, 320);
    assert!(got == message, "{} of {} bytes", got.len(), message.len());
    consumer.send_close_ok().await.unwrap();
    assert!(until_told(&mut node_of_consumer).await.is_empty());
    drop(node_of_consumer);
    consumer.expect_fin().await.unwrap();

    // Who is in the middle of a message is told last; what it says before its close-ok still arrives.
    assert_eq!(publisher.expect_close().await.unwrap().0, 320);
    publisher.send_raw(second).await.unwrap();
    publisher.send_close_ok().await.unwrap();
    assert!(until_told(&mut node_of_publisher).await == message);
    drop(node_of_publisher);
    publisher.expect_fin().await.unwrap();
    assert!(front.gateway.wait(SOON).await.unwrap().success());
    assert_eq!(front.ends(2).await, vec!["gateway drain drained 320"; 2]);
}

#[tokio::test]
async fn a_client_that_does_not_answer_close_is_cut_after_a_while() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let mut front = Setup::at_accept().start(&[broker.address()]).await;
    let (mut client, mut node) = front.open(&broker).await;
    terminate(&mut front).await;
    let begin = Instant::now();
    assert_eq!(client.expect_close().await.unwrap().0, 320);
    let (status, body) =
        http::get(&front.gateway.admin_url("/health/ready").unwrap()).await.unwrap();
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("stopping"), "{body}");
    assert!(node.read_until_gone().await.unwrap().is_empty());
    client.expect_eof().await.unwrap();
    assert!(front.gateway.wait(SOON).await.unwrap().success());
    let took = begin.elapsed();
    assert!((Duration::from_secs(4)..Duration::from_secs(20)).contains(&took), "{took:?}");
    assert_eq!(front.ends(1).await, ["gateway drain drained 320"]);
}

#[tokio::test]
async fn a_second_signal_cuts_what_is_left_at_once() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let mut front = Setup::at_accept().gateway("drain_rate = 1").start(&[broker.address()]).await;
    let mut sessions = Vec::new();
    for _ in 0..30 {
        sessions.push(front.open(&broker).await);
    }
    terminate(&mut front).await;
    assert_eq!(sessions[0].0.expect_close().await.unwrap().0, 320);
    let begin = Instant::now();
    front.gateway.terminate().unwrap();
    for (mut client, mut node) in sessions {
        // Some more may have been told in the meantime, and none waits for an answer.
        let heard = client.read_until_gone().await.unwrap();
        assert!(heard.is_empty() || heard[7..13] == [0, 10, 0, 50, 1, 64], "{heard:?}");
        node.read_until_gone().await.unwrap();
    }
    assert!(front.gateway.wait(SOON).await.unwrap().success());
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    front.gateway.wait_for_log("second signal", SOON).await.unwrap();
    let ends = front.ends(30).await;
    assert!(ends.iter().filter(|end| *end == "gateway drain cut").count() >= 20, "{ends:?}");
}

#[tokio::test]
async fn what_is_left_when_the_drain_timeout_is_over_is_cut() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let setup = Setup::at_accept().gateway("drain_rate = 1\ndrain_timeout = \"1s\"");
    let mut front = setup.start(&[broker.address()]).await;
    let mut sessions = Vec::new();
    for _ in 0..30 {
        sessions.push(front.open(&broker).await);
    }
    let begin = Instant::now();
    terminate(&mut front).await;
    assert!(front.gateway.wait(SOON).await.unwrap().success());
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    front.gateway.wait_for_log("gateway.drain_timeout is over", SOON).await.unwrap();
    assert_eq!(front.ends(30).await.len(), 30);
}

#[tokio::test]
async fn a_client_in_its_handshake_is_told_320_when_the_gateway_stops() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let mut front = Setup::at_open().start(&[broker.address()]).await;
    let mut client = front.client().await;
    client.login("app", "secret").await.unwrap();
    let mut early = front.client().await;
    early.send_raw(&HEADER).await.unwrap();
    early.expect_method((10, 10)).await.unwrap();
    let mut mute = front.client().await;
    let unheard = mute.local_addr().unwrap();
    wait::until("three sessions", SOON, async || {
        front.gateway.metric("amqp_gateway_sessions", &[]).await.unwrap() == 3.0
    })
    .await
    .unwrap();
    terminate(&mut front).await;
    for client in [&mut client, &mut early] {
        let (code, text) = client.expect_goodbye().await.unwrap();
        assert_eq!(code, 320);
        assert!(text.contains("gateway gw"), "{text}");
    }
    mute.expect_fin().await.unwrap();
    assert!(front.gateway.wait(SOON).await.unwrap().success());
    let ends = front.ends(3).await;
    assert_eq!(ends.iter().filter(|end| *end == "gateway drain drained 320").count(), 2);
    assert_eq!(front.end_of(unheard).await, "gateway drain drained");
}

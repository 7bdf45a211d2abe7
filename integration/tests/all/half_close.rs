//! Who shuts the sending direction only still hears the other side out.

use std::time::Duration;

use integration::peer::{Args, Frame, Peer, ScriptedBroker};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::front::{Front, Setup};

/// What a client of AMQP 1.0 says first.
const AMQP_10: [u8; 8] = *b"AMQP\x03\x01\x00\x00";

/// connection.close and then the end of what the client sends.
async fn close_and_shut(client: &mut Peer) {
    let close = Args::new().u16(200).shortstr("bye").u16(0).u16(0);
    client.send_method(0, (10, 50), close).await.unwrap();
    client.half_close().await.unwrap();
}

#[tokio::test]
async fn a_client_that_shuts_its_side_after_close_still_gets_deliveries_and_close_ok() {
    let broker = ScriptedBroker::bind().await.unwrap();
    for setup in [Setup::at_accept, Setup::at_open] {
        let front = setup().start(&[broker.address()]).await;
        // The node's answer and the client's end race each other: several times.
        for _ in 0..10 {
            let (mut client, mut node) = front.open(&broker).await;
            let deliveries = Frame::body(1, &[7; 100_000]).encode().repeat(10);
            let answers = async {
                node.expect_close().await.unwrap();
                node.send_raw(&deliveries).await.unwrap();
                node.send_close_ok().await.unwrap();
                drop(node);
            };
            let hears = async {
                close_and_shut(&mut client).await;
                client.read_to_end().await.unwrap()
            };
            let ((), got) = tokio::join!(answers, hears);
            let close_ok = Frame::method(0, (10, 51), Args::new()).encode();
            let sent = [&deliveries[..], &close_ok].concat();
            assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
        }
        front.still_serves(&broker).await;
    }
}

#[tokio::test]
async fn a_client_that_shuts_its_side_after_close_in_its_handshake_still_gets_close_ok() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_open().start(&[broker.address()]).await;
    for _ in 0..10 {
        let mut client = front.client().await;
        client.login("app", "secret").await.unwrap();
        close_and_shut(&mut client).await;
        client.expect_method((10, 51)).await.unwrap();
        client.expect_fin().await.unwrap();
    }
    front.still_serves(&broker).await;
}

/// A session of AMQP 1.0 whose headers have been exchanged: its client and its node.
async fn amqp_10(front: &Front, broker: &ScriptedBroker) -> (Peer, Peer) {
    let mut client = front.client().await;
    client.send_raw(&AMQP_10).await.unwrap();
    let mut node = broker.accept().await.unwrap();
    node.expect_header(AMQP_10).await.unwrap();
    node.send_raw(&AMQP_10).await.unwrap();
    client.expect_header(AMQP_10).await.unwrap();
    (client, node)
}

#[tokio::test]
async fn an_amqp_10_client_that_shuts_its_side_gets_what_the_node_answers_after_it() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    let (mut client, mut node) = amqp_10(&front, &broker).await;
    let (last, answer) = ([0xFE; 5000], [0xFD; 300_000]);
    client.send_raw(&last).await.unwrap();
    client.half_close().await.unwrap();
    // The node answers when it knows that nothing more comes.
    assert!(node.read_to_end().await.unwrap() == last);
    let answers = async {
        node.send_raw(&answer).await.unwrap();
        drop(node);
    };
    let ((), got) = tokio::join!(answers, client.read_to_end());
    let got = got.unwrap();
    assert!(got == answer, "{} of {} bytes", got.len(), answer.len());
    drop(client);
    front.still_serves(&broker).await;
}

#[tokio::test]
async fn an_amqp_10_node_that_ends_is_heard_out_by_a_client_whose_bytes_nobody_reads() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    let (mut client, mut node) = amqp_10(&front, &broker).await;
    // The node reads none of it: at the end some is still unread in the gateway, too.
    let pipelined = vec![0xFE; 128 << 20];
    let sent = client.stream().write_all(&pipelined);
    timeout(Duration::from_secs(1), sent).await.expect_err("all of it went out");
    let last = [0xFD; 300_000];
    let ends = async {
        node.send_raw(&last).await.unwrap();
        node.half_close().await.unwrap();
    };
    let ((), got) = tokio::join!(ends, client.read_to_end());
    let got = got.unwrap();
    assert!(got == last, "{} of {} bytes", got.len(), last.len());
    drop((client, node));
    front.still_serves(&broker).await;
}

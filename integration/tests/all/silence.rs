//! Half-open connections: who counts as dead, and who does not.

use std::time::Duration;

use integration::peer::{Frame, Peer, ScriptedBroker, Tune};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, interval, timeout};

use crate::front::{Front, Setup};

/// Heartbeats of a second: dead after two.
const BEATS: Tune = Tune { channel_max: 2047, frame_max: 131_072, heartbeat: 1 };

/// Sends heartbeats until the other end is gone.
async fn beat(peer: &mut Peer) {
    let mut pace = interval(Duration::from_millis(300));
    loop {
        pace.tick().await;
        if peer.send_frame(&Frame::heartbeat()).await.is_err() {
            return;
        }
    }
}

/// Reads heartbeats up to the first other frame.
async fn not_a_heartbeat(peer: &mut Peer) -> anyhow::Result<Frame> {
    loop {
        let frame = peer.read_frame().await?;
        if frame != Frame::heartbeat() {
            return Ok(frame);
        }
    }
}

/// A session whose client falls silent: over two heartbeats later the gateway cuts it.
async fn falls_silent(front: &Front, broker: &ScriptedBroker) -> Duration {
    let (mut client, mut node) = front.open_with(broker, BEATS).await;
    let address = client.local_addr().unwrap();
    let begin = Instant::now();
    beat(&mut node).await;
    let took = begin.elapsed();
    let heard = client.read_until_gone().await.unwrap();
    assert!(heard.chunks(8).all(|frame| frame == Frame::heartbeat().encode()), "{heard:?}");
    assert_eq!(front.end_of(address).await, "client relay client-silent");
    took
}

#[tokio::test]
async fn a_client_that_is_silent_for_two_heartbeats_is_cut_and_its_node_left() {
    let broker = ScriptedBroker::bind().await.unwrap();
    for setup in [Setup::at_accept, Setup::at_open] {
        let front = setup().start(&[broker.address()]).await;
        let took = falls_silent(&front, &broker).await;
        assert!((Duration::from_millis(1700)..Duration::from_secs(20)).contains(&took), "{took:?}");
        front.still_serves(&broker).await;
    }
}

#[tokio::test]
async fn a_node_that_is_silent_for_two_heartbeats_is_told_to_the_client_with_320() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    let (mut client, mut node) = front.open_with(&broker, BEATS).await;
    let address = client.local_addr().unwrap();
    let (mut read, mut write) = client.stream().split();
    let beats = async {
        let (heartbeat, mut pace) =
            (Frame::heartbeat().encode(), interval(Duration::from_millis(300)));
        loop {
            pace.tick().await;
            if let Err(error) = write.write_all(&heartbeat).await {
                return error;
            }
        }
    };
    let mut heard = [0; 13];
    tokio::select! {
        read = read.read_exact(&mut heard) => { read.unwrap(); }
        error = beats => panic!("cut without a close: {error}"),
    }
    assert_eq!(
        (heard[..3].to_vec(), heard[7..].to_vec()),
        (vec![1, 0, 0], vec![0, 10, 0, 50, 1, 64])
    );
    client.send_close_ok().await.unwrap();
    let text = client.read_to_end().await.unwrap();
    assert!(String::from_utf8_lossy(&text).contains("node n1 of cluster main is silent"));
    drop(client);
    assert_eq!(front.end_of(address).await, "node relay node-silent 320");
    let told = node.read_until_gone().await.unwrap();
    assert!(told.chunks(8).all(|frame| frame == Frame::heartbeat().encode()), "{told:?}");
    front.still_serves(&broker).await;
}

#[tokio::test]
async fn heartbeats_from_both_sides_keep_a_session_and_without_heartbeats_none_is_cut() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    let (mut mute_client, mut mute_node) = front.open(&broker).await;
    let (mut client, mut node) = front.open_with(&broker, BEATS).await;
    // Twice as long as a silent session lives.
    let watched = async {
        falls_silent(&front, &broker).await;
        falls_silent(&front, &broker).await;
    };
    tokio::select! {
        () = watched => {}
        () = beat(&mut client) => panic!("the client that was heard is cut"),
        () = beat(&mut node) => panic!("the node that was heard is cut"),
    }
    let frame = Frame::body(1, b"still there");
    for (from, to) in [(&mut client, &mut node), (&mut mute_client, &mut mute_node)] {
        from.send_frame(&frame).await.unwrap();
        assert_eq!(not_a_heartbeat(to).await.unwrap(), frame);
        to.send_frame(&frame).await.unwrap();
        assert_eq!(not_a_heartbeat(from).await.unwrap(), frame);
    }
}

/// Sends until the other end takes nothing for longer than a busy machine pauses; how many whole frames went, and the
/// rest of the last.
async fn fill(peer: &mut Peer, frame: &[u8]) -> (usize, Vec<u8>) {
    let mut frames = 0;
    loop {
        let mut sent = 0;
        while sent < frame.len() {
            let write = peer.stream().write(&frame[sent..]);
            match timeout(Duration::from_millis(1500), write).await {
                Ok(count) => sent += count.unwrap(),
                Err(_) => return (frames, frame[sent..].to_vec()),
            }
        }
        frames += 1;
    }
}

#[tokio::test]
async fn a_peer_that_is_not_read_because_the_other_takes_nothing_is_not_called_silent() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    let frame = Frame::body(1, &[9; 100_000]);
    let bytes = frame.encode();
    for floods_client in [true, false] {
        let (mut client, mut node) = front.open_with(&broker, BEATS).await;
        let (flooder, full) =
            if floods_client { (&mut client, &mut node) } else { (&mut node, &mut client) };
        // While it is being filled, each side hears something of the other.
        let (frames, rest) = tokio::select! {
            filled = fill(flooder, &bytes) => filled,
            () = beat(full) => panic!("cut while it was being filled"),
        };
        // The one who takes nothing is heard all the while.
        tokio::select! {
            _ = falls_silent(&front, &broker) => {}
            () = beat(full) => panic!("a session under back-pressure was cut"),
        }
        let send = async {
            flooder.send_raw(&rest).await.unwrap();
            beat(flooder).await;
        };
        let take = async {
            for _ in 0..=frames {
                assert_eq!(not_a_heartbeat(full).await.unwrap(), frame);
            }
        };
        tokio::select! { () = send => panic!("cut"), () = take => {} }
    }
}

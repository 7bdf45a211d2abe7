//! What passes through the relay: all of it, in order, however it is cut, and kept nowhere when it
//! cannot go on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use integration::peer::{Args, Frame, Peer, ScriptedBroker};
use integration::wait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::front::{SOON, Setup};

const MIB: usize = 1024 * 1024;
const FLOOD: usize = 64 * MIB;
/// Largest payload of a frame at RabbitMQ's default frame_max.
const PAYLOAD: usize = 131_072 - 8;

/// The same frames for the same seed: a flood is compared with a second one instead of being kept.
#[derive(Debug)]
struct Flood {
    random: Rng,
    left: usize,
}

impl Flood {
    fn new(seed: u64, bytes: usize) -> Self {
        Self { random: Rng::with_seed(seed), left: bytes }
    }
}

impl Iterator for Flood {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.left == 0 {
            return None;
        }
        let mut payload = vec![0; self.random.usize(0..=PAYLOAD)];
        self.random.fill(&mut payload);
        self.left = self.left.saturating_sub(payload.len());
        Some(Frame { kind: 3, channel: self.random.u16(1..), payload }.encode())
    }
}

/// Writes a flood; `written` tells how far it has come.
async fn pour(peer: &mut Peer, flood: Flood, written: &AtomicUsize) {
    for frame in flood {
        peer.stream().write_all(&frame).await.unwrap();
        written.fetch_add(frame.len(), Ordering::Relaxed);
    }
}

/// Reads a flood and compares it.
async fn drink(peer: &mut Peer, flood: Flood) {
    let mut got = Vec::new();
    for (number, frame) in flood.enumerate() {
        got.resize(frame.len(), 0);
        peer.stream().read_exact(&mut got).await.unwrap();
        assert!(got == frame, "frame {number} differs");
    }
}

/// Memory of a process in RAM, in bytes.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn a_flood_waits_at_its_source_while_the_other_side_takes_nothing() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    for to_node in [true, false] {
        let (mut client, mut node) = front.open(&broker).await;
        let (source, sink) =
            if to_node { (&mut client, &mut node) } else { (&mut node, &mut client) };
        let before = resident(front.gateway.id());
        let written = AtomicUsize::new(0);
        let blocked = async {
            let mut seen = usize::MAX;
            wait::until("the flood to be stopped", SOON, async || {
                tokio::time::sleep(Duration::from_millis(400)).await;
                let now = written.load(Ordering::Relaxed);
                now > 0 && now == std::mem::replace(&mut seen, now)
            })
            .await
            .unwrap();
        };
        let mut pouring = Box::pin(pour(source, Flood::new(7, FLOOD), &written));
        tokio::select! {
            () = &mut pouring => panic!("nobody reads and all of it was taken"),
            () = blocked => {}
        }
        let grown = resident(front.gateway.id()).saturating_sub(before);
        assert!(grown < 2 * MIB, "{grown} bytes for {} in flight", written.load(Ordering::Relaxed));
        tokio::join!(pouring, drink(sink, Flood::new(7, FLOOD)));
        let more = resident(front.gateway.id()).saturating_sub(before);
        assert!(more < 2 * MIB, "{more} bytes after the flood");
    }
}

#[tokio::test]
async fn both_directions_pass_unchanged_byte_by_byte() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    let (mut client, mut node) = front.open(&broker).await;
    let mut up: Vec<u8> = Vec::new();
    let mut down: Vec<u8> = Vec::new();
    for number in 0..60_u16 {
        let header = Frame::content_header(number % 3 + 1, u64::from(number));
        let body = Frame::body(number % 3 + 1, &vec![number as u8; usize::from(number)]);
        let method = Frame::method(1, (60, 80), Args::new().u64(1).u8(0));
        up.extend([&header, &body, &Frame::heartbeat()].into_iter().flat_map(Frame::encode));
        down.extend([&method, &header, &body].into_iter().flat_map(Frame::encode));
    }
    let ((mut client_read, mut client_write), (mut node_read, mut node_write)) =
        (client.stream().split(), node.stream().split());
    let write = async |to: &mut tokio::net::tcp::WriteHalf<'_>, bytes: &[u8]| {
        for byte in bytes {
            to.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (mut at_node, mut at_client) = (vec![0; up.len()], vec![0; down.len()]);
    let (_, _, read_up, read_down) = tokio::join!(
        write(&mut client_write, &up),
        write(&mut node_write, &down),
        node_read.read_exact(&mut at_node),
        client_read.read_exact(&mut at_client),
    );
    read_up.and(read_down).unwrap();
    assert!(at_node == up, "from client to node");
    assert!(at_client == down, "from node to client");
}

/// A message of 1 MiB in frames of frame_max, several times over.
fn messages(random: &mut Rng, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..count {
        let mut body = vec![0; MIB];
        random.fill(&mut body);
        let publish = Args::new().u16(0).shortstr("").shortstr("queue").u8(0);
        bytes.extend(Frame::method(1, (60, 40), publish).encode());
        bytes.extend(Frame::content_header(1, MIB as u64).encode());
        bytes.extend(body.chunks(PAYLOAD).flat_map(|part| Frame::body(1, part).encode()));
    }
    bytes
}

#[tokio::test]
async fn large_messages_pass_unchanged_however_they_are_cut_into_writes() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_open().start(&[broker.address()]).await;
    for seed in 1..=8 {
        let mut random = Rng::with_seed(seed);
        let (mut client, mut node) = front.open(&broker).await;
        let bytes = messages(&mut random, 3);
        let most = [3_000, 20_000, 140_000, 300_000][random.usize(..4)];
        let mut got = vec![0; bytes.len()];
        let write = async {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (part, behind) = rest.split_at(random.usize(1..=most).min(rest.len()));
                client.stream().write_all(part).await.unwrap();
                tokio::task::yield_now().await;
                rest = behind;
            }
        };
        let ((), read) = tokio::join!(write, node.stream().read_exact(&mut got));
        read.unwrap();
        assert!(got == bytes, "seed {seed}");
        let record = async {
            let address = client.local_addr().unwrap();
            drop(client);
            drop(node);
            front.record_of(address).await
        };
        assert_eq!(record.await["published"], 3, "seed {seed}");
    }
}

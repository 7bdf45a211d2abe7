//! What the frame walk costs: nanoseconds a message, client's side, over one read buffer of 256
//! KiB.
//!
//! `cargo run --release -p amqp-codec --example walk`. The buffer is hot in the cache, so this is
//! the walk alone; a relay adds the misses of memory that the kernel has just written.

use std::hint::black_box;
use std::time::Instant;

use amqp_codec::frame::walker::{Stop, Walked, Walker};
use amqp_codec::frame::{END, ENVELOPE, kind, method};
use amqp_codec::tracker::{Channels, FromClient, Tally};
use amqp_codec::tune::Tune;

const READ_BUFFER: usize = 256 * 1024;
const ROUNDS: u32 = 3000;
const WALKS_A_ROUND: u32 = 4;

struct Counts([u64; method::COUNT]);

impl Tally for Counts {
    fn add(&mut self, index: usize, count: u32) {
        self.0[index] += u64::from(count);
    }
}

fn frame(bytes: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    bytes.extend_from_slice(&[kind, 0, 1]);
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes.push(END);
}

/// basic.publish to the default exchange with a routing key of seven letters, content header,
/// content body.
fn message(body: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let publish = [[0, 60, 0, 40, 0, 0, 0, 7].as_slice(), b"billing", &[0]].concat();
    frame(&mut bytes, kind::METHOD, &publish);
    let mut header = vec![0, 60, 0, 0];
    header.extend_from_slice(&(body as u64).to_be_bytes());
    header.extend_from_slice(&[0, 0]);
    frame(&mut bytes, kind::HEADER, &header);
    frame(&mut bytes, kind::BODY, &vec![b'x'; body]);
    bytes
}

/// Walks the buffer once, as a relay does with one read.
fn walk(bytes: &[u8], walker: &mut Walker, counts: &mut Counts, channels: &mut Channels) -> u32 {
    let mut observer = FromClient::new(counts, channels);
    let walked = walker.walk(bytes, &mut observer);
    let stop = Stop::End;
    let len = bytes.len();
    assert_eq!(walked, Walked { len, stop });
    observer.finish();
    observer.published
}

/// Follows the sizes from frame to frame and does nothing else: what no walk of this machine can
/// beat.
fn follow(mut left: &[u8]) -> u32 {
    let mut frames = 0;
    while let Some(head) = left.first_chunk::<7>() {
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        let Some(behind) = left.get(size + ENVELOPE..) else {
            break;
        };
        left = behind;
        frames += 1;
    }
    frames / 3
}

/// The fastest round's nanoseconds a message; rounds are short, so that a busy machine has fast
/// ones, too.
fn fastest(mut round: impl FnMut() -> u32) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (start, mut messages) = (Instant::now(), 0);
        for _ in 0..WALKS_A_ROUND {
            messages += round();
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(messages));
    }
    best
}

/// As many messages as one read gives; where they vary, bodies have half to one and a half times
/// the size, from a sequence that is the same in every run.
fn messages(body: usize, vary: bool) -> (Vec<u8>, usize) {
    let (mut bytes, mut count, mut state) = (Vec::new(), 0, 1_u32);
    while bytes.len() < READ_BUFFER - 2 * body - 100 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = if vary { body / 2 + (state >> 16) as usize % body } else { body };
        bytes.extend(message(size));
        count += 1;
    }
    (bytes, count)
}

fn main() {
    for (body, vary) in [(16, false), (16, true), (1024, false), (1024, true)] {
        let (bytes, count) = messages(body, vary);
        let mut counts = Counts([0; method::COUNT]);
        let mut channels = Channels::default();
        let mut walker = Walker::new(Tune::RABBITMQ_DEFAULT.max_payload());
        let walked = fastest(|| walk(black_box(&bytes), &mut walker, &mut counts, &mut channels));
        let followed = fastest(|| follow(black_box(&bytes)));
        let size = bytes.len() as f64 / count as f64;
        let kind = if vary { "of any size" } else { "all alike" };
        println!(
            "{size:5.0} bytes a message, {kind:11}: {walked:6.2} ns, {:6.1} GB/s \
             (following sizes alone: {followed:.2} ns)",
            size / walked,
        );
    }
}

//! Bodies of the fuzz targets: each takes any bytes and panics if a promise of this crate does not
//! hold.
//!
//! The targets in `fuzz/` only call these, so that a plain test replays every seed of
//! `fuzz/corpus`, too. Of each input the first bytes choose (limits, cuts, losses), the rest is
//! what a peer sends.

mod handshakes;
mod preface;
mod tables;
mod tracking;

pub use handshakes::{bridge, client_handshake, server_handshake};
pub use preface::{client_hello, proxy_header};
pub use tables::{guard_and_decode, sasl, sasl_init};
pub use tracking::tracker;

use crate::frame::oracle::{Relay, expected};

/// The walk of any stream in any cut gives what an oracle reads from the whole, and holds back
/// little.
pub fn frame_walker(data: &[u8]) {
    let mut input = Input(data);
    let limit = [16, 600, 131_072, u32::MAX][usize::from(input.byte() & 3)];
    let pieces = input.pieces();
    // What the walker takes for the largest limit: a payload must leave room for its envelope.
    let expected = expected(input.0, limit.min(u32::MAX - 8));
    for pieces in [pieces.as_slice(), &[], smallest_cut(input.0)] {
        let mut relay = Relay::new(limit);
        for read in cut(input.0, pieces) {
            relay.read(read);
        }
        assert_eq!(relay.outcome, expected, "in pieces of {pieces:?}");
    }
}

/// Takes an input apart. What is missing is zero.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or_default()
    }

    fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn long(&mut self) -> u64 {
        (0..8).fold(0, |value, _| (value << 8) | u64::from(self.byte()))
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        head
    }

    /// Up to 31 sizes of reads, each of 1 to 256 bytes.
    fn pieces(&mut self) -> Vec<u16> {
        let count = usize::from(self.byte() & 31);
        let sizes = self.bytes(count).iter();
        sizes.map(|&size| u16::from(size) + 1).collect()
    }
}

/// Byte by byte, unless that takes long.
fn smallest_cut(stream: &[u8]) -> &'static [u16] {
    if stream.len() <= 1000 { &[1] } else { &[7, 1] }
}

/// Cuts a stream into reads of these sizes, again and again; without sizes, into one.
fn cut<'b>(mut stream: &'b [u8], pieces: &[u16]) -> Vec<&'b [u8]> {
    let mut reads = Vec::new();
    for &size in pieces.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (read, rest) = stream.split_at(stream.len().min(size.into()));
        reads.push(read);
        stream = rest;
    }
    if !stream.is_empty() {
        reads.push(stream);
    }
    reads
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    type Body = fn(&[u8]);

    const TARGETS: [(&str, Body); 10] = [
        ("bridge", bridge),
        ("client_handshake", client_handshake),
        ("client_hello", client_hello),
        ("frame_walker", frame_walker),
        ("guard_and_decode", guard_and_decode),
        ("proxy_header", proxy_header),
        ("sasl", sasl),
        ("sasl_init", sasl_init),
        ("server_handshake", server_handshake),
        ("tracker", tracker),
    ];

    /// Targets whose bodies are pure files of the gateway, which replays their seeds.
    const OF_THE_GATEWAY: [&str; 1] = ["vrrp_packet"];

    fn folder(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
    }

    #[test]
    fn every_seed_of_every_target_passes() {
        for (name, body) in TARGETS {
            let seeds = fs::read_dir(folder("corpus").join(name)).expect(name);
            let mut count = 0;
            for seed in seeds {
                let path = seed.expect(name).path();
                println!("{}", path.display());
                body(&fs::read(&path).expect(name));
                count += 1;
            }
            assert!(count >= 5, "{name} has {count} seeds");
        }
    }

    #[test]
    fn every_target_has_a_body() {
        let files = fs::read_dir(folder("fuzz_targets")).expect("targets");
        let mut names: Vec<_> = files
            .map(|file| file.expect("file").path().with_extension(""))
            .map(|path| path.file_name().map(std::ffi::OsStr::to_owned))
            .collect();
        names.sort();
        let here = TARGETS.map(|(name, _)| name);
        let known = here.iter().chain(&OF_THE_GATEWAY);
        assert_eq!(names, known.map(|name| Some(name.into())).collect::<Vec<_>>());
    }

    #[test]
    fn no_input_and_constant_inputs_pass() {
        for (_, body) in TARGETS {
            body(&[]);
            for byte in 0..=255 {
                body(&[byte; 300]);
            }
        }
    }
}

//! The seeds of the fuzz target `vrrp_packet`: replayed by a plain test, and the captured frames are among them.

use std::fs;
use std::path::PathBuf;

use super::super::Checksum;
use super::super::fuzz::{IPV6, MESSAGE_ONLY, OLD_UNICAST, PSEUDO_HEADER, vrrp_packet};
use super::vectors;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../amqp-codec/fuzz/corpus/vrrp_packet")
}

#[test]
fn every_seed_passes() {
    let mut count = 0;
    for seed in fs::read_dir(corpus()).unwrap() {
        let path = seed.unwrap().path();
        println!("{}", path.display());
        vrrp_packet(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count >= 2 * vectors::adverts().len(), "{count} seeds");
}

/// Twice: as it came, and with its checksum set right whatever a fuzzer changes.
#[test]
fn every_captured_advertisement_is_a_seed() {
    for vector in vectors::adverts() {
        let frame = vector.frame();
        let (family, packet) = match vector.source.contains(':') {
            true => (IPV6, &frame[14 + 8..]),
            false => (0, &frame[14..]),
        };
        let repair = match vector.checksum {
            Checksum::PseudoHeader => PSEUDO_HEADER,
            Checksum::MessageOnly => MESSAGE_ONLY,
            Checksum::OldUnicast => OLD_UNICAST,
        };
        for (suffix, choice) in [("", family), ("-repaired", family | repair)] {
            let path = corpus().join(format!("{}{suffix}", vector.name.to_lowercase()));
            let seed = [&[choice], packet].concat();
            if std::env::var_os("UPDATE_SEEDS").is_some() {
                fs::create_dir_all(corpus()).unwrap();
                fs::write(&path, &seed).unwrap();
            }
            assert_eq!(fs::read(&path).ok(), Some(seed), "{}: UPDATE_SEEDS=1", path.display());
        }
    }
}

//! Free ports below the ephemeral range, shared out between test processes.
//!
//! A port of the ephemeral range can be taken by any outgoing connection between the moment it is
//! found free and the moment a node binds it. So blocks of fixed ports are used; a lock on a file
//! says whose block it is, and the kernel gives the lock back when its holder dies.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};

const FIRST: u16 = 17_000;
const LAST: u16 = 29_000;
const BLOCK: u16 = 60;

/// Sixty ports that nobody else who asks here gets; given back when dropped.
#[derive(Debug)]
pub struct PortBlock {
    ports: Range<u16>,
    _lock: File,
}

impl PortBlock {
    /// Takes the first block whose ports are all free.
    ///
    /// # Errors
    /// When the lock directory cannot be written or every block is taken.
    pub fn claim() -> Result<Self> {
        let dir = lock_dir()?;
        let blocks = (LAST - FIRST) / BLOCK;
        // Processes start at different places, so that they rarely try the same block.
        let offset = (std::process::id() % u32::from(blocks)) as u16;
        for index in 0..blocks {
            let start = FIRST + (index + offset) % blocks * BLOCK;
            let path = dir.join(start.to_string());
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .with_context(|| format!("{} cannot be opened for a lock", path.display()))?;
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                continue;
            }
            let ports = start..start + BLOCK;
            if ports.clone().all(is_free) {
                return Ok(Self { ports, _lock: lock });
            }
        }
        bail!("no block of {BLOCK} free ports between {FIRST} and {LAST}");
    }

    /// The `index`th port of the block.
    ///
    /// # Panics
    /// When `index` is 60 or more.
    #[must_use]
    pub fn port(&self, index: u16) -> u16 {
        assert!(index < BLOCK, "a block has {BLOCK} ports, asked for number {index}");
        self.ports.start + index
    }
}

/// Free on every address: tests use others of loopback, too, and all at once.
fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

fn lock_dir() -> Result<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    // Not the temporary directory of the environment: all processes must look at the same place.
    let dir = PathBuf::from(format!("/tmp/amqp-gateway-ports-{uid}"));
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn two_blocks_never_share_a_port() {
        let first = PortBlock::claim().unwrap();
        let second = PortBlock::claim().unwrap();
        assert!(first.ports.end <= second.ports.start || second.ports.end <= first.ports.start);
    }

    #[test]
    fn a_block_with_a_taken_port_is_passed_over() {
        for address in ["127.0.0.1", "127.0.0.2", "0.0.0.0"] {
            let first = PortBlock::claim().unwrap();
            let start = first.port(0);
            let taken = TcpListener::bind((address, first.port(7))).unwrap();
            drop(first);
            let second = PortBlock::claim().unwrap();
            assert_ne!(second.port(0), start, "{address}");
            drop(taken);
        }
    }
}

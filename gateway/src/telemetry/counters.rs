//! Counters of the hot path: each written by one thread only, read by whoever asks.

use std::sync::atomic::{AtomicU64, Ordering};

use amqp_codec::frame::method;
use amqp_codec::tracker::Tally;

/// A counter with a single writer: adding is a load and a store, not a locked instruction.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds. Only the owning thread may.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// Sets. Only the owning thread may.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Reads, from any thread.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one worker thread has relayed.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    /// Client to node.
    pub from_client: Traffic,
    /// Node to client.
    pub from_node: Traffic,
}

/// One direction of [`WorkerCounters`].
#[derive(Debug)]
pub struct Traffic {
    /// Bytes.
    pub bytes: Counter,
    /// Frames by [`method::index`].
    pub frames: [Counter; method::COUNT],
}

impl Default for Traffic {
    fn default() -> Self {
        Self { bytes: Counter::default(), frames: std::array::from_fn(|_| Counter::default()) }
    }
}

impl Tally for &Traffic {
    #[inline]
    fn add(&mut self, index: usize, count: u32) {
        if let Some(counter) = self.frames.get(index) {
            counter.add(count.into());
        }
    }
}

/// What one session has relayed; written by the thread it lives on.
#[derive(Debug, Default)]
pub struct SessionCounters {
    /// Bytes from the client.
    pub bytes_from_client: Counter,
    /// Bytes from the node.
    pub bytes_from_node: Counter,
    /// Messages published.
    pub published: Counter,
    /// Messages delivered.
    pub delivered: Counter,
    /// Messages acknowledged by the client.
    pub acknowledged: Counter,
    /// Messages returned to the client as unroutable.
    pub returned: Counter,
    /// Messages confirmed by the node.
    pub confirmed: Counter,
    /// Messages published in confirm mode and not confirmed yet.
    pub unconfirmed: Counter,
    /// 1 while the client is in the middle of a message, as far as can be told cheaply; else 0.
    pub half_sent: Counter,
    /// Channels open now.
    pub channels: Counter,
}

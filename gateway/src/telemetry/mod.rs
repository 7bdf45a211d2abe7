//! What the gateway tells about itself: log lines, access records, metrics, events.

pub mod access;
pub mod counters;
mod escape;
pub mod events;
pub mod latency;
pub mod log;
pub mod metrics;
pub mod names;
pub mod output;
pub mod process;
pub mod sink;

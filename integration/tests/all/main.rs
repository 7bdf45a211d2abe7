//! Tests against real RabbitMQ clusters and real client libraries, in one program so that
//! clusters can be shared.
#![allow(clippy::unwrap_used)]

mod blocked;
mod clients;
mod demo;
mod faults;
mod harness;
mod shared;

//! Tests against real RabbitMQ clusters and real client libraries, in one program so that
//! clusters can be shared.
#![allow(clippy::unwrap_used)]

mod clients;
mod harness;
mod shared;

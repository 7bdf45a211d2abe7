//! Tests against real RabbitMQ clusters and real client libraries, in one program so that
//! clusters can be shared.
#![allow(clippy::unwrap_used)]

mod admission;
mod balance;
mod blocked;
mod browser;
mod clients;
mod compose;
mod demo;
mod discovery;
mod drain;
mod drain_node;
mod ends;
mod ends_node;
mod faults;
mod flow;
mod front;
mod half_close;
mod handover;
mod harness;
mod harness_protocols;
mod harness_tls;
mod health;
mod http;
mod http_front;
mod http_wire;
mod identity;
mod jammed;
mod late;
mod limits;
mod passthrough;
mod proxy_protocol;
mod rebalance;
mod shared;
mod silence;
mod strangers;
mod tcp;
mod tls;
mod tls_nodes;
mod tls_reload;
mod tls_renewal;
mod tls_storm;
mod verdicts;
mod vrrp_lab;
mod workers;

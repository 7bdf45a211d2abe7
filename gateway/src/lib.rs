//! An AMQP gateway in front of RabbitMQ clusters.
//!
//! The way of a connection, room by room: [`listener`] accepts it, [`session`] speaks with the client and a node and
//! relays between them; [`route`] says which [`cluster`] it goes to, and that which node. [`health`] asks the nodes how they are. [`config`] holds what an
//! operator wrote, [`snapshot`] what the data plane reads of it; [`worker`] the threads; [`telemetry`] and [`admin`]
//! what is told to the outside; [`app`] puts it all together.

pub mod admin;
pub mod app;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod drain;
pub mod gate;
pub mod health;
pub mod http;
pub mod listener;
pub mod program;
pub mod route;
pub mod session;
pub mod snapshot;
pub mod socket;
pub mod stream;
pub mod telemetry;
pub mod tls;
pub mod vrrp;
pub mod worker;

//! Real peers for tests, the demo and the benchmark: RabbitMQ clusters, gateway processes,
//! client libraries and scripted peers.
//!
//! Whatever a test starts dies with it: see [`scratch`].

pub mod benchmark;
pub mod certificates;
pub mod command;
pub mod compose;
pub mod crowd;
pub mod gateway_process;
pub mod haproxy;
pub mod http;
pub mod http_peer;
pub mod name_server;
pub mod namespace;
pub mod openssl;
pub mod peer;
pub mod ports;
pub mod process;
pub mod proxy_header;
pub mod rabbit;
pub mod scratch;
pub mod steady;
pub mod stop;
pub mod storm;
pub mod suites;
pub mod target;
pub mod testssl;
pub mod tls;
pub mod vrrp_lab;
pub mod wait;
pub mod watching;

pub use gateway_process::GatewayProcess;
pub use name_server::NameServer;
pub use rabbit::RabbitCluster;

//! The checks of one node: each is one question with its own time limit.

pub mod amqp;
pub mod connection;
pub mod icmp;
pub mod management;
pub mod overview;
pub mod roundtrip;
pub mod script;
pub mod tap;
pub mod view;

mod http;

use std::io;
use std::time::{Duration, Instant, SystemTime};

use amqp_codec::preface::proxy_header::Outgoing;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::cluster::node::Node;
use crate::cluster::report::{CheckReport, Outcome};
use crate::config::model::{Check, ProxyOut};
use crate::socket::own_fault;
use crate::tls::client::Origination;
use crate::tls::failure;

pub use http::Site;

/// Longest text kept of what went wrong, in bytes.
const LONGEST_TEXT: usize = 300;

/// What a check found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Failed or misconfigured.
    pub outcome: Outcome,
    /// A label, from a fixed set.
    pub reason: &'static str,
    /// What exactly, for a person. Holds no secret.
    pub text: String,
    /// Was nobody there to answer, rather than something wrong with the answer?
    pub silent: bool,
}

impl Wrong {
    /// The node does not do what it should.
    #[must_use]
    pub fn failed(reason: &'static str, text: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed, reason, text: shorten(text.into()), silent: false }
    }

    /// The node, or what should answer there, does not answer.
    #[must_use]
    pub fn silent(reason: &'static str, text: impl Into<String>) -> Self {
        Self { silent: true, ..Self::failed(reason, text) }
    }

    /// The check cannot be made as it is configured.
    #[must_use]
    pub fn misconfigured(reason: &'static str, text: impl Into<String>) -> Self {
        Self { outcome: Outcome::Misconfigured, ..Self::failed(reason, text) }
    }

    /// What keeps TLS from being spoken with the check's own counterpart says nothing about the node.
    #[must_use]
    pub fn of_check(self) -> Self {
        match self.reason {
            "certificate" => Self { outcome: Outcome::Misconfigured, ..self },
            _ => self,
        }
    }

    /// An error of a socket, or of TLS on it. `what` was to be done.
    #[must_use]
    pub fn io(what: &str, error: &io::Error) -> Self {
        if let Some(error) = failure::in_io(error) {
            let (reason, text) = failure::of_node(error);
            return Self::failed(reason, format!("{what}: {text}"));
        }
        if let Some(fault) = own_fault(error) {
            return Self::misconfigured(fault.reason, format!("{what}: {error}: {}", fault.cure));
        }
        let reason = match error.kind() {
            io::ErrorKind::ConnectionRefused => "refused",
            io::ErrorKind::TimedOut => "timeout",
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "unreachable",
            io::ErrorKind::NotFound => "unresolved",
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof => "closed",
            _ => "connect-error",
        };
        Self::silent(reason, format!("{what}: {error}"))
    }
}

/// One check of a round, done.
#[derive(Debug)]
pub struct Done {
    /// For whoever shows it.
    pub report: CheckReport,
    /// What was wrong, if anything was.
    pub wrong: Option<Wrong>,
}

/// Makes a check within `limit`. What a check that passed has to remark is kept as its text.
pub async fn timed(
    check: Check,
    limit: Duration,
    asking: impl Future<Output = Result<Option<String>, Wrong>>,
) -> Done {
    let begun = Instant::now();
    let result = match tokio::time::timeout(limit, asking).await {
        Ok(result) => result,
        Err(_) => Err(Wrong::silent("timeout", format!("no answer within {limit:?}"))),
    };
    let (outcome, text, wrong) = match result {
        Ok(remark) => (Outcome::Passed, remark, None),
        Err(wrong) => (wrong.outcome, Some(wrong.text.clone()), Some(wrong)),
    };
    let text = text.map(|text| text.as_str().into());
    let report = CheckReport {
        check,
        outcome,
        latency: begun.elapsed(),
        text,
        at: SystemTime::now(),
        past: [].into(),
    };
    Done { report, wrong }
}

/// Does the AMQP port take a connection?
///
/// # Errors
/// If it does not.
pub async fn tcp(node: &Node) -> Result<Option<String>, Wrong> {
    dial(node).await.map(|_| None)
}

async fn dial(node: &Node) -> Result<TcpStream, Wrong> {
    let failed = |error: io::Error| Wrong::io(&format!("connect to {}", node.address), &error);
    let stream = TcpStream::connect(node.address).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

/// Tells the node who connects, where its cluster wants to be told: this connection's own addresses.
///
/// Not the header LOCAL, which is made for checks: before 3.11.19 and 3.12.1 it crashes RabbitMQ's acceptor.
async fn introduce(stream: &mut TcpStream, version: ProxyOut) -> Result<(), Wrong> {
    let failed = |error: io::Error| Wrong::io("PROXY header", &error);
    if version == ProxyOut::Off {
        return Ok(());
    }
    let (own, node) = (stream.local_addr().map_err(failed)?, stream.peer_addr().map_err(failed)?);
    let header = Outgoing::new(own, node);
    let header = if version == ProxyOut::V1 { header.v1() } else { header.v2() };
    stream.write_all(&header).await.map_err(failed)
}

/// A connection to a node, with TLS or without.
type NodeStream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Handshakes over TLS, if there is to be any, with whoever can prove to be `host`.
async fn secured(
    stream: TcpStream,
    tls: Option<(&Origination, &str)>,
) -> Result<NodeStream, Wrong> {
    let Some((tls, host)) = tls else { return Ok(Either::Left(stream)) };
    let handshake = TlsConnector::from(tls.config()).connect(tls.server_name(host), stream);
    let stream = Box::pin(handshake).await;
    let stream = stream.map_err(|error| Wrong::io(&format!("TLS with {host}"), &error))?;
    Ok(Either::Right(Box::new(stream)))
}

fn shorten(mut text: String) -> String {
    if text.len() > LONGEST_TEXT {
        text.truncate(amqp_codec::reply::cut(&text, LONGEST_TEXT).len());
    }
    text
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;
    use crate::config::model::samples;

    fn node_at(port: u16) -> Node {
        Node::sample("main", &samples::node("r1", port))
    }

    #[tokio::test]
    async fn a_port_that_listens_passes_and_one_that_does_not_is_refused() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        assert_eq!(tcp(&node_at(port)).await, Ok(None));
        drop(listener);
        let wrong = tcp(&node_at(port)).await.expect_err("nobody listens");
        assert_eq!((wrong.reason, wrong.outcome), ("refused", Outcome::Failed));
        assert!(wrong.text.contains(&port.to_string()), "{}", wrong.text);
    }

    #[tokio::test]
    async fn a_check_without_an_answer_ends_at_its_time_limit() {
        let limit = Duration::from_millis(20);
        let done = timed(Check::Tcp, limit, std::future::pending()).await;
        assert_eq!(done.wrong.map(|wrong| wrong.reason), Some("timeout"));
        assert_eq!(done.report.outcome, Outcome::Failed);
        assert!(done.report.latency >= limit);
        assert_eq!(done.report.text.as_deref(), Some("no answer within 20ms"));
    }

    #[test]
    fn what_the_gateway_lacks_is_no_fault_of_the_node() {
        for (errno, reason) in [(Errno::MFILE, "fd-limit"), (Errno::ADDRNOTAVAIL, "local-ports")] {
            let wrong = Wrong::io("connect", &errno.into());
            assert_eq!((wrong.outcome, wrong.reason), (Outcome::Misconfigured, reason));
        }
        let ports = Wrong::io("connect to 10.0.0.1:5672", &Errno::ADDRNOTAVAIL.into());
        assert!(ports.text.contains("net.ipv4.ip_local_port_range"), "{}", ports.text);
    }
}

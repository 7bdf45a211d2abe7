//! AMQP 1.0: goes to the cluster that the listener decides, as opaque bytes.
//!
//! Until a node has answered, what the client has said is kept, so that another node can be told the same.

use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use amqp_codec::handshake::server::MAX_WAITING;
use amqp_codec::protocol_header;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::{field, warn};

use super::end::{End, Phase, Who};
use super::io::poll_take;
use super::open::START_PATIENCE;
use super::registry::Session;
use super::{Shared, close, dial};
use crate::cluster::node::{Lease, Node};
use crate::cluster::{Cluster, Key};
use crate::route::{Decision, Facts};

/// A node that has answered.
pub(super) struct Answer {
    pub(super) node: TcpStream,
    pub(super) lease: Lease,
    /// The first bytes it sent.
    pub(super) first: Vec<u8>,
}

/// Finds a node for a client of AMQP 1.0 that has said `said`.
pub(super) async fn connect(
    shared: &Shared,
    session: &Session,
    client: &mut TcpStream,
    mut said: Vec<u8>,
) -> Result<Answer, End> {
    let snapshot = shared.snapshot.load_full();
    let (listener, source) = (&session.listener, session.client.ip());
    let facts = Facts { listener, source, login: None, vhost: None };
    let cluster = match snapshot.routes.decide_without_more(&facts) {
        Decision::To(target) if target.rename_vhost.is_none() => {
            snapshot.clusters.get(&target.cluster).cloned()
        }
        // The vhost cannot be renamed in bytes that are not read.
        Decision::To(_) | Decision::Rejected(_) | Decision::NeedsMore => None,
    };
    let Some(cluster) = cluster else {
        let _ = client.write_all(&protocol_header::AMQP_0_9_1).await;
        close::patiently(session, close::shut(client)).await;
        let end = End::new(Who::Gateway, Phase::Route, "no-route");
        return Err(end.with_detail("AMQP 1.0 is not routed by vhost: give the listener a cluster"));
    };
    let key = Key { source, vhost: None };
    let mut tried: Vec<Arc<Node>> = Vec::new();
    while tried.len() <= cluster.retry as usize {
        let Some(lease) = cluster.choose(&tried, &key, Instant::now()) else { break };
        tried.push(lease.node().clone());
        let another =
            tried.len() <= cluster.retry as usize && cluster.has_another(&tried, Instant::now());
        match attempt(session, client, &cluster, lease.node(), &mut said, another).await? {
            Ok((node, first)) => {
                lease.node().answered();
                return Ok(Answer { node, lease, first });
            }
            Err(reason) => failed(shared, lease.node(), reason),
        }
    }
    let end = End::new(Who::Gateway, Phase::Connect, "no-node");
    Err(end.with_detail(format!("no node of cluster {} is usable", cluster.name)))
}

fn failed(shared: &Shared, node: &Node, reason: &'static str) {
    let left_out = (reason != dial::FD_LIMIT).then(|| node.failed(Instant::now()));
    let (cluster, name) = (&node.cluster, &node.name);
    shared.metrics.node_connect_failed(&cluster.0, name, reason);
    let left_out = left_out.map(field::debug);
    warn!(%cluster, node = %name, address = %node.address, reason, left_out, "node does not answer");
}

async fn attempt(
    session: &Session,
    client: &mut TcpStream,
    cluster: &Cluster,
    node: &Node,
    said: &mut Vec<u8>,
    another: bool,
) -> Result<Result<(TcpStream, Vec<u8>), &'static str>, End> {
    let patience = match another {
        true => cluster.connect_timeout.min(START_PATIENCE),
        false => cluster.connect_timeout,
    };
    let mut stream = match dial::dial(node, patience).await {
        Ok(stream) => stream,
        Err(error) => return Ok(Err(dial::reason(&error))),
    };
    if stream.write_all(said).await.is_err() {
        return Ok(Err("closed"));
    }
    let answer = first_answer(session, client, &mut stream, said);
    let answer = match another {
        true => timeout(START_PATIENCE, answer).await.unwrap_or(Ok(Err("silent")))?,
        false => answer.await?,
    };
    Ok(answer.map(|first| (stream, first)))
}

/// Waits for the node's first bytes, passing on what the client says meanwhile.
async fn first_answer(
    session: &Session,
    client: &mut TcpStream,
    node: &mut TcpStream,
    said: &mut Vec<u8>,
) -> Result<Result<Vec<u8>, &'static str>, End> {
    loop {
        let before = said.len();
        let mut first = Vec::new();
        let gone = std::future::poll_fn(|cx| {
            if session.poll_order(cx.waker()).is_some() {
                return Poll::Ready(Some(End::new(Who::Gateway, Phase::Drain, "cut")));
            }
            let answer = poll_take(node, cx, MAX_WAITING, |bytes| first.extend_from_slice(bytes));
            if answer.is_ready() {
                return Poll::Ready(None);
            }
            if said.len() >= MAX_WAITING {
                return Poll::Pending;
            }
            match poll_take(client, cx, MAX_WAITING, |bytes| said.extend_from_slice(bytes)) {
                Poll::Ready(true) => Poll::Ready(None),
                Poll::Ready(false) => {
                    Poll::Ready(Some(End::new(Who::Client, Phase::Connect, "client-gone")))
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        if let Some(end) = gone {
            return Err(end);
        }
        if !first.is_empty() {
            return Ok(Ok(first));
        }
        // Nothing new from the client means that the node has ended the stream.
        if said.len() == before || node.write_all(&said[before..]).await.is_err() {
            return Ok(Err("closed"));
        }
    }
}

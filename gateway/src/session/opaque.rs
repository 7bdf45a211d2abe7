//! AMQP 1.0: goes to the cluster that the listener decides, as opaque bytes.
//!
//! Until a node has answered, what the client has said is kept, so that another node can be told the same.

use std::sync::Arc;
use std::task::{Context, Poll};

use amqp_codec::handshake::server::MAX_WAITING;
use amqp_codec::{protocol_header, sasl_init};
use tokio::time::timeout;

use super::end::{End, Phase, Who};
use super::io::poll_take;
use super::local::{Unknown, login_guard};
use super::registry::{Order, Session};
use super::search::{Found, START_PATIENCE, Search, node_failed, unserved};
use super::{Shared, close};
use crate::cluster::node::Lease;
use crate::cluster::{Cluster, Key};
use crate::route::{Decision, Facts};
use crate::stream::Stream;

/// A node that has answered.
pub(super) struct Answer {
    pub(super) node: Stream,
    pub(super) lease: Lease,
    /// The first bytes it sent.
    pub(super) first: Vec<u8>,
}

/// A client of AMQP 1.0 and what it has said so far.
pub(super) struct Opaque<'a> {
    shared: &'a Shared,
    session: &'a Session,
    client: &'a mut Stream,
    said: Vec<u8>,
    /// Once the route is decided.
    pub(super) search: Option<Search>,
    /// Who has to speak next: who is to blame if nothing happens any more.
    pub(super) awaited: Who,
}

impl<'a> Opaque<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        session: &'a Session,
        client: &'a mut Stream,
        said: Vec<u8>,
    ) -> Self {
        Self { shared, session, client, said, search: None, awaited: Who::Node }
    }

    /// Finds a node that answers.
    pub(super) async fn run(&mut self) -> Result<Answer, End> {
        let Some(cluster) = route(self.shared, self.session) else {
            return Err(self.refuse().await);
        };
        self.search = Some(Search::new(cluster.clone()));
        loop {
            let (mut node, lease) = self.next_node().await?;
            let guard = login_guard(&node, self.session.arrival.client.ip(), &cluster);
            let sasl = self.said.starts_with(&sasl_init::HEADER);
            if guard.local_only.is_some() && !sasl {
                let cause = "AMQP 1.0 without SASL says nothing of the user".to_owned();
                return Err(self.unknown(&mut node).refuse(&sasl_init::HEADER, cause).await);
            }
            let guarded = sasl && guard.is_needed();
            match self.first_answer(&mut node, guarded).await? {
                Ok(first) => {
                    lease.node().answered();
                    if !guarded {
                        return Ok(Answer { node, lease, first });
                    }
                    self.awaited = Who::Client;
                    self.unknown(&mut node).admit(&guard, &first).await?;
                    return Ok(Answer { node, lease, first: Vec::new() });
                }
                Err(reason) => {
                    node_failed(self.shared, lease.node(), reason, &"no answer to AMQP 1.0");
                }
            }
        }
    }

    async fn next_node(&mut self) -> Result<(Stream, Lease), End> {
        let Self { shared, session, client, said, search, .. } = self;
        let key = Key { source: session.arrival.client.ip(), vhost: None, amqp: true };
        let watch = |cx: &mut Context<'_>| poll_client(session, client, said, cx);
        let found = match search {
            Some(search) => search.connect((shared, session), &key, watch).await?,
            None => Found::Nobody,
        };
        let refused = match found {
            Found::Node(node, lease) => return Ok((node, lease)),
            Found::Nobody => None,
            Found::NotAdmitted(refused) => Some(refused),
        };
        let (end, cause) = unserved(search.as_ref(), refused);
        Err(end.with_detail(cause))
    }

    /// Waits for the node's first bytes; not for long, if there is another node. A guarded one is told the header only.
    async fn first_answer(
        &mut self,
        node: &mut Stream,
        guarded: bool,
    ) -> Result<Result<Vec<u8>, &'static str>, End> {
        let most = if guarded { sasl_init::HEADER.len() } else { usize::MAX };
        let answer = first_answer(self.session, self.client, node, &mut self.said, most);
        match self.search.as_ref().is_some_and(Search::has_another) {
            true => timeout(START_PATIENCE, answer).await.unwrap_or(Ok(Err("silent"))),
            false => answer.await,
        }
    }

    fn unknown<'b>(&'b mut self, node: &'b mut Stream) -> Unknown<'b> {
        Unknown { session: self.session, client: self.client, node, said: &mut self.said }
    }

    async fn refuse(&mut self) -> End {
        let _ = self.client.send(&protocol_header::AMQP_0_9_1).await;
        close::patiently(self.session, close::shut(self.client)).await;
        let end = End::new(Who::Gateway, Phase::Route, "no-route");
        end.with_detail("AMQP 1.0 is not routed by vhost: give the listener a cluster")
    }
}

/// The cluster of a session whose bytes are not read.
pub(super) fn route(shared: &Shared, session: &Session) -> Option<Arc<Cluster>> {
    let (snapshot, arrival) = (shared.snapshot.load(), &session.arrival);
    let facts = Facts {
        listener: &arrival.listener,
        source: arrival.client.ip(),
        sni: arrival.sni.as_deref(),
        common_name: arrival.common_name(),
        login: None,
        vhost: None,
    };
    match snapshot.routes.decide_without_more(&facts) {
        Decision::To(target) if target.rename_vhost.is_none() => {
            snapshot.clusters.get(&target.cluster).cloned()
        }
        // The vhost cannot be renamed in bytes that are not read.
        Decision::To(_) | Decision::Rejected(_) | Decision::NeedsMore => None,
    }
}

/// Waits for the node's first bytes, telling it what the client has said and goes on to say: the first `most` bytes of it.
async fn first_answer(
    session: &Session,
    client: &mut Stream,
    node: &mut Stream,
    said: &mut Vec<u8>,
    most: usize,
) -> Result<Result<Vec<u8>, &'static str>, End> {
    let mut told = 0;
    loop {
        let tell = said.len().min(most);
        if node.send(&said[told..tell]).await.is_err() {
            return Ok(Err("closed"));
        }
        told = tell;
        let before = said.len();
        let mut first = Vec::new();
        let ended = std::future::poll_fn(|cx| {
            let answer = poll_take(node, cx, MAX_WAITING, |bytes| first.extend_from_slice(bytes));
            if answer.is_ready() {
                return Poll::Ready(None);
            }
            match poll_client(session, client, said, cx) {
                Poll::Ready(end) => Poll::Ready(Some(end)),
                Poll::Pending if said.len() > before => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        if let Some(end) = ended {
            return Err(end);
        }
        if !first.is_empty() {
            return Ok(Ok(first));
        }
        // Nothing new from the client means that the node has ended the stream.
        if said.len() == before {
            return Ok(Err("closed"));
        }
    }
}

/// Reads what the client says, as long as there is room for it. Ready when the session is over.
pub(super) fn poll_client(
    session: &Session,
    client: &mut Stream,
    said: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<End> {
    match session.poll_order(cx.waker()) {
        None => {}
        Some(Order::AddressLost) => {
            return Poll::Ready(End::new(Who::Gateway, Phase::Drain, "address-lost"));
        }
        Some(Order::ListenerRemoved) => {
            return Poll::Ready(End::new(Who::Gateway, Phase::Drain, "listener-removed"));
        }
        Some(Order::OperatorClose) => {
            let end = End::new(Who::Operator, Phase::Connect, "operator-closed");
            return Poll::Ready(end);
        }
        Some(_) => return Poll::Ready(End::new(Who::Gateway, Phase::Drain, "cut")),
    }
    while said.len() < MAX_WAITING {
        let read = poll_take(client, cx, MAX_WAITING, |bytes| {
            session.counters.bytes_from_client.add(bytes.len() as u64);
            said.extend_from_slice(bytes);
        });
        match read {
            Poll::Ready(true) => {}
            Poll::Ready(false) => {
                return Poll::Ready(End::new(Who::Client, Phase::Connect, "client-gone"));
            }
            Poll::Pending => break,
        }
    }
    Poll::Pending
}

//! The node's side of a handshake under way: finding one, and what to do when it fails.

use std::future::Future;
use std::task::Poll;
use std::time::{Duration, Instant};

use amqp_codec::handshake::bridge::Answered;
use amqp_codec::reply::{CloseReason, ReplyCode};
use tokio::net::TcpStream;
use tracing::{debug, field, warn};

use super::{Handshake, Heard, Leg, START_PATIENCE, client_gone, ordered, poll_client};
use crate::cluster::node::Node;
use crate::cluster::{Cluster, Key};
use crate::session::dial;
use crate::session::end::{End, Phase, Who};

/// A node that drops the connection without a word after at least so long refuses the login; sooner, it has died.
const SILENT_REFUSAL: Duration = Duration::from_secs(2);

impl Handshake<'_> {
    pub(super) async fn connect(&mut self) -> Result<(), End> {
        if self.bridge.vhost().is_some() {
            self.client_done.get_or_insert_with(Instant::now);
        }
        self.flush_client().await?;
        let Some(cluster) = self.cluster.clone() else { return self.no_node() };
        while self.tried.len() <= cluster.retry as usize {
            let key = Key { source: self.session.client.ip(), vhost: self.bridge.vhost() };
            let Some(lease) = cluster.choose(&self.tried, &key, Instant::now()) else { break };
            let node = lease.node().clone();
            self.tried.push(node.clone());
            match self.dial(&node, &cluster).await? {
                Ok(stream) => {
                    self.bridge.connected();
                    let has_another = self.may_try_another(&cluster);
                    let patience =
                        has_another.then(|| Box::pin(tokio::time::sleep(START_PATIENCE)));
                    let (told, greeted) = (Instant::now(), false);
                    self.leg = Some(Leg { node: stream, lease, told, greeted, patience });
                    return Ok(());
                }
                Err(error) => self.node_unreachable(&node, dial::reason(&error), &error),
            }
        }
        self.no_node()
    }

    fn may_try_another(&self, cluster: &Cluster) -> bool {
        self.tried.len() <= cluster.retry as usize
            && cluster.has_another(&self.tried, Instant::now())
    }

    /// Connects, watching the client: one that has gone needs no node.
    async fn dial(
        &mut self,
        node: &Node,
        cluster: &Cluster,
    ) -> Result<std::io::Result<TcpStream>, End> {
        // A hung node stops taking connections once its backlog is full; one that is switched off never took any.
        let patience = match self.may_try_another(cluster) {
            true => cluster.connect_timeout.min(START_PATIENCE),
            false => cluster.connect_timeout,
        };
        let mut dialing = std::pin::pin!(dial::dial(node, patience));
        let Self { client, bridge, session, shared, .. } = self;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(dialed) = dialing.as_mut().poll(cx) {
                return Poll::Ready(Ok(dialed));
            }
            match poll_client(client, bridge, session, cx) {
                Poll::Ready(Heard::ClientGone) => Poll::Ready(Err(client_gone(Phase::Connect))),
                Poll::Ready(Heard::Ordered(order)) => {
                    Poll::Ready(Err(ordered(order, &shared.name)))
                }
                Poll::Ready(_) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// No node takes the session. A client that waits for open-ok is told 320; any other is led on to open first, where
    /// client libraries understand a refusal, and by then a node may be back.
    fn no_node(&mut self) -> Result<(), End> {
        let name = self.cluster.as_ref().map_or("?", |cluster| &*cluster.name.0);
        let tried = self.tried.len();
        if self.bridge.vhost().is_none() {
            self.parked = true;
            self.bridge.undecided();
            return self.play_broker();
        }
        let cause = format!("gateway {}: no node of cluster {name} is usable", self.shared.name);
        let reason = CloseReason::new(ReplyCode::CONNECTION_FORCED, &cause);
        self.bridge.refuse(&reason);
        let end = End::new(Who::Gateway, Phase::Connect, "no-node").with_close(reason);
        Err(end.with_detail(format!("{tried} nodes tried")))
    }

    /// The node dropped the connection. In place of an answer to start-ok that may be its way to refuse a login.
    pub(super) fn node_dropped(&mut self, how: &dyn std::fmt::Display) -> Result<(), End> {
        let Some(leg) = &self.leg else { return Ok(()) };
        let silent = leg.told.elapsed() >= SILENT_REFUSAL;
        match self.bridge.answered() {
            Answered::Start if self.bridge.awaits_node() => {}
            // So it refuses tune values that it does not like, too.
            Answered::Tune if self.bridge.awaits_node() && silent => {}
            Answered::Nothing | Answered::Start | Answered::Tune => {
                return self.node_failed("closed", how);
            }
        }
        self.dropped += 1;
        let another = self.cluster.as_ref().is_some_and(|c| self.may_try_another(c));
        if silent || self.dropped > 1 || !another {
            let end = End::new(Who::Node, Phase::Connect, "refused-silently");
            return Err(end.with_detail(
                "the node closed the connection: a wrong password, or tune values over its offer?",
            ));
        }
        self.next_node()
    }

    /// The node does not work: it is left out for a while, and another one is tried.
    pub(super) fn node_failed(
        &mut self,
        reason: &'static str,
        how: &dyn std::fmt::Display,
    ) -> Result<(), End> {
        if let Some(leg) = &self.leg {
            let node = leg.lease.node().clone();
            if self.bridge.answered() == Answered::Nothing {
                self.node_unreachable(&node, reason, how);
            } else {
                debug!(node = %node.name, reason, %how, "node lost in the middle of a handshake");
            }
        }
        self.next_node()
    }

    fn next_node(&mut self) -> Result<(), End> {
        self.leg = None;
        if self.bridge.node_lost() {
            return Ok(());
        }
        let end = End::new(Who::Node, Phase::Connect, "node-lost");
        Err(end.with_detail(
            "in the middle of a SASL conversation, which no other node can go on with",
        ))
    }

    fn node_unreachable(&self, node: &Node, reason: &'static str, how: &dyn std::fmt::Display) {
        let skip = (reason != dial::FD_LIMIT).then(|| node.failed(Instant::now()));
        let (cluster, name) = (&node.cluster, &node.name);
        self.shared.metrics.node_connect_failed(&cluster.0, name, reason);
        warn!(
            %cluster, node = %name, address = %node.address, reason, %how, left_out = skip.map(field::debug),
            "node does not answer"
        );
    }

    /// Keeps what the node has told about itself, once it has told all of it.
    pub(super) fn learn(&self) {
        let learned = self.bridge.learned();
        if let (Some(leg), Some(_)) = (&self.leg, learned.tune) {
            leg.lease.node().learn(learned);
        }
    }
}

//! The node's side of a handshake under way: finding one, and what to do when it fails.

use std::task::Poll;
use std::time::{Duration, Instant};

use amqp_codec::handshake::bridge::Answered;
use amqp_codec::reply::{CloseReason, ReplyCode};
use tracing::debug;

use super::{Handshake, Heard, Leg, client_gone, ordered, poll_client};
use crate::cluster::Key;
use crate::cluster::admission::Refused;
use crate::session::end::{End, Phase, Who};
use crate::session::local::login_guard;
use crate::session::search::{Found, START_PATIENCE, Search, node_failed, unserved};

/// A node that drops the connection without a word after at least so long refuses the login; sooner, it has died.
const SILENT_REFUSAL: Duration = Duration::from_secs(2);

impl Handshake<'_> {
    pub(super) async fn connect(&mut self) -> Result<(), End> {
        if self.bridge.vhost().is_some() {
            self.client_done.get_or_insert_with(Instant::now);
        }
        self.flush_client().await?;
        let vhost = self.bridge.vhost_at_node().map(str::to_owned);
        let Self { client, bridge, session, shared, search, .. } = self;
        let Some(search) = search else { return self.unserved(None) };
        let key = Key { source: session.arrival.client.ip(), vhost: vhost.as_deref(), amqp: true };
        let watch = |cx: &mut std::task::Context<'_>| match poll_client(client, bridge, session, cx)
        {
            Poll::Ready(Heard::ClientGone) => Poll::Ready(client_gone(Phase::Connect)),
            Poll::Ready(Heard::Ordered(order)) => {
                Poll::Ready(ordered(order, session, &shared.name))
            }
            Poll::Ready(_) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        };
        let (node, lease) = match search.connect((shared, session), &key, watch).await? {
            Found::Node(node, lease) => (node, lease),
            Found::Nobody => return self.unserved(None),
            Found::NotAdmitted(refused) => return self.unserved(Some(refused)),
        };
        let patience = search.has_another().then(|| Box::pin(tokio::time::sleep(START_PATIENCE)));
        let guard = login_guard(&node, session.arrival.client.ip(), &search.cluster);
        self.bridge.connected();
        self.bridge.guard(guard);
        self.leg = Some(Leg { node, lease, told: Instant::now(), greeted: false, patience });
        Ok(())
    }

    /// No node takes the session. A client that waits for open-ok is told 320; any other is led on to open first, where
    /// client libraries understand a refusal, and by then a node may be back.
    fn unserved(&mut self, refused: Option<Refused>) -> Result<(), End> {
        if self.bridge.vhost().is_none() {
            self.parked = true;
            self.bridge.undecided();
            return self.play_broker();
        }
        let (end, cause) = unserved(self.search.as_ref(), refused);
        let cause = format!("gateway {}: {cause}", self.shared.name);
        let reason = CloseReason::new(ReplyCode::CONNECTION_FORCED, &cause);
        self.bridge.refuse(&reason);
        Err(end.with_close(reason))
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
        let another = self.search.as_ref().is_some_and(Search::has_another);
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
            let node = leg.lease.node();
            if self.bridge.answered() == Answered::Nothing {
                node_failed(self.shared, node, reason, how);
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

    /// Keeps what the node has told about itself, once it has told all of it.
    pub(super) fn learn(&self) {
        let learned = self.bridge.learned();
        if let (Some(leg), Some(_)) = (&self.leg, learned.tune) {
            leg.lease.node().learn(learned);
        }
    }
}

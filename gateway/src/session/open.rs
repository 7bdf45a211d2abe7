//! A client's handshake, from its first byte to open-ok: asks the routes, finds a node, and drives the
//! [bridge](amqp_codec::handshake::bridge) between the two.

mod identity;
mod upstream;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use amqp_codec::handshake::bridge::{Answered, Bridge, Fault, Opened, Stage, Step};
use amqp_codec::handshake::server::MAX_WAITING;
use amqp_codec::reply::{CloseReason, ReplyCode};
use amqp_codec::wire;
use tokio::io::AsyncWriteExt;
use tokio::time::Sleep;
use tracing::info;

use super::end::{End, Phase, Who};
use super::io::poll_take;
use super::registry::{Order, Session, SessionFacts, Software};
use super::routed::Routed;
use super::search::Search;
use super::{Shared, close};
use crate::cluster::Cluster;
use crate::cluster::node::Lease;
use crate::config::model::ClusterName;
use crate::route::{Decision, Facts, Login};
use crate::snapshot::Snapshot;
use crate::stream::Stream;

/// A node that says nothing for so long in the middle of a handshake is hung. More than the three seconds for which
/// RabbitMQ keeps silent before it drops a client with a wrong password.
const ANSWER_PATIENCE: Duration = Duration::from_secs(6);

/// What a handshake comes to.
pub(super) enum Opening {
    /// AMQP 0-9-1, open.
    Opened {
        /// The connection to the node.
        node: Stream,
        /// The place on it.
        lease: Lease,
        /// What the relay starts with.
        opened: Opened,
        /// What the handshake told.
        facts: Box<SessionFacts>,
    },
    /// AMQP 1.0, of which nothing was answered yet.
    Amqp10 {
        /// What the client has sent.
        said: Vec<u8>,
    },
}

/// A handshake under way.
pub(super) struct Handshake<'a> {
    shared: &'a Shared,
    session: &'a Session,
    snapshot: Arc<Snapshot>,
    client: &'a mut Stream,
    pub(super) bridge: Bridge,
    /// Once the route is decided.
    pub(super) search: Option<Search>,
    leg: Option<Leg>,
    /// Is the client offered EXTERNAL?
    external: bool,
    /// No node was to be had: the client is led to open, where it can be told so.
    parked: bool,
    /// The vhost that is opened in place of the client's.
    rename_vhost: Option<Arc<str>>,
    /// Nodes that dropped the connection after start-ok without a word.
    dropped: u32,
    /// When the client had said all it had to say.
    client_done: Option<Instant>,
}

/// The node that is being tried.
struct Leg {
    node: Stream,
    lease: Lease,
    /// When it was told something last.
    told: Instant,
    /// Has it said start?
    greeted: bool,
    /// When it counts as hung.
    patience: Option<Pin<Box<Sleep>>>,
}

/// What a wait came to.
enum Heard {
    Bytes,
    ClientGone,
    NodeGone,
    NodeSilent,
    Ordered(Order),
}

impl<'a> Handshake<'a> {
    pub(super) fn new(shared: &'a Shared, session: &'a Session, client: &'a mut Stream) -> Self {
        let annotations = vec![
            ("amqp_gateway", shared.name.to_string()),
            ("amqp_gateway_client", session.arrival.client.to_string()),
        ];
        Self {
            snapshot: shared.snapshot.load_full(),
            shared,
            session,
            client,
            bridge: Bridge::new(annotations),
            search: None,
            leg: None,
            external: false,
            parked: false,
            rename_vhost: None,
            dropped: 0,
            client_done: None,
        }
    }

    /// What the client has said already, behind a PROXY header.
    pub(super) fn heard_before(&mut self, said: &[u8]) {
        if !said.is_empty() {
            self.session.counters.bytes_from_client.add(said.len() as u64);
            self.bridge.push_client(said);
        }
    }

    /// Has the client asked for AMQP 0-9-1?
    pub(super) fn spoke_amqp(&self) -> bool {
        self.bridge.said_header()
    }

    /// Whose turn it is: who is to blame if nothing happens any more.
    pub(super) fn awaited(&self) -> (Who, Phase) {
        match &self.search {
            Some(_) if self.bridge.awaits_node() => (Who::Node, Phase::Connect),
            _ => (Who::Client, Phase::Handshake),
        }
    }

    /// Drives the handshake to its end.
    pub(super) async fn run(&mut self) -> Result<Opening, End> {
        loop {
            let step = match self.bridge.step() {
                Ok(step) => step,
                Err(Fault::Client(error)) => {
                    let end = End::new(Who::Client, Phase::Handshake, "bad-handshake");
                    return Err(end.with_detail(error));
                }
                Err(Fault::Node(error)) => {
                    self.node_failed("bad-handshake", &error)?;
                    continue;
                }
            };
            match step {
                Step::Wait => self.wait().await?,
                Step::Route(stage) => self.route(stage)?,
                Step::Connect => self.connect().await?,
                Step::Opened => return self.opened().await,
                Step::Amqp10 { protocol_id } => {
                    let mut said = vec![b'A', b'M', b'Q', b'P', protocol_id, 1, 0, 0];
                    said.extend(self.bridge.take_client_rest());
                    return Ok(Opening::Amqp10 { said });
                }
                end => return Err(self.ended(end)),
            }
        }
    }

    fn ended(&self, step: Step) -> End {
        match step {
            Step::Foreign(guess) => End::new(Who::Client, Phase::Handshake, "not-amqp")
                .with_detail(format!("looks like {}", guess.as_str())),
            Step::Left(reason) => {
                End::new(Who::Client, Phase::Handshake, "client-closed").with_close(reason)
            }
            Step::Refused { reason, by_node: true } => {
                if let Some(leg) = &self.leg {
                    leg.lease.node().notices.closed(&reason);
                }
                End::new(Who::Node, Phase::Connect, "refused-by-node").with_close(reason)
            }
            Step::Refused { reason, by_node: false } => {
                // The next client is offered what this node can keep.
                self.learn();
                End::new(Who::Gateway, Phase::Connect, "tune-mismatch").with_close(reason)
            }
            Step::Forbidden { reason, told } => {
                let end = End::new(Who::Gateway, Phase::Connect, "access-refused");
                let end = end.with_detail(reason.text());
                if told { end.with_close(reason) } else { end }
            }
            // The other steps do not end a handshake.
            _ => End::new(Who::Gateway, Phase::Handshake, "internal"),
        }
    }

    fn route(&mut self, stage: Stage) -> Result<(), End> {
        if stage == Stage::Open {
            self.parked = false;
        }
        // It may have been replaced since the client was asked something.
        self.snapshot = self.shared.snapshot.load_full();
        let facts = Facts {
            listener: &self.session.arrival.listener,
            source: self.session.arrival.client.ip(),
            sni: self.session.arrival.sni.as_deref(),
            common_name: self.session.arrival.common_name(),
            login: self.bridge.hello().map(|hello| Login {
                user: hello.user.as_deref(),
                properties: &hello.properties,
                connection_name: None,
            }),
            vhost: self.bridge.vhost(),
        };
        let decision = match (self.parked, stage) {
            (true, _) => Decision::NeedsMore,
            (false, Stage::Open) => self.snapshot.routes.decide_without_more(&facts),
            (false, _) => self.snapshot.routes.decide(&facts),
        };
        if stage == Stage::Header {
            self.external = self.offers_external(&decision);
        }
        match decision {
            // Which login its certificate stands for is known already; whether it wants that one, start-ok tells.
            Decision::To(_) if stage == Stage::Header && self.external => self.play_broker(),
            Decision::To(target) => {
                let cluster = self.cluster(&target.cluster)?;
                self.map_login(&cluster)?;
                self.search = Some(Search::new(cluster));
                self.bridge.decided(target.rename_vhost.as_deref());
                self.rename_vhost = target.rename_vhost;
                Ok(())
            }
            Decision::Rejected(reason) if stage == Stage::Open => {
                self.bridge.refuse(&reason);
                Err(End::new(Who::Gateway, Phase::Route, "no-route").with_close(reason))
            }
            // Refused for sure, but only in answer to open will the client understand.
            Decision::Rejected(_) | Decision::NeedsMore => self.play_broker(),
        }
    }

    fn cluster(&self, name: &ClusterName) -> Result<Arc<Cluster>, End> {
        // The configuration names only clusters that it has.
        self.snapshot.clusters.get(name).cloned().ok_or_else(|| {
            End::new(Who::Gateway, Phase::Route, "internal").with_detail("cluster is gone")
        })
    }

    fn play_broker(&mut self) -> Result<(), End> {
        let offer = self.snapshot.offer(&self.session.arrival.listener);
        let greeting = if self.external { &offer.with_external } else { &offer.greeting };
        let played = self.bridge.play_broker(&greeting.start, &greeting.mechanisms, offer.tune);
        played.map_err(|error| {
            End::new(Who::Client, Phase::Handshake, "bad-handshake").with_detail(error)
        })
    }

    async fn wait(&mut self) -> Result<(), End> {
        self.note_start();
        if self.bridge.vhost().is_some() {
            self.client_done.get_or_insert_with(Instant::now);
        }
        self.flush_client().await?;
        if let Err(error) = self.flush_node().await {
            return self.node_dropped(&error);
        }
        match self.heard().await {
            Heard::Bytes => Ok(()),
            Heard::ClientGone => Err(client_gone(Phase::Handshake)),
            Heard::Ordered(order) => Err(ordered(order, self.session, &self.shared.name)),
            Heard::NodeGone => self.node_dropped(&"closed the connection"),
            Heard::NodeSilent => self.node_failed("silent", &"did not answer in time"),
        }
    }

    async fn heard(&mut self) -> Heard {
        let Self { client, bridge, session, leg, .. } = self;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(heard) = poll_client(client, bridge, session, cx) {
                return Poll::Ready(heard);
            }
            let Some(leg) = leg else { return Poll::Pending };
            let read = poll_take(&mut leg.node, cx, MAX_WAITING, |bytes| {
                session.counters.bytes_from_node.add(bytes.len() as u64);
                bridge.push_node(bytes);
            });
            if let Poll::Ready(more) = read {
                return Poll::Ready(if more { Heard::Bytes } else { Heard::NodeGone });
            }
            match &mut leg.patience {
                Some(sleep) if bridge.awaits_node() => {
                    sleep.as_mut().poll(cx).map(|()| Heard::NodeSilent)
                }
                Some(_) | None => Poll::Pending,
            }
        })
        .await
    }

    /// Once the node has said start, it works, and has more time for its next answers.
    fn note_start(&mut self) {
        let Some(leg) = &mut self.leg else { return };
        if leg.greeted || self.bridge.answered() == Answered::Nothing {
            return;
        }
        leg.greeted = true;
        if leg.lease.node().answered() {
            let (cluster, node) = (&leg.lease.node().cluster, &leg.lease.node().name);
            info!(%cluster, %node, "node answers again");
        }
    }

    async fn flush_client(&mut self) -> Result<(), End> {
        if self.bridge.to_client.is_empty() {
            return Ok(());
        }
        let written = self.client.send(&self.bridge.to_client).await;
        self.bridge.to_client.clear();
        written.map_err(|_| client_gone(Phase::Handshake))
    }

    async fn flush_node(&mut self) -> std::io::Result<()> {
        let Some(leg) = &mut self.leg else { return Ok(()) };
        if self.bridge.to_node.is_empty() {
            return Ok(());
        }
        leg.told = Instant::now();
        if let (Some(sleep), true) = (&mut leg.patience, leg.greeted) {
            sleep.as_mut().reset((leg.told + ANSWER_PATIENCE).into());
        }
        let written = leg.node.send(&self.bridge.to_node).await;
        self.bridge.to_node.clear();
        written
    }

    async fn opened(&mut self) -> Result<Opening, End> {
        self.flush_client().await?;
        self.learn();
        let Some(Leg { node, lease, .. }) = self.leg.take() else {
            return Err(End::new(Who::Gateway, Phase::Connect, "internal"));
        };
        let now = Instant::now();
        let client_done = self.client_done.unwrap_or(now);
        let hello = self.bridge.hello();
        let facts = SessionFacts {
            node: lease.node().clone(),
            user: self.bridge.user().map(Box::from),
            vhost: self.bridge.vhost().map(Arc::from),
            software: hello.map(Software::of).unwrap_or_default(),
            handshake: (client_done - self.session.arrival.accepted, now - client_done),
            routed: Routed::new(self.rename_vhost.take(), hello, &self.shared.registry.keepsakes),
        };
        let bridge = std::mem::replace(&mut self.bridge, Bridge::new(Vec::new()));
        Ok(Opening::Opened { node, lease, opened: bridge.into_opened(), facts: Box::new(facts) })
    }

    /// Says goodbye to both sides after a handshake that failed.
    pub(super) async fn part(&mut self, end: &mut End) {
        if let Some(leg) = &mut self.leg
            && end.reason == "refused-by-node"
        {
            let _ = leg.node.send(&wire::CLOSE_OK).await;
        }
        if ["drained", "address-lost", "listener-removed"].contains(&end.reason) {
            // A client that has heard no start yet would not understand a close.
            end.close.take_if(|_| !self.bridge.in_conversation());
            end.close.iter().for_each(|reason| self.bridge.refuse(reason));
        }
        let told = !self.bridge.to_client.is_empty();
        if self.flush_client().await.is_err() {
            return;
        }
        let rest = self.bridge.take_client_rest();
        let client = &mut *self.client;
        close::patiently(self.session, async {
            match end.close {
                // Where AMQP has no word for it, TLS has one.
                _ if !told => drop(client.shutdown().await),
                Some(_) if end.who != Who::Client => close::answer_to_close(client, rest).await,
                _ => close::shut(client).await,
            }
        })
        .await;
    }
}

fn poll_client(
    client: &mut Stream,
    bridge: &mut Bridge,
    session: &Session,
    cx: &mut Context<'_>,
) -> Poll<Heard> {
    if let Some(order) = session.poll_order(cx.waker()) {
        return Poll::Ready(Heard::Ordered(order));
    }
    if !bridge.wants_client_bytes() {
        return Poll::Pending;
    }
    poll_take(client, cx, MAX_WAITING, |bytes| {
        session.counters.bytes_from_client.add(bytes.len() as u64);
        bridge.push_client(bytes);
    })
    .map(|more| if more { Heard::Bytes } else { Heard::ClientGone })
}

fn client_gone(phase: Phase) -> End {
    End::new(Who::Client, phase, "client-gone")
}

fn ordered(order: Order, session: &Session, gateway: &str) -> End {
    match order {
        Order::Drain
        | Order::NodeDraining
        | Order::NodeMaintenance
        | Order::Rebalance
        | Order::NodeDown
        | Order::NodeRemoved
        | Order::RouteChanged => {
            let cause = format!("gateway {gateway}: stopping, please reconnect");
            End::new(Who::Gateway, Phase::Drain, "drained")
                .with_close(CloseReason::new(ReplyCode::CONNECTION_FORCED, &cause))
        }
        Order::AddressLost => {
            let cause = format!("gateway {gateway}: {}", close::MOVED);
            End::new(Who::Gateway, Phase::Drain, "address-lost")
                .with_close(CloseReason::new(ReplyCode::CONNECTION_FORCED, &cause))
        }
        Order::ListenerRemoved => {
            let cause = format!("gateway {gateway}: {}", close::removed(session));
            End::new(Who::Gateway, Phase::Drain, "listener-removed")
                .with_close(CloseReason::new(ReplyCode::CONNECTION_FORCED, &cause))
        }
        Order::OperatorClose => {
            let cause = format!("gateway {gateway}: {}", close::CLOSED);
            End::new(Who::Operator, Phase::Relay, "operator-closed")
                .with_close(CloseReason::new(ReplyCode::CONNECTION_FORCED, &cause))
        }
        Order::Cut | Order::ClientSilent | Order::NodeSilent | Order::Idle => {
            End::new(Who::Gateway, Phase::Drain, "cut")
        }
    }
}

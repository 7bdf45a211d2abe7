//! A session: a client connection and its connection to a node, from accept to the access record.

pub mod end;
pub mod registry;
pub mod routed;

mod bytes;
mod close;
mod dial;
mod held;
mod io;
pub mod ledger;
mod local;
mod opaque;
mod open;
pub mod record;
mod relay;
mod search;
pub mod tap;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use amqp_codec::tune::Tune;
use arc_swap::ArcSwap;
use socket2::SockRef;
use tracing::debug;

use crate::cluster::node::Lease;
use crate::config::model;
use crate::gate::Passage;
use crate::snapshot::Snapshot;
use crate::socket::keep_alive;
use crate::stream::Stream;
use crate::stream::arrival::Arrival;
use crate::telemetry::access::{AccessLog, Protocol};
use crate::telemetry::events::EventLog;
use crate::telemetry::metrics::Metrics;
use crate::worker::Seat;
use bytes::Bytes;
use dial::Port;
use end::{End, Phase, Who};
use held::in_time;
use opaque::Opaque;
use open::{Handshake, Opening};
use registry::{Registry, Session, SessionFacts};
use relay::{Flow, Relay, Watch};
use routed::Routed;
use search::Search;
use tap::Taps;

pub use record::{Ended, turned_away};

/// What all sessions of a gateway share.
#[derive(Debug)]
pub struct Shared {
    /// The gateway's name.
    pub name: Arc<str>,
    /// The configuration in effect.
    pub snapshot: ArcSwap<Snapshot>,
    /// Live sessions.
    pub registry: Registry,
    /// Who watches sessions.
    pub taps: Taps,
    /// Sums of ended sessions.
    pub ended: Ended,
    /// Metrics of the cold path.
    pub metrics: Arc<Metrics>,
    /// Where access records go, if anywhere.
    pub access: Option<AccessLog>,
    /// What happened lately.
    pub events: Arc<EventLog>,
}

/// Serves a client that was accepted, to its end. `passage` is held as long.
///
/// The future is what an idle session costs beside its sockets: everything large is boxed, and freed when its time is
/// over.
pub fn serve(
    shared: Arc<Shared>,
    mut arrival: Arrival,
    client: Stream,
    seat: Seat,
    passage: Passage,
) -> impl Future<Output = ()> + Send {
    let said = std::mem::take(&mut arrival.said);
    let session = Arc::new(Session::new(shared.registry.next_id(), arrival));
    shared.registry.insert(session.clone());
    let live = Live { shared, session, seat, _passage: passage };
    let opening = Box::pin(open(live, client, said));
    async move {
        let Some(mut opened) = opening.await else { return };
        let stop = match opened.first_stop.take() {
            Some(stop) => stop,
            None => opened.relay.run().await,
        };
        match close::settled(&opened.relay, &stop) {
            Some(end) => opened.record(&end),
            None => Box::pin(finish(opened, stop)).await,
        }
    }
}

async fn finish(mut opened: Box<Opened>, stop: relay::Stop) {
    let end = close::finish(&mut opened.relay, stop, &opened.live.shared.name).await;
    opened.record(&end);
}

/// A session in the registry; leaves it when dropped, whatever happens.
struct Live {
    shared: Arc<Shared>,
    session: Arc<Session>,
    seat: Seat,
    _passage: Passage,
}

impl Drop for Live {
    fn drop(&mut self) {
        // In this order: a scrape in between misses the session, which the next one makes good, but never sees it twice.
        self.shared.registry.remove(self.session.id);
        self.shared.taps.ended(&self.session);
        self.shared.ended.add(&self.session);
    }
}

/// A session that has begun to relay.
struct Opened {
    relay: Relay,
    protocol: Protocol,
    _lease: Lease,
    first_stop: Option<relay::Stop>,
    live: Live,
}

impl Opened {
    fn record(&self, end: &End) {
        self.live.record(end, self.protocol, self.relay.watch.channels_peak(), None);
    }
}

/// From the first byte to open-ok. A session that fails on the way is recorded here.
async fn open(live: Live, client: Stream, said: Vec<u8>) -> Option<Box<Opened>> {
    let opening = match live.session.arrival.protocol {
        model::Protocol::Tcp { node_port } => {
            live.open_bytes(client, said, Protocol::Tcp, Port::Other(node_port.get())).await
        }
        model::Protocol::TlsPassthrough { node_port } => {
            live.open_bytes(client, said, Protocol::TlsPassthrough, Port::Sealed(node_port.get()))
                .await
        }
        model::Protocol::Amqp | model::Protocol::Http(_) => live.open(client, &said).await,
    };
    match opening {
        Ok(Begun { relay, protocol, lease, first_stop }) => {
            Some(Box::new(Opened { relay, protocol, _lease: lease, first_stop, live }))
        }
        Err(failed) => {
            live.record(&failed.end, failed.protocol, None, Some(&failed));
            None
        }
    }
}

/// What a handshake comes to.
struct Begun {
    relay: Relay,
    protocol: Protocol,
    /// The place on the node.
    lease: Lease,
    /// Why it stops at once, if it does.
    first_stop: Option<relay::Stop>,
}

/// A session that ended before open-ok, and what is known of it.
struct Failed {
    end: End,
    protocol: Protocol,
    user: Option<String>,
    vhost: Option<String>,
    software: registry::Software,
    cluster: Option<Arc<str>>,
    node: Option<Arc<str>>,
}

impl Failed {
    fn new(end: End, search: Option<&Search>) -> Self {
        let last = search.and_then(|search| search.tried().last());
        Self {
            end,
            protocol: Protocol::Unknown,
            user: None,
            vhost: None,
            software: registry::Software::default(),
            cluster: search.map(|search| search.cluster.name.0.clone()),
            node: last.map(|node| node.name.clone()),
        }
    }

    fn of(handshake: &Handshake<'_>, end: End) -> Self {
        let hello = handshake.bridge.hello();
        Self {
            protocol: if handshake.spoke_amqp() { Protocol::Amqp091 } else { Protocol::Unknown },
            user: handshake.bridge.user().map(str::to_owned),
            vhost: handshake.bridge.vhost().map(str::to_owned),
            software: hello.map(registry::Software::of).unwrap_or_default(),
            ..Self::new(end, handshake.search.as_ref())
        }
    }
}

impl Live {
    /// From the first byte to open-ok, within the handshake's time.
    async fn open(&self, mut client: Stream, said: &[u8]) -> Result<Begun, Box<Failed>> {
        let timeout = self.shared.snapshot.load().handshake_timeout;
        let mut handshake = Handshake::new(&self.shared, &self.session, &mut client);
        handshake.heard_before(said);
        let opening = match in_time(&self.session, timeout, handshake.run()).await {
            Some(Ok(opening)) => opening,
            Some(Err(mut end)) => {
                handshake.part(&mut end).await;
                return Err(Box::new(Failed::of(&handshake, end)));
            }
            None => {
                let (who, phase) = handshake.awaited();
                let end = End::new(who, phase, "handshake-timeout")
                    .with_detail(format!("not open after {timeout:?}"));
                return Err(Box::new(Failed::of(&handshake, end)));
            }
        };
        match opening {
            Opening::Opened { node, lease, opened, facts } => {
                self.heard_now(opened.tune.heartbeat);
                self.shared.metrics.opened(facts.handshake.0 + facts.handshake.1);
                self.opened(facts);
                self.shared.taps.opened(&self.session);
                let rest = (opened.client_rest, opened.node_rest);
                let spoken = (Protocol::Amqp091, Some(opened.tune));
                Ok(self.begin((client, node), lease, spoken, rest).await)
            }
            Opening::Amqp10 { said } => {
                let mut opaque = Opaque::new(&self.shared, &self.session, &mut client, said);
                let answer = match in_time(&self.session, timeout, opaque.run()).await {
                    Some(answer) => answer,
                    None => Err(End::new(opaque.awaited, Phase::Connect, "handshake-timeout")),
                };
                let opaque::Answer { node, lease, first } = answer.map_err(|end| {
                    let failed = Failed::new(end, opaque.search.as_ref());
                    Box::new(Failed { protocol: Protocol::Amqp10, ..failed })
                })?;
                Ok(self
                    .begin_unread((client, node), lease, Protocol::Amqp10, (Vec::new(), first))
                    .await)
            }
        }
    }

    /// Finds a node for bytes that are not read, within the handshake's time.
    async fn open_bytes(
        &self,
        mut client: Stream,
        mut said: Vec<u8>,
        protocol: Protocol,
        port: Port,
    ) -> Result<Begun, Box<Failed>> {
        let timeout = self.shared.snapshot.load().handshake_timeout;
        self.session.counters.bytes_from_client.add(said.len() as u64);
        let (shared, session) = (&*self.shared, &*self.session);
        let (client_end, said_so_far) = (&mut client, &mut said);
        let mut bytes =
            Bytes { shared, session, client: client_end, said: said_so_far, port, search: None };
        let found = in_time(session, timeout, bytes.run())
            .await
            .unwrap_or_else(|| Err(End::new(Who::Node, Phase::Connect, "handshake-timeout")));
        let (node, lease) = found.map_err(|end| {
            let failed = Failed::new(end, bytes.search.as_ref());
            Box::new(Failed { protocol, ..failed })
        })?;
        Ok(self.begin_unread((client, node), lease, protocol, (said, Vec::new())).await)
    }

    /// Begins to relay bytes that are not read.
    async fn begin_unread(
        &self,
        ends: (Stream, Stream),
        lease: Lease,
        protocol: Protocol,
        rest: (Vec<u8>, Vec<u8>),
    ) -> Begun {
        self.heard_now(0);
        self.opened(Box::new(SessionFacts {
            node: lease.node().clone(),
            user: None,
            vhost: None,
            software: registry::Software::default(),
            handshake: (Duration::ZERO, self.session.arrival.accepted.elapsed()),
            routed: Routed::default(),
        }));
        self.begin(ends, lease, (protocol, None), rest).await
    }

    /// The handshake is over.
    fn opened(&self, facts: Box<SessionFacts>) {
        self.session.opened(facts);
        // Only now, so that no reload in between is missed.
        let snapshot = self.shared.snapshot.load();
        self.session.note_route(&snapshot.routes, snapshot.revision);
    }

    /// Both peers have just been heard. To be noted before the session counts as open: from then on it may be found silent.
    fn heard_now(&self, heartbeat: u16) {
        let (heard, now) = (&self.session.heard, self.seat.worker().clock.now());
        heard.heartbeat.store(heartbeat, Ordering::Relaxed);
        heard.client.store(now, Ordering::Relaxed);
        heard.node.store(now, Ordering::Relaxed);
    }

    /// Begins to relay. Without `tune` the bytes are opaque.
    async fn begin(
        &self,
        (client, node): (Stream, Stream),
        lease: Lease,
        (protocol, tune): (Protocol, Option<Tune>),
        (from_client, from_node): (Vec<u8>, Vec<u8>),
    ) -> Begun {
        // Where no heartbeats tell that a peer is gone, TCP has to. Listeners do the same for clients.
        if tune.is_none_or(|tune| tune.heartbeat == 0)
            && let Err(error) = SockRef::from(node.tcp()).set_tcp_keepalive(&keep_alive())
        {
            debug!(%error, "no TCP keepalive");
        }
        let limit = tune.unwrap_or(Tune::RABBITMQ_DEFAULT).max_payload();
        let watch = Watch::new(self.session.clone(), self.seat.worker().clone(), tune.is_some());
        let (up, down) = (Flow::new(limit), Flow::new(limit));
        let mut relay = Relay { client, node, up, down, watch, told: false };
        let first_stop = relay.begin(from_client, from_node).await;
        Begun { relay, protocol, lease, first_stop }
    }
}

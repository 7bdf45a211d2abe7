//! From accept to a session: over the entrance of the listener, to the thread where the session is to live.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::{ArcSwap, Guard};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::gate::Passage;
use crate::listener::accept::Accepted;
use crate::listener::entrance::{Entrance, Refused};
use crate::session::end::{End, Phase, Who};
use crate::session::{self, Shared};
use crate::stream::Stream;
use crate::stream::arrival::Arrival;
use crate::stream::shared::SharedAddresses;
use crate::worker::{Worker, Workers};

/// What takes clients from an accept loop.
#[derive(Clone)]
pub(super) struct Hall {
    pub(super) shared: Arc<Shared>,
    pub(super) workers: Arc<Workers>,
    /// The worker that new sessions are for, unless another one has fewer.
    pub(super) worker: Arc<Worker>,
    /// Does the accept loop run on that worker's thread?
    pub(super) is_here: bool,
    pub(super) entrance: Arc<ArcSwap<Entrance>>,
    pub(super) addresses: Arc<SharedAddresses>,
    /// Clients that have no session yet.
    pub(super) arrivals: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl Hall {
    /// Leads a client to its session.
    pub(super) fn receive(&self, accepted: Accepted) {
        let Accepted { stream, mut arrival, passage } = accepted;
        let entrance = self.entrance.load();
        arrival.protocol = entrance.protocol.clone();
        if entrance.notes_local || !self.addresses.is_empty() {
            let local = stream.local_addr().ok();
            arrival.here = local.and_then(|local| self.addresses.arrive(local.ip()));
            arrival.local = local.filter(|_| entrance.notes_local);
        }
        if arrival.is_lost() {
            // The client is to try again at once, and not to wait for an answer that cannot be sent any more.
            let _ = stream.set_zero_linger();
            let end = End::new(Who::Gateway, Phase::Accept, "address-lost");
            return session::turned_away(&self.shared, arrival, &end);
        }
        if entrance.is_open() {
            self.seat(arrival, stream.into(), passage);
            return;
        }
        let (hall, entrance) = (self.clone(), Guard::into_inner(entrance));
        self.arrivals.spawn(async move { hall.admit(&entrance, stream, arrival, passage).await });
    }

    /// Waits for what comes before AMQP.
    async fn admit(
        &self,
        entrance: &Entrance,
        tcp: tokio::net::TcpStream,
        mut arrival: Arrival,
        passage: Passage,
    ) {
        let began = Instant::now();
        let timeout = self.shared.snapshot.load().handshake_timeout;
        let lost = arrival.here.as_ref().map(|here| here.lost().clone());
        let lost = async {
            match &lost {
                Some(lost) => lost.cancelled().await,
                None => pending().await,
            }
        };
        let outcome = {
            // Pinned here: every other hand that it went through would keep room for all of it, for each stranger.
            let admitted = pin!(entrance.admit(tcp, &mut arrival, timeout));
            tokio::select! {
                biased;
                () = self.stop.cancelled() => Err("drained"),
                () = lost => Err("address-lost"),
                admitted = admitted => Ok(admitted),
            }
        };
        let end = match outcome {
            Ok(Ok(stream)) => {
                if let Some(tls) = &arrival.tls {
                    self.shared.metrics.tls_handshake(tls.version, tls.resumed, began.elapsed());
                }
                return self.seat(arrival, stream, passage);
            }
            Ok(Err(Refused { phase, reason, detail })) => {
                End { detail, ..End::new(Who::Client, phase, reason) }
            }
            Err(reason) => End::new(Who::Gateway, Phase::Drain, reason),
        };
        session::turned_away(&self.shared, arrival, &end);
    }

    /// Begins a session on the thread where it is to live.
    fn seat(&self, arrival: Arrival, stream: Stream, passage: Passage) {
        let (shared, seat) = (self.shared.clone(), self.workers.seat(&self.worker));
        if self.is_here && Arc::ptr_eq(seat.worker(), &self.worker) {
            let serving = session::serve(shared, arrival, stream, seat, passage);
            self.worker.runtime().spawn(serving);
            return;
        }
        let there = seat.worker().runtime().clone();
        let detached = stream.detach();
        let hand_over = async move {
            match detached.and_then(crate::stream::Detached::attach) {
                Ok(stream) => {
                    tokio::spawn(session::serve(shared, arrival, stream, seat, passage));
                }
                Err(error) => {
                    let (listener, client) = (&arrival.listener, arrival.client);
                    warn!(%listener, %client, %error, "cannot hand a client over");
                }
            }
        };
        self.arrivals.spawn_on(hand_over, &there);
    }
}

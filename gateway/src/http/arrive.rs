//! A connection from accept to its first request: over the entrance of its listener.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::timeout_at;

use super::exchange::{Exchange, Reason};
use super::headers::Asker;
use super::pulse::{Limits, Pulse};
use super::stall::{self, Stall};
use super::{HttpListener, Shared, connection};
use crate::config::model::ProxyIn;
use crate::gate::Passage;
use crate::listener::accept::Accepted;
use crate::stream::Stream;
use crate::stream::arrival::Arrival;

/// From one request of a connection to the next.
const IDLE: Duration = Duration::from_secs(60);
/// How the first byte of TLS is known: a handshake record (RFC 8446 section 5.1).
const HANDSHAKE_RECORD: u8 = 0x16;

/// A client, for as long as its connection is there.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) listener: Arc<HttpListener>,
    /// What is known of it.
    pub(super) arrival: Arrival,
    /// Where it arrived.
    pub(super) local: SocketAddr,
    pub(super) speaks: Speaks,
    pub(super) stall: Stall,
    pulse: Mutex<Pulse>,
    _passage: Passage,
}

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    Http,
    Https,
    /// HTTP, where https is spoken.
    PlainOnTls,
}

impl Client {
    pub(super) fn pulse(&self) -> MutexGuard<'_, Pulse> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who asks, for the node to know.
    pub(super) fn asker(&self) -> Asker {
        let address = self.arrival.client.ip().to_canonical();
        let entrance = self.listener.entrance.load();
        let trusted = entrance.trusted_proxies.iter().any(|network| network.contains(&address));
        let tls = self.speaks == Speaks::Https;
        Asker { address, port: self.local.port(), tls, trusted }
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(shared: Arc<Shared>, listener: Arc<HttpListener>, accepted: Accepted) {
    let Accepted { stream, mut arrival, passage } = accepted;
    let Ok(local) = stream.local_addr() else { return };
    arrival.here = shared.addresses.arrive(local.ip());
    let lost = arrival.here.as_ref().map(|here| here.lost().clone()).unwrap_or_default();
    if lost.is_cancelled() {
        let _ = stream.set_zero_linger();
        return;
    }
    let (head, began) = (shared.head(), Instant::now());
    let arriving = admit(&listener, stream, &mut arrival, head);
    let arrived = tokio::select! {
        arrived = arriving => arrived,
        () = listener.stop.cancelled() => return,
        () = lost.cancelled() => return,
    };
    if let (Ok((_, Speaks::Https)), Some(tls)) = (&arrived, &arrival.tls) {
        shared.metrics.tls_handshake(tls.version, tls.resumed, began.elapsed());
    }
    let speaks = arrived.as_ref().map_or(Speaks::Http, |(_, speaks)| *speaks);
    let limits = Limits { head, idle: IDLE };
    let said = std::mem::take(&mut arrival.said);
    let client = Arc::new(Client {
        listener,
        // A proxy tells where the client has connected to.
        local: arrival.local.unwrap_or(local),
        speaks,
        stall: Stall::new(stall::LIMIT),
        pulse: Mutex::new(Pulse::new(limits, arrival.accepted)),
        arrival,
        _passage: passage,
    });
    match arrived {
        Ok((stream, _)) => connection::serve(shared, client, said, stream).await,
        // A port that is only looked at is no news.
        Err(None) => {}
        Err(Some((reason, detail))) => Exchange::ended(&shared, &client, reason, detail),
    }
}

/// The connection, ready for requests; or why it is not, if there is anything to say.
async fn admit(
    listener: &HttpListener,
    tcp: TcpStream,
    arrival: &mut Arrival,
    head: Duration,
) -> Result<(Stream, Speaks), Option<(Reason, String)>> {
    // Those who have come go through as it is now.
    let entrance = listener.entrance.load_full();
    if entrance.tls.is_some() && entrance.proxy_protocol == ProxyIn::Off {
        // Whoever speaks plain HTTP here can be told so in HTTP, as long as nobody has read any of it.
        let mut first = [0];
        let deadline = arrival.accepted + head;
        match timeout_at(deadline.into(), tcp.peek(&mut first)).await {
            Ok(Ok(1..)) if first[0] == HANDSHAKE_RECORD => {}
            Ok(Ok(1..)) => return Ok((tcp.into(), Speaks::PlainOnTls)),
            Ok(Ok(0) | Err(_)) | Err(_) => return Err(None),
        }
    }
    let speaks = if entrance.tls.is_some() { Speaks::Https } else { Speaks::Http };
    match entrance.admit(tcp, arrival, head).await {
        Ok(stream) => Ok((stream, speaks)),
        Err(refused) => Err(refused.detail.map(|detail| (Reason::Refused(refused.reason), detail))),
    }
}

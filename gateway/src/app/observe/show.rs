//! Sessions, as the API shows them.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use super::list::Row;
use super::routes;
use crate::admin::view::session::Session;
use crate::app::operator::time;
use crate::config::model::{self, Protocol};
use crate::session::registry;

/// One moment on both clocks: sessions know the one that never jumps, people the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) wall: SystemTime,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { now: Instant::now(), wall: SystemTime::now() }
    }

    /// The time of day at `then`.
    pub(super) fn wall_at(self, then: Instant) -> SystemTime {
        let ago = self.now.saturating_duration_since(then);
        self.wall.checked_sub(ago).unwrap_or(self.wall)
    }

    /// As RFC 3339 has it.
    pub(super) fn time_at(self, then: Instant) -> String {
        time(self.wall_at(then))
    }
}

/// Everything of a row; `routes` are those in force.
pub(super) fn session(row: &Row, routes: &[model::Route], moment: Moment) -> Session {
    let (session, facts) = (&*row.session, row.facts());
    let arrival = &session.arrival;
    let tls = arrival.tls.as_deref();
    let software = facts.map(|facts| &facts.software);
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let of_software =
        |text: fn(&registry::Software) -> &Option<Box<str>>| owned(text(software?).as_deref());
    let held = |by: &std::sync::atomic::AtomicU8| by.load(Ordering::Relaxed) != 0;
    Session {
        id: session.id.0,
        state: row.state.name().to_owned(),
        listener: row.listener().to_owned(),
        protocol: protocol(session).to_owned(),
        source: arrival.client.to_string(),
        proxy: arrival.proxy.map(|proxy| proxy.to_string()),
        tls: tls.map(|tls| tls.version.to_owned()),
        cipher: tls.map(|tls| tls.cipher.to_owned()),
        sni: owned(arrival.sni.as_deref()),
        common_name: owned(arrival.common_name()),
        client: of_software(|software| &software.connection_name),
        product: of_software(|software| &software.product),
        version: of_software(|software| &software.version),
        platform: of_software(|software| &software.platform),
        user: owned(row.user()),
        vhost: owned(row.vhost()),
        route: row.route().map(|position| routes::label_at(position, routes)),
        cluster: owned(row.node().map(|(cluster, _)| cluster)),
        node: owned(row.node().map(|(_, node)| node)),
        channels: row.channels,
        unconfirmed: row.unconfirmed,
        heartbeat_s: session.heard.heartbeat.load(Ordering::Relaxed),
        since: moment.time_at(arrival.accepted),
        age_s: moment.now.saturating_duration_since(arrival.accepted).as_secs_f64(),
        handshake_ms: facts.map(|facts| millis(facts.handshake.0 + facts.handshake.1)),
        waited_ms: millis(session.held_for()),
        client_held: held(&session.heard.client_held),
        node_held: held(&session.heard.node_held),
        totals: row.totals,
        rates: row.rates,
    }
}

/// What is spoken, as far as it is known.
fn protocol(session: &registry::Session) -> &'static str {
    match (&session.arrival.protocol, session.facts()) {
        (Protocol::Tcp { .. }, _) => "tcp",
        (Protocol::TlsPassthrough { .. }, _) => "tls-passthrough",
        (_, None) => "unknown",
        // In AMQP 1.0 nothing is read, so no vhost is known.
        (_, Some(facts)) if facts.vhost.is_none() => "amqp-1.0",
        (_, Some(_)) => "amqp-0-9-1",
    }
}

fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::observe::samples;

    #[test]
    fn a_session_is_shown_with_what_its_handshake_told() {
        let session = samples::session(7);
        session.counters.published.set(3);
        session.heard.heartbeat.store(60, Ordering::Relaxed);
        session.heard.client_held.store(1, Ordering::Relaxed);
        let shown = super::session(&Row::of(session), &[], Moment::now());
        assert_eq!((shown.id, &*shown.state, &*shown.protocol), (7, "open", "amqp-0-9-1"));
        assert_eq!(shown.source, "10.0.0.7:4000");
        assert_eq!((shown.user.as_deref(), shown.vhost.as_deref()), (Some("u1"), Some("v1")));
        assert_eq!((shown.cluster.as_deref(), shown.node.as_deref()), (Some("main"), Some("n3")));
        assert_eq!(shown.client.as_deref(), Some("Worker 7"));
        assert_eq!(shown.handshake_ms, Some(3.0));
        assert_eq!((shown.heartbeat_s, shown.client_held, shown.node_held), (60, true, false));
        assert_eq!(shown.totals.published, 3);
    }
}

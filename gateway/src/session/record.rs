//! What is left of a session: its access record, its metrics, its share in the sums.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tracing::{Level, info, warn};

use super::end::{End, Phase, Who};
use super::ledger::Ledger;
use super::registry::{Session, Software};
use super::{Failed, Live, Shared};
use crate::config::model::ClusterName;
use crate::stream::arrival::Arrival;
use crate::telemetry::access::{AccessRecord, Messages, Protocol};
use crate::telemetry::metrics::Stage;

/// Most pairs of vhost and cluster whose sums are kept; further vhosts count as `other`.
const MOST_SUMS: usize = 2000;

/// What ended sessions have counted.
#[derive(Debug, Default)]
pub struct Ended {
    /// Messages, by vhost and cluster.
    sums: Mutex<HashMap<(Arc<str>, ClusterName), Messages>>,
    /// By vhost, by user, and of all.
    pub ledger: Ledger,
}

impl Ended {
    /// Adds a session that has ended.
    pub fn add(&self, session: &Session) {
        self.ledger.add(session);
        let Some(facts) = session.facts() else { return };
        let Some(vhost) = &facts.vhost else { return };
        let more = messages(session);
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (vhost.clone(), facts.node.cluster.clone());
        if sums.len() >= MOST_SUMS && !sums.contains_key(&key) {
            // Clients choose the names of vhosts, and a route may give many names to one.
            key.0 = "other".into();
        }
        sums.entry(key).or_default().add(&more);
    }

    /// Calls `look` with each vhost, cluster and sum.
    pub fn each(&self, mut look: impl FnMut(&str, &ClusterName, &Messages)) {
        let sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        for ((vhost, cluster), sum) in sums.iter() {
            look(vhost, cluster, sum);
        }
    }
}

/// What a session has counted.
#[must_use]
pub fn messages(session: &Session) -> Messages {
    let counters = &session.counters;
    Messages {
        published: counters.published.get(),
        delivered: counters.delivered.get(),
        acknowledged: counters.acknowledged.get(),
        confirmed: counters.confirmed.get(),
        returned: counters.returned.get(),
    }
}

/// Writes down that a client was turned away before its session began.
pub fn turned_away(shared: &Shared, arrival: Arrival, end: &End) {
    let session = Session::new(shared.registry.next_id(), arrival);
    record(shared, &session, end, Protocol::Unknown, (None, None));
}

impl Live {
    /// Writes down how the session ended.
    pub(super) fn record(
        &self,
        end: &End,
        protocol: Protocol,
        channels_peak: Option<u16>,
        failed: Option<&Failed>,
    ) {
        record(&self.shared, &self.session, end, protocol, (channels_peak, failed));
    }
}

fn record(
    shared: &Shared,
    session: &Session,
    end: &End,
    protocol: Protocol,
    (channels_peak, failed): (Option<u16>, Option<&Failed>),
) {
    let metrics = &shared.metrics;
    let duration = session.arrival.accepted.elapsed();
    metrics.session_ended(&session.arrival.listener.0, end.reason, duration);
    match session.facts() {
        Some(facts) => {
            let (client, upstream) = facts.handshake;
            metrics.handshake(Stage::Client, client);
            metrics.handshake(Stage::Upstream, upstream);
            metrics.handshake(Stage::Total, client + upstream);
        }
        None => metrics.handshake_failed(&session.arrival.listener.0, end.reason),
    }
    if let Some(failed) = failed.filter(|_| is_refusal(end)) {
        let (user, vhost) = (failed.user.as_deref(), failed.vhost.as_deref());
        shared.ended.ledger.refused(session, user, vhost);
    }
    log(session, end);
    let Some(access) = &shared.access else { return };
    let facts = session.facts();
    let unknown = Software::default();
    let software = match (facts, failed) {
        (Some(facts), _) => &facts.software,
        (None, Some(failed)) => &failed.software,
        (None, None) => &unknown,
    };
    let user = facts.map_or_else(|| failed?.user.as_deref(), |f| f.user.as_deref());
    let vhost = facts.map_or_else(|| failed?.vhost.as_deref(), |f| f.vhost.as_deref());
    access.write(&AccessRecord {
        time: SystemTime::now(),
        session: session.id.0,
        listener: &session.arrival.listener.0,
        client: session.arrival.client,
        proxy: session.arrival.proxy,
        sni: session.arrival.sni.as_deref(),
        tls: session.arrival.tls.as_deref(),
        protocol,
        user: user.map(str::as_bytes),
        vhost: vhost.map(str::as_bytes),
        product: software.product.as_deref().map(str::as_bytes),
        version: software.version.as_deref().map(str::as_bytes),
        platform: software.platform.as_deref().map(str::as_bytes),
        connection_name: software.connection_name.as_deref().map(str::as_bytes),
        cluster: facts.map_or_else(|| failed?.cluster.as_deref(), |f| Some(&*f.node.cluster.0)),
        node: facts.map_or_else(|| failed?.node.as_deref(), |f| Some(&*f.node.name)),
        handshake_client: facts.map(|f| f.handshake.0),
        handshake_upstream: facts.map(|f| f.handshake.1),
        duration,
        bytes_from_client: session.counters.bytes_from_client.get(),
        bytes_from_node: session.counters.bytes_from_node.get(),
        messages: channels_peak.map(|_| messages(session)),
        channels_peak,
        who: end.who,
        phase: end.phase,
        reason: end.reason,
        reply_code: end.close.as_ref().map(|c| c.code.0),
        reply_text: end.close.as_ref().map(|c| c.text().as_bytes()),
    });
}

/// Was a session turned away that had not begun? Whoever goes, or is told to go as all are, was not refused.
fn is_refusal(end: &End) -> bool {
    !matches!(end.who, Who::Client | Who::Operator) && end.phase != Phase::Drain
}

/// A line for what an operator may want to act on; the rest is in the access record.
fn log(session: &Session, end: &End) {
    let level = match (end.who, end.phase) {
        (Who::Node, _) | (Who::Gateway, Phase::Accept | Phase::Connect) => Level::WARN,
        _ if end.detail.is_some() => Level::INFO,
        _ => return,
    };
    let (listener, client) = (&session.arrival.listener, session.arrival.client);
    let session = format!("{:016x}", session.id.0);
    let detail = end.detail.as_deref().unwrap_or_default();
    let close = end.close.as_ref().map(ToString::to_string).unwrap_or_default();
    let reason = end.reason;
    if level == Level::WARN {
        warn!(session, %listener, %client, reason, close, detail, "session ended");
    } else {
        info!(session, %listener, %client, reason, close, detail, "session ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_was_turned_away_counts_as_refused() {
        for (who, phase, refused) in [
            (Who::Gateway, Phase::Route, true),
            (Who::Node, Phase::Connect, true),
            (Who::Client, Phase::Connect, false),
            (Who::Operator, Phase::Relay, false),
            (Who::Gateway, Phase::Drain, false),
        ] {
            assert_eq!(
                is_refusal(&End::new(who, phase, "client-gone")),
                refused,
                "{who:?} {phase:?}"
            );
        }
    }
}

//! Folds what the hot path counts into each scrape.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use amqp_codec::frame::method;

use super::Gateway;
use super::listeners::Known;
use crate::cluster::condition::{AdminState, Verdict};
use crate::cluster::node::Node;
use crate::config::model::{ClusterName, ListenerName};
use crate::gate::Gate;
use crate::session::Shared;
use crate::session::record::messages;
use crate::telemetry::access::Messages;
use crate::telemetry::counters::Traffic;
use crate::telemetry::metrics::Scrape;
use crate::telemetry::names;
use crate::telemetry::sink::Sink;
use crate::vrrp::board::Board;
use crate::vrrp::talk::{Alarm, State};
use crate::worker::Workers;

impl Gateway {
    /// Adds the collectors.
    pub(super) fn collect(&self, sink: &Sink) {
        let metrics = &self.shared.metrics;
        let (listening, sink, gates) = (self.listeners.known(), sink.handle(), Mutex::default());
        metrics.add_collector(move |scrape| {
            let mut gates = gates.lock().unwrap_or_else(PoisonError::into_inner);
            sessions_of_listeners(scrape, &listening.load(), &mut gates);
            scrape.counter(&names::LOG_LINES_DROPPED_TOTAL, &[], sink.dropped());
        });
        let tls = self.tls.clone();
        metrics.add_collector(move |scrape| tls.load().report(scrape));
        let workers = Arc::downgrade(&self.workers);
        metrics.add_collector(move |scrape| {
            if let Some(workers) = workers.upgrade() {
                traffic(scrape, &workers);
                sessions_of_workers(scrape, &workers);
            }
        });
        let board = self.board.clone();
        let seen = Mutex::default();
        metrics.add_collector(move |scrape| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            virtual_routers(scrape, &board, &mut seen);
        });
        let shared = Arc::downgrade(&self.shared);
        let seen = Mutex::default();
        metrics.add_collector(move |scrape| {
            if let Some(shared) = shared.upgrade() {
                sessions(scrape, &shared);
                nodes(scrape, &shared, &mut seen.lock().unwrap_or_else(PoisonError::into_inner));
            }
        });
    }
}

/// The gates of earlier scrapes.
type Gates = Vec<(ListenerName, Weak<Gate>)>;

/// A listener that is gone is told as long as it has sessions, and then with 0 once more.
fn sessions_of_listeners(scrape: &mut Scrape<'_>, known: &[Known], gates: &mut Gates) {
    for Known { listener, .. } in known {
        let gate = Arc::downgrade(&listener.gate);
        if !gates.iter().any(|(_, seen)| seen.ptr_eq(&gate)) {
            gates.push((listener.name.clone(), gate));
        }
    }
    let mut live = BTreeMap::<_, usize>::new();
    for (name, gate) in &*gates {
        *live.entry(name).or_default() += gate.upgrade().map_or(0, |gate| gate.live());
    }
    for (name, live) in live {
        scrape.gauge(&names::SESSIONS, &[&name.0], live as f64);
    }
    gates.retain(|(_, gate)| gate.strong_count() > 0);
}

fn traffic(scrape: &mut Scrape<'_>, workers: &Workers) {
    for worker in workers.all() {
        let counters = &worker.counters;
        let directions =
            [("from_client", &counters.from_client), ("from_node", &counters.from_node)];
        for (direction, Traffic { bytes, frames }) in directions {
            scrape.counter(&names::BYTES_TOTAL, &[direction], bytes.get());
            for (index, count) in frames.iter().map(|c| c.get()).enumerate() {
                if count > 0 {
                    let labels = [direction, method::name(index)];
                    scrape.counter(&names::FRAMES_TOTAL, &labels, count);
                }
            }
        }
    }
}

fn sessions_of_workers(scrape: &mut Scrape<'_>, workers: &Workers) {
    for (number, worker) in workers.all().iter().enumerate() {
        let sessions = worker.sessions() as f64;
        scrape.gauge(&names::WORKER_SESSIONS, &[&number.to_string()], sessions);
    }
}

/// Ended sessions first: one that ends meanwhile is missed until the next scrape, and never counted twice. The exporter
/// lets no counter fall.
fn sessions(scrape: &mut Scrape<'_>, shared: &Shared) {
    shared.ended.each(|vhost, cluster, sums| {
        count(scrape, vhost, &cluster.0, sums);
        // Where the last session has gone nothing waits for a confirm any more.
        scrape.gauge(&names::MESSAGES_UNCONFIRMED, &[vhost, &cluster.0], 0.0);
    });
    let mut channels = 0;
    shared.registry.each(|session| {
        channels += session.counters.channels.get();
        let Some(facts) = session.facts() else { return };
        let Some(vhost) = &facts.vhost else { return };
        let cluster = &facts.node.cluster.0;
        count(scrape, vhost, cluster, &messages(session));
        let unconfirmed = session.counters.unconfirmed.get() as f64;
        scrape.gauge(&names::MESSAGES_UNCONFIRMED, &[vhost, cluster], unconfirmed);
    });
    scrape.gauge(&names::CHANNELS, &[], channels as f64);
}

fn count(scrape: &mut Scrape<'_>, vhost: &str, cluster: &str, sums: &Messages) {
    let labels = [vhost, cluster];
    scrape.counter(&names::MESSAGES_PUBLISHED_TOTAL, &labels, sums.published);
    scrape.counter(&names::MESSAGES_DELIVERED_TOTAL, &labels, sums.delivered);
    scrape.counter(&names::MESSAGES_ACKNOWLEDGED_TOTAL, &labels, sums.acknowledged);
    scrape.counter(&names::MESSAGES_RETURNED_TOTAL, &labels, sums.returned);
    scrape.counter(&names::MESSAGES_CONFIRMED_TOTAL, &labels, sums.confirmed);
}

/// The nodes of earlier scrapes, by cluster and name.
type Seen = HashMap<(ClusterName, Arc<str>), Weak<Node>>;

fn nodes(scrape: &mut Scrape<'_>, shared: &Shared, seen: &mut Seen) {
    let snapshot = shared.snapshot.load();
    for cluster in snapshot.clusters.values() {
        if let Some(admission) = &cluster.admission {
            let labels = [&*cluster.name.0];
            scrape.gauge(&names::ADMISSION_WAITING, &labels, admission.waiting() as f64);
        }
        cluster.nodes().iter().for_each(|node| health(scrape, node));
        for name in cluster.names() {
            let labels = [&*cluster.name.0, &*name.section];
            let unresolved = f64::from(u8::from(name.trouble.is_some()));
            scrape.gauge(&names::NODE_NAME_UNRESOLVED, &labels, unresolved);
        }
    }
    for cluster in snapshot.all_clusters() {
        for node in cluster.gone().iter().chain(cluster.nodes().iter()) {
            seen.insert((cluster.name.clone(), node.name.clone()), Arc::downgrade(node));
        }
    }
    // One that is gone is told with 0 once more: else its gauge would stay as it was.
    seen.retain(|(cluster, name), node| {
        let sessions = node.upgrade().map(|node| node.sessions());
        scrape.gauge(&names::NODE_SESSIONS, &[&cluster.0, name], sessions.unwrap_or(0) as f64);
        sessions.is_some()
    });
    scrape.gauge(&names::CONFIG_REVISION, &[], snapshot.revision as f64);
}

/// `seen`: names of earlier scrapes.
fn virtual_routers(scrape: &mut Scrape<'_>, board: &Board, seen: &mut BTreeSet<Arc<str>>) {
    let routers = board.list();
    // One that is gone is told with 0 once more: else it would stay as it was.
    seen.retain(|name| {
        routers.iter().any(|(router, _)| router.name == *name) || {
            for state in State::ALL {
                scrape.gauge(&names::VRRP_STATE, &[name, state.name()], 0.0);
            }
            for alarm in Alarm::ALL {
                scrape.gauge(&names::VRRP_ALARM, &[name, alarm.name()], 0.0);
            }
            false
        }
    });
    for (router, known) in routers {
        let name = &*router.name;
        seen.insert(router.name.clone());
        if let Some(status) = &known.status {
            for state in State::ALL {
                let is = f64::from(u8::from(state == status.state));
                scrape.gauge(&names::VRRP_STATE, &[name, state.name()], is);
            }
            scrape.gauge(&names::VRRP_PRIORITY, &[name], f64::from(status.priority));
        }
        for state in State::ALL {
            let count = known.transitions.get(state.name()).copied().unwrap_or(0);
            scrape.counter(&names::VRRP_TRANSITIONS_TOTAL, &[name, state.name()], count);
        }
        for alarm in Alarm::ALL {
            let is = known.alarms.iter().any(|(other, _)| *other == alarm);
            let labels = [name, alarm.name()];
            scrape.gauge(&names::VRRP_ALARM, &labels, f64::from(u8::from(is)));
        }
        let totals = &known.totals;
        scrape.counter(&names::VRRP_ADVERTISEMENTS_TOTAL, &[name, "sent"], totals.sent);
        scrape.counter(&names::VRRP_ADVERTISEMENTS_TOTAL, &[name, "received"], totals.received);
        for (reason, count) in &totals.errors {
            scrape.counter(&names::VRRP_ERRORS_TOTAL, &[name, reason], *count);
        }
        scrape.counter(&names::VRRP_ANNOUNCEMENTS_TOTAL, &[name], totals.announced);
    }
}

fn health(scrape: &mut Scrape<'_>, node: &Node) {
    let (cluster, name, says) = (&*node.cluster.0, &*node.name, node.condition.says());
    let (verdict, admin) = (node.condition.verdict(), node.condition.admin());
    let up = verdict != Verdict::Down && !says.minority;
    scrape.gauge(&names::NODE_UP, &[cluster, name], f64::from(u8::from(up)));
    let states = [
        ("unknown", verdict == Verdict::Unknown),
        ("up", verdict == Verdict::Up),
        ("down", verdict == Verdict::Down),
        ("alarm", says.alarmed()),
        ("maintenance", says.maintenance),
        ("minority", says.minority),
        ("quorum-critical", says.quorum_critical),
        ("draining", admin == AdminState::Draining),
        ("disabled", admin == AdminState::Disabled),
    ];
    for (state, is) in states {
        scrape.gauge(&names::NODE_STATE, &[cluster, name, state], f64::from(u8::from(is)));
    }
    for report in &node.report.load().checks {
        let labels = [cluster, name, report.check.name()];
        scrape.gauge(&names::NODE_PROBE_SECONDS, &labels, report.latency.as_secs_f64());
    }
}

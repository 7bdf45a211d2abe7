//! What is wrong now, and what to do. docs/operations.md lists them.

use std::time::{Instant, SystemTime};

use super::certificates::days_left;
use super::listeners::{self, Door};
use super::sums::serves;
use crate::admin::view::status::{Alarm, Severity};
use crate::app::operator::time;
use crate::app::reload::outcome::Outcome;
use crate::cluster::Cluster;
use crate::cluster::condition::Verdict;
use crate::cluster::node::Node;
use crate::config::model::VirtualRouter;
use crate::snapshot::Snapshot;
use crate::telemetry::events::Event;
use crate::telemetry::process::Usage;
use crate::tls::InUse;
use crate::vrrp::board::Known;
use crate::vrrp::talk::State;

/// Days before the end of a certificate.
const ENDS_SOON: i64 = 14;
const ENDS_NOW: i64 = 3;
/// Hundredths of the limit on open files.
const FULL: u64 = 90;

/// The worst first.
pub(super) fn sorted(mut alarms: Vec<Alarm>) -> Vec<Alarm> {
    alarms.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then_with(|| (&a.kind, &a.subject).cmp(&(&b.kind, &b.subject)))
    });
    alarms
}

/// Of clusters and nodes.
pub(super) fn of_clusters(snapshot: &Snapshot) -> Vec<Alarm> {
    snapshot.clusters.values().flat_map(|cluster| of_cluster(cluster)).collect()
}

fn of_cluster(cluster: &Cluster) -> Vec<Alarm> {
    let nodes = cluster.nodes();
    let serving = nodes.iter().any(|node| serves(node.condition.fitness()));
    let lost = (!serving).then(|| {
        let text = "no node of it works: new sessions try those that are not closed, and are refused with 320 if none answers. Bring a node back, or enable one that is \
                    drained or disabled";
        alarm(Severity::Critical, "cluster", cluster.name.to_string(), text)
    });
    lost.into_iter().chain(nodes.iter().flat_map(|node| of_node(node))).collect()
}

fn of_node(node: &Node) -> Vec<Alarm> {
    let (says, report) = (node.condition.says(), node.report.load());
    let subject = format!("{}/{}", node.cluster, node.name);
    let told = |severity, text: &str| alarm(severity, "node", subject.clone(), text);
    let mut alarms = Vec::new();
    if node.condition.verdict() == Verdict::Down {
        let reason = report.reason.as_deref().map_or_else(String::new, |why| format!(" ({why})"));
        let text = format!(
            "it is down{reason}: new sessions go to other nodes. Look at the broker, and at the network between"
        );
        alarms.push(Alarm { since: report.since.map(time), ..told(Severity::Warning, &text) });
    }
    if says.memory_alarm {
        let text = "the broker is out of memory, and blocks publishers on all nodes of its cluster. Drain its queues, \
                    or raise vm_memory_high_watermark";
        alarms.push(told(Severity::Critical, text));
    }
    if says.disk_alarm {
        let text = "the broker is out of disk space, and blocks publishers on all nodes of its cluster. Make room on \
                    its disk";
        alarms.push(told(Severity::Critical, text));
    }
    if says.maintenance {
        let text = "the broker is in maintenance: it gets no new sessions. `rabbitmq-upgrade revive` there ends it";
        alarms.push(told(Severity::Info, text));
    }
    if says.minority {
        let text = "it has lost the greater part of its cluster, and gets no new sessions. Mend the network between \
                    the brokers";
        alarms.push(told(Severity::Warning, text));
    }
    alarms
}

/// Of listeners that do not accept.
pub(super) fn of_listeners(doors: &[Door], stopping: bool, now: Instant) -> Vec<Alarm> {
    let wrong = |door: &Door| {
        let reason = listeners::wrong(door, stopping, now)?;
        let text = format!(
            "it accepts no clients: {reason}. The log says more; `accepting fails` is for want of open files or memory"
        );
        let severity = if stopping { Severity::Info } else { Severity::Critical };
        Some(alarm(severity, "listener", door.name().to_owned(), &text))
    };
    doors.iter().filter_map(wrong).collect()
}

/// Of a virtual router.
pub(super) fn of_router(router: &VirtualRouter, known: &Known) -> Vec<Alarm> {
    let subject = || router.name.to_string();
    let last = known.history.last();
    let state =
        known.status.as_ref().map(|status| status.state).or_else(|| last.map(|last| last.to));
    let fault = (state == Some(State::Fault)).then(|| {
        let reason = last.map_or_else(String::new, |last| format!(" ({})", last.reason));
        let text = format!(
            "it is in fault{reason}: its addresses are left to other gateways. Mend what it tracks, or its interface"
        );
        let since = last.map(|last| time(last.at));
        Alarm { since, ..alarm(Severity::Critical, "virtual-router", subject(), &text) }
    });
    let alarms = known.alarms.iter();
    let alarms =
        alarms.map(|(_, text)| alarm(Severity::Warning, "virtual-router", subject(), text));
    fault.into_iter().chain(alarms).collect()
}

/// Of certificates that end soon, and of files that cannot be used.
pub(super) fn of_certificates(certificates: &[InUse], now: SystemTime) -> Vec<Alarm> {
    certificates.iter().flat_map(|certificate| of_certificate(certificate, now)).collect()
}

fn of_certificate(certificate: &InUse, now: SystemTime) -> Vec<Alarm> {
    let (leaf, file) = (&certificate.leaf, certificate.leaf.seen.file.display());
    let subject = format!("{}/{}: {}", certificate.used_by, certificate.of, leaf.name);
    let told = |severity, text: &str| alarm(severity, "certificate", subject.clone(), text);
    let until = time(leaf.not_after);
    let ends = match days_left(leaf.not_after, now) {
        ..0 => Some((Severity::Critical, format!("it has expired at {until}"))),
        left @ ..=ENDS_NOW => {
            Some((Severity::Critical, format!("it ends in {left} days, at {until}")))
        }
        left @ ..=ENDS_SOON => {
            Some((Severity::Warning, format!("it ends in {left} days, at {until}")))
        }
        _ => None,
    };
    let ends = ends.map(|(severity, what)| {
        told(severity, &format!("{what}. Renew {file}; the new one is taken over by itself"))
    });
    let refused = certificate.refused.as_ref().map(|why| {
        told(
            Severity::Warning,
            &format!("what is in its file now cannot be used, the one before stays in use: {why}"),
        )
    });
    ends.into_iter().chain(refused).collect()
}

/// Of the configuration: what became of the last order, if that is bad.
pub(super) fn of_config(events: &[std::sync::Arc<Event>]) -> Option<Alarm> {
    let mut all = events.iter().rev();
    let (last, outcome) = all.find_map(|event| Some((event, Outcome::of(event)?)))?;
    let then = match outcome {
        Outcome::Applied | Outcome::Unchanged => return None,
        Outcome::Incomplete => {
            "All else of it is in force. Mend that, and reload: it is tried again"
        }
        Outcome::Refused => "What was in force before still is. Mend the file, and reload",
    };
    let text = format!("{}. {then}", last.what.text);
    let alarm = alarm(Severity::Warning, "config", last.what.subject.clone(), &text);
    Some(Alarm { since: Some(time(last.at)), ..alarm })
}

/// Of the process.
pub(super) fn of_process(gateway: &str, usage: &Usage, drops: bool) -> Vec<Alarm> {
    let told = |text: &str| alarm(Severity::Warning, "gateway", gateway.to_owned(), text);
    let (open, most) = (usage.open_files, usage.max_open_files);
    let full = most > 0 && open.saturating_mul(100) > most.saturating_mul(FULL);
    let full = full.then(|| {
        told(&format!(
            "{open} of {most} open files are in use: when they are used up, no client is accepted. Raise LimitNOFILE or \
             `ulimit -n`, or lower gateway.max_connections"
        ))
    });
    let drops = drops.then(|| {
        told(
            "lines of the log were dropped within the last minutes: where they go to is slower than they come. Look at \
             the disk or at the journal, or set log.level higher",
        )
    });
    full.into_iter().chain(drops).collect()
}

fn alarm(severity: Severity, kind: &str, subject: String, text: &str) -> Alarm {
    Alarm { severity, kind: kind.to_owned(), subject, text: text.to_owned(), since: None }
}

#[cfg(test)]
mod tests;

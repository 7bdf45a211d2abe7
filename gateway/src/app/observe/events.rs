//! What happens to nodes and listeners, told to whoever reads events.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::sums::serves;
use crate::cluster::Cluster;
use crate::cluster::report::{Change, HealthEvent};
use crate::config::model::ClusterName;
use crate::session::Shared;
use crate::telemetry::events::{EventLog, Kind, Severity, What};

/// Tells what is news about nodes, until nobody can have any more.
pub(super) async fn tell_of_nodes(shared: Arc<Shared>, mut news: Receiver<HealthEvent>) {
    let mut lost = HashSet::new();
    loop {
        match news.recv().await {
            Ok(HealthEvent { node, change }) => {
                let subject = format!("{}/{}", node.cluster, node.name);
                let (severity, text) = of_node(&change);
                shared.events.add(What::new(Kind::Node, severity, subject, text));
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
        for cluster in shared.snapshot.load().clusters.values() {
            if let Some(what) = of_cluster(cluster, &mut lost) {
                shared.events.add(what);
            }
        }
    }
}

fn of_node(change: &Change) -> (Severity, String) {
    let (severity, text) = match change {
        Change::Up => (Severity::Info, "up"),
        Change::Down { reason } => return (Severity::Warning, format!("down: {reason}")),
        Change::Maintenance(true) => (Severity::Warning, "in maintenance: it gets no new sessions"),
        Change::Maintenance(false) => (Severity::Info, "out of maintenance"),
        Change::Minority(true) => (Severity::Warning, "on the smaller side of a partition"),
        Change::Minority(false) => {
            (Severity::Info, "not on the smaller side of a partition any more")
        }
        Change::Alarm(true) => (Severity::Critical, "in alarm: its cluster takes no messages"),
        Change::Alarm(false) => (Severity::Info, "out of alarm"),
        Change::QuorumCritical(true) => {
            (Severity::Info, "queues would lose their majority without it: do not stop it")
        }
        Change::QuorumCritical(false) => {
            (Severity::Info, "no queue needs it for its majority any more")
        }
    };
    (severity, text.to_owned())
}

/// A cluster has lost its last node that works, or has one again.
fn of_cluster(cluster: &Cluster, lost: &mut HashSet<ClusterName>) -> Option<What> {
    let name = &cluster.name;
    let works = cluster.nodes().iter().any(|node| serves(node.condition.fitness()));
    let told = |severity, text| Some(What::new(Kind::Cluster, severity, name.to_string(), text));
    match works {
        true if lost.remove(name) => told(Severity::Info, "has a node that works again"),
        false if lost.insert(name.clone()) => told(Severity::Critical, "no node of it works"),
        _ => None,
    }
}

/// What is wrong with listeners, as it was told last.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<HashMap<String, &'static str>>);

impl Trouble {
    /// Tells what is news: `now` are those that do not accept, and why.
    pub(super) fn look(&self, now: HashMap<String, &'static str>, events: &EventLog) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (listener, reason) in now.iter().filter(|(listener, _)| !told.contains_key(*listener)) {
            let text = format!("listener {listener} accepts no clients: {reason}");
            events.add(What::new(Kind::Gateway, Severity::Critical, listener, text));
        }
        for listener in told.keys().filter(|listener| !now.contains_key(*listener)) {
            let text = format!("listener {listener} accepts clients again");
            events.add(What::new(Kind::Gateway, Severity::Info, listener, text));
        }
        *told = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::condition::Verdict;
    use crate::config::model::samples;

    #[test]
    fn a_cluster_that_loses_its_last_node_is_told_of_once() {
        let cluster = Cluster::new(&samples::cluster("main", vec![samples::node("r1", 5672)]));
        let mut lost = HashSet::new();
        let mut told = || of_cluster(&cluster, &mut lost).map(|what| what.severity);
        assert_eq!(told(), None);
        cluster.nodes()[0].condition.set_verdict(Verdict::Down);
        assert_eq!([told(), told()], [Some(Severity::Critical), None]);
        cluster.nodes()[0].condition.set_verdict(Verdict::Up);
        assert_eq!([told(), told()], [Some(Severity::Info), None]);
    }

    #[test]
    fn a_listener_in_trouble_is_told_of_once_and_when_it_is_over() {
        let (trouble, events) = (Trouble::default(), EventLog::default());
        let wrong = || HashMap::from([("amqp".to_owned(), "accepting fails")]);
        trouble.look(wrong(), &events);
        trouble.look(wrong(), &events);
        trouble.look(HashMap::new(), &events);
        trouble.look(HashMap::new(), &events);
        let told: Vec<_> = events.since(0).iter().map(|event| event.what.severity).collect();
        assert_eq!(told, [Severity::Critical, Severity::Info]);
    }
}

//! Keeps the nodes behind names up to date: a name that is given as a node's address stands for all it leads to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tracing::{info, warn};

use super::Cluster;
use super::lookup::{Answer, Lookup};
use super::node::Node;
use crate::config::model;

/// A cluster asks again at least this much later after a lookup has failed.
const RETRY_SOONEST: Duration = Duration::from_secs(1);

/// The names among the addresses of a cluster's nodes, and what troubles them.
#[derive(Debug)]
pub(super) struct Names {
    states: Mutex<Vec<NameState>>,
}

/// A section of the configuration that gives a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameState {
    /// The name of the section.
    pub section: Arc<str>,
    /// Why it does not resolve, if so. Its last nodes stay in use.
    pub trouble: Option<String>,
}

impl Names {
    /// None of which has been looked up yet.
    pub(super) fn new(sections: &[model::Node]) -> Self {
        let named = sections.iter().filter(|section| section.address.literal().is_none());
        let state = |section: &model::Node| NameState {
            section: section.name.clone(),
            trouble: Some("not looked up yet".to_owned()),
        };
        Self { states: Mutex::new(named.map(state).collect()) }
    }

    /// Those of `sections`. What is known of a name that stood there `before` is not forgotten.
    pub(super) fn after(old: &Self, before: &[model::Node], sections: &[model::Node]) -> Self {
        let new = Self::new(sections);
        for section in sections {
            let stays =
                before.iter().any(|o| o.name == section.name && o.address == section.address);
            let states = old.states.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(state) = states.iter().find(|s| stays && s.section == section.name) {
                new.note(&section.name, state.trouble.clone());
            }
        }
        new
    }

    /// Notes how a lookup went; returns what the trouble was before.
    fn note(&self, section: &str, trouble: Option<String>) -> Option<String> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let state = states.iter_mut().find(|state| &*state.section == section)?;
        std::mem::replace(&mut state.trouble, trouble)
    }
}

impl Cluster {
    /// The names among its nodes' addresses.
    #[must_use]
    pub fn names(&self) -> Vec<NameState> {
        self.names.states.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes on these IPv4 addresses for the name of a section.
    #[cfg(test)]
    pub(crate) fn lead_to(&self, section: &str, addresses: &[[u8; 4]]) {
        let target = |&ip: &[u8; 4]| super::target::Target::at((ip, 5672).into());
        let targets = addresses.iter().map(target).collect();
        let section = self.model.nodes.iter().find(|node| *node.name == *section);
        let section = section.expect("a section of this name");
        self.take_on(section, &Answer { targets, trouble: None });
    }

    /// Looks up all its names once, side by side, and takes on what they lead to.
    pub async fn discover(&self, lookup: &Lookup) {
        let named = self.model.nodes.iter().filter(|node| node.address.literal().is_none());
        let answers = join_all(named.map(async |section| {
            let answer = lookup.find(&section.address).await;
            (section, answer)
        }));
        for (section, answer) in answers.await {
            self.take_on(section, &answer);
        }
    }

    /// Looks up its names again and again, sooner while one of them does not resolve. Ends at once if it has none.
    pub async fn keep_discovered(self: Arc<Self>, lookup: Lookup) {
        while let Some(pause) = self.pause() {
            tokio::time::sleep(pause.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
            self.discover(&lookup).await;
        }
    }

    fn pause(&self) -> Option<Duration> {
        let names = self.names();
        let regular = self.model.resolve_interval;
        match names.iter().any(|name| name.trouble.is_some()) {
            _ if names.is_empty() => None,
            true => Some((regular / 10).max(RETRY_SOONEST).min(regular)),
            false => Some(regular),
        }
    }

    /// Takes on what the name of a section leads to. A node that is there already stays the same, with its sessions and
    /// all that is known of it; one that is not found any more gets no new sessions, and keeps those it has.
    fn take_on(&self, section: &model::Node, answer: &Answer) {
        let before = self.nodes();
        let old: Vec<_> = before.iter().filter(|n| n.section == section.name).cloned().collect();
        let new = self.members(section, answer, &old);
        self.tell(section, answer, &old, &new);
        if old.len() == new.len() && new.iter().all(|node| holds(&old, node)) {
            return;
        }
        let of_section = |name: &Arc<str>| match *name == section.name {
            true => new.clone(),
            false => before.iter().filter(|node| node.section == *name).cloned().collect(),
        };
        let all = self.model.nodes.iter().flat_map(|section| of_section(&section.name));
        self.nodes.store(Arc::new(all.collect()));
    }

    fn members(&self, section: &model::Node, answer: &Answer, old: &[Arc<Node>]) -> Vec<Arc<Node>> {
        let mut members: Vec<_> = answer
            .targets
            .iter()
            .map(|target| {
                let node = self.known.node(&self.name, section, target);
                if self.is_in_force() {
                    node.told(section, target);
                }
                node
            })
            .collect();
        if answer.trouble.is_some() {
            // Better a node that may be gone than none: sessions find out by themselves.
            let found: Vec<_> = members.iter().map(|node| node.address).collect();
            members.extend(old.iter().filter(|node| !found.contains(&node.address)).cloned());
        }
        members
    }

    fn tell(&self, section: &model::Node, answer: &Answer, old: &[Arc<Node>], new: &[Arc<Node>]) {
        let (cluster, name, address) = (&self.name, &section.name, &section.address);
        let before = self.names.note(name, answer.trouble.clone());
        match &answer.trouble {
            Some(cause) if before.as_ref() != Some(cause) => warn!(
                %cluster, node = %name, %address, cause, known = new.len(),
                "name does not resolve: its last known nodes stay in use"
            ),
            None if before.is_some() => {
                info!(%cluster, node = %name, %address, nodes = new.len(), "name resolves");
            }
            _ => {}
        }
        for node in new.iter().filter(|node| !holds(old, node)) {
            info!(%cluster, node = %node.name, address = %node.address, "node found");
        }
        for node in old.iter().filter(|node| !holds(new, node)) {
            let sessions = node.sessions();
            info!(
                %cluster, node = %node.name, address = %node.address, sessions,
                "node is gone from its name: no new sessions, those there stay"
            );
        }
    }
}

fn holds(nodes: &[Arc<Node>], node: &Arc<Node>) -> bool {
    nodes.iter().any(|other| Arc::ptr_eq(other, node))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Instant;

    use super::*;
    use crate::cluster::Key;
    use crate::cluster::target::Target;
    use crate::config::model::{NodeAddress, samples};

    /// r1 by address, then a name, then r2 by address.
    fn cluster() -> Cluster {
        let address = NodeAddress { host: "rabbit.internal".to_owned(), port: Some(5672) };
        let named = model::Node { address, ..samples::node("new", 5672) };
        let nodes = vec![samples::node("r1", 1), named, samples::node("r2", 2)];
        Cluster::new(&samples::cluster("main", nodes))
    }

    fn found(last: &[u8]) -> Answer {
        let target = |&last: &u8| Target::at(([10, 0, 0, last], 5672).into());
        Answer { targets: last.iter().map(target).collect(), trouble: None }
    }

    fn failed(last: &[u8]) -> Answer {
        Answer { trouble: Some("no answer".to_owned()), ..found(last) }
    }

    fn take_on(cluster: &Cluster, answer: &Answer) -> Vec<String> {
        cluster.take_on(&cluster.model.nodes[1].clone(), answer);
        cluster.nodes().iter().map(|node| node.name.to_string()).collect()
    }

    #[test]
    fn all_addresses_of_a_name_are_nodes_in_the_place_of_their_section() {
        let cluster = cluster();
        assert_eq!(cluster.nodes().len(), 2, "the name is not known yet");
        let names = take_on(&cluster, &found(&[5, 6]));
        assert_eq!(names, ["r1", "new@10.0.0.5", "new@10.0.0.6", "r2"]);
        assert_eq!(cluster.names()[0].trouble, None);
    }

    #[test]
    fn a_node_that_stays_is_the_same_and_one_that_is_gone_gets_no_new_sessions() {
        let cluster = cluster();
        take_on(&cluster, &found(&[5, 6]));
        let (five, six) = (cluster.nodes()[1].clone(), cluster.nodes()[2].clone());
        assert_eq!(
            take_on(&cluster, &found(&[6, 7])),
            ["r1", "new@10.0.0.6", "new@10.0.0.7", "r2"]
        );
        assert!(Arc::ptr_eq(&cluster.nodes()[1], &six));
        let key = Key { source: [127, 0, 0, 1].into(), vhost: None, amqp: true };
        let mut tried = Vec::new();
        while let Some(lease) = cluster.choose(&tried, &key, Instant::now()) {
            tried.push(lease.node().clone());
        }
        assert!(tried.len() == 4 && !holds(&tried, &five));
        assert!(cluster.gone().len() == 1 && holds(&cluster.gone(), &five));
        take_on(&cluster, &found(&[5, 6, 7]));
        assert!(Arc::ptr_eq(&cluster.nodes()[1], &five), "it has come back");
        assert!(cluster.gone().is_empty());
    }

    #[test]
    fn a_name_that_stops_resolving_keeps_its_nodes_and_says_so() {
        let cluster = cluster();
        take_on(&cluster, &found(&[5, 6]));
        let before = cluster.nodes();
        take_on(&cluster, &failed(&[]));
        assert!(Arc::ptr_eq(&before, &cluster.nodes()));
        assert_eq!(cluster.names()[0].trouble.as_deref(), Some("no answer"));
        let names = take_on(&cluster, &failed(&[7]));
        assert_eq!(names, ["r1", "new@10.0.0.7", "new@10.0.0.5", "new@10.0.0.6", "r2"]);
        assert_eq!(take_on(&cluster, &found(&[7])), ["r1", "new@10.0.0.7", "r2"]);
        assert_eq!(cluster.names()[0].trouble, None);
    }

    #[test]
    fn a_share_that_dns_repeats_does_not_undo_the_operators() {
        let cluster = cluster();
        take_on(&cluster, &found(&[5]));
        let node = cluster.nodes()[1].clone();
        let weight = |weight| NonZeroU32::new(weight).expect("not 0");
        node.set_weight(weight(9));
        take_on(&cluster, &found(&[5]));
        assert_eq!(node.weight().get(), 9);
        let mut answer = found(&[5]);
        answer.targets[0].weight = weight(4);
        take_on(&cluster, &answer);
        assert_eq!(node.weight().get(), 4, "news");
    }

    #[test]
    fn names_in_trouble_are_asked_sooner_and_none_never() {
        let named = cluster();
        assert_eq!(named.pause(), Some(Duration::from_secs(3)));
        take_on(&named, &found(&[5]));
        assert_eq!(named.pause(), Some(Duration::from_secs(30)));
        let literal = Cluster::new(&samples::cluster("main", vec![samples::node("r1", 1)]));
        assert_eq!(literal.pause(), None);
    }
}

//! Clusters: their nodes, and which one takes a session.

pub mod admission;
pub mod balance;
pub mod condition;
pub mod discovery;
pub mod left_out;
pub mod lookup;
pub mod node;
pub mod notices;
pub mod offer;
pub mod report;
pub mod rounds;
pub mod succession;
pub mod target;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use admission::Admission;
use arc_swap::ArcSwap;
use balance::{Candidate, Draw};
use condition::{Fitness, Verdict};
use discovery::Names;
use node::{Lease, Node};
use report::{CheckReport, Outcome};
use succession::Known;
use target::Target;

use crate::config::model::{self, ClusterName, Strategy};
use crate::tls::OfCluster;
use crate::tls::client::Origination;

/// A cluster and its nodes.
#[derive(Debug)]
pub struct Cluster {
    /// Its name.
    pub name: ClusterName,
    /// What the configuration says of it.
    pub model: model::Cluster,
    /// TLS with its nodes, if it is spoken.
    pub tls: Option<Arc<Origination>>,
    /// TLS with their management APIs, if one is behind https.
    pub https: Option<Arc<Origination>>,
    /// Who may connect to a node now, and who waits; `None` = everybody may.
    pub admission: Option<Arc<Admission>>,
    nodes: ArcSwap<Vec<Arc<Node>>>,
    names: Names,
    /// Shared with those in whose place it came.
    known: Arc<Known>,
    /// Is it what the configuration in force says?
    in_force: AtomicBool,
    turn: AtomicUsize,
    /// Is it being rebalanced? Shared with those in whose place it came: whoever still holds one of them tells all.
    rebalancing: Arc<AtomicBool>,
}

impl Cluster {
    /// A cluster as configured.
    #[must_use]
    pub fn new(model: &model::Cluster) -> Self {
        let known = Arc::new(Known::default());
        let nodes = model.nodes.iter().filter_map(|section| {
            let target = Target::at(section.address.literal()?);
            Some(known.node(&model.name, section, &target))
        });
        Self {
            name: model.name.clone(),
            model: model.clone(),
            tls: None,
            https: None,
            admission: model.admission.as_ref().map(Admission::new).map(Arc::new),
            nodes: ArcSwap::from_pointee(nodes.collect()),
            names: Names::new(&model.nodes),
            known,
            in_force: AtomicBool::new(true),
            turn: AtomicUsize::new(0),
            rebalancing: Arc::default(),
        }
    }

    /// With this TLS.
    #[must_use]
    pub fn with_tls(self, OfCluster { amqp, https }: OfCluster) -> Self {
        Self { tls: amqp, https, ..self }
    }

    /// While it is being rebalanced, new sessions go where the fewest are, whatever the strategy, and nobody is brought
    /// up slowly: whoever is moved away from a node that has too many shall not land on another such.
    pub fn set_rebalancing(&self, rebalancing: bool) {
        self.rebalancing.store(rebalancing, Ordering::Relaxed);
    }

    /// Its nodes, in the order of the configuration. Those behind a name come and go.
    #[must_use]
    pub fn nodes(&self) -> Arc<Vec<Arc<Node>>> {
        self.nodes.load_full()
    }

    /// Takes a place on a node for a new session, none of `tried`. `None` if there is none left.
    ///
    /// First come nodes that are fit, then those in alarm; in both cases backups last. If none of them is left, every
    /// node may be tried that neither the operator nor its broker has closed, whatever its checks say: with nobody else
    /// to ask, an unlikely node is better than a refusal.
    #[must_use]
    pub fn choose(&self, tried: &[Arc<Node>], key: &Key<'_>, now: Instant) -> Option<Lease> {
        let open =
            |node: &Arc<Node>| node.has_room() && !tried.iter().any(|t| Arc::ptr_eq(t, node));
        let fitting = |fitness, backup| {
            self.pick_usable(key, now, |node| {
                node.is_backup() == backup && node.condition.fitness() == fitness && open(node)
            })
        };
        fitting(Fitness::Fit, false)
            .or_else(|| fitting(Fitness::Alarmed, false))
            .or_else(|| fitting(Fitness::Fit, true))
            .or_else(|| fitting(Fitness::Alarmed, true))
            .or_else(|| {
                self.pick(key, now, |node| node.condition.fitness() < Fitness::Closed && open(node))
            })
    }

    /// Is there a node besides `tried` that works and is not being left out?
    #[must_use]
    pub fn has_another(&self, tried: &[Arc<Node>], now: Instant) -> bool {
        self.has_another_that(tried, now, |_| true)
    }

    /// Is there such a node of which that is true?
    #[must_use]
    pub fn has_another_that(
        &self,
        tried: &[Arc<Node>],
        now: Instant,
        also: impl Fn(&Node) -> bool,
    ) -> bool {
        self.nodes.load().iter().any(|node| {
            node.has_room()
                && node.condition.fitness() < Fitness::Unfit
                && !node.is_skipped(now)
                && !tried.iter().any(|t| Arc::ptr_eq(t, node))
                && also(node)
        })
    }

    /// Is there a node that works and is not being left out?
    #[must_use]
    pub fn is_usable(&self, now: Instant) -> bool {
        self.has_another(&[], now)
    }

    /// May clients be sent to this gateway for it: is there a node that works?
    ///
    /// One that is full, or left out for a moment after a client's failure, works: that is soon over, and another gateway
    /// would be no better off. Where nodes are checked one has to have passed; if none of its checks can be made it counts,
    /// as it does for sessions.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let checked = !self.model.health.checks.is_empty();
        let awaited = |node: &Node| {
            let report = node.report.load();
            let failed = |check: &CheckReport| check.outcome == Outcome::Failed;
            let known = report.asked && !report.checks.iter().any(failed);
            checked && node.condition.verdict() == Verdict::Unknown && !known
        };
        let ready = |node: &Arc<Node>| node.condition.fitness() < Fitness::Unfit && !awaited(node);
        self.nodes.load().iter().any(ready)
    }

    /// Picks among the nodes that are not being left out. One whose time is over takes a single session as a trial:
    /// whoever comes second looks for another node.
    fn pick_usable(
        &self,
        key: &Key<'_>,
        now: Instant,
        filter: impl Fn(&Arc<Node>) -> bool,
    ) -> Option<Lease> {
        let mut on_trial: Vec<Arc<Node>> = Vec::new();
        loop {
            let lease = self.pick(key, now, |node| {
                filter(node)
                    && !node.is_skipped(now)
                    && !on_trial.iter().any(|t| Arc::ptr_eq(t, node))
            })?;
            if !key.amqp || lease.node().try_usable(now) {
                return Some(lease);
            }
            on_trial.push(lease.node().clone());
        }
    }

    fn pick(
        &self,
        key: &Key<'_>,
        now: Instant,
        filter: impl Fn(&Arc<Node>) -> bool,
    ) -> Option<Lease> {
        let nodes = self.nodes.load();
        let rebalancing = self.rebalancing.load(Ordering::Relaxed);
        let fitting = nodes.iter().enumerate().filter(|(_, node)| filter(node));
        let candidates: Vec<Candidate<'_>> = fitting
            .map(|(index, node)| Candidate {
                index,
                name: &node.name,
                weight: node.weight(),
                ramp: match rebalancing {
                    true => balance::FULL,
                    false => node.condition.ramp(self.model.slow_start, now),
                },
                sessions: node.sessions(),
            })
            .collect();
        if candidates.is_empty() {
            return None;
        }
        let strategy = match rebalancing {
            true => Strategy::LeastConnections,
            false => self.model.balance,
        };
        let draw = Draw {
            turn: self.turn.fetch_add(1, Ordering::Relaxed),
            random: fastrand::u64(..),
            key: &key.bytes(strategy),
        };
        let index = balance::pick(strategy, &candidates, &draw)?;
        nodes.get(index).map(|node| Lease::new(node.clone()))
    }
}

/// What of a session decides its node, where its cluster goes by that.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// The client's address.
    pub source: IpAddr,
    /// The vhost on the cluster; `None` where it is not known.
    pub vhost: Option<&'a str>,
    /// Does it speak AMQP? Only then does it find out for others whether a node that did not take AMQP does so again.
    pub amqp: bool,
}

impl Key<'_> {
    /// What a hash goes by. AMQP 1.0 has no vhost: there the source stands in for it.
    fn bytes(&self, strategy: Strategy) -> Cow<'_, [u8]> {
        match (strategy, self.vhost, self.source.to_canonical()) {
            (Strategy::VhostHash, Some(vhost), _) => Cow::Borrowed(vhost.as_bytes()),
            (_, _, IpAddr::V4(source)) => Cow::Owned(source.octets().to_vec()),
            (_, _, IpAddr::V6(source)) => Cow::Owned(source.octets().to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;
    use crate::cluster::condition::{AdminState, BrokerSays};
    use crate::cluster::report::Report;
    use crate::config::model::{Check, Health, samples};

    const KEY: Key<'_> = Key { source: IpAddr::V4(Ipv4Addr::LOCALHOST), vhost: None, amqp: true };

    fn cluster(backups: &[bool]) -> Cluster {
        let nodes = backups.iter().enumerate().map(|(i, &backup)| model::Node {
            backup,
            ..samples::node(&format!("r{i}"), 5672 + i as u16)
        });
        Cluster::new(&samples::cluster("main", nodes.collect()))
    }

    fn name(lease: Option<Lease>) -> Option<String> {
        lease.map(|lease| lease.node().name.to_string())
    }

    #[test]
    fn a_backup_serves_only_while_no_other_node_is_usable() {
        let (cluster, now) = (cluster(&[false, true]), Instant::now());
        assert_eq!(name(cluster.choose(&[], &KEY, now)).as_deref(), Some("r0"));
        cluster.nodes()[0].failed(now);
        assert_eq!(name(cluster.choose(&[], &KEY, now)).as_deref(), Some("r1"));
    }

    #[test]
    fn a_node_left_out_is_better_than_none() {
        let (cluster, now) = (cluster(&[false, false]), Instant::now());
        cluster.nodes()[0].failed(now);
        cluster.nodes()[1].failed(now);
        assert!(!cluster.is_usable(now));
        assert!(cluster.choose(&[], &KEY, now).is_some());
        assert!(cluster.choose(&cluster.nodes(), &KEY, now).is_none());
    }

    #[test]
    fn only_who_speaks_amqp_is_a_trial_of_a_node_that_failed() {
        let (cluster, now) = (cluster(&[false]), Instant::now());
        let later = now + cluster.nodes()[0].failed(now) + Duration::from_millis(2);
        let other = Key { amqp: false, ..KEY };
        for _ in 0..2 {
            assert!(cluster.pick_usable(&other, later, |_| true).is_some());
        }
        assert!(cluster.pick_usable(&KEY, later, |_| true).is_some(), "the trial");
        assert!(cluster.pick_usable(&KEY, later, |_| true).is_none());
        assert!(cluster.pick_usable(&other, later, |_| true).is_none());
    }

    #[test]
    fn those_tried_are_not_chosen_again() {
        let (cluster, now) = (cluster(&[false, false, false]), Instant::now());
        let nodes = cluster.nodes();
        let tried = &nodes[..2];
        assert_eq!(name(cluster.choose(tried, &KEY, now)).as_deref(), Some("r2"));
        assert!(cluster.has_another(tried, now));
        assert!(!cluster.has_another(&nodes, now));
    }

    #[test]
    fn fit_nodes_come_before_those_in_alarm_and_those_before_backups() {
        let (cluster, now) = (cluster(&[false, false, true]), Instant::now());
        let nodes = cluster.nodes();
        let alarm = BrokerSays { memory_alarm: true, ..BrokerSays::default() };
        nodes[0].condition.set_says(alarm);
        let choose = || name(cluster.choose(&[], &KEY, now));
        assert_eq!(choose().as_deref(), Some("r1"));
        nodes[1].condition.set_admin(AdminState::Draining);
        assert_eq!(choose().as_deref(), Some("r0"));
        nodes[0].condition.set_verdict(Verdict::Down);
        assert_eq!(choose().as_deref(), Some("r2"));
    }

    #[test]
    fn when_all_are_down_all_are_tried_but_those_that_were_closed() {
        let (cluster, now) = (cluster(&[false, false]), Instant::now());
        for node in cluster.nodes().iter() {
            node.condition.set_verdict(Verdict::Down);
        }
        cluster.nodes()[0].condition.set_admin(AdminState::Disabled);
        assert!(!cluster.is_usable(now));
        assert_eq!(name(cluster.choose(&[], &KEY, now)).as_deref(), Some("r1"));
        let maintenance = BrokerSays { maintenance: true, ..BrokerSays::default() };
        cluster.nodes()[1].condition.set_says(maintenance);
        assert!(cluster.choose(&[], &KEY, now).is_none());
    }

    #[test]
    fn full_nodes_and_a_clients_failure_leave_the_gateway_ready_and_down_nodes_do_not() {
        let full = model::Node { max_connections: Some(1), ..samples::node("r0", 5672) };
        let cluster = checked(&[], vec![full]);
        let now = Instant::now();
        let _lease = cluster.choose(&[], &KEY, now);
        cluster.nodes()[0].failed(now);
        assert!(cluster.is_ready() && !cluster.is_usable(now));
        cluster.nodes()[0].condition.set_verdict(Verdict::Down);
        assert!(!cluster.is_ready());
        cluster.nodes()[0].condition.set_verdict(Verdict::Up);
        cluster.nodes()[0].condition.set_admin(AdminState::Draining);
        assert!(!cluster.is_ready());
    }

    #[test]
    fn with_checks_a_gateway_is_ready_once_they_have_come_to_something() {
        let cluster = checked(&[Check::Tcp], vec![samples::node("r0", 5672)]);
        let node = cluster.nodes()[0].clone();
        let first_round = |outcome| {
            let (text, at) = (None, std::time::SystemTime::now());
            let check = CheckReport {
                check: Check::Tcp,
                outcome,
                latency: Duration::ZERO,
                text,
                at,
                past: [].into(),
            };
            let report = Report { asked: true, checks: vec![check], ..Report::default() };
            node.report.store(Arc::new(report));
        };
        assert!(!cluster.is_ready(), "nothing is known");
        first_round(Outcome::Failed);
        assert!(!cluster.is_ready(), "what is known speaks against it");
        first_round(Outcome::Misconfigured);
        assert!(cluster.is_ready(), "nothing can be known");
        first_round(Outcome::Failed);
        node.condition.set_verdict(Verdict::Up);
        assert!(cluster.is_ready(), "one failure is no verdict");
    }

    fn checked(checks: &[Check], nodes: Vec<model::Node>) -> Cluster {
        let health = Arc::new(Health { checks: checks.to_vec(), ..Health::default() });
        Cluster::new(&model::Cluster { health, ..samples::cluster("main", nodes) })
    }

    /// The node for a vhost, and for a source.
    fn hashed(cluster: &Cluster, vhost: Option<&str>, source: [u8; 4]) -> String {
        let key = Key { source: source.into(), vhost, amqp: true };
        name(cluster.choose(&[], &key, Instant::now())).expect("a node")
    }

    fn hashing(balance: Strategy) -> Cluster {
        let nodes = (0..3).map(|i| samples::node(&format!("r{i}"), 5672 + i)).collect();
        Cluster::new(&model::Cluster { balance, ..samples::cluster("main", nodes) })
    }

    #[test]
    fn a_vhost_stays_on_its_node_wherever_its_clients_are() {
        let cluster = hashing(Strategy::VhostHash);
        let nodes: Vec<_> = (0..30)
            .map(|i| {
                let vhost = format!("team-{i}");
                let node = hashed(&cluster, Some(&vhost), [10, 0, 0, 1]);
                assert_eq!(node, hashed(&cluster, Some(&vhost), [10, 0, 0, 2]));
                node
            })
            .collect();
        assert!(["r0", "r1", "r2"].iter().all(|name| nodes.iter().any(|node| node == name)));
    }

    #[test]
    fn a_source_stays_on_its_node_until_that_is_down_and_comes_back_to_it() {
        let cluster = hashing(Strategy::SourceHash);
        let all = |cluster: &Cluster| -> Vec<_> {
            (0..60).map(|i| hashed(cluster, Some("a"), [10, 0, 0, i])).collect()
        };
        let before = all(&cluster);
        cluster.nodes()[1].condition.set_verdict(Verdict::Down);
        for (before, after) in before.iter().zip(all(&cluster)) {
            assert!(after != "r1" && (*before == after || before == "r1"), "{before} -> {after}");
        }
        cluster.nodes()[1].condition.set_verdict(Verdict::Up);
        assert_eq!(all(&cluster), before);
    }

    #[test]
    fn without_a_vhost_a_vhost_hash_goes_by_the_source() {
        let cluster = hashing(Strategy::VhostHash);
        let nodes: Vec<_> = (0..30).map(|i| hashed(&cluster, None, [10, 0, 0, i])).collect();
        assert!(["r0", "r1", "r2"].iter().all(|name| nodes.iter().any(|node| node == name)));
        let mapped = Key { source: "::ffff:10.0.0.7".parse().expect("address"), ..KEY };
        let same = name(cluster.choose(&[], &mapped, Instant::now()));
        assert_eq!(same.as_ref(), Some(&nodes[7]), "one client, whatever the listener's family");
    }

    #[test]
    fn a_node_that_came_back_is_not_flooded() {
        let slow_start = Duration::from_secs(30);
        let nodes = (0..2).map(|i| samples::node(&format!("r{i}"), 5672 + i)).collect();
        let model = model::Cluster { slow_start, ..samples::cluster("main", nodes) };
        let cluster = Cluster::new(&model);
        cluster.nodes()[1].condition.set_verdict(Verdict::Down);
        let mut held: Vec<_> =
            (0..100).filter_map(|_| cluster.choose(&[], &KEY, Instant::now())).collect();
        cluster.nodes()[1].condition.set_verdict(Verdict::Up);
        let now = Instant::now();
        held.extend((0..100).filter_map(|_| cluster.choose(&[], &KEY, now)));
        let back = cluster.nodes()[1].sessions();
        assert!((10..30).contains(&back), "{back} sessions on the node that came back");
        held.extend((0..200).filter_map(|_| cluster.choose(&[], &KEY, now + slow_start)));
        assert_eq!(cluster.nodes()[1].sessions(), 200, "in the end it has its share");
    }
}

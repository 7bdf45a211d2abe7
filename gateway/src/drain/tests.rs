//! The keeper with sessions that are only registered, and a clock of its own.

#![allow(clippy::unwrap_used)]

mod gone;

use std::collections::HashMap;
use std::task::Waker;

use arc_swap::ArcSwap;

use super::*;
use crate::cluster::Key;
use crate::cluster::condition::{AdminState, BrokerSays, Verdict};
use crate::cluster::node::Lease;
use crate::config::model::{
    self, Gateway, Health, ListenerName, Log, LogFormat, LogLevel, LogOutput, Model, OnDown,
    samples,
};
use crate::session::Ended;
use crate::session::registry::{Order, Registry, Session, SessionFacts, SessionId, Software};
use crate::snapshot::Snapshot;
use crate::stream::arrival::Arrival;
use crate::tls::Tls;

/// Three nodes, clients that come back half a second after they were told, and their time.
struct Stage {
    keeper: Keeper,
    cluster: Arc<Cluster>,
    sessions: HashMap<SessionId, (Arc<Session>, Lease, usize)>,
    /// How often each client has been told, and when last.
    told: Vec<Vec<(Instant, Order)>>,
    /// Clients on their way back.
    coming: Vec<(Instant, usize)>,
    now: Instant,
}

fn rate(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn model(cluster: model::Cluster) -> Model {
    let gateway = Gateway {
        name: "gw".into(),
        workers: 1,
        max_connections: 1000,
        handshake_timeout: Duration::from_secs(10),
        idle_timeout: None,
        user: None,
        group: None,
        drain_timeout: Duration::from_secs(60),
        drain_rate: rate(100),
        name_servers: Vec::new(),
        reload_on_change: false,
    };
    let (level, format) = (LogLevel::Info, LogFormat::Text);
    let log = Log { level, format, output: LogOutput::Stdout, access: false };
    Model {
        gateway,
        log,
        listeners: vec![],
        routes: vec![],
        clusters: vec![cluster],
        virtual_routers: vec![],
        email: None,
        admin: None,
    }
}

impl Stage {
    fn new(adapt: impl FnOnce(&mut model::Cluster)) -> Self {
        let nodes = (1..=3).map(|n| samples::node(&format!("n{n}"), 5670 + n)).collect();
        let mut cluster =
            model::Cluster { rebalance_rate: rate(20), ..samples::cluster("main", nodes) };
        adapt(&mut cluster);
        let model = model(cluster);
        let shared = Arc::new(Shared {
            name: model.gateway.name.clone(),
            snapshot: ArcSwap::from_pointee(Snapshot::new(&model, &Tls::default(), 1)),
            registry: Registry::default(),
            ended: Ended::default(),
            metrics: Arc::default(),
            access: None,
            events: Arc::default(),
            taps: crate::session::tap::Taps::default(),
        });
        let cluster = shared.snapshot.load().clusters.values().next().unwrap().clone();
        let keeper = Keeper::new(shared);
        let now = Instant::now();
        Self { keeper, cluster, sessions: HashMap::new(), told: vec![], coming: vec![], now }
    }

    fn node(&self, n: usize) -> Arc<Node> {
        self.cluster.nodes()[n - 1].clone()
    }

    fn counts(&self) -> [usize; 3] {
        [1, 2, 3].map(|n| self.node(n).sessions())
    }

    fn fill(&mut self, counts: [usize; 3]) {
        for (at, count) in counts.into_iter().enumerate() {
            for _ in 0..count {
                let client = self.told.len();
                self.told.push(Vec::new());
                self.open(client, Lease::new(self.node(at + 1)));
            }
        }
    }

    fn open(&mut self, client: usize, lease: Lease) {
        let registry = &self.keeper.shared.registry;
        let address = ([127, 0, 0, (client % 7) as u8], 4000).into();
        let mut session =
            Session::new(registry.next_id(), Arrival::new(ListenerName("amqp".into()), address));
        session.arrival.accepted = self.now;
        session.opened(Box::new(SessionFacts {
            node: lease.node().clone(),
            user: Some("app".into()),
            vhost: Some("orders".into()),
            software: Software::default(),
            handshake: (Duration::ZERO, Duration::ZERO),
            routed: Default::default(),
        }));
        let session = Arc::new(session);
        registry.insert(session.clone());
        self.sessions.insert(session.id, (session, lease, client));
    }

    /// Lets time pass.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += STEP;
            self.keeper.step(self.now);
            let order = |s: &Arc<Session>| s.poll_order(Waker::noop());
            let told: Vec<_> =
                self.sessions.values().filter(|(s, ..)| order(s).is_some()).collect();
            let told: Vec<_> =
                told.iter().map(|(s, _, client)| (s.id, order(s).unwrap(), *client)).collect();
            for (id, order, client) in told {
                self.keeper.shared.registry.remove(id);
                self.sessions.remove(&id);
                self.told[client].push((self.now, order));
                self.coming.push((self.now + Duration::from_millis(500), client));
            }
            let (back, coming): (Vec<_>, Vec<_>) =
                self.coming.drain(..).partition(|(at, _)| *at <= self.now);
            self.coming = coming;
            for (_, client) in back {
                let key = Key { source: [127, 0, 0, 1].into(), vhost: None, amqp: true };
                let lease = self.cluster.choose(&[], &key, self.now).unwrap();
                lease.node().answered();
                self.open(client, lease);
            }
        }
    }

    /// A round of checks of a node.
    fn round(&mut self, n: usize, good: bool) {
        let ended = self.now + Duration::from_millis(1);
        self.node(n).condition.round(good, self.now, ended);
        self.now = ended + Duration::from_millis(1);
    }

    fn verdict(&self, n: usize, verdict: Verdict) {
        self.node(n).condition.set_verdict(verdict);
    }

    /// A node goes down, and no other.
    fn goes_down(&mut self, n: usize) {
        for (asked, good) in [(n % 3 + 1, true), (n, false), (n % 3 + 1, true)] {
            self.round(asked, good);
        }
        self.verdict(n, Verdict::Down);
    }

    fn seconds(&mut self, seconds: f64) {
        self.pass(Duration::from_secs_f64(seconds));
    }

    fn orders(&self) -> Vec<Order> {
        self.told.iter().flatten().map(|(_, order)| *order).collect()
    }
}

#[test]
fn a_draining_node_is_emptied_at_the_drain_rate_and_left_alone_when_enabled_again() {
    let mut stage = Stage::new(|_| ());
    stage.fill([100, 0, 0]);
    stage.node(1).condition.set_admin(AdminState::Draining);
    stage.seconds(0.5);
    let progress = stage.keeper.progress(&stage.node(1)).unwrap();
    assert_eq!(progress.total, 100);
    assert!((45..=55).contains(&progress.closed), "{progress:?}");
    stage.node(1).condition.set_admin(AdminState::Enabled);
    stage.seconds(0.5);
    let told = stage.orders();
    assert!(told.len() <= 56 && told.iter().all(|order| *order == Order::NodeDraining), "{told:?}");
    assert_eq!(stage.keeper.progress(&stage.node(1)), None);
    stage.node(1).condition.set_admin(AdminState::Draining);
    stage.seconds(2.0);
    assert_eq!(stage.counts()[0], 0);
    assert_eq!(stage.keeper.progress(&stage.node(1)).unwrap().left, 0);
}

#[test]
fn a_disabled_node_keeps_its_sessions() {
    let mut stage = Stage::new(|_| ());
    stage.fill([10, 0, 0]);
    stage.node(1).condition.set_admin(AdminState::Disabled);
    stage.seconds(5.0);
    assert_eq!(stage.counts(), [10, 0, 0]);
}

#[test]
fn maintenance_paces_sessions_away_while_another_node_takes_them() {
    let mut stage = Stage::new(|_| ());
    stage.fill([40, 0, 0]);
    let maintenance = BrokerSays { maintenance: true, ..BrokerSays::default() };
    for n in 1..=3 {
        stage.node(n).condition.set_says(maintenance);
    }
    stage.seconds(2.0);
    assert_eq!(stage.orders(), [], "there is nowhere to go");
    stage.node(2).condition.set_says(BrokerSays::default());
    stage.seconds(1.0);
    let told = stage.orders();
    assert!((18..=22).contains(&told.len()), "20 a second: {}", told.len());
    assert!(told.iter().all(|order| *order == Order::NodeMaintenance), "{told:?}");
    stage.seconds(2.0);
    assert_eq!(stage.counts(), [0, 40, 0]);
}

#[test]
fn sessions_of_a_node_that_went_down_are_told_at_once_but_not_all_in_one_instant() {
    let mut stage = Stage::new(|_| ());
    stage.fill([600, 0, 0]);
    for (session, ..) in stage.sessions.values() {
        session.counters.unconfirmed.set(3);
    }
    stage.goes_down(1);
    stage.seconds(0.1);
    assert!((100..300).contains(&stage.orders().len()), "{}", stage.orders().len());
    stage.seconds(0.4);
    assert_eq!(stage.orders(), [Order::NodeDown; 600]);
}

#[test]
fn sessions_of_a_node_that_went_down_stay_if_told_to_or_if_there_is_no_other() {
    let keep = Health { on_down: OnDown::Keep, ..Health::default() };
    let mut kept = Stage::new(|cluster| cluster.health = Arc::new(keep));
    let mut alone = Stage::new(|_| ());
    for stage in [&mut kept, &mut alone] {
        stage.fill([5, 5, 5]);
        stage.goes_down(1);
    }
    for n in 2..=3 {
        alone.verdict(n, Verdict::Down);
    }
    for mut stage in [kept, alone] {
        stage.seconds(2.0);
        assert_eq!(stage.counts(), [5, 5, 5]);
    }
}

#[test]
fn nodes_that_fail_and_come_back_one_after_another_keep_their_sessions() {
    let mut stage = Stage::new(|_| ());
    stage.fill([5, 5, 5]);
    let each = |stage: &mut Stage, good, verdict: Option<Verdict>| {
        for n in 1..=3 {
            stage.round(n, good);
            if let Some(verdict) = verdict {
                stage.verdict(n, verdict);
            }
            stage.seconds(0.3);
        }
    };
    each(&mut stage, true, Some(Verdict::Up));
    for verdict in [None, None, Some(Verdict::Down)] {
        each(&mut stage, false, verdict);
    }
    stage.round(1, true);
    stage.round(1, true);
    stage.verdict(1, Verdict::Up);
    stage.seconds(1.0);
    assert_eq!(stage.orders(), [], "the others have not been asked since");
    stage.round(2, true);
    stage.seconds(1.0);
    assert_eq!(stage.orders(), [], "the second is rising");
    stage.round(3, false);
    stage.seconds(1.0);
    assert_eq!(stage.orders(), [Order::NodeDown; 5], "the third has failed beside one that works");
    assert_eq!(stage.counts()[2], 0);
}

#[test]
fn a_node_that_only_clients_found_to_be_down_keeps_its_sessions_until_its_checks_fail_too() {
    let mut stage = Stage::new(|_| ());
    stage.fill([5, 5, 5]);
    for n in 1..=3 {
        stage.round(n, true);
    }
    stage.verdict(1, Verdict::Down);
    stage.seconds(1.0);
    assert_eq!(stage.orders(), []);
    stage.round(1, false);
    stage.seconds(1.0);
    assert_eq!(stage.orders(), [], "it may be the gateway's network");
    stage.round(2, true);
    stage.seconds(1.0);
    assert_eq!(stage.orders(), [Order::NodeDown; 5]);
}

#[test]
fn a_node_in_the_minority_is_emptied_though_its_checks_pass_and_waits_for_another_that_works() {
    let mut stage = Stage::new(|_| ());
    stage.fill([5, 0, 0]);
    for (n, good) in [(1, true), (2, false), (3, false)] {
        stage.round(n, good);
    }
    stage.node(1).condition.set_says(BrokerSays { minority: true, ..BrokerSays::default() });
    stage.seconds(1.0);
    assert_eq!(stage.orders(), []);
    stage.round(2, true);
    stage.seconds(1.0);
    assert_eq!(stage.orders(), [Order::NodeDown; 5]);
}

#[test]
fn clients_of_a_node_that_was_drained_are_not_moved_again_by_a_rebalance_within_a_minute() {
    let mut stage = Stage::new(|_| ());
    stage.fill([60, 10, 10]);
    stage.node(1).condition.set_admin(AdminState::Draining);
    stage.seconds(2.0);
    assert_eq!(stage.counts(), [0, 40, 40]);
    stage.node(1).condition.set_admin(AdminState::Enabled);
    let name = stage.cluster.name.clone();
    stage.keeper.rebalance(&name).unwrap();
    stage.seconds(20.0);
    assert_eq!(stage.counts(), [20, 30, 30], "only those that had not been moved");
    assert!(stage.told.iter().all(|times| times.len() <= 1));
    stage.seconds(45.0);
    stage.keeper.begin(&stage.cluster, &mut stage.keeper.state(), stage.now, usize::MAX);
    stage.seconds(10.0);
    assert!(stage.counts()[0] >= 26, "{:?}", stage.counts());
}

#[test]
fn a_rebalance_evens_out_at_its_pace_and_moves_nobody_twice() {
    let mut stage = Stage::new(|cluster| cluster.balance = Strategy::RoundRobin);
    stage.fill([150, 150, 0]);
    for (session, ..) in stage.sessions.values().filter(|(.., client)| client % 3 == 0) {
        session.counters.unconfirmed.set(1);
    }
    let name = stage.cluster.name.clone();
    assert_eq!(stage.keeper.rebalance(&name).unwrap().planned, 100);
    stage.seconds(2.0);
    let moved = stage.orders().len();
    assert!((38..=44).contains(&moved), "20 a second: {moved}");
    assert_eq!(stage.keeper.rebalance(&name).unwrap().moved, moved, "the one under way");
    stage.seconds(10.0);
    assert_eq!(stage.counts(), [100, 100, 100]);
    assert_eq!(stage.orders(), [Order::Rebalance; 100]);
    assert!(stage.told.iter().all(|times| times.len() <= 1));
    assert!(stage.told.iter().step_by(3).all(Vec::is_empty), "those at rest were enough");
    assert_eq!(stage.keeper.rebalance_progress(&name), None);
    assert_eq!(stage.keeper.rebalance(&name).unwrap().planned, 0);
}

#[test]
fn sessions_that_never_rest_are_moved_when_their_patience_is_over() {
    let mut stage = Stage::new(|_| ());
    stage.fill([20, 0, 0]);
    for (session, ..) in stage.sessions.values() {
        session.counters.half_sent.set(1);
    }
    stage.keeper.rebalance(&stage.cluster.name.clone()).unwrap();
    stage.seconds(4.5);
    assert_eq!(stage.orders(), []);
    stage.seconds(4.0);
    assert_eq!(stage.orders().len(), 13);
}

#[test]
fn a_rebalance_that_is_stopped_moves_nobody_any_more() {
    let mut stage = Stage::new(|_| ());
    stage.fill([90, 0, 0]);
    let name = stage.cluster.name.clone();
    assert_eq!(stage.keeper.stop_rebalance(&name), None);
    stage.keeper.rebalance(&name).unwrap();
    stage.seconds(1.0);
    let moved = stage.orders().len();
    assert_eq!(stage.keeper.stop_rebalance(&name).unwrap().moved, moved);
    stage.seconds(2.0);
    assert_eq!(stage.orders().len(), moved);
}

#[test]
fn sessions_move_to_a_node_that_is_back_only_where_that_is_wanted() {
    for (wanted, moved) in [(true, 40), (false, 0)] {
        let mut stage = Stage::new(|cluster| cluster.rebalance = wanted);
        stage.fill([60, 60, 0]);
        stage.node(3).condition.set_verdict(Verdict::Down);
        stage.seconds(1.0);
        stage.node(3).condition.set_verdict(Verdict::Up);
        stage.seconds(2.5);
        assert_eq!(stage.orders(), [], "it has to stay for a while");
        stage.seconds(12.0);
        assert_eq!(stage.orders(), vec![Order::Rebalance; moved]);
    }
}

#[test]
fn a_node_that_clients_have_left_out_is_back_when_its_checks_say_so() {
    let mut stage = Stage::new(|cluster| cluster.rebalance = true);
    stage.fill([60, 60, 0]);
    stage.node(3).failed(stage.now);
    stage.seconds(6.0);
    assert_eq!(stage.orders(), [], "no client has found it working, and nobody checks it");
    stage.node(3).condition.set_verdict(Verdict::Up);
    stage.seconds(12.0);
    assert_eq!(stage.orders(), [Order::Rebalance; 40]);
}

#[test]
fn a_few_sessions_too_many_are_moved_on_request_only() {
    let mut stage = Stage::new(|cluster| cluster.rebalance = true);
    stage.fill([51, 51, 48]);
    stage.node(3).failed(stage.now);
    stage.seconds(0.1);
    stage.node(3).answered();
    stage.seconds(10.0);
    assert_eq!(stage.orders(), []);
    assert_eq!(stage.keeper.rebalance(&stage.cluster.name.clone()).unwrap().planned, 2);
}

#[test]
fn strategies_that_send_a_client_back_where_it_was_are_not_rebalanced() {
    for strategy in [Strategy::First, Strategy::SourceHash, Strategy::VhostHash] {
        let stage = Stage::new(|cluster| cluster.balance = strategy);
        let refused = stage.keeper.rebalance(&stage.cluster.name).unwrap_err();
        assert!(refused.to_string().contains("comes back to the same node"), "{refused}");
    }
    let stage = Stage::new(|_| ());
    let nobody = ClusterName("nobody".into());
    assert_eq!(stage.keeper.rebalance(&nobody).unwrap_err(), Refused::Unknown);
}

//! What a reload does to nodes and sessions.

use super::*;
use crate::config::model::{ClusterName, Conditions, Model, Route, RouteAction};

/// A gateway whose configuration is replaced, with sessions of the vhost `orders` unless told otherwise.
struct Place {
    stage: Stage,
    model: Model,
    revision: u64,
}

fn sections(names: &[&str]) -> Vec<model::Node> {
    names.iter().zip(5671..).map(|(name, port)| samples::node(name, port)).collect()
}

fn to(vhost: &str, cluster: &str) -> Route {
    let conditions = Conditions { vhost: Some(samples::pattern(vhost)), ..Conditions::default() };
    let action = RouteAction::To { cluster: ClusterName(cluster.into()), rename_vhost: None };
    Route { name: None, conditions, action }
}

impl Place {
    /// Nodes n1, n2 and n3 of `main`, with so many sessions; one more of `blue`.
    fn new(counts: [usize; 3]) -> Self {
        let clusters = vec![
            samples::cluster("main", sections(&["n1", "n2", "n3"])),
            samples::cluster("blue", vec![samples::node("b1", 5680)]),
        ];
        let listeners = vec![samples::listener("amqp", Some("main"))];
        let model = Model { listeners, ..samples::model(clusters) };
        let mut stage = Stage::of(&model);
        stage.fill(counts);
        Self { stage, model, revision: 1 }
    }

    /// Puts the changed configuration in force; how many sessions are to be closed.
    fn reload(&mut self, change: impl FnOnce(&mut Model)) -> usize {
        change(&mut self.model);
        self.revision += 1;
        let shared = self.stage.keeper.shared.clone();
        let before = shared.snapshot.load_full();
        let foretold = self.stage.keeper.would_close(&self.model, |_| false);
        let next = Arc::new(before.next(&self.model, &Tls::default(), self.revision));
        shared.snapshot.store(next.clone());
        next.take_effect(&before);
        if let Some(main) = next.clusters.get(&ClusterName("main".into())) {
            self.stage.cluster = main.clone();
        }
        self.stage.keeper.reloaded();
        foretold
    }

    fn told(&self) -> usize {
        let sessions = self.stage.sessions.values();
        sessions.filter(|(session, ..)| session.has_order()).count()
    }
}

#[test]
fn a_node_that_is_still_there_is_the_very_same_and_nobody_is_touched() {
    let mut place = Place::new([10, 10, 10]);
    let before = place.stage.cluster.clone();
    let nodes = before.nodes();
    nodes[0].condition.set_verdict(Verdict::Up);
    nodes[1].condition.set_admin(AdminState::Disabled);
    nodes[2].set_weight(rate(7));
    assert_eq!(place.reload(|_| ()), 0);
    assert!(Arc::ptr_eq(&before, &place.stage.cluster), "nothing in it has changed");
    let closing = place.reload(|model| {
        model.clusters[0].retry += 1;
        model.clusters[0].nodes[0].weight = rate(3);
        model.clusters[0].nodes[0].max_connections = Some(5);
        model.clusters[0].nodes[1].backup = true;
    });
    assert_eq!(closing, 0);
    let after = place.stage.cluster.nodes();
    assert!(!Arc::ptr_eq(&before, &place.stage.cluster));
    assert!(nodes.iter().zip(after.iter()).all(|(old, new)| Arc::ptr_eq(old, new)));
    assert_eq!((after[0].weight(), after[0].max_connections()), (rate(3), Some(5)));
    assert!(after[1].is_backup() && after[1].condition.admin() == AdminState::Disabled);
    assert_eq!(after[2].weight(), rate(7), "an operator's word");
    assert_eq!(after[0].condition.verdict(), Verdict::Up);
    place.stage.seconds(2.0);
    assert_eq!(place.stage.counts(), [10, 10, 10]);
}

#[test]
fn a_removed_node_is_drained_at_the_rate_and_gets_nobody_new() {
    let mut place = Place::new([0, 0, 60]);
    let (old, gone) = (place.stage.cluster.clone(), place.stage.node(3));
    let closing = place.reload(|model| {
        model.gateway.drain_rate = rate(20);
        model.clusters[0].nodes.truncate(2);
    });
    assert_eq!(closing, 60);
    let key = Key { source: [127, 0, 0, 1].into(), vhost: None, amqp: true };
    let picked = old.choose(&[], &key, Instant::now()).map(|lease| lease.node().clone());
    assert!(!Arc::ptr_eq(&picked.unwrap(), &gone), "by whoever was looking for a node meanwhile");
    place.stage.seconds(1.0);
    let progress = place.stage.keeper.progress(&gone).unwrap();
    assert!((18..=24).contains(&progress.closed) && progress.total == 60, "{progress:?}");
    assert!(place.stage.cluster.gone().iter().any(|node| Arc::ptr_eq(node, &gone)));
    place.stage.seconds(3.0);
    assert_eq!(place.stage.orders(), [Order::NodeRemoved; 60]);
    assert_eq!(gone.sessions(), 0);
}

#[test]
fn sessions_that_are_told_already_to_go_are_not_counted_as_closed_by_a_reload() {
    let mut place = Place::new([0, 0, 10]);
    let told = place.stage.sessions.values().take(4);
    told.for_each(|(session, ..)| session.order(Order::Drain));
    assert_eq!(place.reload(|model| model.clusters[0].nodes.truncate(2)), 6);
}

#[test]
fn a_node_that_comes_back_before_its_last_session_has_gone_is_the_same_and_keeps_the_rest() {
    let mut place = Place::new([0, 0, 60]);
    let node = place.stage.node(3);
    place.reload(|model| model.clusters[0].nodes.truncate(2));
    place.stage.seconds(0.3);
    place.reload(|model| model.clusters[0].nodes = sections(&["n1", "n2", "n3"]));
    assert!(Arc::ptr_eq(&node, &place.stage.node(3)));
    place.stage.seconds(2.0);
    let told = place.stage.orders().len();
    assert!((25..=40).contains(&told), "{told}");
    let moved = model::Node {
        address: sections(&["n3", "x"])[1].address.clone(),
        ..samples::node("n3", 1)
    };
    place.reload(|model| model.clusters[0].nodes[2] = moved);
    assert!(!Arc::ptr_eq(&node, &place.stage.node(3)), "another address is another node");
}

#[test]
fn the_sessions_of_a_removed_cluster_are_closed_and_its_nodes_stay_in_sight_until_then() {
    let mut place = Place::new([5, 5, 5]);
    let snapshot = |place: &Place| place.stage.keeper.shared.snapshot.load_full();
    let closing = place.reload(|model| {
        model.clusters.remove(0);
        model.listeners[0].cluster = Some(ClusterName("blue".into()));
    });
    assert_eq!(closing, 15);
    assert_eq!(snapshot(&place).all_clusters().count(), 2);
    for _ in 0..10 {
        place.stage.keeper.step(place.stage.now);
        place.stage.now += Duration::from_millis(100);
    }
    let order = |s: &Arc<Session>| s.poll_order(Waker::noop());
    let mut orders = place.stage.sessions.values().map(|(session, ..)| order(session));
    assert!(orders.all(|order| order == Some(Order::NodeRemoved)));
    place.stage.sessions.clear();
    place.reload(|_| ());
    assert_eq!(snapshot(&place).all_clusters().count(), 1);
}

#[test]
fn sessions_whose_route_leads_elsewhere_are_closed_and_no_others() {
    let mut place = Place::new([40, 0, 0]);
    assert_eq!(place.reload(|model| model.routes.push(to("audit", "blue"))), 0);
    assert_eq!(place.reload(|model| model.routes.push(to("orders", "main"))), 0, "the same place");
    let (session, ..) = place.stage.sessions.values().next().unwrap();
    let route = |session: &Session| session.facts().unwrap().routed.route().map(|id| id.0);
    assert_eq!(route(session), Some(1));
    let blue = |model: &mut Model| model.routes[1] = to("orders", "blue");
    assert_eq!(place.reload(blue), 40);
    place.stage.keeper.step(place.stage.now);
    let told = place.told();
    assert!((1..20).contains(&told), "at a pace: {told}");
    let back = |model: &mut Model| model.routes[1] = to("orders", "main");
    assert_eq!(place.reload(back), 0);
    for _ in 0..20 {
        place.stage.now += Duration::from_millis(100);
        place.stage.keeper.step(place.stage.now);
    }
    assert_eq!(place.told(), told, "the others are left alone again");
}

#[test]
fn a_session_in_its_handshake_at_the_reload_is_found_when_it_has_gone_where_the_old_route_led() {
    let mut place = Place::new([0, 0, 0]);
    let registry = &place.stage.keeper.shared.registry;
    let arrival = Arrival::new(ListenerName("amqp".into()), ([127, 0, 0, 1], 4000).into());
    let session = Arc::new(Session::new(registry.next_id(), arrival));
    registry.insert(session.clone());
    let node = place.stage.node(1);
    assert_eq!(place.reload(|model| model.routes.push(to("orders", "blue"))), 0);
    session.opened(Box::new(SessionFacts {
        node,
        user: None,
        vhost: Some("orders".into()),
        software: Software::default(),
        handshake: (Duration::ZERO, Duration::ZERO),
        routed: Default::default(),
    }));
    for _ in 0..5 {
        place.stage.now += Duration::from_millis(100);
        place.stage.keeper.step(place.stage.now);
    }
    assert_eq!(session.poll_order(Waker::noop()), Some(Order::RouteChanged));
}

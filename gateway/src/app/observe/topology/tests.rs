use std::sync::Arc;

use super::*;
use crate::app::observe::list::List;
use crate::app::observe::samples;
use crate::config::model::{ClusterName, Conditions, ListenerName};
use crate::session::registry::{Registry, SessionId};
use crate::tls::Tls;

fn topology(snapshot: &Snapshot, doors: &[Door], rows: &[Row]) -> Topology {
    draw(doors, snapshot, rows, false, Instant::now())
}

fn stage() -> (Snapshot, Vec<Door>) {
    let main = ClusterName("main".into());
    let mut model = samples::model();
    let to = |cluster: &ClusterName| model::Route {
        name: Some("orders".into()),
        conditions: Conditions {
            listener: Some(ListenerName("amqp".into())),
            ..Conditions::default()
        },
        action: RouteAction::To { cluster: cluster.clone(), rename_vhost: None },
    };
    model.routes = vec![to(&main)];
    let doors = samples::doors(&model);
    (Snapshot::new(&model, &Tls::default(), 1), doors)
}

fn on_cluster(snapshot: &Snapshot) -> Registry {
    let nodes = snapshot.clusters[&ClusterName("main".into())].nodes();
    let registry = Registry::default();
    for id in 1..=5 {
        registry.insert(samples::on_node(id, &nodes[usize::from(id > 3)]));
    }
    registry
}

#[test]
fn sessions_are_counted_at_all_places_and_ways_that_they_pass() {
    let (snapshot, doors) = stage();
    let registry = on_cluster(&snapshot);
    let start = Instant::now();
    let before = List::make(&registry, None, start);
    registry.get(SessionId(5)).expect("it").counters.delivered.set(20);
    let list = List::make(&registry, Some(&before), start + std::time::Duration::from_secs(2));
    let drawn = topology(&snapshot, &doors, &list.rows);
    let sessions: Vec<_> = drawn.places.iter().map(|p| (&*p.id, p.sessions)).collect();
    let expected = [
        ("listener:amqp", 5),
        ("listener:other", 0),
        ("route:1", 0),
        ("cluster:main", 5),
        ("node:main/r1", 3),
        ("node:main/r2", 2),
    ];
    assert_eq!(sessions, expected);
    let flows: Vec<_> = drawn
        .flows
        .iter()
        .map(|flow| (&*flow.from, &*flow.to, flow.sessions, flow.rates.delivered))
        .collect();
    let expected = [
        ("listener:amqp", "route:1", 0, 0.0),
        ("listener:amqp", "cluster:main", 5, 10.0),
        ("listener:other", "cluster:main", 0, 0.0),
        ("route:1", "cluster:main", 0, 0.0),
        ("cluster:main", "node:main/r1", 3, 0.0),
        ("cluster:main", "node:main/r2", 2, 10.0),
    ];
    assert_eq!(flows, expected);
}

#[test]
fn health_is_told_in_colour_and_in_words() {
    let (snapshot, doors) = stage();
    let nodes = snapshot.clusters[&ClusterName("main".into())].nodes();
    let told = || {
        let places = topology(&snapshot, &doors, &[]).places;
        places.into_iter().skip(2).map(|p| format!("{} {}", p.health, p.state)).collect::<Vec<_>>()
    };
    nodes[0].condition.set_verdict(Verdict::Up);
    assert_eq!(
        told(),
        ["good to main", "good 2 of 2 nodes serve", "good up", "unknown not checked yet"]
    );
    nodes[1].condition.set_verdict(Verdict::Down);
    assert_eq!(told()[1..], ["warning 1 of 2 nodes serve", "good up", "bad down"]);
    nodes[0].condition.set_admin(AdminState::Draining);
    let expected = ["bad to main", "bad 0 of 2 nodes serve", "warning draining", "bad down"];
    assert_eq!(told(), expected);
}

#[test]
fn a_session_whose_node_is_not_known_any_more_is_counted_where_it_arrived() {
    let (snapshot, doors) = stage();
    let registry = Registry::default();
    registry.insert(samples::session(1));
    let list = List::make(&registry, None, Instant::now());
    let drawn = topology(&snapshot, &doors, &list.rows);
    assert_eq!((drawn.places[0].sessions, drawn.flows.len()), (1, 6));
    assert_eq!(Arc::strong_count(&list.rows[0].session), 2);
}

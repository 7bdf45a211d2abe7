//! Sessions for tests.

use std::sync::Arc;
use std::time::Duration;

use super::listeners::Door;
use crate::cluster::node::Node;
use crate::config::model::{Listener, ListenerName, Model, samples};
use crate::gate::Gate;
use crate::session::registry::{Registry, Session, SessionFacts, SessionId, Software};
use crate::session::routed::Routed;
use crate::stream::arrival::Arrival;

/// Of `id` hang the user, `u{id % 2}`, the vhost, `v{id % 3}`, the node, `main/n{id % 4}`, and the address.
pub(super) fn session(id: u64) -> Arc<Session> {
    let node = samples::node(&format!("n{}", id % 4), 5672);
    on_node(id, &Arc::new(Node::sample("main", &node)))
}

pub(super) fn on_node(id: u64, node: &Arc<Node>) -> Arc<Session> {
    let address = u32::from_be_bytes([10, 0, 0, 0]) + id as u32;
    let client = (std::net::Ipv4Addr::from(address), 4000).into();
    let session = Session::new(SessionId(id), Arrival::new(ListenerName("amqp".into()), client));
    session.opened(Box::new(SessionFacts {
        node: node.clone(),
        user: Some(format!("u{}", id % 2).into()),
        vhost: Some(format!("v{}", id % 3).into()),
        software: Software {
            product: Some("Pika".into()),
            connection_name: Some(format!("Worker {id}").into()),
            ..Software::default()
        },
        routed: Routed::default(),
        handshake: (Duration::from_millis(2), Duration::from_millis(1)),
    }));
    Arc::new(session)
}

/// Sessions 1 to `count`.
pub(super) fn registry(count: u64) -> Registry {
    let registry = Registry::default();
    (1..=count).for_each(|id| registry.insert(session(id)));
    registry
}

/// The same on one node, made quickly.
pub(super) fn crowd(count: u64) -> Registry {
    let node = Arc::new(Node::sample("main", &samples::node("n1", 5672)));
    let registry = Registry::default();
    (1..=count).for_each(|id| registry.insert(on_node(id, &node)));
    registry
}

/// A cluster of two nodes behind two listeners.
pub(super) fn model() -> Model {
    let cluster =
        samples::cluster("main", vec![samples::node("r1", 5671), samples::node("r2", 5672)]);
    let listener = |name: &str, port: u16| Listener {
        bind: vec![([127, 0, 0, 1], port).into()],
        ..samples::listener(name, Some("main"))
    };
    let listeners = vec![listener("amqp", 5672), listener("other", 5673)];
    Model { listeners, ..samples::model(vec![cluster]) }
}

/// Its listeners, none of which runs.
pub(super) fn doors(model: &Model) -> Vec<Door> {
    let door = |model: &Listener| Door {
        model: model.clone(),
        gate: Arc::new(Gate::new(10)),
        accepting: Arc::default(),
    };
    model.listeners.iter().map(door).collect()
}

//! The way of sessions, drawn: listeners, routes, clusters, nodes, and what passes between them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use super::list::Row;
use super::listeners::{self, Door};
use super::routes;
use super::sums::{Sum, serves};
use crate::admin::view::status::{Flow, Place, Topology};
use crate::cluster::Cluster;
use crate::cluster::condition::{AdminState, Verdict};
use crate::cluster::node::Node;
use crate::config::model::{self, RouteAction};
use crate::snapshot::Snapshot;

/// A listener, route, cluster or node, by what it is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At<'a> {
    Listener(&'a str),
    /// Its position.
    Route(usize),
    Cluster(&'a str),
    Node(&'a str, &'a str),
}

/// What there is, and the ways between it, before it is known what passes there.
#[derive(Debug, Default)]
struct Drawing<'a> {
    places: Vec<(At<'a>, Place)>,
    known: HashMap<At<'a>, usize>,
    flows: Vec<(At<'a>, At<'a>, Sum)>,
    between: HashMap<(At<'a>, At<'a>), usize>,
}

/// Draws it, as it is at `now`.
pub(super) fn draw(
    doors: &[Door],
    snapshot: &Snapshot,
    rows: &[Row],
    stopping: bool,
    now: Instant,
) -> Topology {
    let routes = snapshot.routes.routes();
    let mut clusters: Vec<_> =
        snapshot.clusters.values().map(|cluster| (cluster, nodes(cluster))).collect();
    clusters.sort_unstable_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    let mut drawing = Drawing::default();
    for door in doors {
        drawing.place(At::Listener(door.name()), listener(door, stopping, now));
    }
    for (position, route) in (1..).zip(routes) {
        drawing.place(At::Route(position), place_of_route(position, route, snapshot, now));
    }
    for (cluster, nodes) in &clusters {
        drawing.place(At::Cluster(&cluster.name.0), place_of_cluster(cluster, nodes, now));
    }
    for (cluster, nodes) in &clusters {
        for (node, gone) in nodes {
            drawing.place(At::Node(&cluster.name.0, &node.name), place_of_node(node, *gone));
        }
    }
    drawing.ways(doors, routes);
    rows.iter().for_each(|row| drawing.walk(row));
    drawing.finish(doors)
}

/// Of a cluster: those there are, and those gone that still have sessions.
fn nodes(cluster: &Cluster) -> Vec<(Arc<Node>, bool)> {
    let gone = cluster.gone().into_iter().filter(|node| node.sessions() > 0);
    let here = cluster.nodes();
    here.iter().map(|node| (node.clone(), false)).chain(gone.map(|node| (node, true))).collect()
}

impl<'a> Drawing<'a> {
    fn place(&mut self, at: At<'a>, place: Place) {
        // A node that came back is there under the same name as the one that is gone.
        if let Entry::Vacant(free) = self.known.entry(at) {
            free.insert(self.places.len());
            self.places.push((at, place));
        }
    }

    /// Every way that the configuration has, whether anything passes there or not.
    fn ways(&mut self, doors: &'a [Door], routes: &'a [model::Route]) {
        for door in doors {
            for (position, route) in (1..).zip(routes).filter(|_| !door.is_http()) {
                let listener = route.conditions.listener.as_ref();
                if listener.is_none_or(|name| *name == door.model.name) {
                    self.flow(At::Listener(door.name()), At::Route(position));
                }
            }
            if let Some(cluster) = &door.model.cluster {
                self.flow(At::Listener(door.name()), At::Cluster(&cluster.0));
            }
        }
        for (position, route) in (1..).zip(routes) {
            if let RouteAction::To { cluster, .. } = &route.action {
                self.flow(At::Route(position), At::Cluster(&cluster.0));
            }
        }
        let nodes: Vec<_> = self.places.iter().map(|(at, _)| *at).collect();
        for at in nodes {
            if let At::Node(cluster, _) = at {
                self.flow(At::Cluster(cluster), at);
            }
        }
    }

    /// Adds a session to all places and ways that it passes.
    fn walk(&mut self, row: &'a Row) {
        let listener = At::Listener(row.listener());
        self.count(listener);
        let Some((cluster, node)) = row.node() else { return };
        let route = row.route().map(At::Route);
        let (cluster, node) = (At::Cluster(cluster), At::Node(cluster, node));
        let mut before = listener;
        for at in route.into_iter().chain([cluster, node]) {
            self.count(at);
            // What a reload has taken away is not drawn, though sessions may be there for a while.
            if self.known.contains_key(&before) && self.known.contains_key(&at) {
                self.flow(before, at).iter_mut().for_each(|sum| sum.add(row));
            }
            before = at;
        }
    }

    fn count(&mut self, at: At<'a>) {
        let place = self.known.get(&at).and_then(|at| self.places.get_mut(*at));
        place.into_iter().for_each(|(_, place)| place.sessions += 1);
    }

    fn flow(&mut self, from: At<'a>, to: At<'a>) -> Option<&mut Sum> {
        let new = self.flows.len();
        let at = *self.between.entry((from, to)).or_insert(new);
        if at == new {
            self.flows.push((from, to, Sum::default()));
        }
        self.flows.get_mut(at).map(|(_, _, sum)| sum)
    }

    fn finish(mut self, doors: &[Door]) -> Topology {
        // What requests pass is not counted here; how many there are, their listener knows.
        for door in doors.iter().filter(|door| door.is_http()) {
            let at = self.known.get(&At::Listener(door.name()));
            if let Some((_, place)) = at.and_then(|at| self.places.get_mut(*at)) {
                place.sessions = door.gate.live();
            }
        }
        let flow = |(from, to, sum): (At<'_>, At<'_>, Sum)| Flow {
            from: from.id(),
            to: to.id(),
            sessions: sum.sessions,
            rates: sum.rates,
        };
        Topology {
            places: self.places.into_iter().map(|(_, place)| place).collect(),
            flows: self.flows.into_iter().map(flow).collect(),
        }
    }
}

impl At<'_> {
    fn id(self) -> String {
        match self {
            Self::Listener(name) => format!("listener:{name}"),
            Self::Route(position) => format!("route:{position}"),
            Self::Cluster(name) => format!("cluster:{name}"),
            Self::Node(cluster, name) => format!("node:{cluster}/{name}"),
        }
    }

    fn place(self, name: &str, note: String, health: &str, state: String) -> Place {
        let kind = match self {
            Self::Listener(_) => "listener",
            Self::Route(_) => "route",
            Self::Cluster(_) => "cluster",
            Self::Node(..) => "node",
        };
        let (name, health) = (name.to_owned(), health.to_owned());
        Place { id: self.id(), kind: kind.to_owned(), name, note, health, state, sessions: 0 }
    }
}

fn listener(door: &Door, stopping: bool, now: Instant) -> Place {
    let (health, state) = match listeners::wrong(door, stopping, now) {
        None => ("good", "accepting".to_owned()),
        Some(reason) => ("bad", format!("not accepting: {reason}")),
    };
    let tls = if door.model.tls.is_some() { " with TLS" } else { "" };
    let note = format!("{}{tls}, {}", door.model.protocol.name(), door.addresses().join(", "));
    At::Listener(door.name()).place(door.name(), note, health, state)
}

fn place_of_route(
    position: usize,
    route: &model::Route,
    snapshot: &Snapshot,
    now: Instant,
) -> Place {
    let (health, state) = match &route.action {
        RouteAction::To { cluster, .. } => {
            let usable = snapshot.clusters.get(cluster).is_some_and(|c| c.is_usable(now));
            (if usable { "good" } else { "bad" }, format!("to {cluster}"))
        }
        RouteAction::Reject { code, .. } => ("good", format!("rejects with {code}")),
    };
    let conditions = routes::conditions(&route.conditions).join(", ");
    let note = if conditions.is_empty() { "all sessions".to_owned() } else { conditions };
    At::Route(position).place(&routes::label(position, route), note, health, state)
}

fn place_of_cluster(cluster: &Cluster, nodes: &[(Arc<Node>, bool)], now: Instant) -> Place {
    let here = || nodes.iter().filter(|(_, gone)| !gone);
    let (all, serving) =
        (here().count(), here().filter(|(node, _)| serves(node.condition.fitness())).count());
    let health = match () {
        () if !cluster.is_usable(now) => "bad",
        () if here().any(|(node, _)| of_node(node).0 != "good" && of_node(node).0 != "unknown") => {
            "warning"
        }
        () => "good",
    };
    let note = cluster.model.balance.name().to_owned();
    let state = format!("{serving} of {all} nodes serve");
    At::Cluster(&cluster.name.0).place(&cluster.name.0, note, health, state)
}

fn place_of_node(node: &Node, gone: bool) -> Place {
    let (health, state) = match gone {
        true => ("warning", "gone".to_owned()),
        false => of_node(node),
    };
    At::Node(&node.cluster.0, &node.name).place(&node.name, node.address.to_string(), health, state)
}

/// How a node is, in colour and in words; what weighs most comes first.
fn of_node(node: &Node) -> (&'static str, String) {
    let (condition, says) = (&node.condition, node.condition.says());
    match (condition.admin(), condition.verdict()) {
        (AdminState::Draining, _) => ("warning", "draining".to_owned()),
        (AdminState::Disabled, _) => ("warning", "disabled".to_owned()),
        (_, Verdict::Down) => {
            let report = node.report.load();
            let reason = report.reason.as_deref().map(|reason| format!(": {reason}"));
            ("bad", format!("down{}", reason.unwrap_or_default()))
        }
        _ if says.maintenance => ("warning", "in maintenance".to_owned()),
        _ if says.minority => ("bad", "cut off from its cluster".to_owned()),
        _ if says.memory_alarm => ("warning", "up, memory alarm".to_owned()),
        _ if says.disk_alarm => ("warning", "up, disk alarm".to_owned()),
        _ if node.is_skipped(Instant::now()) => ("warning", "left out after a failure".to_owned()),
        (_, Verdict::Unknown) => ("unknown", "not checked yet".to_owned()),
        (_, Verdict::Up) => ("good", "up".to_owned()),
    }
}

#[cfg(test)]
mod tests;

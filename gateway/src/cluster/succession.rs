//! From one configuration to the next: what a cluster keeps of the one in whose place it comes.
//!
//! A node that is still there is the very same: with its sessions, its health, and what the operator wants of it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Cluster;
use super::discovery::Names;
use super::node::Node;
use super::target::Target;
use crate::config::model::{self, ClusterName};
use crate::tls::OfCluster;
use crate::tls::client::Origination;

/// All nodes of a cluster that somebody still holds, also those that are gone from it. There is one for each address of
/// a section: one that comes back is the same.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Vec<Weak<Node>>>);

impl Known {
    /// The node of `section` at `target`.
    pub(super) fn node(
        &self,
        cluster: &ClusterName,
        section: &model::Node,
        target: &Target,
    ) -> Arc<Node> {
        let mut nodes = self.lock();
        nodes.retain(|node| node.strong_count() > 0);
        let same = |node: &Arc<Node>| {
            node.is_of(section) && node.address == target.address && node.later == target.later
        };
        if let Some(node) = nodes.iter().filter_map(Weak::upgrade).find(same) {
            return node;
        }
        let node = Arc::new(Node::new(cluster, section, target));
        nodes.push(Arc::downgrade(&node));
        node
    }

    fn all(&self) -> Vec<Arc<Node>> {
        self.lock().iter().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Node>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    /// The nodes that do not belong to it any more, but that still have sessions.
    #[must_use]
    pub fn gone(&self) -> Vec<Arc<Node>> {
        let (nodes, mut known) = (self.nodes(), self.known.all());
        known.retain(|node| !nodes.iter().any(|other| Arc::ptr_eq(node, other)));
        known
    }

    /// Does the configuration have this node? One that a name does not lead to for the moment counts.
    #[must_use]
    pub fn configures(&self, node: &Node) -> bool {
        self.model.nodes.iter().any(|section| node.is_of(section))
    }

    /// What comes in its place by another configuration: itself, if that says the same of it. Nothing has changed before
    /// [`Cluster::take_effect`].
    #[must_use]
    pub fn next(self: &Arc<Self>, model: &model::Cluster, tls: OfCluster) -> Arc<Self> {
        let same_tls = same(&self.tls, &tls.amqp) && same(&self.https, &tls.https);
        if self.model == *model && same_tls {
            return self.clone();
        }
        let before = self.nodes();
        let of_section = |section: &model::Node| match section.address.literal() {
            Some(address) => vec![self.known.node(&self.name, section, &Target::at(address))],
            // Whatever its name leads to.
            None => before.iter().filter(|node| node.is_of(section)).cloned().collect(),
        };
        let nodes: Vec<_> = model.nodes.iter().flat_map(of_section).collect();
        let admission = match self.model.admission == model.admission {
            // With those who wait in line.
            true => self.admission.clone(),
            false => model.admission.as_ref().map(|model| Arc::new(super::Admission::new(model))),
        };
        Arc::new(Self {
            name: model.name.clone(),
            model: model.clone(),
            tls: tls.amqp,
            https: tls.https,
            admission,
            nodes: arc_swap::ArcSwap::from_pointee(nodes),
            names: Names::after(&self.names, &self.model.nodes, &model.nodes),
            known: self.known.clone(),
            in_force: false.into(),
            turn: self.turn.load(Ordering::Relaxed).into(),
            rebalancing: self.rebalancing.clone(),
        })
    }

    /// What comes in its place when the configuration has it no more: it has no nodes, and knows those that are gone.
    #[must_use]
    pub fn retired(self: &Arc<Self>) -> Arc<Self> {
        let model = model::Cluster { nodes: Vec::new(), admission: None, ..self.model.clone() };
        let tls = OfCluster { amqp: self.tls.clone(), https: self.https.clone() };
        self.next(&model, tls)
    }

    /// It is in force now, in the place of `before`. Whoever is still looking for a node there finds those of this one.
    pub fn take_effect(&self, before: &Self) {
        for section in &self.model.nodes {
            for node in self.nodes().iter().filter(|node| node.is_of(section)) {
                node.configure(section);
            }
        }
        self.in_force.store(true, Ordering::Relaxed);
        before.in_force.store(false, Ordering::Relaxed);
        before.nodes.store(self.nodes());
    }

    pub(super) fn is_in_force(&self) -> bool {
        self.in_force.load(Ordering::Relaxed)
    }
}

fn same(one: &Option<Arc<Origination>>, other: &Option<Arc<Origination>>) -> bool {
    one.as_ref().map(Arc::as_ptr) == other.as_ref().map(Arc::as_ptr)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::samples;

    #[test]
    fn whoever_ends_a_rebalance_with_a_cluster_of_before_ends_it_for_the_one_in_its_place() {
        let model = samples::cluster("main", vec![samples::node("r1", 5672)]);
        let before = Arc::new(Cluster::new(&model));
        before.set_rebalancing(true);
        let changed = model::Cluster { rebalance: !model.rebalance, ..model };
        let next = before.next(&changed, OfCluster::default());
        assert!(!Arc::ptr_eq(&before, &next));
        next.take_effect(&before);
        assert!(next.rebalancing.load(Ordering::Relaxed));
        before.set_rebalancing(false);
        assert!(!next.rebalancing.load(Ordering::Relaxed));
    }
}

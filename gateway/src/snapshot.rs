//! The configuration in effect, as the data plane reads it: immutable, replaced whole.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::cluster::Cluster;
use crate::cluster::node::Node;
use crate::cluster::offer::Offer;
use crate::config::model::{self, ClusterName, ListenerName, Model};
use crate::route::RouteTable;
use crate::tls::{OfCluster, Tls};

/// What a session needs of the configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// Grows with each reload.
    pub revision: u64,
    /// The routes.
    pub routes: RouteTable,
    /// The clusters.
    pub clusters: HashMap<ClusterName, Arc<Cluster>>,
    /// Clusters that the configuration has no more: as long as they have sessions.
    retired: Vec<Arc<Cluster>>,
    /// From accept to open-ok.
    pub handshake_timeout: Duration,
    /// Cuts a session that is silent in both directions for so long.
    pub idle_timeout: Option<Duration>,
    /// Sessions closed a second while draining.
    pub drain_rate: NonZeroU32,
    offers: HashMap<ListenerName, OfferCache>,
}

impl Snapshot {
    /// Builds a snapshot. `tls` was made of the same model.
    #[must_use]
    pub fn new(model: &Model, tls: &Tls, revision: u64) -> Self {
        Self::made(model, tls, revision, |cluster, tls| {
            Arc::new(Cluster::new(cluster).with_tls(tls))
        })
    }

    /// That of another configuration, to come in the place of this one. Clusters of which it says the same are the very
    /// same, and nodes that are still there. Nothing has changed before [`Snapshot::take_effect`].
    #[must_use]
    pub fn next(&self, model: &Model, tls: &Tls, revision: u64) -> Self {
        let next = Self::made(model, tls, revision, |cluster, tls| {
            match self.clusters.get(&cluster.name).or_else(|| self.retired_of(&cluster.name)) {
                Some(before) => before.next(cluster, tls),
                None => Arc::new(Cluster::new(cluster).with_tls(tls)),
            }
        });
        let is_gone = |cluster: &&Arc<Cluster>| !next.clusters.contains_key(&cluster.name);
        let removed = self.clusters.values().filter(is_gone).map(Cluster::retired);
        let has_sessions = |cluster: &&Arc<Cluster>| {
            is_gone(cluster) && cluster.gone().iter().any(|node| node.sessions() > 0)
        };
        let retired = self.retired.iter().filter(has_sessions).cloned().chain(removed).collect();
        Self { retired, ..next }
    }

    /// It has come in the place of `before`: nodes get the settings that it has for them, and whoever looks for a node of
    /// `before` finds those that are there now.
    pub fn take_effect(&self, before: &Self) {
        let retired = self.retired.iter().map(|cluster| (&cluster.name, cluster));
        for (name, cluster) in self.clusters.iter().chain(retired) {
            let old = before.clusters.get(name).or_else(|| before.retired_of(name));
            if let Some(old) = old.filter(|old| !Arc::ptr_eq(old, cluster)) {
                cluster.take_effect(old);
            }
        }
    }

    /// Those in force, and those that the configuration has no more while they still have sessions.
    pub fn all_clusters(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        self.clusters.values().chain(&self.retired)
    }

    fn retired_of(&self, name: &ClusterName) -> Option<&Arc<Cluster>> {
        self.retired.iter().find(|cluster| cluster.name == *name)
    }

    fn made(
        model: &Model,
        tls: &Tls,
        revision: u64,
        cluster: impl Fn(&model::Cluster, OfCluster) -> Arc<Cluster>,
    ) -> Self {
        let clusters = model.clusters.iter().map(|section| {
            let tls = tls.clusters.get(&section.name).cloned().unwrap_or_default();
            (section.name.clone(), cluster(section, tls))
        });
        let clusters: HashMap<_, _> = clusters.collect();
        let routes = RouteTable::new(model);
        let offers = model.listeners.iter().map(|listener| {
            let reachable = routes.reachable(&listener.name).into_iter();
            let reachable = reachable.filter_map(|name| clusters.get(name)).cloned();
            let cache = OfferCache { clusters: reachable.collect(), cached: None.into() };
            (listener.name.clone(), cache)
        });
        Self {
            revision,
            offers: offers.collect(),
            routes,
            clusters,
            retired: Vec::new(),
            handshake_timeout: model.gateway.handshake_timeout,
            idle_timeout: model.gateway.idle_timeout,
            drain_rate: model.gateway.drain_rate,
        }
    }

    /// The clusters that a session of a listener may reach.
    #[must_use]
    pub fn reachable(&self, listener: &ListenerName) -> &[Arc<Cluster>] {
        self.offers.get(listener).map_or(&[], |cache| &cache.clusters)
    }

    /// What the gateway offers clients of a listener in a broker's place.
    #[must_use]
    pub fn offer(&self, listener: &ListenerName) -> Arc<Offer> {
        match self.offers.get(listener) {
            Some(cache) => cache.get(),
            None => Arc::new(Offer::common(std::iter::empty())),
        }
    }
}

/// An offer, made anew when a node has told something new, or when nodes have come or gone.
#[derive(Debug)]
struct OfferCache {
    clusters: Vec<Arc<Cluster>>,
    cached: ArcSwapOption<Cached>,
}

#[derive(Debug)]
struct Cached {
    /// What it was made of.
    nodes: Vec<Arc<Vec<Arc<Node>>>>,
    lessons: u64,
    offer: Arc<Offer>,
}

impl OfferCache {
    fn get(&self) -> Arc<Offer> {
        let nodes: Vec<_> = self.clusters.iter().map(|cluster| cluster.nodes()).collect();
        let all = || nodes.iter().flat_map(|nodes| nodes.iter());
        let lessons = all().map(|node| node.lessons()).sum();
        if let Some(cached) = &*self.cached.load()
            && cached.lessons == lessons
            && cached.nodes.iter().zip(&nodes).all(|(then, now)| Arc::ptr_eq(then, now))
        {
            return cached.offer.clone();
        }
        let offer = Arc::new(Offer::common(all()));
        self.cached.store(Some(Arc::new(Cached { lessons, offer: offer.clone(), nodes })));
        offer
    }
}

//! The configuration in effect, as the data plane reads it: immutable, replaced whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::cluster::Cluster;
use crate::cluster::node::Node;
use crate::cluster::offer::Offer;
use crate::config::model::{ClusterName, ListenerName, Model};
use crate::route::RouteTable;
use crate::tls::Tls;

/// What a session needs of the configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// Grows with each reload.
    pub revision: u64,
    /// The routes.
    pub routes: RouteTable,
    /// The clusters.
    pub clusters: HashMap<ClusterName, Arc<Cluster>>,
    /// From accept to open-ok.
    pub handshake_timeout: Duration,
    /// Cuts a session that is silent in both directions for so long.
    pub idle_timeout: Option<Duration>,
    offers: HashMap<ListenerName, OfferCache>,
}

impl Snapshot {
    /// Builds a snapshot. `tls` was made of the same model.
    #[must_use]
    pub fn new(model: &Model, tls: &Tls, revision: u64) -> Self {
        let clusters = model.clusters.iter().map(|cluster| {
            let tls = tls.clusters.get(&cluster.name).cloned().unwrap_or_default();
            (cluster.name.clone(), Arc::new(Cluster::new(cluster).with_tls(tls)))
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
            handshake_timeout: model.gateway.handshake_timeout,
            idle_timeout: model.gateway.idle_timeout,
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

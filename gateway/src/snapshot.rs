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
    /// Builds a snapshot.
    #[must_use]
    pub fn new(model: &Model, revision: u64) -> Self {
        let clusters: HashMap<_, _> =
            model.clusters.iter().map(|c| (c.name.clone(), Arc::new(Cluster::new(c)))).collect();
        let routes = RouteTable::new(model);
        let nodes_of = |listener: &ListenerName| {
            let reachable = routes.reachable(listener).into_iter();
            reachable
                .filter_map(|name| clusters.get(name))
                .flat_map(|c| c.nodes().to_vec())
                .collect()
        };
        let offers = model.listeners.iter().map(|listener| {
            let cache = OfferCache { nodes: nodes_of(&listener.name), cached: None.into() };
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

    /// What the gateway offers clients of a listener in a broker's place.
    #[must_use]
    pub fn offer(&self, listener: &ListenerName) -> Arc<Offer> {
        match self.offers.get(listener) {
            Some(cache) => cache.get(),
            None => Arc::new(Offer::common(std::iter::empty())),
        }
    }
}

/// An offer, made anew when a node has told something new.
#[derive(Debug)]
struct OfferCache {
    nodes: Vec<Arc<Node>>,
    cached: ArcSwapOption<(u64, Arc<Offer>)>,
}

impl OfferCache {
    fn get(&self) -> Arc<Offer> {
        let lessons = self.nodes.iter().map(|node| node.lessons()).sum();
        if let Some(cached) = &*self.cached.load()
            && cached.0 == lessons
        {
            return cached.1.clone();
        }
        let offer = Arc::new(Offer::common(self.nodes.iter()));
        self.cached.store(Some(Arc::new((lessons, offer.clone()))));
        offer
    }
}

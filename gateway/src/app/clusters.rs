//! Clusters, their nodes and sessions from one configuration to the next.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::cluster::Cluster;
use crate::cluster::lookup::Lookup;
use crate::config::model::{ClusterName, Model};
use crate::drain::Keeper;
use crate::health::Health;
use crate::session::Shared;
use crate::session::registry::Session;
use crate::snapshot::Snapshot;

/// How long the first lookups of names may keep clients waiting.
const NAMES_PATIENCE: Duration = Duration::from_secs(5);

/// Who looks after clusters: finds their nodes, checks them, and closes sessions that have to leave.
pub(super) struct Clusters {
    shared: Arc<Shared>,
    health: Arc<Health>,
    keeper: Arc<Keeper>,
    /// Ends the lookups of each cluster.
    lookups: Mutex<HashMap<ClusterName, (Arc<Cluster>, Lookup, CancellationToken)>>,
    stop: CancellationToken,
}

impl Clusters {
    /// Looks after none yet; until `stop`.
    pub(super) fn new(
        shared: Arc<Shared>,
        health: Arc<Health>,
        keeper: Arc<Keeper>,
        stop: CancellationToken,
    ) -> Self {
        Self { shared, health, keeper, lookups: Mutex::default(), stop }
    }

    /// Looks names of nodes up for the first time, before their clusters are in force; after a while clients are served
    /// without.
    pub(super) async fn resolve(&self, snapshot: &Snapshot, name_servers: &[SocketAddr]) {
        let lookup = Lookup { name_servers: name_servers.to_vec() };
        let known = |cluster: &&Arc<Cluster>| {
            let now = self.shared.snapshot.load();
            now.clusters.get(&cluster.name).is_some_and(|before| Arc::ptr_eq(before, cluster))
                && cluster.names().iter().all(|name| name.trouble.is_none())
        };
        let fresh = snapshot.clusters.values().filter(|cluster| !known(cluster));
        let all = join_all(fresh.map(|cluster| cluster.discover(&lookup)));
        if timeout(NAMES_PATIENCE, all).await.is_err() {
            warn!(waited = ?NAMES_PATIENCE, "names of nodes do not resolve: accepting clients all the same");
        }
    }

    /// Looks after the clusters of the first configuration.
    pub(super) fn begin(&self, name_servers: &[SocketAddr]) {
        let snapshot = self.shared.snapshot.load_full();
        snapshot.clusters.values().for_each(|cluster| self.look_after(cluster, name_servers));
    }

    /// `new` is in force in the place of `old`, and stands in `Shared::snapshot` already: nodes get their settings, checks
    /// and lookups go by it, and sessions that have lost their node or whose route leads elsewhere are closed, at a pace.
    /// Returns how many those are.
    pub(super) fn follow(
        &self,
        old: &Snapshot,
        new: &Snapshot,
        name_servers: &[SocketAddr],
    ) -> usize {
        new.take_effect(old);
        for name in old.clusters.keys().filter(|name| !new.clusters.contains_key(*name)) {
            self.health.leave(name);
            self.end_lookups(name);
        }
        new.clusters.values().for_each(|cluster| self.look_after(cluster, name_servers));
        self.keeper.reloaded()
    }

    /// How many sessions this configuration would close: those whose node, cluster or listener it has no more, those whose
    /// route leads elsewhere by it, and whoever is `also` to be closed.
    pub(super) fn sessions_closed(&self, model: &Model, also: impl Fn(&Session) -> bool) -> usize {
        self.keeper.would_close(model, also)
    }

    fn look_after(&self, cluster: &Arc<Cluster>, name_servers: &[SocketAddr]) {
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, lookup, stop)) = lookups.get(&cluster.name) {
            let same = Arc::ptr_eq(known, cluster);
            if same && lookup.name_servers == name_servers {
                return;
            }
            stop.cancel();
        }
        self.health.watch(cluster.clone());
        let (lookup, stop) =
            (Lookup { name_servers: name_servers.to_vec() }, self.stop.child_token());
        let keeping = cluster.clone().keep_discovered(lookup.clone());
        let until = stop.clone();
        tokio::spawn(async move { until.run_until_cancelled(keeping).await });
        lookups.insert(cluster.name.clone(), (cluster.clone(), lookup, stop));
    }

    fn end_lookups(&self, name: &ClusterName) {
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., stop)) = lookups.remove(name) {
            stop.cancel();
        }
    }
}

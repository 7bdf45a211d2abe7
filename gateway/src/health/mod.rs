//! Health: whether nodes can serve, found by asking them, and told to whoever chooses or closes.
//!
//! Everything here runs on the control runtime and never on a worker. [`machine`] and [`partition`] decide, without a
//! clock; [`probe`] asks; [`driver`] has a task for each node, [`watch`] one for each cluster.

pub mod machine;
pub mod partition;
pub mod probe;

mod driver;
mod news;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::Cluster;
use crate::cluster::report::HealthEvent;
use crate::config::model::ClusterName;
use crate::telemetry::metrics::Metrics;

/// Events kept for a subscriber that is slow; one that misses some looks at the nodes themselves.
const BACKLOG: usize = 1024;

/// How long a broker may take to answer when the gateway leaves.
const GOODBYE: Duration = Duration::from_secs(1);

/// The health of all clusters of a gateway.
#[derive(Debug)]
pub struct Health {
    gateway: Arc<str>,
    metrics: Arc<Metrics>,
    events: broadcast::Sender<HealthEvent>,
    watched: Mutex<HashMap<ClusterName, Watched>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// A cluster that is watched.
#[derive(Debug)]
struct Watched {
    news: Arc<news::News>,
    stop: CancellationToken,
}

impl Health {
    /// Watches nothing yet. `gateway` is the gateway's name, which brokers see.
    #[must_use]
    pub fn new(gateway: Arc<str>, metrics: Arc<Metrics>) -> Self {
        let (events, _) = broadcast::channel(BACKLOG);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        Self { gateway, metrics, events, watched: Mutex::default(), stop, tasks }
    }

    /// What is news about nodes, from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<HealthEvent> {
        self.events.subscribe()
    }

    /// Watches the nodes of a cluster, also those it gets later, on the present runtime. If one of that name is watched
    /// already, this one has come in its place: what is known of the nodes that both have stays, and checks whose settings
    /// are the same go on.
    pub fn watch(&self, cluster: Arc<Cluster>) {
        let mut watched = self.watched();
        if let Some(Watched { news, .. }) = watched.get(&cluster.name) {
            return news.follow(cluster);
        }
        let (name, stop) = (cluster.name.clone(), self.stop.child_token());
        let news = news::News::new(cluster, self.metrics.clone(), self.events.clone());
        let news = Arc::new(news);
        self.tasks.spawn(watch::watch(news.clone(), self.gateway.clone(), stop.clone()));
        watched.insert(name, Watched { news, stop });
    }

    /// Watches the cluster of that name no more, and leaves its brokers in order.
    pub fn leave(&self, name: &ClusterName) {
        if let Some(Watched { stop, .. }) = self.watched().remove(name) {
            stop.cancel();
        }
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<ClusterName, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops watching; leaves the brokers in order, or after [`GOODBYE`] without.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

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

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::Cluster;
use crate::cluster::report::HealthEvent;
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
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Health {
    /// Watches nothing yet. `gateway` is the gateway's name, which brokers see.
    #[must_use]
    pub fn new(gateway: Arc<str>, metrics: Arc<Metrics>) -> Self {
        let (events, _) = broadcast::channel(BACKLOG);
        Self { gateway, metrics, events, stop: CancellationToken::new(), tasks: TaskTracker::new() }
    }

    /// What is news about nodes, from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<HealthEvent> {
        self.events.subscribe()
    }

    /// Watches the nodes of a cluster, also those it gets later, on the present runtime.
    pub fn watch(&self, cluster: Arc<Cluster>) {
        let news = news::News::new(cluster, self.metrics.clone(), self.events.clone());
        let watching = watch::watch(Arc::new(news), self.gateway.clone(), self.stop.child_token());
        self.tasks.spawn(watching);
    }

    /// Stops watching; leaves the brokers in order, or after [`GOODBYE`] without.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

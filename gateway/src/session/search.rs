//! The search for a node that takes a connection: one after another, as the cluster chooses, while the client is watched.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tracing::{field, warn};

use super::end::End;
use super::{Shared, dial};
use crate::cluster::node::{Lease, Node};
use crate::cluster::{Cluster, Key};

/// A node that takes a connection but does not say its first word within this time is hung: another one is tried, if
/// there is one.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(1);

/// One session's search in one cluster.
pub(super) struct Search {
    /// Where it looks.
    pub(super) cluster: Arc<Cluster>,
    tried: Vec<Arc<Node>>,
}

impl Search {
    pub(super) fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, tried: Vec::new() }
    }

    /// The nodes tried so far, the last one behind.
    pub(super) fn tried(&self) -> &[Arc<Node>] {
        &self.tried
    }

    /// Connects to the next node that can be reached; `None` when no further one may be tried.
    ///
    /// # Errors
    /// The end of the session, as soon as `watch` finds it: a client that has gone needs no node.
    pub(super) async fn connect(
        &mut self,
        shared: &Shared,
        key: &Key<'_>,
        mut watch: impl FnMut(&mut Context<'_>) -> Poll<End>,
    ) -> Result<Option<(TcpStream, Lease)>, End> {
        while self.may_try_more() {
            let Some(lease) = self.cluster.choose(&self.tried, key, Instant::now()) else { break };
            self.tried.push(lease.node().clone());
            let dialing = dial::dial(lease.node().address, self.dial_patience());
            match watched(dialing, &mut watch).await? {
                Ok(stream) => return Ok(Some((stream, lease))),
                Err(error) => node_failed(shared, lease.node(), dial::reason(&error), &error),
            }
        }
        Ok(None)
    }

    /// Is there another node, should the present one fail?
    pub(super) fn has_another(&self) -> bool {
        self.may_try_more() && self.cluster.has_another(&self.tried, Instant::now())
    }

    fn may_try_more(&self) -> bool {
        self.tried.len() <= self.cluster.retry as usize
    }

    /// A hung node stops taking connections once its backlog is full; one that is switched off never took any.
    fn dial_patience(&self) -> Duration {
        match self.has_another() {
            true => self.cluster.connect_timeout.min(START_PATIENCE),
            false => self.cluster.connect_timeout,
        }
    }
}

/// Notes that a node does not take connections, or says nothing on them: it is left out for a while. The one place where
/// a session's failure counts against a node.
pub(super) fn node_failed(
    shared: &Shared,
    node: &Node,
    reason: &'static str,
    how: &dyn std::fmt::Display,
) {
    let left_out = (reason != dial::FD_LIMIT).then(|| node.failed(Instant::now()));
    let (cluster, name) = (&node.cluster, &node.name);
    shared.metrics.node_connect_failed(&cluster.0, name, reason);
    warn!(
        %cluster, node = %name, address = %node.address, reason, %how, left_out = left_out.map(field::debug),
        "node does not answer"
    );
}

/// Does `work`, unless `watch` finds the end of the session first.
pub(super) async fn watched<T>(
    work: impl Future<Output = T>,
    mut watch: impl FnMut(&mut Context<'_>) -> Poll<End>,
) -> Result<T, End> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Ok(done)),
        Poll::Pending => watch(cx).map(Err),
    })
    .await
}

//! The search for a node that takes a connection: one after another, as the cluster chooses, while the client is watched.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tracing::{debug, error, warn};

use super::dial::{self, DialError, Port};
use super::end::{End, Phase, Who};
use super::registry::Session;
use super::{Shared, held};
use crate::cluster::admission::{Place, Refused};
use crate::cluster::node::{Lease, Node};
use crate::cluster::{Cluster, Key};
use crate::socket::{OwnFault, own_fault};
use crate::stream::Stream;

/// A node that takes a connection but does not say its first word within this time is hung: another one is tried, if
/// there is one.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(1);

/// One session's search in one cluster.
pub(super) struct Search {
    /// Where it looks.
    pub(super) cluster: Arc<Cluster>,
    port: Port,
    tried: Vec<Arc<Node>>,
    place: Place,
}

/// What a search comes to.
pub(super) enum Found {
    /// A connection, and the place on the node that it is counted in.
    Node(Stream, Lease),
    /// No further node may be tried.
    Nobody,
    /// The cluster admits no further connection now.
    NotAdmitted(Refused),
}

impl Search {
    /// Looks for a node that takes AMQP.
    pub(super) fn new(cluster: Arc<Cluster>) -> Self {
        Self::of_port(cluster, Port::Amqp)
    }

    /// Looks for one that takes connections at `port`.
    pub(super) fn of_port(cluster: Arc<Cluster>, port: Port) -> Self {
        Self { cluster, port, tried: Vec::new(), place: Place::default() }
    }

    /// The nodes tried so far, the last one behind.
    pub(super) fn tried(&self) -> &[Arc<Node>] {
        &self.tried
    }

    /// Connects to the next node that can be reached, once the cluster admits it.
    ///
    /// # Errors
    /// The end of the session, as soon as `watch` finds it: a client that has gone needs no node.
    pub(super) async fn connect(
        &mut self,
        (shared, session): (&Shared, &Session),
        key: &Key<'_>,
        mut watch: impl FnMut(&mut Context<'_>) -> Poll<End>,
    ) -> Result<Found, End> {
        while self.may_try_more() {
            let admitted = held::admit(shared, session, &self.cluster, &mut self.place, &mut watch);
            if let Err(refused) = admitted.await? {
                return Ok(Found::NotAdmitted(refused));
            }
            let Some(lease) = self.cluster.choose(&self.tried, key, Instant::now()) else { break };
            self.tried.push(lease.node().clone());
            let (cluster, node) = (&lease.node().cluster, &lease.node().name);
            debug!(session = %session.id.0, %cluster, %node, "connecting to node");
            let target = (&*self.cluster, &**lease.node(), self.port);
            let dialing = dial::dial(session, target, self.dial_patience());
            match watched(dialing, &mut watch).await? {
                Ok(stream) => return Ok(Found::Node(stream, lease)),
                Err(error) => self.not_connected(shared, lease.node(), &error),
            }
        }
        Ok(Found::Nobody)
    }

    /// Notes that there is no connection to a node, which counts against it only if the fault is not this machine's, and
    /// if it is AMQP that it does not take.
    fn not_connected(&self, shared: &Shared, node: &Node, error: &DialError) {
        let own = match error {
            DialError::Io(error) => own_fault(error),
            DialError::Tls(..) => None,
        };
        let reason = own.map_or_else(|| dial::reason(error), |fault| fault.reason);
        if own.is_none() && matches!(self.port, Port::Amqp) {
            return node_failed(shared, node, reason, error);
        }
        let (cluster, name) = (&node.cluster, &node.name);
        shared.metrics.node_connect_failed(&cluster.0, name, reason);
        // Every client would meet it.
        if !node.may_be_complained_of(Instant::now()) {
            return;
        }
        let address = self.port.on(node);
        match own {
            Some(OwnFault { cure, .. }) => error!(
                %cluster, node = %name, %address, reason, how = %error, cure,
                "the gateway cannot connect to the node, and the fault is its own: it does not count against the node"
            ),
            None => warn!(
                %cluster, node = %name, %address, reason, how = %error,
                "node does not answer at this port: another one is tried, and AMQP goes on there"
            ),
        }
    }

    /// Is there another node, should the present one fail?
    pub(super) fn has_another(&self) -> bool {
        self.may_try_more() && self.cluster.has_another(&self.tried, Instant::now())
    }

    fn may_try_more(&self) -> bool {
        self.tried.len() <= self.cluster.model.retry as usize
    }

    /// A hung node stops taking connections once its backlog is full; one that is switched off never took any.
    fn dial_patience(&self) -> Duration {
        match self.has_another() {
            true => self.cluster.model.connect_timeout.min(START_PATIENCE),
            false => self.cluster.model.connect_timeout,
        }
    }
}

/// The end of a session that found no node, and why it did not, in words for the client.
pub(super) fn unserved(search: Option<&Search>, refused: Option<Refused>) -> (End, String) {
    let cluster = search.map_or("?", |search| &*search.cluster.name.0);
    let ended = |reason| End::new(Who::Gateway, Phase::Connect, reason);
    let busy = format!("cluster {cluster} admits no more new sessions now");
    match refused {
        None => {
            let tried = search.map_or(0, |search| search.tried().len());
            let end = ended("no-node").with_detail(format!("{tried} nodes tried"));
            (end, format!("no node of cluster {cluster} is usable"))
        }
        Some(Refused::Full) => (ended("admission-full"), format!("{busy}: too many are waiting")),
        Some(Refused::Overdue) => {
            (ended("admission-overdue"), format!("{busy}: the time to wait is over"))
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
    let left_out = node.failed(Instant::now());
    let (cluster, name) = (&node.cluster, &node.name);
    shared.metrics.node_connect_failed(&cluster.0, name, reason);
    warn!(
        %cluster, node = %name, address = %node.address, reason, %how, ?left_out,
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

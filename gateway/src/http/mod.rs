//! HTTP listeners: the management UI and API of the nodes, through the gateway. `docs/management-ui.md` is their page.
//!
//! All of it runs on a thread and a runtime of its own, which is there only if some listener speaks HTTP: what browsers do
//! slows no AMQP client. [`arrive`] finds out who has come, [`connection`] serves them; [`service`]
//! directs a request, [`forward`] hands it to a node of [`nodes`].

mod arrive;
mod body;
mod connection;
mod exchange;
mod forward;
mod headers;
mod health;
mod link;
mod nodes;
mod page;
mod pool;
mod pulse;
mod redirect;
mod service;
mod stall;
mod tunnel;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::header::HeaderValue;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Dispatch, info, warn};

use crate::cluster::Cluster;
use crate::cluster::condition::Verdict;
use crate::config::model::{self, ClusterName, Http, ListenerName, Protocol};
use crate::gate::Gate;
use crate::listener::Listener;
use crate::listener::accept::Acceptor;
use crate::listener::entrance::Entrance;
use crate::stream::shared::SharedAddresses;
use crate::telemetry::access::AccessLog;
use crate::telemetry::metrics::{Metrics, Scrape};
use crate::telemetry::names;
use crate::worker::handshakes::give_way;
pub use exchange::Reason;
use nodes::HttpCluster;

/// What HTTP listeners need of the gateway.
#[derive(Debug)]
pub struct Setup {
    /// The gateway's name.
    pub name: Arc<str>,
    /// The clusters.
    pub clusters: HashMap<ClusterName, Arc<Cluster>>,
    /// The gateway's limit.
    pub gate: Arc<Gate>,
    /// From accept to the end of the first request's head, and for every other head.
    pub head: Duration,
    /// Addresses that this gateway shares with others.
    pub addresses: Arc<SharedAddresses>,
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
    /// Where they are recorded, if anywhere.
    pub access: Option<AccessLog>,
}

/// What the connections of all HTTP listeners share.
#[derive(Debug)]
struct Shared {
    gate: Arc<Gate>,
    head: Duration,
    /// The gateway's name on requests.
    via: HeaderValue,
    addresses: Arc<SharedAddresses>,
    metrics: Arc<Metrics>,
    access: Option<AccessLog>,
    /// Accept no more, and finish what is under way.
    stop: CancellationToken,
    /// Finish nothing.
    cut: CancellationToken,
    /// Accept loops, connections, and what became of these.
    connections: TaskTracker,
    /// What nobody waits for in the end.
    chores: TaskTracker,
}

/// A listener as its connections know it.
#[derive(Debug)]
struct HttpListener {
    name: ListenerName,
    http: Http,
    entrance: Arc<Entrance>,
    cluster: Option<Arc<HttpCluster>>,
}

/// The running HTTP listeners.
#[derive(Debug)]
pub struct HttpServer {
    stop: CancellationToken,
    cut: CancellationToken,
    done: CancellationToken,
    thread: JoinHandle<()>,
}

/// Starts the thread of the HTTP listeners, which logs to `log`; `None` if there are none.
///
/// # Errors
/// If a runtime or a thread cannot be made.
pub fn start(
    setup: Setup,
    listeners: Vec<(model::Listener, Listener)>,
    log: &Dispatch,
) -> io::Result<Option<HttpServer>> {
    if listeners.is_empty() {
        return Ok(None);
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let shared = Arc::new(Shared {
        via: headers::via(&setup.name),
        gate: setup.gate,
        head: setup.head,
        addresses: setup.addresses,
        metrics: setup.metrics,
        access: setup.access,
        stop: CancellationToken::new(),
        cut: CancellationToken::new(),
        connections: TaskTracker::new(),
        chores: TaskTracker::new(),
    });
    let done = CancellationToken::new();
    let (stop, cut) = (shared.stop.clone(), shared.cut.clone());
    let (log, clusters, finished) = (log.clone(), setup.clusters, done.clone());
    let thread = std::thread::Builder::new().name("http".to_owned()).spawn(move || {
        tracing::dispatcher::with_default(&log, || {
            // It makes its own TLS handshakes.
            give_way();
            runtime.block_on(run(&shared, &clusters, listeners));
            drop(runtime);
        });
        finished.cancel();
    })?;
    Ok(Some(HttpServer { stop, cut, done, thread }))
}

/// Runs until told to stop, and until then until nothing is under way any more.
async fn run(
    shared: &Arc<Shared>,
    clusters: &HashMap<ClusterName, Arc<Cluster>>,
    listeners: Vec<(model::Listener, Listener)>,
) {
    let mut used: HashMap<ClusterName, Arc<HttpCluster>> = HashMap::new();
    for (model, bound) in listeners {
        let Protocol::Http(http) = model.protocol else { continue };
        let cluster = model.cluster.as_ref().and_then(|name| {
            let cluster = clusters.get(name)?.clone();
            let new = || Arc::new(HttpCluster::new(cluster));
            Some(used.entry(name.clone()).or_insert_with(new).clone())
        });
        let Listener { name, gate, accepting, entrance, sockets } = bound;
        let listener = Arc::new(HttpListener { name, http, entrance, cluster });
        for socket in sockets.into_iter().flatten() {
            let address = socket.local_addr().map_or_else(|_| "?".into(), |a| a.to_string());
            let acceptor = Acceptor {
                listener: listener.name.clone(),
                gate: gate.clone(),
                gateway_gate: shared.gate.clone(),
                accepting: accepting.clone(),
                metrics: shared.metrics.clone(),
            };
            let (serving, arrived_at) = (shared.clone(), listener.clone());
            let receive = move |accepted| {
                let serve = arrive::serve(serving.clone(), arrived_at.clone(), accepted);
                serving.connections.spawn(serve);
            };
            info!(listener = %listener.name, %address, "accepting");
            shared.connections.spawn(acceptor.run(socket, shared.stop.clone(), receive));
        }
    }
    let all: Vec<_> = used.values().cloned().collect();
    shared.metrics.add_collector(move |scrape| all.iter().for_each(|cluster| up(scrape, cluster)));
    for cluster in used.into_values() {
        shared.chores.spawn(health::watch(shared.clone(), cluster));
    }
    shared.stop.cancelled().await;
    shared.connections.close();
    tokio::select! {
        () = shared.connections.wait() => {}
        () = shared.cut.cancelled() => {}
    }
}

fn up(scrape: &mut Scrape<'_>, cluster: &HttpCluster) {
    for node in cluster.known().iter() {
        let up = *node.verdict.borrow() != Verdict::Down;
        let labels = [&*node.node.cluster.0, &*node.node.name];
        scrape.gauge(&names::HTTP_NODE_UP, &labels, f64::from(u8::from(up)));
    }
}

impl HttpServer {
    /// Accepts no more. Requests under way go on.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until the requests under way are finished, for at most `timeout`, or until `cut` is ready. Then it cuts them.
    pub async fn finish(&self, timeout: Duration, cut: impl Future<Output = ()>) {
        self.stop.cancel();
        let why = tokio::select! {
            () = self.done.cancelled() => return,
            () = tokio::time::sleep(timeout) => "gateway.drain_timeout is over",
            () = cut => "second signal",
        };
        warn!(why, "cutting the HTTP requests that are left");
        self.cut.cancel();
        self.done.cancelled().await;
    }

    /// Waits for the thread's end.
    pub fn join(self) {
        self.cut.cancel();
        self.stop.cancel();
        // A thread that panicked has said so already.
        let _ = self.thread.join();
    }
}

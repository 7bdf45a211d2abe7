//! HTTP listeners: the management UI and API of the nodes, through the gateway. `docs/management-ui.md` is their page.
//!
//! All of it runs on a thread and a runtime of its own, which is there only once some listener speaks HTTP: what browsers do
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

use arc_swap::ArcSwap;
use hyper::header::HeaderValue;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{Dispatch, info, warn};

use crate::cluster::Cluster;
use crate::cluster::condition::Verdict;
use crate::config::model::{ClusterName, Http, ListenerName};
use crate::gate::Gate;
use crate::listener::accept::Acceptor;
use crate::listener::entrance::Entrance;
use crate::listener::{Listener, Place};
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
    /// The gateway's limit.
    pub gate: Arc<Gate>,
    /// Addresses that this gateway shares with others.
    pub addresses: Arc<SharedAddresses>,
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
    /// Where they are recorded, if anywhere.
    pub access: Option<AccessLog>,
}

/// What HTTP listeners are to do from now on.
#[derive(Debug)]
pub struct Plan {
    /// All of them. One that is missing here, and was there before, is forgotten; its own token stops it.
    pub listeners: Vec<Planned>,
    /// The clusters.
    pub clusters: HashMap<ClusterName, Arc<Cluster>>,
    /// From accept to the end of the first request's head, and for every other head.
    pub head: Duration,
}

/// An HTTP listener as it is to be.
#[derive(Debug)]
pub struct Planned {
    /// What its loops have in common.
    pub listener: Listener,
    /// What it does.
    pub http: Http,
    /// Where requests go.
    pub cluster: Option<ClusterName>,
    /// Addresses where it does not accept yet.
    pub places: Vec<Place>,
}

/// What the connections of all HTTP listeners share.
#[derive(Debug)]
struct Shared {
    gate: Arc<Gate>,
    head: ArcSwap<Duration>,
    /// The gateway's name on requests.
    via: HeaderValue,
    addresses: Arc<SharedAddresses>,
    metrics: Arc<Metrics>,
    access: Option<AccessLog>,
    /// The clusters that requests go to.
    used: ArcSwap<Vec<Arc<HttpCluster>>>,
    /// Accept no more, and finish what is under way.
    stop: CancellationToken,
    /// Finish nothing.
    cut: CancellationToken,
    /// Accept loops, connections, and what became of these.
    connections: TaskTracker,
    /// What nobody waits for in the end.
    chores: TaskTracker,
}

impl Shared {
    fn head(&self) -> Duration {
        **self.head.load()
    }
}

/// A listener as its connections know it.
#[derive(Debug)]
struct HttpListener {
    name: ListenerName,
    entrance: Arc<ArcSwap<Entrance>>,
    /// Where its requests go; a reload replaces it.
    way: ArcSwap<Way>,
    /// It is gone, or the gateway stops: finish what is under way.
    stop: CancellationToken,
}

/// Where the requests of a listener go.
#[derive(Debug)]
struct Way {
    http: Http,
    cluster: Option<Arc<HttpCluster>>,
}

/// The running HTTP listeners.
#[derive(Debug)]
pub struct HttpServer {
    plans: mpsc::UnboundedSender<Plan>,
    stop: CancellationToken,
    cut: CancellationToken,
    done: CancellationToken,
    thread: JoinHandle<()>,
}

/// Starts the thread of the HTTP listeners, which logs to `log`.
///
/// # Errors
/// If a runtime or a thread cannot be made.
pub fn start(setup: Setup, log: &Dispatch) -> io::Result<HttpServer> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let shared = Arc::new(Shared {
        via: headers::via(&setup.name),
        gate: setup.gate,
        head: ArcSwap::default(),
        addresses: setup.addresses,
        metrics: setup.metrics,
        access: setup.access,
        used: ArcSwap::default(),
        stop: CancellationToken::new(),
        cut: CancellationToken::new(),
        connections: TaskTracker::new(),
        chores: TaskTracker::new(),
    });
    let done = CancellationToken::new();
    let (stop, cut) = (shared.stop.clone(), shared.cut.clone());
    let (log, finished) = (log.clone(), done.clone());
    let (plans, wanted) = mpsc::unbounded_channel();
    let thread = std::thread::Builder::new().name("http".to_owned()).spawn(move || {
        tracing::dispatcher::with_default(&log, || {
            // It makes its own TLS handshakes.
            give_way();
            runtime.block_on(run(&shared, wanted));
            drop(runtime);
        });
        finished.cancel();
    })?;
    Ok(HttpServer { plans, stop, cut, done, thread })
}

/// Runs until told to stop, and then until nothing is under way any more.
async fn run(shared: &Arc<Shared>, mut wanted: mpsc::UnboundedReceiver<Plan>) {
    let told = shared.clone();
    let used = move |scrape: &mut Scrape<'_>| told.used.load().iter().for_each(|c| up(scrape, c));
    shared.metrics.add_collector(used);
    let mut running = Running::default();
    while let Some(Some(plan)) = shared.stop.run_until_cancelled(wanted.recv()).await {
        running.follow(shared, plan);
    }
    shared.stop.cancelled().await;
    shared.connections.close();
    tokio::select! {
        () = shared.connections.wait() => {}
        () = shared.cut.cancelled() => {}
    }
}

/// What runs, on the thread of HTTP.
#[derive(Debug, Default)]
struct Running {
    listeners: HashMap<ListenerName, Arc<HttpListener>>,
    clusters: HashMap<ClusterName, (Arc<HttpCluster>, AbortOnDropHandle<()>)>,
}

impl Running {
    /// What stays as it is goes on as it is.
    fn follow(&mut self, shared: &Arc<Shared>, plan: Plan) {
        let Plan { listeners, clusters, head } = plan;
        shared.head.store(Arc::new(head));
        let mut before = std::mem::take(&mut self.clusters);
        let mut known = std::mem::take(&mut self.listeners);
        for planned in listeners {
            let name = planned.cluster.as_ref();
            let cluster =
                name.and_then(|name| self.cluster(shared, clusters.get(name)?, &mut before));
            let way = Way { http: planned.http, cluster };
            let Listener { name, entrance, stop, .. } = planned.listener.clone();
            let same = known.remove(&name).filter(|known| Arc::ptr_eq(&known.entrance, &entrance));
            let listener = match same {
                Some(listener) => {
                    listener.way.store(Arc::new(way));
                    listener
                }
                None => {
                    let way = ArcSwap::from_pointee(way);
                    Arc::new(HttpListener { name: name.clone(), entrance, way, stop })
                }
            };
            accept(shared, &listener, &planned.listener, planned.places);
            self.listeners.insert(name, listener);
        }
        let used = self.clusters.values().map(|(cluster, _)| cluster.clone());
        shared.used.store(Arc::new(used.collect()));
    }

    /// A cluster with a task that asks its nodes.
    fn cluster(
        &mut self,
        shared: &Arc<Shared>,
        cluster: &Arc<Cluster>,
        before: &mut HashMap<ClusterName, (Arc<HttpCluster>, AbortOnDropHandle<()>)>,
    ) -> Option<Arc<HttpCluster>> {
        let name = &cluster.name;
        if !self.clusters.contains_key(name) {
            let driven = match before.remove(name) {
                Some(same) if Arc::ptr_eq(&same.0.cluster, cluster) => same,
                other => {
                    let old = other.map(|(old, _)| old);
                    let new = Arc::new(HttpCluster::after(old.as_deref(), cluster.clone()));
                    let watching = health::watch(shared.clone(), new.clone());
                    (new, AbortOnDropHandle::new(shared.chores.spawn(watching)))
                }
            };
            self.clusters.insert(name.clone(), driven);
        }
        self.clusters.get(name).map(|(cluster, _)| cluster.clone())
    }
}

/// Starts the loops of a listener at these places.
fn accept(
    shared: &Arc<Shared>,
    listener: &Arc<HttpListener>,
    common: &Listener,
    places: Vec<Place>,
) {
    for place in places {
        let address = place.address();
        for socket in place.sockets {
            let acceptor = Acceptor {
                listener: common.name.clone(),
                gate: common.gate.clone(),
                gateway_gate: shared.gate.clone(),
                accepting: common.accepting.clone(),
                metrics: shared.metrics.clone(),
                handed_over: place.handed_over.clone(),
            };
            let (serving, arrived_at) = (shared.clone(), listener.clone());
            let receive = move |accepted| {
                let serve = arrive::serve(serving.clone(), arrived_at.clone(), accepted);
                serving.connections.spawn(serve);
            };
            let run = acceptor.run(socket, place.stop.clone(), receive);
            shared.connections.spawn(place.loops.track_future(run));
        }
        info!(listener = %common.name, %address, "accepting");
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
    /// Does as the plan has it from now on.
    pub fn follow(&self, plan: Plan) {
        // It only fails where the thread has ended, and then nothing is served any more.
        let _ = self.plans.send(plan);
    }

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

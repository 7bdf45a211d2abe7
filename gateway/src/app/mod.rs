//! Puts the gateway together, runs it until it is told to stop, and takes it apart in order.

mod arrive;
mod capabilities;
mod collect;
mod disk;
mod drain;
mod files;
mod listeners;
mod logs;
mod observe;
mod operator;
mod privileges;
mod reload;
mod signals;
mod tap;
mod vrrp;
mod watch;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::{FutureExt, join_all};
use thiserror::Error;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{Dispatch, info, warn};

use arrive::Hall;
use listeners::{Ground, Known, Listeners, Start};
use logs::Logs;
use observe::{Lookout, Sights};
use reload::Steward;
use signals::Signals;

use crate::admin::auth::{Accounts, Auth};
use crate::admin::operator::observe::Observer;
use crate::admin::{self, AdminError, AdminServer, Sources};
use crate::cluster::Cluster;
use crate::cluster::lookup::Lookup;
use crate::cluster::report::HealthEvent;
use crate::config;
use crate::config::diagnostic::Problem;
use crate::config::model::{ClusterName, Model};
use crate::drain::Keeper;
use crate::gate::Gate;
use crate::health::Health;
use crate::http::{self, HttpServer};
use crate::listener::accept::Acceptor;
use crate::session::registry::Registry;
use crate::session::tap::Taps;
use crate::session::{Ended, Shared};
use crate::snapshot::Snapshot;
use crate::stream::shared::SharedAddresses;
use crate::telemetry::access::AccessLog;
use crate::telemetry::events::{Kind, Severity, What};
use crate::telemetry::log::{self, FilterError};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::output::SinkError;
use crate::telemetry::sink::Sink;
use crate::tls::problem::located;
use crate::tls::watch::Watch;
use crate::tls::{self, Tls};
use crate::vrrp::board::Board;
use crate::vrrp::warden::{Hand, Thread};
use crate::worker::handshakes::HandshakeThreads;
use crate::worker::{self, Clock, Workers};

/// How long the first lookups of names may keep clients waiting.
const NAMES_PATIENCE: Duration = Duration::from_secs(5);

/// How long files that are being read may keep the gateway from ending.
const LAST_READS: Duration = Duration::from_secs(2);

/// Why the gateway does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration is not valid.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Config(Vec<Problem>),
    /// Logs have nowhere to go.
    #[error("log: {0}")]
    Log(#[from] SinkError),
    /// The log filter in the environment is not valid.
    #[error("log: {0}")]
    Filter(#[from] FilterError),
    /// An address cannot be bound; all that cannot are listed.
    #[error("{}", .0.join("\n"))]
    Bind(Vec<String>),
    /// The admin address cannot be served.
    #[error("admin: {0}")]
    Admin(#[from] AdminError),
    /// The addresses that gateways share cannot be taken care of.
    #[error("vrrp: {0}")]
    Vrrp(String),
    /// User or group cannot be taken on.
    #[error("gateway.user: {0}")]
    User(String),
    /// Threads or signals.
    #[error("start: {0}")]
    System(#[from] std::io::Error),
}

/// Runs the gateway of a configuration file until it is told to stop.
///
/// # Errors
/// Everything that keeps it from starting.
pub fn run(path: &Path) -> Result<(), StartError> {
    let text = config::text_of(path).map_err(StartError::Config)?;
    let (model, warnings) = config::load_text(&text, path).map_err(StartError::Config)?;
    // Before any other thread: see there.
    let thread = privileges::part(&model)?;
    let tls = tls::prepare(&model).map_err(|wrong| StartError::Config(located(path, &wrong)))?;
    let sink = Arc::new(Sink::open(&model.log)?);
    let (dispatch, level) = log::dispatch(model.log.level, sink.handle())?;
    let result = tracing::dispatcher::with_default(&dispatch, || {
        for warning in &warnings {
            warn!("{}", warning.message);
        }
        for warning in &tls.warnings {
            warn!("{}: {}", warning.message, warning.advice);
        }
        let begin = Begin { path, text: text.into(), model, tls: Arc::new(tls), thread };
        start(begin, &Logs::new(sink.clone(), level, dispatch.clone()))
    });
    sink.flush(Duration::from_secs(2));
    result
}

/// What a gateway begins with.
struct Begin<'a> {
    path: &'a Path,
    text: Arc<str>,
    model: Model,
    tls: Arc<Tls>,
    thread: Option<Thread>,
}

/// What a running gateway is made of.
struct Gateway {
    shared: Arc<Shared>,
    workers: Arc<Workers>,
    handshakes: HandshakeThreads,
    gate: Arc<Gate>,
    listeners: Listeners,
    health: Health,
    /// Clusters that are watched, and the tasks that look up the names of their nodes.
    watched: HashMap<ClusterName, (Arc<Cluster>, AbortOnDropHandle<()>)>,
    lookup: Lookup,
    tasks: TaskTracker,
    /// Accept loops, and clients on their way from one thread to another.
    arrivals: TaskTracker,
    stop_accepting: CancellationToken,
    keeper: Arc<Keeper>,
    tls: Arc<ArcSwap<Tls>>,
    /// Addresses that other gateways share.
    addresses: Arc<SharedAddresses>,
    /// What is known of the virtual routers.
    board: Arc<Board>,
    /// Moves them; empty until VRRP runs.
    hand: Arc<OnceLock<Hand>>,
    /// Changes them, once the gateway serves.
    routers: Option<Arc<vrrp::Routers>>,
    /// Whoever looks at sessions and traffic.
    lookout: Option<Arc<Lookout>>,
    /// Who may do what at the admin address.
    auth: Arc<Auth>,
    admin: Option<AdminServer>,
    http: Option<HttpServer>,
    /// Sessions of listeners that are gone.
    leaving: Option<reload::UnderWay>,
}

fn start(begin: Begin<'_>, logs: &Logs) -> Result<(), StartError> {
    let Begin { path, text, model, tls, thread } = begin;
    let (sink, dispatch) = (&*logs.sink, &logs.dispatch);
    let addresses = Arc::new(vrrp::addresses(&model));
    let count = worker::count(model.gateway.workers);
    let stop_accepting = CancellationToken::new();
    let listeners = Listeners::default();
    let shares = |address| addresses.contains(address);
    let ground = Ground { workers: count, shares: &shares, stop: &stop_accepting };
    let (plan, problems) = match listeners.plan(&model, &tls, &ground) {
        Ok(plan) => (Some(plan), Vec::new()),
        Err(problems) => (None, problems),
    };
    let bound = model.admin.as_ref().map(|admin| admin::bind(admin.bind, shares(admin.bind.ip())));
    let bound = bound.transpose().map_err(|error| format!("admin: {error}"));
    let (plan, bound) = match (plan, bound) {
        (Some(plan), Ok(bound)) => (plan, bound),
        (_, bound) => {
            return Err(StartError::Bind([problems, bound.err().into_iter().collect()].concat()));
        }
    };
    files::raise_limit(&model);
    privileges::drop_to(&model, thread.as_ref())?;
    let clock = Arc::new(Clock::new());
    let workers = Arc::new(Workers::start(count, &clock, dispatch)?);
    let access = AccessLog::new(sink.handle());
    access.switch(model.log.access);
    let shared = Arc::new(Shared {
        name: model.gateway.name.clone(),
        snapshot: ArcSwap::from_pointee(Snapshot::new(&model, &tls, 1)),
        registry: Registry::default(),
        taps: Taps::default(),
        ended: Ended::default(),
        metrics: Arc::new(Metrics::new()),
        access: Some(access),
        events: Arc::default(),
    });
    let health = Health::new(shared.name.clone(), shared.metrics.clone());
    let keeper = Arc::new(Keeper::new(shared.clone()));
    let accounts = model.admin.as_ref().map(Accounts::of).unwrap_or_default();
    let auth = Arc::new(Auth::new(accounts, shared.events.clone())?);
    let mut gateway = Gateway {
        shared,
        health,
        workers,
        handshakes: HandshakeThreads::none(),
        gate: Arc::new(Gate::new(model.gateway.max_connections)),
        listeners,
        watched: HashMap::new(),
        lookup: Lookup::new(model.gateway.name_servers.clone()),
        tasks: TaskTracker::new(),
        arrivals: TaskTracker::new(),
        stop_accepting,
        keeper,
        tls: Arc::new(ArcSwap::new(tls)),
        addresses,
        board: Arc::new(Board::new(&model.virtual_routers)),
        hand: Arc::default(),
        routers: None,
        lookout: None,
        auth,
        admin: None,
        http: None,
        leaving: None,
    };
    let control = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    control.block_on(async {
        let mut signals = Signals::new()?;
        let stopped = tokio::select! {
            () = gateway.discover_nodes() => false,
            () = signals.stop(logs) => true,
        };
        gateway.collect(sink);
        gateway.lookout = Some(gateway.look_out(sink));
        let mut steward = Steward::new(&gateway, (path, text), &model);
        if let Some(bound) = bound {
            gateway.admin = Some(bound.start(gateway.sources(&steward))?);
        }
        gateway.spawn_tasks(clock);
        gateway.make_threads(&plan, dispatch)?;
        let (loops, http) = gateway.listeners.follow(plan);
        gateway.serve_http(&model, http);
        gateway.accept(loops);
        let routers = Arc::new(vrrp::Routers::new(&gateway, &model));
        gateway.routers = Some(routers.clone());
        let telling = routers.tell();
        if !stopped {
            routers.start(thread, dispatch).await.map_err(StartError::Vrrp)?;
        }
        info!("ready");
        gateway.tell(format!("started, version {}", env!("CARGO_PKG_VERSION")));
        if !stopped {
            steward.run(&mut gateway, &mut signals, logs).await;
        }
        let hurried = routers.stop(signals.stop(logs)).await;
        telling.end();
        let model = steward.in_force();
        tokio::join!(gateway.stop(&model, logs, signals, hurried), telling.done());
        Ok::<_, StartError>(())
    })?;
    drop(gateway.admin.take());
    if let Some(http) = gateway.http.take() {
        http.join();
    }
    gateway.watched.clear();
    gateway.leaving = None;
    // A reload may have been given up that still waits for a file.
    control.shutdown_timeout(LAST_READS);
    gateway.handshakes.stop();
    if let Some(workers) = Arc::into_inner(gateway.workers) {
        workers.stop();
    }
    info!("stopped");
    Ok(())
}

impl Gateway {
    /// Looks names of nodes up for the first time; after a while clients are accepted without.
    async fn discover_nodes(&self) {
        let snapshot = self.shared.snapshot.load_full();
        let all =
            join_all(snapshot.clusters.values().map(|cluster| cluster.discover(&self.lookup)));
        if timeout(NAMES_PATIENCE, all).await.is_err() {
            warn!(waited = ?NAMES_PATIENCE, "names of nodes do not resolve: accepting clients all the same");
        }
    }

    /// Begins to look at sessions and traffic.
    fn look_out(&self, sink: &Sink) -> Arc<Lookout> {
        let (shared, stopping) = (self.shared.clone(), self.stop_accepting.clone());
        let (tls, dropped) = (self.tls.clone(), sink.handle());
        let listening = self.listeners.known();
        let sights = Sights {
            doors: Arc::new(move || Arc::new(listening.load().iter().map(Known::door).collect())),
            tls: Arc::new(move || tls.load_full()),
            gate: self.gate.clone(),
            keeper: self.keeper.clone(),
            board: self.board.clone(),
            not_ready: Arc::new(move || watch::not_ready(&shared, &stopping)),
            dropped: Arc::new(move || dropped.dropped()),
            stopping: self.stop_accepting.clone(),
            shared: self.shared.clone(),
        };
        Lookout::start(sights, self.health.subscribe(), &self.tasks)
    }

    /// Tells what happens to the gateway as a whole.
    fn tell(&self, text: String) {
        let name = self.shared.name.to_string();
        self.shared.events.add(What::new(Kind::Gateway, Severity::Info, name, text));
    }

    fn sources(&self, steward: &Steward) -> Sources {
        let (metrics, shared) = (self.shared.metrics.clone(), self.shared.clone());
        let stop = self.stop_accepting.clone();
        let desk = operator::Desk {
            shared: shared.clone(),
            keeper: self.keeper.clone(),
            board: self.board.clone(),
            hand: self.hand.clone(),
        };
        Sources {
            name: self.shared.name.clone(),
            auth: self.auth.clone(),
            tls: self.tls.load().admin.clone(),
            metrics: Arc::new(move || metrics.render()),
            not_ready: Arc::new(move || watch::not_ready(&shared, &stop)),
            operator: Arc::new(desk),
            observer: self.lookout.clone().map(|lookout| lookout as Arc<dyn Observer>),
            configurator: Arc::new(steward.desk()),
            tapping: Arc::new(tap::Tapper { shared: self.shared.clone() }),
            events: self.shared.events.clone(),
        }
    }

    fn spawn_tasks(&mut self, clock: Arc<Clock>) {
        self.watch_clusters();
        let (metrics, events) = (self.shared.metrics.clone(), self.shared.events.clone());
        let files = Watch::new(self.tls.clone(), metrics, events);
        self.tasks.spawn(files.run(self.stop_accepting.clone()));
        self.tasks.spawn(watch::keep_time(self.shared.clone(), clock));
        let (keeper, stop) = (self.keeper.clone(), self.stop_accepting.clone());
        self.tasks.spawn(wake_on_news(self.health.subscribe(), keeper.clone(), stop.clone()));
        self.tasks.spawn(async move { stop.run_until_cancelled(keeper.run()).await });
    }

    /// Watches over the clusters of the configuration in force, and no others.
    fn watch_clusters(&mut self) {
        let snapshot = self.shared.snapshot.load_full();
        let health = &self.health;
        self.watched.retain(|name, _| {
            let stays = snapshot.clusters.contains_key(name);
            if !stays {
                health.leave(name);
            }
            stays
        });
        for (name, cluster) in &snapshot.clusters {
            if self.watched.get(name).is_some_and(|(watched, _)| Arc::ptr_eq(watched, cluster)) {
                continue;
            }
            self.health.watch(cluster.clone());
            let looking = self.tasks.spawn(cluster.clone().keep_discovered(self.lookup.clone()));
            let watched = (cluster.clone(), AbortOnDropHandle::new(looking));
            self.watched.insert(name.clone(), watched);
        }
    }

    /// Starts the threads that these listeners take, if they are not there yet.
    fn make_threads(&mut self, plan: &listeners::Plan, log: &Dispatch) -> std::io::Result<()> {
        if plan.has_tls() && self.handshakes.runtimes().is_empty() {
            self.handshakes = HandshakeThreads::start(self.workers.all().len(), log)?;
        }
        if plan.has_http() && self.http.is_none() {
            let setup = http::Setup {
                name: self.shared.name.clone(),
                gate: self.gate.clone(),
                addresses: self.addresses.clone(),
                metrics: self.shared.metrics.clone(),
                access: self.shared.access.clone(),
            };
            self.http = Some(http::start(setup, log)?);
        }
        Ok(())
    }

    fn serve_http(&self, model: &Model, listeners: Vec<http::Planned>) {
        let Some(http) = &self.http else { return };
        let clusters = self.shared.snapshot.load().clusters.clone();
        http.follow(http::Plan { listeners, clusters, head: model.gateway.handshake_timeout });
    }

    /// Starts accept loops: one a worker for every address.
    fn accept(&self, starts: Vec<Start>) {
        for Start { listener, tls, places } in starts {
            for place in places {
                let address = place.address();
                let workers = self.workers.all().iter().enumerate();
                for (socket, (number, worker)) in place.sockets.into_iter().zip(workers) {
                    let acceptor = Acceptor {
                        listener: listener.name.clone(),
                        gate: listener.gate.clone(),
                        gateway_gate: self.gate.clone(),
                        accepting: listener.accepting.clone(),
                        metrics: self.shared.metrics.clone(),
                        handed_over: place.handed_over.clone(),
                    };
                    let handshakes = self.handshakes.runtimes().get(number).filter(|_| tls);
                    let hall = Hall {
                        shared: self.shared.clone(),
                        workers: self.workers.clone(),
                        worker: worker.clone(),
                        is_here: handshakes.is_none(),
                        entrance: listener.entrance.clone(),
                        addresses: self.addresses.clone(),
                        arrivals: self.arrivals.clone(),
                        stop: listener.stop.clone(),
                    };
                    let receive = move |accepted| hall.receive(accepted);
                    let run = acceptor.run(socket, place.stop.clone(), receive);
                    let run = place.loops.track_future(run);
                    self.arrivals.spawn_on(run, handshakes.unwrap_or_else(|| worker.runtime()));
                }
                info!(listener = %listener.name, %address, "accepting");
            }
        }
    }

    /// Stops accepting, and closes all sessions; `hurried`: without waiting for them.
    async fn stop(&mut self, model: &Model, logs: &Logs, mut signals: Signals, hurried: bool) {
        self.listeners.let_go();
        self.stop_accepting.cancel();
        if let Some(http) = &self.http {
            http.stop();
        }
        // Everybody who was accepted has begun a session when the drain looks for sessions.
        self.arrivals.close();
        self.arrivals.wait().await;
        let (rate, timeout) = (model.gateway.drain_rate, model.gateway.drain_timeout);
        let sessions = self.shared.registry.len();
        self.tell(format!("stopping: {sessions} sessions are closed"));
        info!(sessions, %rate, ?timeout, "stopping: closing sessions with 320; a second signal cuts them");
        let second = async {
            if !hurried {
                signals.stop(logs).await;
            }
        };
        let cut = second.shared();
        let requests = async {
            if let Some(http) = &self.http {
                http.finish(timeout, cut.clone()).await;
            }
        };
        tokio::join!(drain::drain(&self.shared, rate, timeout, cut.clone()), requests);
        self.health.stop().await;
    }
}

/// Has the keeper look at the nodes as soon as there is news of one.
async fn wake_on_news(
    mut news: broadcast::Receiver<HealthEvent>,
    keeper: Arc<Keeper>,
    stop: CancellationToken,
) {
    while let Some(Ok(_) | Err(RecvError::Lagged(_))) = stop.run_until_cancelled(news.recv()).await
    {
        keeper.look();
    }
}

//! Puts the gateway together, runs it until it is told to stop, and takes it apart in order.

mod arrive;
mod capabilities;
mod collect;
mod drain;
mod observe;
mod operator;
mod privileges;
mod tap;
mod vrrp;
mod watch;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::{FutureExt, join_all};
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Dispatch, info, warn};

use arrive::Hall;
use observe::{Door, Lookout, Sights};

use crate::admin::auth::{Accounts, Auth};
use crate::admin::{self, AdminError, AdminServer, BoundAdmin, Sources};
use crate::cluster::lookup::Lookup;
use crate::cluster::report::HealthEvent;
use crate::config;
use crate::config::diagnostic::Problem;
use crate::config::model::{Model, Protocol, ProxyOut};
use crate::drain::Keeper;
use crate::gate::Gate;
use crate::health::Health;
use crate::http::{self, HttpServer};
use crate::listener::accept::{Accepting, Acceptor};
use crate::listener::entrance::Entrance;
use crate::listener::{self, Listener};
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
    let (model, warnings) = config::load(path).map_err(StartError::Config)?;
    // Before any other thread: see there.
    let thread = privileges::part(&model)?;
    let tls = tls::prepare(&model).map_err(|wrong| StartError::Config(located(path, &wrong)))?;
    let sink = Sink::open(&model.log)?;
    let dispatch = log::dispatch(model.log.level, sink.handle())?;
    let result = tracing::dispatcher::with_default(&dispatch, || {
        for warning in &warnings {
            warn!("{}", warning.message);
        }
        for warning in &tls.warnings {
            warn!("{}: {}", warning.message, warning.advice);
        }
        start(&model, &Arc::new(tls), thread, &sink, &dispatch)
    });
    sink.flush(Duration::from_secs(2));
    result
}

/// What a running gateway is made of.
struct Gateway {
    shared: Arc<Shared>,
    workers: Arc<Workers>,
    handshakes: HandshakeThreads,
    gate: Arc<Gate>,
    gates: Vec<(config::model::ListenerName, Arc<Gate>)>,
    accepting: Vec<(config::model::ListenerName, Arc<Accepting>)>,
    /// The listeners there are now, for whoever looks at them.
    doors: Arc<dyn Fn() -> Arc<Vec<Door>> + Send + Sync>,
    health: Health,
    tasks: TaskTracker,
    /// Accept loops, and clients on their way from one thread to another.
    arrivals: TaskTracker,
    stop_accepting: CancellationToken,
    keeper: Arc<Keeper>,
    tls: Arc<Tls>,
    /// Addresses that other gateways share.
    addresses: Arc<SharedAddresses>,
    /// What is known of the virtual routers.
    board: Arc<Board>,
    /// Moves them; empty until VRRP runs.
    hand: Arc<OnceLock<Hand>>,
    /// Who may do what at the admin address.
    auth: Arc<Auth>,
    admin: Option<AdminServer>,
    http: Option<HttpServer>,
}

fn start(
    model: &Model,
    tls: &Arc<Tls>,
    thread: Option<Thread>,
    sink: &Sink,
    dispatch: &Dispatch,
) -> Result<(), StartError> {
    let addresses = Arc::new(vrrp::addresses(model));
    let (listeners, admin) = bind_all(model, tls, &addresses)?;
    raise_file_limit(model);
    privileges::drop_to(model, thread.as_ref())?;
    let clock = Arc::new(Clock::new());
    let count = worker::count(model.gateway.workers);
    let workers = Arc::new(Workers::start(count, &clock, dispatch)?);
    let with_tls = listeners.iter().any(|listener| listener.entrance.tls.is_some());
    let shared = Arc::new(Shared {
        name: model.gateway.name.clone(),
        snapshot: ArcSwap::from_pointee(Snapshot::new(model, tls, 1)),
        registry: Registry::default(),
        taps: Taps::default(),
        ended: Ended::default(),
        metrics: Arc::new(Metrics::new()),
        access: model.log.access.then(|| AccessLog::new(sink.handle())),
        events: Arc::default(),
    });
    let gates = listeners.iter().map(|l| (l.name.clone(), l.gate.clone())).collect();
    let accepting = listeners.iter().map(|l| (l.name.clone(), l.accepting.clone())).collect();
    let doors = doors(model, &listeners);
    let (http, listeners) = with_http(model, listeners);
    let health = Health::new(shared.name.clone(), shared.metrics.clone());
    let keeper = Arc::new(Keeper::new(shared.clone()));
    let accounts = model.admin.as_ref().map(Accounts::of).unwrap_or_default();
    let auth = Arc::new(Auth::new(accounts, shared.events.clone())?);
    let mut gateway = Gateway {
        shared,
        health,
        workers,
        handshakes: HandshakeThreads::start(if with_tls { count } else { 0 }, dispatch)?,
        gate: Arc::new(Gate::new(model.gateway.max_connections)),
        gates,
        accepting,
        doors: Arc::new(move || doors.clone()),
        tasks: TaskTracker::new(),
        arrivals: TaskTracker::new(),
        stop_accepting: CancellationToken::new(),
        keeper,
        tls: tls.clone(),
        addresses,
        board: Arc::new(Board::new(&model.virtual_routers)),
        hand: Arc::default(),
        auth,
        admin: None,
        http: None,
    };
    let control = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    control.block_on(async {
        let mut signals = Signals::new()?;
        let lookup = Lookup { name_servers: model.gateway.name_servers.clone() };
        let stopped = tokio::select! {
            () = gateway.discover_nodes(&lookup) => false,
            () = signals.stop(sink) => true,
        };
        gateway.collect(sink);
        let lookout = gateway.look_out(sink);
        gateway.admin = admin.map(|bound| bound.start(gateway.sources(lookout))).transpose()?;
        gateway.spawn_tasks(clock, &lookup);
        gateway.http = http::start(gateway.http_setup(model), http, dispatch)?;
        gateway.accept(listeners);
        let routers = Arc::new(vrrp::Routers::new(&gateway, model));
        let telling = routers.tell();
        if !stopped {
            routers.start(thread, dispatch).await.map_err(StartError::Vrrp)?;
        }
        info!("ready");
        gateway.tell(format!("started, version {}", env!("CARGO_PKG_VERSION")));
        if !stopped {
            signals.stop(sink).await;
        }
        let hurried = routers.stop(signals.stop(sink)).await;
        telling.end();
        tokio::join!(gateway.stop(model, sink, signals, hurried), telling.done());
        Ok::<_, StartError>(())
    })?;
    if let Some(admin) = gateway.admin.take() {
        admin.stop();
    }
    if let Some(http) = gateway.http.take() {
        http.join();
    }
    drop(control);
    gateway.handshakes.stop();
    if let Some(workers) = Arc::into_inner(gateway.workers) {
        workers.stop();
    }
    info!("stopped");
    Ok(())
}

/// Binds everything, or tells all that cannot be bound.
fn bind_all(
    model: &Model,
    tls: &Tls,
    shared: &SharedAddresses,
) -> Result<(Vec<Listener>, Option<BoundAdmin>), StartError> {
    let workers = worker::count(model.gateway.workers);
    let notes_local = model.clusters.iter().any(|c| c.proxy_protocol != ProxyOut::Off);
    let mut problems = Vec::new();
    let mut listeners = Vec::new();
    for listener in &model.listeners {
        let mut sockets = Vec::new();
        // HTTP has one thread for all.
        let workers = if matches!(listener.protocol, Protocol::Http(_)) { 1 } else { workers };
        for &address in &listener.bind {
            match listener::bind(address, workers, shared.contains(address.ip())) {
                Ok(of_address) => sockets.push(of_address),
                Err(error) => problems.push(format!(
                    "listener {}: cannot bind {address}: {error}{}",
                    listener.name,
                    advice(&error)
                )),
            }
        }
        let gate = Arc::new(Gate::new(listener.max_connections.unwrap_or(usize::MAX)));
        let termination = tls.listeners.get(&listener.name).cloned();
        let entrance = Arc::new(Entrance::new(listener, termination, notes_local));
        let accepting = Arc::default();
        listeners.push(Listener {
            name: listener.name.clone(),
            gate,
            accepting,
            entrance,
            sockets,
        });
    }
    let bind_admin = |at: SocketAddr| admin::bind(at, shared.contains(at.ip()));
    let admin = match model.admin.as_ref().map(|admin| bind_admin(admin.bind)) {
        Some(Ok(bound)) => Some(bound),
        Some(Err(error)) => {
            problems.push(format!("admin: {error}"));
            None
        }
        None => None,
    };
    if problems.is_empty() { Ok((listeners, admin)) } else { Err(StartError::Bind(problems)) }
}

/// The listeners, as they are shown.
fn doors(model: &Model, listeners: &[Listener]) -> Arc<Vec<Door>> {
    let all = model.listeners.iter().zip(listeners).map(|(model, listener)| Door {
        model: model.clone(),
        gate: listener.gate.clone(),
        accepting: listener.accepting.clone(),
    });
    Arc::new(all.collect())
}

/// Parts the listeners that speak HTTP from the others.
fn with_http(
    model: &Model,
    listeners: Vec<Listener>,
) -> (Vec<(config::model::Listener, Listener)>, Vec<Listener>) {
    let (http, others): (Vec<_>, Vec<_>) = model
        .listeners
        .iter()
        .cloned()
        .zip(listeners)
        .partition(|(model, _)| matches!(model.protocol, Protocol::Http(_)));
    (http, others.into_iter().map(|(_, listener)| listener).collect())
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            " (another process listens there: `ss -ltnp` shows which; stop it or choose another port)"
        }
        std::io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need root or the capability CAP_NET_BIND_SERVICE)"
        }
        std::io::ErrorKind::AddrNotAvailable => " (no interface of this machine has this address)",
        _ => "",
    }
}

/// Two sockets a session, and some for the rest.
fn raise_file_limit(model: &Model) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let needed = model.gateway.max_connections as u64 * 2 + 200;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    if soft < needed && setrlimit(Resource::RLIMIT_NOFILE, needed.min(hard), hard).is_err() {
        warn!(soft, "cannot raise the limit on open files");
    }
    if hard < needed {
        let enough_for = hard.saturating_sub(200) / 2;
        warn!(
            hard,
            needed,
            enough_for,
            "the limit on open files is too low for gateway.max_connections: raise LimitNOFILE or ulimit -n"
        );
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal to stop; others are dealt with meanwhile.
    async fn stop(&mut self, sink: &Sink) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => match sink.reopen() {
                    Ok(()) => info!("log file reopened; reloading the configuration is not available in this build"),
                    Err(error) => warn!(%error, "cannot reopen the log file: the old one stays in use"),
                },
            }
        }
    }
}

impl Gateway {
    /// Looks names of nodes up for the first time; after a while clients are accepted without.
    async fn discover_nodes(&self, lookup: &Lookup) {
        let snapshot = self.shared.snapshot.load_full();
        let all = join_all(snapshot.clusters.values().map(|cluster| cluster.discover(lookup)));
        if timeout(NAMES_PATIENCE, all).await.is_err() {
            warn!(waited = ?NAMES_PATIENCE, "names of nodes do not resolve: accepting clients all the same");
        }
    }

    /// Begins to look at sessions and traffic.
    fn look_out(&self, sink: &Sink) -> Arc<Lookout> {
        let (shared, stopping) = (self.shared.clone(), self.stop_accepting.clone());
        let (tls, dropped) = (self.tls.clone(), sink.handle());
        let sights = Sights {
            doors: self.doors.clone(),
            tls: Arc::new(move || tls.clone()),
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

    fn sources(&self, observer: Arc<Lookout>) -> Sources {
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
            tls: self.tls.admin.clone(),
            metrics: Arc::new(move || metrics.render()),
            not_ready: Arc::new(move || watch::not_ready(&shared, &stop)),
            operator: Arc::new(desk),
            observer,
            configurator: None,
            tapping: Arc::new(tap::Tapper { shared: self.shared.clone() }),
            events: self.shared.events.clone(),
        }
    }

    fn spawn_tasks(&self, clock: Arc<Clock>, lookup: &Lookup) {
        for cluster in self.shared.snapshot.load().clusters.values() {
            self.health.watch(cluster.clone());
            self.tasks.spawn(cluster.clone().keep_discovered(lookup.clone()));
        }
        let files = Watch::new(
            Arc::new(ArcSwap::new(self.tls.clone())),
            self.shared.metrics.clone(),
            self.shared.events.clone(),
        );
        self.tasks.spawn(files.run(self.stop_accepting.clone()));
        self.tasks.spawn(watch::keep_time(self.shared.clone(), clock));
        let (keeper, stop) = (self.keeper.clone(), self.stop_accepting.clone());
        self.tasks.spawn(wake_on_news(self.health.subscribe(), keeper.clone(), stop.clone()));
        self.tasks.spawn(async move { stop.run_until_cancelled(keeper.run()).await });
    }

    fn http_setup(&self, model: &Model) -> http::Setup {
        http::Setup {
            name: self.shared.name.clone(),
            clusters: self.shared.snapshot.load().clusters.clone(),
            gate: self.gate.clone(),
            addresses: self.addresses.clone(),
            head: model.gateway.handshake_timeout,
            metrics: self.shared.metrics.clone(),
            access: self.shared.access.clone(),
        }
    }

    /// Starts the accept loops: one a worker for every address.
    fn accept(&self, listeners: Vec<Listener>) {
        for Listener { name, gate, accepting, entrance, sockets } in listeners {
            for of_address in sockets {
                let address = of_address.first().and_then(|socket| socket.local_addr().ok());
                for (number, (socket, worker)) in
                    of_address.into_iter().zip(self.workers.all()).enumerate()
                {
                    let acceptor = Acceptor {
                        listener: name.clone(),
                        gate: gate.clone(),
                        gateway_gate: self.gate.clone(),
                        accepting: accepting.clone(),
                        metrics: self.shared.metrics.clone(),
                    };
                    let handshakes = self.handshakes.runtimes().get(number);
                    let handshakes = handshakes.filter(|_| entrance.tls.is_some());
                    let hall = Hall {
                        shared: self.shared.clone(),
                        workers: self.workers.clone(),
                        worker: worker.clone(),
                        is_here: handshakes.is_none(),
                        entrance: entrance.clone(),
                        addresses: self.addresses.clone(),
                        arrivals: self.arrivals.clone(),
                        stop: self.stop_accepting.clone(),
                    };
                    let receive = move |accepted| hall.receive(accepted);
                    let run = acceptor.run(socket, self.stop_accepting.clone(), receive);
                    self.arrivals.spawn_on(run, handshakes.unwrap_or_else(|| worker.runtime()));
                }
                let address = address.map_or_else(|| "?".into(), |a| a.to_string());
                info!(listener = %name, %address, "accepting");
            }
        }
    }

    /// Stops accepting, and closes all sessions; `hurried`: without waiting for them.
    async fn stop(&self, model: &Model, sink: &Sink, mut signals: Signals, hurried: bool) {
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
                signals.stop(sink).await;
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

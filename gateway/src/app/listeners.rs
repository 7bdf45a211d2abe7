//! The listeners of a running gateway: what each has bound, and how they become those of another configuration.
//!
//! An address that stays is never bound again, whatever else becomes of its listener: if it needs other accept loops, these
//! get the same sockets, and nobody who waits in a queue is lost.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::observe::Door;
use crate::config::model::{self, ListenerName, Model, Protocol, ProxyOut};
use crate::gate::Gate;
use crate::http;
use crate::listener::entrance::Entrance;
use crate::listener::{self, Listener, Place};
use crate::tls::Tls;

/// How long those who wait at an address that goes may take to be accepted.
const LAST_CLIENTS: Duration = Duration::from_secs(2);

/// A listener, for whoever shows it or watches over it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// What the configuration says of it.
    model: Arc<model::Listener>,
    pub(super) listener: Listener,
}

impl Known {
    /// As it is shown.
    pub(super) fn door(&self) -> Door {
        let Listener { gate, accepting, .. } = self.listener.clone();
        Door { model: model::Listener::clone(&self.model), gate, accepting }
    }
}

/// The listeners there are now, in the order of the configuration.
pub(super) type Listening = Arc<ArcSwap<Vec<Known>>>;

/// All listeners.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    running: Vec<Running>,
    known: Listening,
}

#[derive(Debug)]
struct Running {
    model: Arc<model::Listener>,
    listener: Listener,
    places: Vec<Place>,
}

/// How clients of a listener are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loops {
    /// On the workers.
    Plain,
    /// On the threads for handshakes.
    Tls,
    /// On the thread of HTTP.
    Http,
}

impl Loops {
    fn of(model: &model::Listener) -> Self {
        match (&model.protocol, &model.tls) {
            (Protocol::Http(_), _) => Self::Http,
            (_, Some(_)) => Self::Tls,
            (_, None) => Self::Plain,
        }
    }
}

/// What is to become of the listeners. What is new is bound already; nothing that runs has changed.
#[derive(Debug)]
pub(super) struct Plan(Vec<Planned>);

#[derive(Debug)]
struct Planned {
    model: Arc<model::Listener>,
    listener: Listener,
    entrance: Arc<Entrance>,
    places: Vec<PlannedPlace>,
}

#[derive(Debug)]
enum PlannedPlace {
    /// One that is there, in the same loops.
    Stays(SocketAddr),
    /// Other loops; the sockets may be those of another place. The second one is for the loops.
    New(Place, Place),
}

/// What places are made of.
pub(super) struct Ground<'a> {
    /// Sockets for each address.
    pub(super) workers: usize,
    /// Addresses that other gateways share.
    pub(super) shares: &'a dyn Fn(IpAddr) -> bool,
    /// The gateway stops.
    pub(super) stop: &'a CancellationToken,
}

impl Plan {
    /// Are there clients that make TLS handshakes on threads for that?
    pub(super) fn has_tls(&self) -> bool {
        self.0.iter().any(|planned| Loops::of(&planned.model) == Loops::Tls)
    }

    pub(super) fn has_http(&self) -> bool {
        self.0.iter().any(|planned| Loops::of(&planned.model) == Loops::Http)
    }
}

/// Loops that are to be started.
pub(super) struct Start {
    pub(super) listener: Listener,
    pub(super) tls: bool,
    pub(super) places: Vec<Place>,
}

impl Listeners {
    /// Those there are, whenever somebody looks.
    pub(super) fn known(&self) -> Listening {
        self.known.clone()
    }

    /// Binds what is missing for these listeners.
    ///
    /// # Errors
    /// All that cannot be bound, in words.
    pub(super) fn plan(
        &self,
        model: &Model,
        tls: &Tls,
        ground: &Ground<'_>,
    ) -> Result<Plan, Vec<String>> {
        let notes_local = model.clusters.iter().any(|c| c.proxy_protocol != ProxyOut::Off);
        let mut problems = Vec::new();
        let planned = model.listeners.iter().map(|model| {
            let before = self.running.iter().find(|running| running.model.name == model.name);
            let termination = tls.listeners.get(&model.name).cloned();
            let entrance = Arc::new(Entrance::new(model, termination, notes_local));
            let was_http = before.map(|before| Loops::of(&before.model) == Loops::Http);
            let same = before.filter(|_| was_http == Some(Loops::of(model) == Loops::Http));
            let listener = match same {
                Some(same) => same.listener.clone(),
                None => new_listener(model, before, entrance.clone(), ground.stop),
            };
            let places = model.bind.iter().filter_map(|&at| {
                let place = self.place(model, before, at, &listener.stop, ground);
                place.map_err(|problem| problems.push(problem)).ok()
            });
            let places = places.collect();
            Planned { model: Arc::new(model.clone()), listener, entrance, places }
        });
        let planned = planned.collect();
        if problems.is_empty() { Ok(Plan(planned)) } else { Err(problems) }
    }

    fn place(
        &self,
        model: &model::Listener,
        before: Option<&Running>,
        at: SocketAddr,
        stop: &CancellationToken,
        ground: &Ground<'_>,
    ) -> Result<PlannedPlace, String> {
        let same_loops = before.is_some_and(|b| Loops::of(&b.model) == Loops::of(model));
        if same_loops && before.is_some_and(|before| before.has(at)) {
            return Ok(PlannedPlace::Stays(at));
        }
        // HTTP has one thread for all.
        let workers = if Loops::of(model) == Loops::Http { 1 } else { ground.workers };
        let bound = self.running.iter().flat_map(|running| &running.places);
        // Whoever asks for any port means another one each time.
        let ours = |place: &&Place| place.configured == at && at.port() != 0;
        let place = match bound.into_iter().find(ours) {
            Some(ours) => ours.again(workers, (ground.shares)(at.ip()), stop),
            None => listener::bind(at, workers, (ground.shares)(at.ip()))
                .map(|sockets| Place::new(at, sockets, stop)),
        };
        let both = place.and_then(|place| Ok((place.share()?, place)));
        let both = both.map(|(loops, place)| PlannedPlace::New(place, loops));
        both.map_err(|error| {
            let (name, advice) = (&model.name, advice(&error));
            format!("listener {name}: cannot bind {at}: {error}{advice}")
        })
    }

    /// Ends the loops that are not wanted any more. When this returns, all who waited to be accepted there have been.
    /// Returns the names of listeners that are gone.
    pub(super) async fn make_way(&mut self, plan: &Plan) -> HashSet<ListenerName> {
        let mut gone = HashSet::new();
        let mut ending = Vec::new();
        for running in &mut self.running {
            let successor = plan.0.iter().find(|p| p.model.name == running.model.name);
            let stays = |at: SocketAddr| {
                successor.is_some_and(|planned| {
                    planned.places.iter().any(|p| matches!(p, PlannedPlace::Stays(a) if *a == at))
                })
            };
            let places = std::mem::take(&mut running.places);
            let (stay, leave) = places.into_iter().partition(|place| stays(place.configured));
            running.places = stay;
            ending.extend(leave.into_iter().map(
                |place: Place| match plan.takes(place.configured) {
                    true => place.hand_over(),
                    false => place.end(),
                },
            ));
            let same = |planned: &Planned| {
                Arc::ptr_eq(&planned.listener.entrance, &running.listener.entrance)
            };
            if !successor.is_some_and(same) {
                running.listener.stop.cancel();
            }
            if successor.is_none() {
                gone.insert(running.model.name.clone());
            }
        }
        // Whoever goes on to come in crowds keeps no reload waiting.
        let _ = timeout(LAST_CLIENTS, join_all(ending.iter().map(TaskTracker::wait))).await;
        gone
    }

    /// The listeners are as planned from now on, as soon as these loops are started.
    pub(super) fn follow(&mut self, plan: Plan) -> (Vec<Start>, Vec<http::Planned>) {
        let mut before = std::mem::take(&mut self.running);
        let (mut starts, mut http) = (Vec::new(), Vec::new());
        for Planned { model, listener, entrance, places } in plan.0 {
            listener.entrance.store(entrance);
            listener.gate.set_limit(model.max_connections.unwrap_or(usize::MAX));
            let old = before.iter().position(|running| running.model.name == model.name);
            let mut old = old.map(|at| before.swap_remove(at).places).unwrap_or_default();
            let (mut kept, mut loops) = (Vec::new(), Vec::new());
            for place in places {
                match place {
                    PlannedPlace::Stays(at) => {
                        let there = old.iter().position(|place| place.configured == at);
                        kept.extend(there.map(|there| old.swap_remove(there)));
                    }
                    PlannedPlace::New(place, of_loops) => {
                        kept.push(place);
                        loops.push(of_loops);
                    }
                }
            }
            match &model.protocol {
                Protocol::Http(does) => http.push(http::Planned {
                    listener: listener.clone(),
                    http: *does,
                    cluster: model.cluster.clone(),
                    places: loops,
                }),
                _ => starts.push(Start {
                    listener: listener.clone(),
                    tls: model.tls.is_some(),
                    places: loops,
                }),
            }
            self.running.push(Running { model, listener, places: kept });
        }
        self.known.store(Arc::new(self.running.iter().map(Running::known).collect()));
        (starts, http)
    }

    /// Lets go of all sockets: those who accept on them have them for as long as they need.
    pub(super) fn let_go(&mut self) {
        self.running.clear();
    }
}

impl Plan {
    /// Does it go on with the sockets of this address, in other loops?
    fn takes(&self, at: SocketAddr) -> bool {
        let places = self.0.iter().flat_map(|planned| &planned.places);
        places
            .into_iter()
            .any(|p| matches!(p, PlannedPlace::New(place, _) if place.configured == at))
    }
}

impl Running {
    fn has(&self, at: SocketAddr) -> bool {
        self.places.iter().any(|place| place.configured == at)
    }

    fn known(&self) -> Known {
        Known { model: self.model.clone(), listener: self.listener.clone() }
    }
}

/// One that is accepted for in other ways than before, or was not there at all.
fn new_listener(
    model: &model::Listener,
    before: Option<&Running>,
    entrance: Arc<Entrance>,
    stop: &CancellationToken,
) -> Listener {
    let gate = before.map(|before| before.listener.gate.clone());
    let limit = model.max_connections.unwrap_or(usize::MAX);
    Listener {
        name: model.name.clone(),
        gate: gate.unwrap_or_else(|| Arc::new(Gate::new(limit))),
        accepting: Arc::default(),
        entrance: Arc::new(ArcSwap::new(entrance)),
        stop: stop.child_token(),
    }
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

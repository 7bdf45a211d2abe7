//! Virtual routers in their place: what they need of the gateway, and what becomes of it.

mod close;
mod events;
pub(super) mod sources;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Dispatch, info, warn};

use super::listeners::Listening;
use super::{Gateway, privileges};
use crate::cluster::report::HealthEvent;
use crate::config::model::{Email, Model, VirtualRouter};
use crate::session::Shared;
use crate::stream::shared::SharedAddresses;
use crate::vrrp::board::Board;
use crate::vrrp::notify;
use crate::vrrp::track::{self, Tracker};
use crate::vrrp::warden::{Hand, Thread, Warden};
use sources::sources;

/// All addresses of virtual routers.
pub(super) fn addresses(model: &Model) -> SharedAddresses {
    SharedAddresses::new(all_addresses(model))
}

fn all_addresses(model: &Model) -> impl Iterator<Item = IpAddr> {
    let routers = model.virtual_routers.iter();
    routers.flat_map(|router| router.addresses.iter().map(|own| own.address))
}

/// The virtual routers of a running gateway, across changes of its configuration.
pub(super) struct Routers {
    shared: Arc<Shared>,
    addresses: Arc<SharedAddresses>,
    board: Arc<Board>,
    hand: Arc<OnceLock<Hand>>,
    listeners: Listening,
    /// The runtimes of the workers.
    workers: Vec<Handle>,
    /// Never read: news of nodes begin where somebody subscribes to it anew.
    health: broadcast::Receiver<HealthEvent>,
    tasks: TaskTracker,
    email: watch::Sender<Option<Email>>,
    running: Mutex<Option<Running>>,
}

/// VRRP that runs.
struct Running {
    warden: Warden,
    changes: mpsc::Sender<track::Change>,
}

/// What is to become of the virtual routers. Nothing of it is done yet.
#[derive(Debug)]
pub(super) struct Plan {
    routers: Vec<Arc<VirtualRouter>>,
    addresses: HashSet<IpAddr>,
    email: Option<Email>,
    needs_restart: Option<String>,
}

impl Plan {
    /// Is this address shared by then? A listener has to be bound to it even if it is not on this machine.
    pub(super) fn shares(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address.to_canonical())
    }

    /// Why the virtual routers of this configuration are not begun with before the gateway is started anew, and what to
    /// do.
    pub(super) fn needs_restart(&self) -> Option<&str> {
        self.needs_restart.as_deref()
    }
}

impl Routers {
    pub(super) fn new(gateway: &Gateway, model: &Model) -> Self {
        Self {
            shared: gateway.shared.clone(),
            addresses: gateway.addresses.clone(),
            board: gateway.board.clone(),
            hand: gateway.hand.clone(),
            listeners: gateway.listeners.known(),
            workers: gateway.workers.all().iter().map(|worker| worker.runtime().clone()).collect(),
            health: gateway.health.subscribe(),
            tasks: gateway.tasks.clone(),
            email: watch::Sender::new(model.email.clone()),
            running: Mutex::default(),
        }
    }

    /// Starts the VRRP process, if there is a thread for virtual routers. The gateway serves already.
    ///
    /// # Errors
    /// Why it cannot work.
    pub(super) async fn start(&self, thread: Option<Thread>, log: &Dispatch) -> Result<(), String> {
        let Some(thread) = thread else { return Ok(()) };
        let closer = close::closer(self.shared.clone(), self.addresses.clone());
        let sources = sources(self.shared.clone(), self.listeners.clone(), &self.workers);
        let mut tracker = Tracker::new(&self.board.routers(), sources);
        let news = self.health.resubscribe();
        let burdens = tracker.burdens(Instant::now());
        let warden = Warden::start(thread, self.board.clone(), burdens, closer, log);
        let mut warden = warden.map_err(|error| format!("cannot start: {error}"))?;
        self.tasks.spawn(warden.live());
        if let Err(text) = warden.ready().await {
            warden.end();
            return Err(text);
        }
        // Once a gateway.
        let _ = self.hand.set(warden.hand());
        let hand = warden.hand();
        let (changes, changed) = mpsc::channel(1);
        let bear = move |router: &Arc<str>, burden| hand.bear(router, burden);
        self.tasks.spawn(tracker.run(bear, news, changed));
        *self.lock() = Some(Running { warden, changes });
        Ok(())
    }

    /// What is to become of the virtual routers if the configuration is this one. Changes nothing.
    pub(super) fn prepare(&self, model: &Model) -> Plan {
        let before = self.board.routers();
        let same = |new: &VirtualRouter| before.iter().find(|old| ***old == *new).cloned();
        let routers = model.virtual_routers.iter();
        let routers: Vec<_> =
            routers.map(|new| same(new).unwrap_or_else(|| Arc::new(new.clone()))).collect();
        let begins = !routers.is_empty() && self.lock().is_none();
        let needs_restart = begins.then(privileges::late).and_then(Result::err);
        let addresses = all_addresses(model).collect();
        Plan { routers, addresses, email: model.email.clone(), needs_restart }
    }

    /// Does it. Virtual routers that are as they were are not touched. Returns once the board shows the others, which
    /// may take some seconds more to hand over and to begin.
    ///
    /// # Errors
    /// Why VRRP, which was not running yet, does not.
    pub(super) async fn apply(&self, plan: Plan, log: &Dispatch) -> Result<(), String> {
        let Plan { routers, addresses, email, needs_restart } = plan;
        self.email.send_if_modified(|before| std::mem::replace(before, email.clone()) != email);
        if let Some(text) = needs_restart {
            warn!("{text}");
            return Ok(());
        }
        if self.board.routers() == routers {
            return Ok(());
        }
        self.addresses.set(addresses);
        self.start_late(log).await?;
        let hand = self.hand.get().cloned();
        let changes = self.lock().as_ref().map(|running| running.changes.clone());
        let (Some(hand), Some(changes)) = (hand, changes) else { return Ok(()) };
        let (told, taken) = oneshot::channel();
        let with = routers.clone();
        let then = move |burdens: Vec<_>| {
            // From where burdens are told: none of them comes before what is here.
            let _ = told.send(hand.change(with.into_iter().zip(burdens).collect()));
        };
        let then = Box::new(then);
        if changes.send(track::Change { routers, then }).await.is_ok()
            && let Ok(taken) = taken.await
        {
            // Ends with the sender.
            let _ = taken.await;
        }
        Ok(())
    }

    /// There was no virtual router before.
    async fn start_late(&self, log: &Dispatch) -> Result<(), String> {
        if self.lock().is_some() {
            return Ok(());
        }
        info!("these are the first virtual routers: starting VRRP");
        let thread = privileges::part_late().map_err(|error| error.to_string())?;
        self.start(Some(thread), log).await
    }

    /// Hands the addresses over while clients are still served. `cut` ends that: was it cut?
    pub(super) async fn stop(&self, cut: impl Future<Output = ()>) -> bool {
        let Some(Running { warden, .. }) = self.lock().take() else { return false };
        info!("handing the shared addresses over; a second signal gives them up at once");
        let hurried = tokio::select! {
            () = warden.stop() => false,
            () = cut => true,
        };
        if hurried {
            warn!("second signal: giving the shared addresses up");
        }
        warden.end();
        hurried
    }

    /// Begins to tell commands, web servers, people and the log of events of what happens.
    pub(super) fn tell(&self) -> Telling {
        let stop = CancellationToken::new();
        let (name, health) = (self.shared.name.clone(), self.health.resubscribe());
        let run = notify::run(name, &self.board, self.email.subscribe(), health, stop.clone());
        let keep = events::keep(self.board.subscribe(), events::into(self.shared.events.clone()));
        self.tasks.spawn(keep);
        Telling { task: tokio::spawn(run), stop }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever tells commands, web servers and people of what happens.
pub(super) struct Telling {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Telling {
    /// What happens from now on is not told any more.
    pub(super) fn end(&self) {
        self.stop.cancel();
    }

    /// What happened before is told, or given up.
    pub(super) async fn done(self) {
        let _ = self.task.await;
    }
}

//! The gateway's side of VRRP: starts the VRRP process, watches over it, and tells it how the gateway is.
//!
//! A thread of its own, "vrrp", holds the socket: what the sessions do must not delay a beat. It runs before all threads of
//! the usual policy where the kernel allows that, and sleeps most of the time.

mod child;
mod pace;
mod parting;
mod release;
mod run;
mod slot;
mod thread;
mod timing;
mod utter;
mod wire;

#[cfg(test)]
pub(crate) mod tests;

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::Dispatch;

use super::board::Board;
use crate::config::model::VirtualRouter;
use crate::worker::timeslice::real_time;
use child::{Launcher, OwnBinary};
pub use parting::Close;
use run::Guard;
pub use thread::Thread;

/// How often the control runtime shows that it lives.
const LIFE: Duration = Duration::from_millis(100);
/// For the VRRP process to get ready at the start of the gateway.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// The real-time priority of the thread, the lowest there is.
const PRIORITY: u8 = 1;

/// Closes the connections of some addresses, and tells how many are left.
pub type Closer = Box<dyn Fn(&[IpAddr], Close) -> usize + Send>;

/// What the tracked things of a virtual router cost right now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Burden {
    /// What is taken off its priority.
    pub penalty: u8,
    /// Why it must not be active at all.
    pub fault: Option<String>,
}

/// What somebody wants of the VRRP process.
#[derive(Debug)]
enum Wish {
    Bear(Arc<str>, Burden),
    Release(Arc<str>),
    Reclaim(Arc<str>),
    /// These are the virtual routers from now on; whoever waits is told by the end of the channel.
    Change(Vec<(Arc<VirtualRouter>, Burden)>, oneshot::Sender<()>),
    /// Hand everything over, and end; whoever waits is told by the end of the channel.
    Stop(oneshot::Sender<()>),
    /// End now. The VRRP process notices, and gives everything up.
    Leave,
}

/// A hand on the VRRP process.
#[derive(Debug, Clone)]
pub struct Hand {
    wishes: mpsc::Sender<Wish>,
    bell: Arc<OwnedFd>,
}

impl Hand {
    /// Tells what the tracked things of the virtual router with this name cost from now on.
    pub fn bear(&self, router: &Arc<str>, burden: Burden) {
        self.wish(Wish::Bear(router.clone(), burden));
    }

    /// An operator wants its addresses on the peer, until [`Hand::reclaim`].
    pub fn release(&self, router: &Arc<str>) {
        self.wish(Wish::Release(router.clone()));
    }

    /// And has them back, if the priority says so.
    pub fn reclaim(&self, router: &Arc<str>) {
        self.wish(Wish::Reclaim(router.clone()));
    }

    /// These are the virtual routers of the configuration from now on, each with what its tracked things cost. Those that
    /// are as they were are not touched; the others change in their place where they can. Else, and where they are not
    /// among these, they hand over, and only then the new ones begin.
    ///
    /// The receiver ends when the board shows them.
    pub fn change(&self, routers: Vec<(Arc<VirtualRouter>, Burden)>) -> oneshot::Receiver<()> {
        let (told, taken) = oneshot::channel();
        self.wish(Wish::Change(routers, told));
        taken
    }

    fn wish(&self, wish: Wish) {
        // A thread that has ended wishes for nothing.
        if self.wishes.send(wish).is_ok() {
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }
}

/// The thread that watches over the VRRP process.
#[derive(Debug)]
pub struct Warden {
    hand: Hand,
    life: Arc<AtomicU64>,
    ready: Option<oneshot::Receiver<Result<(), String>>>,
    thread: JoinHandle<()>,
}

impl Warden {
    /// Has `thread` start the VRRP process for the virtual routers of `board`, which bear `burdens` at first. What it says is written
    /// to the board and logged to `log`.
    ///
    /// Not before the gateway serves: an address may be taken at once.
    ///
    /// # Errors
    /// If there is no file descriptor for it.
    pub fn start(
        thread: Thread,
        board: Arc<Board>,
        burdens: Vec<Burden>,
        closer: Closer,
        log: &Dispatch,
    ) -> io::Result<Self> {
        Self::start_with(thread, board, burdens, closer, log, OwnBinary)
    }

    fn start_with(
        thread: Thread,
        board: Arc<Board>,
        burdens: Vec<Burden>,
        closer: Closer,
        log: &Dispatch,
        launcher: impl Launcher + 'static,
    ) -> io::Result<Self> {
        let (wishes, wished) = mpsc::channel();
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let bell = Arc::new(eventfd(0, flags)?);
        let life = Arc::new(AtomicU64::new(0));
        let (told, ready) = oneshot::channel();
        let (rung, pulse, log) = (bell.clone(), life.clone(), log.clone());
        let thread = thread.run(move || {
            tracing::dispatcher::with_default(&log, || {
                let (launcher, real_time) = (Box::new(launcher), prefer());
                let setup = run::Setup { board, burdens, closer, launcher, real_time, life: pulse };
                Guard::new(setup, told).run(&wished, &rung);
            });
        });
        Ok(Self { hand: Hand { wishes, bell }, life, ready: Some(ready), thread })
    }

    /// Waits until the VRRP process is set up.
    ///
    /// # Errors
    /// Why it cannot work, with the cure.
    pub async fn ready(&mut self) -> Result<(), String> {
        let Some(ready) = self.ready.take() else { return Ok(()) };
        match timeout(START_PATIENCE, ready).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("the thread of VRRP has ended".to_owned()),
            Err(_) => Err(format!("the VRRP process is not ready after {START_PATIENCE:?}")),
        }
    }

    /// For whoever has something to tell the VRRP process.
    #[must_use]
    pub fn hand(&self) -> Hand {
        self.hand.clone()
    }

    /// Shows for as long as it is polled that the runtime it is on lives: without it, the addresses go to another gateway.
    pub fn live(&self) -> impl Future<Output = ()> + Send + use<> {
        let life = self.life.clone();
        async move {
            let mut ticks = interval(LIFE);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                life.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Has the addresses handed over to other gateways. Returns when they are, or when the patience with that is over.
    pub async fn stop(&self) {
        let (told, stopped) = oneshot::channel();
        self.hand.wish(Wish::Stop(told));
        // The sender is dropped when it is over.
        let _ = stopped.await;
    }

    /// Ends the thread. The VRRP process notices, and gives up what it has not handed over.
    pub fn end(self) {
        self.hand.wish(Wish::Leave);
        // A thread that panicked has said so already.
        let _ = self.thread.join();
    }
}

/// Gets the thread ahead of others. Is it?
fn prefer() -> bool {
    match real_time(PRIORITY) {
        Ok(()) => true,
        Err(error) => {
            tracing::info!(
                %error,
                "VRRP: no real-time priority: under load it takes the gateway longer to notice that something hangs; \
                 allow it with CAP_SYS_NICE or LimitRTPRIO=40"
            );
            false
        }
    }
}

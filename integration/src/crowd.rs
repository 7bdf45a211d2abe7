//! Many clients that do nothing but stay: whoever is told connection.close answers and comes back, as client libraries
//! do. What each was told, and when, is kept.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::peer::Peer;

/// How long a client waits before it comes back, and before it tries again.
const PAUSE: Duration = Duration::from_millis(100);

/// How many open at once: a storm is for other tests.
const OPENING: usize = 8;

/// The clients. Dropping it ends them.
#[derive(Debug)]
pub struct Crowd {
    seen: Arc<Mutex<Seen>>,
    _clients: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Seen {
    open: usize,
    told: Vec<Told>,
    lost: Vec<String>,
}

/// A connection.close that a client was told.
#[derive(Debug, Clone)]
pub struct Told {
    /// Which client, counted from 0.
    pub client: usize,
    /// When.
    pub at: Instant,
    /// The reply code.
    pub code: u16,
    /// The reply text.
    pub text: String,
}

impl Crowd {
    /// Starts `count` clients of the vhost `orders` behind `address`.
    #[must_use]
    pub fn start(address: SocketAddr, count: usize) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let opening = Arc::new(Semaphore::new(OPENING));
        let mut clients = JoinSet::new();
        for client in 0..count {
            clients.spawn(stay(address, client, seen.clone(), opening.clone()));
        }
        Self { seen, _clients: clients }
    }

    /// How many have an open session now.
    #[must_use]
    pub fn open(&self) -> usize {
        lock(&self.seen).open
    }

    /// What they have been told so far, in order.
    #[must_use]
    pub fn told(&self) -> Vec<Told> {
        lock(&self.seen).told.clone()
    }

    /// How connections ended without a word, or could not be opened.
    #[must_use]
    pub fn lost(&self) -> Vec<String> {
        lock(&self.seen).lost.clone()
    }

    /// Forgets what they were told.
    pub fn forget(&self) {
        let mut seen = lock(&self.seen);
        seen.told.clear();
        seen.lost.clear();
    }
}

async fn stay(address: SocketAddr, client: usize, seen: Arc<Mutex<Seen>>, opening: Arc<Semaphore>) {
    loop {
        if let Err(error) = session(address, client, &seen, &opening).await {
            lock(&seen).lost.push(format!("{error:#}"));
        }
        sleep(PAUSE).await;
    }
}

/// A session, up to its end.
async fn session(
    address: SocketAddr,
    client: usize,
    seen: &Mutex<Seen>,
    opening: &Semaphore,
) -> Result<()> {
    let permit = opening.acquire().await?;
    let mut peer = Peer::connect(address).await?;
    peer.open("app", "secret", "orders").await?;
    drop(permit);
    lock(seen).open += 1;
    let closed = async {
        peer.readable().await?;
        peer.expect_close().await
    };
    let closed = closed.await;
    lock(seen).open -= 1;
    let (code, text) = closed?;
    lock(seen).told.push(Told { client, at: Instant::now(), code, text });
    peer.send_close_ok().await
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

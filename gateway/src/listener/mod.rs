//! Listeners: bound addresses where clients arrive.

pub mod accept;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::Notify;

use crate::config::model::ListenerName;
use crate::session::keep_alive_times;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 4096;

/// Binds an address.
///
/// Accepted sockets inherit what is set here, so that no call is spent on each: no delay (two small writes of a
/// handshake cost 44 ms with Nagle's algorithm) and keepalive for clients without heartbeats.
///
/// # Errors
/// If the address is taken, not ours, or privileged.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keep_alive_times())?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// How many sessions there are, and may be.
#[derive(Debug)]
pub struct Gate {
    live: AtomicUsize,
    most: usize,
    left: Notify,
}

impl Gate {
    /// A gate that lets `most` sessions in at once.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { live: AtomicUsize::new(0), most, left: Notify::new() }
    }

    /// Sessions now.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Waits until there is room.
    async fn room(&self) {
        loop {
            let left = self.left.notified();
            if self.live() < self.most {
                return;
            }
            left.await;
        }
    }
}

/// A session's passage through the gates of its listener and of the gateway.
#[derive(Debug)]
pub struct Passage {
    _listener: Place,
    _gateway: Place,
}

impl Passage {
    /// `None` if one of them lets nobody in at the moment.
    fn enter(listener: &Arc<Gate>, gateway: &Arc<Gate>) -> Option<Self> {
        Some(Self { _listener: Place::take(listener)?, _gateway: Place::take(gateway)? })
    }
}

/// One of the places behind a gate.
#[derive(Debug)]
struct Place(Arc<Gate>);

impl Place {
    fn take(gate: &Arc<Gate>) -> Option<Self> {
        let one_more = |live| (live < gate.most).then_some(live + 1);
        let taken = gate.live.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.is_ok().then(|| Self(gate.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0.live.fetch_sub(1, Ordering::Relaxed) >= self.0.most {
            self.0.left.notify_waiters();
        }
    }
}

/// A listener, with all its addresses.
#[derive(Debug)]
pub struct Listener {
    /// Its name.
    pub name: ListenerName,
    /// Its own limit.
    pub gate: Arc<Gate>,
    /// Its sockets.
    pub sockets: Vec<TcpListener>,
}

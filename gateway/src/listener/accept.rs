//! The accept loop: takes connections in batches and seats each on the worker with the fewest sessions.
//!
//! One loop a socket, so that sessions are spread by count rather than by hash, a limit holds exactly, and clients over
//! it wait in the kernel's queue. No error ends it.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{Gate, Passage};
use crate::config::model::ListenerName;
use crate::telemetry::metrics::Metrics;
use crate::worker::{Seat, Workers};

/// Connections taken before other tasks of the thread get their turn.
const BATCH: usize = 64;
/// How long a loop rests after an error that repeats itself at once, such as "no file descriptors".
const REST: Duration = Duration::from_millis(100);

/// A connection that was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The socket: non-blocking.
    pub stream: TcpStream,
    /// The client.
    pub address: SocketAddr,
    /// Where it arrived.
    pub listener: ListenerName,
    /// Where it is to live.
    pub seat: Seat,
    /// Its place under the limits.
    pub passage: Passage,
}

/// What an accept loop needs.
#[derive(Debug)]
pub struct Acceptor {
    /// The listener's name.
    pub listener: ListenerName,
    /// The listener's limit.
    pub gate: Arc<Gate>,
    /// The gateway's limit.
    pub gateway_gate: Arc<Gate>,
    /// The threads.
    pub workers: Arc<Workers>,
    /// Where errors are counted.
    pub metrics: Arc<Metrics>,
}

impl Acceptor {
    /// Accepts on `socket` until `stop`, and hands every connection to `serve`. The socket closes when it returns.
    pub async fn run(self, socket: TcpListener, stop: CancellationToken, serve: impl Fn(Accepted)) {
        let socket = match watch(socket) {
            Ok(socket) => socket,
            Err(error) => {
                error!(listener = %self.listener, %error, "cannot watch the listening socket");
                return;
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.accept(&socket, serve) => {}
        }
    }

    async fn accept(&self, socket: &AsyncFd<TcpListener>, serve: impl Fn(Accepted)) {
        loop {
            self.gateway_gate.room().await;
            self.gate.room().await;
            let mut ready = match socket.readable().await {
                Ok(ready) => ready,
                Err(error) => {
                    self.failed(&error).await;
                    continue;
                }
            };
            for _ in 0..BATCH {
                // Other loops fill the gates, too, while this one waits for clients.
                let Some(passage) = Passage::enter(&self.gate, &self.gateway_gate) else { break };
                match ready.try_io(|socket| accept_one(socket.get_ref())) {
                    Err(_would_block) => break,
                    Ok(Err(error)) => {
                        drop(passage);
                        self.failed(&error).await;
                        break;
                    }
                    Ok(Ok((stream, address))) => {
                        let Some(seat) = self.workers.seat() else { return };
                        let listener = self.listener.clone();
                        serve(Accepted { stream, address, listener, seat, passage });
                    }
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Counts an error, and rests where it would come back at once.
    async fn failed(&self, error: &io::Error) {
        let (reason, rest) = match Errno::from_io_error(error) {
            Some(Errno::MFILE | Errno::NFILE) => ("fd-limit", true),
            Some(Errno::NOBUFS | Errno::NOMEM) => ("memory", true),
            // The client has gone before it was accepted, or the network's error was handed on: accept(2).
            Some(Errno::CONNABORTED | Errno::INTR | Errno::PERM | Errno::PROTO) => {
                ("aborted", false)
            }
            _ => ("other", true),
        };
        self.metrics.accept_error(&self.listener.0, reason);
        if rest {
            warn!(
                listener = %self.listener, %error, reason,
                "cannot accept: clients wait in the queue; raise the limit on open files if this repeats"
            );
            tokio::time::sleep(REST).await;
        }
    }
}

#[allow(unsafe_code)]
fn watch(socket: TcpListener) -> io::Result<AsyncFd<TcpListener>> {
    // SAFETY: a TcpListener owns its descriptor: open, the same at every call, and closed only when the AsyncFd that
    // now owns the listener is dropped. Nothing takes the listener out of it.
    Ok(unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?)
}

fn accept_one(socket: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (stream, address) = acceptfrom_with(socket, flags)?;
    let address = address.and_then(|address| SocketAddr::try_from(address).ok());
    let address = address.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionAborted))?;
    Ok((stream.into(), address))
}

//! The accept loops: one for each socket, each worker with a socket of its own for every address.
//!
//! The kernel spreads clients by hash, which is uneven for few of them: a worker that has more sessions than another
//! hands a new one over. Over a limit, a client that was accepted waits, and those behind it in the kernel's queue. No
//! error ends a loop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::config::model::ListenerName;
use crate::gate::{Gate, Passage};
use crate::telemetry::metrics::Metrics;
use crate::worker::{Seat, Worker, Workers};

/// How long a loop rests after an error that would come back at once, such as "no file descriptors".
const REST: Duration = Duration::from_millis(100);

/// A connection that was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The socket.
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
    /// The thread it runs on.
    pub worker: Arc<Worker>,
    /// Where errors are counted.
    pub metrics: Arc<Metrics>,
}

impl Acceptor {
    /// Accepts on `socket` until `stop`, and hands every connection to `serve`. The socket closes when it returns.
    pub async fn run(
        self,
        socket: std::net::TcpListener,
        stop: CancellationToken,
        serve: impl Fn(Accepted),
    ) {
        let socket = match TcpListener::from_std(socket) {
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

    async fn accept(&self, socket: &TcpListener, serve: impl Fn(Accepted)) {
        loop {
            match socket.accept().await {
                Ok((stream, address)) => {
                    let passage = Passage::wait(&self.gate, &self.gateway_gate).await;
                    let seat = self.workers.seat(&self.worker);
                    let listener = self.listener.clone();
                    serve(Accepted { stream, address, listener, seat, passage });
                }
                Err(error) => self.failed(&error).await,
            }
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

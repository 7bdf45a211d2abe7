//! The accept loops: one for each socket, each worker with a socket of its own for every address.
//!
//! Over a limit, a client that was accepted waits, and those behind it in the kernel's queue. No
//! error ends a loop. When the gateway stops, the clients that have connected already still begin a session, which is then
//! closed in order: a closed listening socket would reset those in its queue. Those in the middle of a TLS handshake are cut.

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
use crate::stream::arrival::Arrival;
use crate::telemetry::metrics::Metrics;

/// How long a loop rests after an error that would come back at once, such as "no file descriptors".
const REST: Duration = Duration::from_millis(100);

/// A connection that was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The socket.
    pub stream: TcpStream,
    /// The client.
    pub arrival: Arrival,
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
    /// Where errors are counted.
    pub metrics: Arc<Metrics>,
}

impl Acceptor {
    /// Accepts on `socket` until `stop`, and hands every connection to `serve`, those that wait at `stop` included. The
    /// socket closes when it returns.
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
        while let Some(accepted) = stop.run_until_cancelled(socket.accept()).await {
            match accepted {
                Ok((stream, address)) => {
                    let passage = self.passage(&stop).await;
                    serve(self.accepted(stream, address, passage));
                }
                Err(error) => self.failed(&error).await,
            }
        }
        if let Err(error) = self.accept_the_rest(socket, serve) {
            warn!(listener = %self.listener, %error, "cannot accept the clients that wait in the queue");
        }
    }

    /// Waits for room, but no longer than the gateway runs.
    async fn passage(&self, stop: &CancellationToken) -> Passage {
        let waited = stop.run_until_cancelled(Passage::wait(&self.gate, &self.gateway_gate)).await;
        waited.unwrap_or_else(|| Passage::at_once(&self.gate, &self.gateway_gate))
    }

    /// Asks the kernel itself: the runtime may not have heard yet of the last clients in the queue.
    fn accept_the_rest(&self, socket: TcpListener, serve: impl Fn(Accepted)) -> io::Result<()> {
        let socket = socket.into_std()?;
        loop {
            match socket.accept() {
                Ok((stream, address)) => {
                    stream.set_nonblocking(true)?;
                    let passage = Passage::at_once(&self.gate, &self.gateway_gate);
                    serve(self.accepted(TcpStream::from_std(stream)?, address, passage));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn accepted(&self, stream: TcpStream, address: SocketAddr, passage: Passage) -> Accepted {
        Accepted { stream, arrival: Arrival::new(self.listener.clone(), address), passage }
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

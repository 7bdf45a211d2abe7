//! The accept loops: one for each socket, each worker with a socket of its own for every address.
//!
//! Over a limit, a client that was accepted waits, and those behind it in the kernel's queue. No
//! error ends a loop. When the gateway stops, the clients that have connected already still begin a session, which is then
//! closed in order: a closed listening socket would reset those in its queue. Those in the middle of a TLS handshake are cut.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
/// For how long accepts have to fail until the listener counts as one that does not accept.
const TROUBLE: Duration = Duration::from_millis(300);
/// A failure that long ago is over: a client that waits would have brought about the next.
const FORGET: Duration = Duration::from_secs(1);

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

/// Whether the loops of a listener accept clients.
#[derive(Debug, Default)]
pub struct Accepting {
    /// A loop has ended that should not have.
    ended: AtomicBool,
    /// Since when accepts fail for want of something, and when one did last.
    trouble: Mutex<Option<(Instant, Instant)>>,
}

impl Accepting {
    /// Why clients are not accepted at `now`, if they are not. A listener that is full accepts: it serves those it has, and
    /// those who wait take their turn.
    #[must_use]
    pub fn wrong(&self, now: Instant) -> Option<&'static str> {
        if self.ended.load(Ordering::Relaxed) {
            return Some("an accept loop has ended");
        }
        let (since, last) = (*self.trouble.lock().unwrap_or_else(PoisonError::into_inner))?;
        let lasts = now.saturating_duration_since(last) < FORGET;
        (lasts && last.duration_since(since) >= TROUBLE).then_some("accepting fails")
    }

    fn failed(&self, now: Instant) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let since = trouble.filter(|(_, last)| now.duration_since(*last) < FORGET);
        *trouble = Some((since.map_or(now, |(since, _)| since), now));
    }
}

/// Notes that a loop has ended, however it did.
struct Loop<'a>(&'a Accepting, &'a CancellationToken);

impl Drop for Loop<'_> {
    fn drop(&mut self) {
        if !self.1.is_cancelled() {
            self.0.ended.store(true, Ordering::Relaxed);
        }
    }
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
    /// Where it is noted whether it accepts.
    pub accepting: Arc<Accepting>,
    /// Where errors are counted.
    pub metrics: Arc<Metrics>,
    /// The socket goes on in another loop when this one stops: those who wait in its queue are that one's.
    pub handed_over: Arc<AtomicBool>,
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
        let _loop = Loop(&self.accepting, &stop);
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
        if self.handed_over.load(Ordering::Acquire) {
            return;
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
            self.accepting.failed(Instant::now());
            warn!(
                listener = %self.listener, %error, reason,
                "cannot accept: clients wait in the queue; raise the limit on open files if this repeats"
            );
            tokio::time::sleep(REST).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_that_go_on_to_fail_are_told_from_one_that_failed() {
        let (accepting, start) = (Accepting::default(), Instant::now());
        accepting.failed(start);
        assert_eq!(accepting.wrong(start), None);
        for rest in 1..=3 {
            accepting.failed(start + rest * REST);
        }
        let last = start + 3 * REST;
        assert_eq!(accepting.wrong(last), Some("accepting fails"));
        assert_eq!(accepting.wrong(last + FORGET), None, "it is over");
        accepting.failed(last + FORGET);
        assert_eq!(accepting.wrong(last + FORGET), None, "it begins anew");
    }

    #[test]
    fn a_loop_that_ends_before_it_was_to_is_noted() {
        let (accepting, stop) = (Accepting::default(), CancellationToken::new());
        drop(Loop(&accepting, &CancellationToken::new()));
        assert!(accepting.wrong(Instant::now()).is_some());
        let accepting = Accepting::default();
        stop.cancel();
        drop(Loop(&accepting, &stop));
        assert_eq!(accepting.wrong(Instant::now()), None);
    }
}

//! The admin address: metrics, health, the API, and the console's page.
//!
//! It runs on a thread and a runtime of its own, so that nothing asked here slows traffic.

pub mod auth;
pub mod operator;
pub mod view;

mod accept;
mod api;
mod caller;
mod console;
mod extract;
mod guests;
mod line;
mod of_address;
mod problem;
mod routes;
mod server;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use auth::Auth;
use operator::Operator;
use operator::configure::Configurator;
use operator::observe::Observer;
use operator::tapping::Tapping;
use socket2::{Domain, Socket, Type};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use crate::socket::free_bind;
use crate::telemetry::events::EventLog;
use crate::tls::server::Termination;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 128;

/// What the admin address shows of the gateway.
#[derive(Clone)]
pub struct Sources {
    /// The page of `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Why the gateway is not ready; empty = ready.
    pub not_ready: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Name of the gateway.
    pub name: Arc<str>,
    /// Who may do what.
    pub auth: Arc<Auth>,
    /// TLS of the address, if it has any.
    pub tls: Option<Arc<Termination>>,
    /// Nodes and clusters.
    pub operator: Arc<dyn Operator>,
    /// Sessions and traffic; until somebody looks at them their paths are not there.
    pub observer: Option<Arc<dyn Observer>>,
    /// The configuration.
    pub configurator: Arc<dyn Configurator>,
    /// Single sessions, method by method.
    pub tapping: Arc<dyn Tapping>,
    /// What happened.
    pub events: Arc<EventLog>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

/// Why there is no admin address.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum AdminError {
    #[error("admin.bind {address}: {source}; is another process listening there?")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("the admin thread cannot be started: {0}")]
    Start(io::Error),
}

/// A bound admin address that does not answer yet.
#[derive(Debug)]
pub struct BoundAdmin {
    listener: TcpListener,
    address: SocketAddr,
    asked: SocketAddr,
}

/// Binds the admin address. With `elsewhere` it need not be on this machine now.
///
/// # Errors
/// The address cannot be bound.
pub fn bind(address: SocketAddr, elsewhere: bool) -> Result<BoundAdmin, AdminError> {
    let bound = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        if elsewhere {
            free_bind(&socket, address)?;
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        let (asked, address) = (address, listener.local_addr()?);
        Ok(BoundAdmin { listener, address, asked })
    };
    bound().map_err(|source| AdminError::Bind { address, source })
}

impl BoundAdmin {
    /// The address with the port that the system picked for port 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts the admin thread. It logs to the subscriber of the calling thread.
    ///
    /// # Errors
    /// The system gives no thread, or nothing to wait for sockets with.
    pub fn start(self, sources: Sources) -> Result<AdminServer, AdminError> {
        let Self { listener, address, asked } = self;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(AdminError::Start)?;
        let same = listener.try_clone().map_err(AdminError::Start)?;
        let entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).map_err(AdminError::Start)?;
        drop(entered);
        let stop = CancellationToken::new();
        let tls = sources.tls.clone();
        let (stopped, log) = (stop.clone(), tracing::dispatcher::get_default(Clone::clone));
        let serve = move || {
            let _log = tracing::dispatcher::set_default(&log);
            let (auth, tls) = (sources.auth.clone(), sources.tls.clone());
            let router = routes::router(sources, address);
            runtime.block_on(async {
                tokio::select! {
                    () = server::serve(listener, tls, router, stopped) => {}
                    () = auth.keep_swept() => {}
                }
            });
        };
        let thread = thread::Builder::new().name("admin".to_owned()).spawn(serve);
        let thread = Some(thread.map_err(AdminError::Start)?);
        let running = Running { stop, thread };
        Ok(AdminServer { listener: same, address, asked, tls, running })
    }
}

/// The running admin address. Dropping it stops it.
#[derive(Debug)]
pub struct AdminServer {
    /// For another server at the same address. Dropped before the thread is waited for: nobody else is to queue here.
    listener: TcpListener,
    address: SocketAddr,
    /// What it was bound for: `address`, or that with port 0.
    asked: SocketAddr,
    tls: Option<Arc<Termination>>,
    running: Running,
}

/// The admin thread. Dropping it ends it.
#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl AdminServer {
    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Is it the one for this `admin.bind`?
    #[must_use]
    pub fn is_at(&self, bind: SocketAddr) -> bool {
        self.asked == bind
    }

    /// Does it answer with this TLS?
    #[must_use]
    pub fn speaks(&self, tls: Option<&Arc<Termination>>) -> bool {
        match (&self.tls, tls) {
            (None, None) => true,
            (Some(ours), Some(other)) => Arc::ptr_eq(ours, other),
            _ => false,
        }
    }

    /// The same address, for another server to take over.
    ///
    /// # Errors
    /// If there are too many files open.
    pub fn again(&self) -> Result<BoundAdmin, AdminError> {
        let Self { address, asked, .. } = *self;
        let listener = self.listener.try_clone();
        let listener = listener.map_err(|source| AdminError::Bind { address, source })?;
        Ok(BoundAdmin { listener, address, asked })
    }

    /// Stops accepting, and gives running answers a moment, for which nobody waits here.
    pub fn end(&self) {
        self.running.stop.cancel();
    }

    /// Stops accepting, gives running answers a moment, ends the thread.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;

//! Threads for TLS handshakes with clients: as many as workers, and behind them in priority.
//!
//! A handshake is some hundred microseconds of arithmetic. On a worker a storm of them would hold up every session there; here
//! it takes what the workers leave, and its share of a core where they leave nothing.

use std::thread::JoinHandle;

use rustix::process::setpriority_process;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;
use tracing::{Dispatch, debug};

/// How nice these threads are: at a full core they get a quarter of what a worker gets (sched(7)).
const NICE: i32 = 6;

/// Puts the thread that calls behind the workers.
pub fn give_way() {
    // Linux takes it for the thread, not for the process: setpriority(2).
    if let Err(error) = setpriority_process(None, NICE) {
        debug!(%error, "this thread has the priority of sessions");
    }
}

/// The threads.
#[derive(Debug)]
pub struct HandshakeThreads {
    runtimes: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl HandshakeThreads {
    /// None yet.
    #[must_use]
    pub fn none() -> Self {
        Self { runtimes: Vec::new(), threads: Vec::new(), stop: CancellationToken::new() }
    }

    /// Starts `count` threads, which log to `log`.
    ///
    /// # Errors
    /// If a runtime or a thread cannot be made.
    pub fn start(count: usize, log: &Dispatch) -> std::io::Result<Self> {
        let stop = CancellationToken::new();
        let (mut runtimes, mut threads) = (Vec::new(), Vec::new());
        for number in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtimes.push(runtime.handle().clone());
            let (stop, log) = (stop.clone(), log.clone());
            let thread = std::thread::Builder::new().name(format!("tls-{number}"));
            threads.push(thread.spawn(move || {
                tracing::dispatcher::with_default(&log, || {
                    give_way();
                    runtime.block_on(stop.cancelled());
                });
            })?);
        }
        Ok(Self { runtimes, threads, stop })
    }

    /// Their runtimes; empty if there are no such threads.
    #[must_use]
    pub fn runtimes(&self) -> &[Handle] {
        &self.runtimes
    }

    /// Ends the threads, and with them every task on them.
    pub fn stop(self) {
        self.stop.cancel();
        for thread in self.threads {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

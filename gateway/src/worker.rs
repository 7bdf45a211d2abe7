//! Data-plane threads: each a runtime of its own, a session on one of them for life.

pub mod handshakes;
pub mod timeslice;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;
use tracing::Dispatch;

use crate::telemetry::counters::WorkerCounters;

/// A coarse clock, read on the hot path in place of the system's.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    ticks: AtomicU32,
}

impl Clock {
    /// One tick. How late a silent peer is noticed at most, beyond its time.
    pub const TICK: Duration = Duration::from_millis(250);

    /// A clock at tick 0.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now(), ticks: AtomicU32::new(0) }
    }

    /// The present tick, as of the last [`Clock::advance`].
    #[inline]
    #[must_use]
    pub fn now(&self) -> u32 {
        self.ticks.load(Ordering::Relaxed)
    }

    /// Brings the clock up to date. Called by its owner once a tick.
    pub fn advance(&self) {
        let ticks = self.start.elapsed().as_millis() / Self::TICK.as_millis();
        self.ticks.store(ticks as u32, Ordering::Relaxed);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// What a session knows of the thread it lives on.
#[derive(Debug)]
pub struct Worker {
    /// Its counters.
    pub counters: WorkerCounters,
    /// The gateway's coarse clock.
    pub clock: Arc<Clock>,
    sessions: AtomicUsize,
    runtime: Handle,
}

impl Worker {
    /// Sessions that live there, or are about to.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Where its tasks are spawned.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

/// A session's place on a worker.
#[derive(Debug)]
pub struct Seat(Arc<Worker>);

impl Seat {
    /// The worker.
    #[must_use]
    pub fn worker(&self) -> &Arc<Worker> {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many threads `gateway.workers` asks for: 0 means one a core.
#[must_use]
pub fn count(configured: usize) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if configured == 0 { cores() } else { configured }
}

/// All data-plane threads.
#[derive(Debug)]
pub struct Workers {
    workers: Vec<Arc<Worker>>,
    threads: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Workers {
    /// Starts `count` threads, which log to `log`.
    ///
    /// # Errors
    /// If a runtime or a thread cannot be made.
    pub fn start(count: usize, clock: &Arc<Clock>, log: &Dispatch) -> std::io::Result<Self> {
        let stop = CancellationToken::new();
        let (mut workers, mut threads) = (Vec::new(), Vec::new());
        for number in 0..count {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .on_thread_park(timeslice::settle)
                .build()?;
            workers.push(Arc::new(Worker {
                counters: WorkerCounters::default(),
                clock: clock.clone(),
                sessions: AtomicUsize::new(0),
                runtime: runtime.handle().clone(),
            }));
            let (stop, log) = (stop.clone(), log.clone());
            let thread = std::thread::Builder::new().name(format!("worker-{number}"));
            threads.push(thread.spawn(move || {
                tracing::dispatcher::with_default(&log, || {
                    if let Err(error) = timeslice::shorten() {
                        tracing::debug!(%error, "no shorter time slice");
                    }
                    runtime.block_on(stop.cancelled());
                });
            })?);
        }
        Ok(Self { workers, threads, stop })
    }

    /// The threads' workers.
    #[must_use]
    pub fn all(&self) -> &[Arc<Worker>] {
        &self.workers
    }

    /// A place for a session that `here` has accepted: there, unless another worker has clearly fewer. To hand a session
    /// over costs the other thread a wake-up.
    #[must_use]
    pub fn seat(&self, here: &Arc<Worker>) -> Seat {
        let least = self.workers.iter().min_by_key(|worker| worker.sessions()).unwrap_or(here);
        let fewest = least.sessions();
        let chosen = if here.sessions() > fewest + fewest / 8 { least } else { here };
        chosen.sessions.fetch_add(1, Ordering::Relaxed);
        Seat(chosen.clone())
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

//! Ctrl-C and SIGTERM end a benchmark in an orderly way, so that what it started ends, too.

use anyhow::{Result, bail};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

static STOP: AtomicBool = AtomicBool::new(false);

/// Starts listening for the signals, on a thread of its own.
///
/// # Errors
/// When the system refuses the handlers.
pub fn listen() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    drop(guard);
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        });
        STOP.store(true, Ordering::Relaxed);
    });
    Ok(())
}

/// Whether a signal has come.
#[must_use]
pub fn stopped() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// An error once a signal has come.
///
/// # Errors
/// That one.
pub fn check() -> Result<()> {
    if stopped() {
        bail!("stopped by a signal");
    }
    Ok(())
}

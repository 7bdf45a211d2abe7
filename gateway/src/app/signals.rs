//! Signals to the process.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::logs::Logs;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// To stop.
    Stop,
    /// To take the configuration over, and to open the log file anew.
    Reload,
}

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// Waits for a signal to stop. One to reload waits for its turn.
    pub(super) async fn asked_to_stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for a signal to stop. Of one to reload, only the log file takes notice: the gateway starts, or stops.
    pub(super) async fn stop(&mut self, logs: &Logs) {
        while self.next().await != Asked::Stop {
            logs.reopen().await;
        }
    }
}

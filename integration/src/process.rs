//! A child process that never outlives its owner and never stays behind as a zombie.

use std::process::{Child, ChildStdin, Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, kill_process};
use tokio::time::{Instant, sleep};

pub use rustix::process::Signal;

/// A started program; killed and waited for when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    exited: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`.
    ///
    /// # Errors
    /// When the program cannot be started; names it.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_owned();
        let child = command.spawn();
        let child = child.with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, exited: None })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input, once, if that was made a pipe.
    #[must_use]
    pub fn input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        if self.exited.is_none() {
            self.exited = self.child.try_wait()?;
        }
        Ok(self.exited)
    }

    /// Sends a signal; to a process that has ended, nothing.
    ///
    /// # Errors
    /// When the system refuses to.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.exit_status()?.is_some() {
            return Ok(());
        }
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("cannot send {signal:?} to process {}", self.id()))
    }

    /// Waits for its end; `None` when it still runs after `deadline`.
    ///
    /// # Errors
    /// When the system does not say.
    pub async fn wait(&mut self, deadline: Duration) -> Result<Option<ExitStatus>> {
        let end = Instant::now() + deadline;
        while self.exit_status()?.is_none() && Instant::now() < end {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(self.exited)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Runs programs that an operator named: what they print is read and bounded, and they are ended with all they started.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

/// Most bytes kept of each output.
pub const KEPT: usize = 4096;
/// How long what a program left running may hold its outputs open.
const HELD_OPEN: Duration = Duration::from_millis(100);

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// The beginning of what it printed, without blanks around it.
    pub stdout: String,
    /// The same of its standard error.
    pub stderr: String,
}

/// What becomes of processes that a program leaves running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    /// They are ended.
    End,
    /// They were meant to stay.
    Keep,
}

/// Runs it without an input. Dropping the future ends it and all it has started.
///
/// # Errors
/// If it cannot be started.
pub async fn run(mut command: Command, leftovers: Leftovers) -> io::Result<Ended> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut printed = std::pin::pin!(async { tokio::join!(text(stdout), text(stderr)) });
    let mut texts = None;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            both = &mut printed, if texts.is_none() => texts = Some(both),
        }
    };
    if leftovers == Leftovers::Keep {
        group.0 = None;
    }
    drop(group);
    if texts.is_none() {
        texts = timeout(HELD_OPEN, printed).await.ok();
    }
    let (stdout, stderr) = texts.unwrap_or_default();
    Ok(Ended { status, stdout, stderr })
}

/// The beginning of an output. All of it is read: a program is not to wait for somebody to do so.
async fn text(output: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut output) = output else { return String::new() };
    let (mut kept, mut buffer) = (Vec::new(), [0; 1024]);
    while let Ok(length @ 1..) = output.read(&mut buffer).await {
        let room = KEPT.saturating_sub(kept.len()).min(length);
        kept.extend_from_slice(&buffer[..room]);
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}

/// A process group that ends with this, unless it is let go.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Fails where nobody of it is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

//! A directory and the processes that belong to it: both go when their owner goes.
//!
//! Every process started through [`Scratch::command`] carries the directory in its environment,
//! and so does every process it starts in turn. A watchdog shell holds the reading end of a pipe
//! to us; when the pipe closes (we dropped the scratch, or were killed with -9), it kills whatever
//! still carries the mark and removes the directory.

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result};

const MARK: &str = "AMQP_GATEWAY_SCRATCH";

/// Reads until the pipe closes, then kills until nothing carries the mark. A process group of its
/// own keeps a Ctrl-C at the terminal away from it.
const WATCHDOG: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
for round in 1 2 3 4 5 6 7 8 9 10; do
  pids=$(grep -lszxF "$1=$2" /proc/[0-9]*/environ | tr -dc '0-9\n')
  [ -n "$pids" ] || break
  kill -KILL $pids 2>/dev/null
  sleep 0.1
done
[ -n "$3" ] || rm -rf "$2"
"#;

/// A temporary directory with a watchdog.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    watchdog: Child,
    pipe: Option<ChildStdin>,
}

impl Scratch {
    /// Creates the directory (mode 700) and starts its watchdog. `KEEP_SCRATCH=1` in the
    /// environment keeps the directory for a look at its logs.
    ///
    /// # Errors
    /// When the temporary directory cannot be written or no shell can be started.
    pub fn new(name: &str) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix(&format!("amqp-gateway-{name}-"))
            .tempdir()
            .context("cannot create a temporary directory")?
            .keep();
        let keep = std::env::var("KEEP_SCRATCH").unwrap_or_default();
        let mut watchdog = Command::new("/bin/sh");
        watchdog.args(["-c", WATCHDOG, "watchdog", MARK]).arg(&dir).arg(keep);
        watchdog.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        watchdog.env_remove(MARK);
        std::os::unix::process::CommandExt::process_group(&mut watchdog, 0);
        let mut watchdog = watchdog.spawn().context("cannot start /bin/sh as a watchdog")?;
        let pipe = watchdog.stdin.take();
        Ok(Self { dir, watchdog, pipe })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A command whose process, and everything it starts, ends with this scratch. It runs in a
    /// process group of its own, without input.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env(MARK, &self.dir).stdin(Stdio::null());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // Fails only if someone else has waited for it.
        let _ = self.watchdog.wait();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_scratch_takes_its_processes_and_their_children_along() {
        let scratch = Scratch::new("test").unwrap();
        let dir = scratch.dir().to_owned();
        let mut shell = scratch.command("/bin/sh");
        let mut shell = shell.args(["-c", "setsid sleep 1000 & wait"]).spawn().unwrap();
        let mark = format!("{MARK}={}", dir.display());
        while carriers(&mark) < 2 {
            std::thread::yield_now();
        }
        drop(scratch);
        assert!(!shell.wait().unwrap().success(), "killed, not ended");
        assert_eq!(carriers(&mark), 0);
        assert!(!dir.exists());
    }

    fn carriers(mark: &str) -> usize {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let environments = processes.filter_map(|p| std::fs::read(p.path().join("environ")).ok());
        environments
            .filter(|environment| environment.split(|b| *b == 0).any(|v| v == mark.as_bytes()))
            .count()
    }
}

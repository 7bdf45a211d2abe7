//! A proxy's process: started, found ready, and ended whatever happens.

use crate::cpu::family;
use anyhow::{Context, Result, bail};
use integration::stop;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const START_LIMIT: Duration = Duration::from_secs(10);
const END_LIMIT: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(10);
const SETPRIV: &str = "/usr/bin/setpriv";

/// A running proxy; dropping it ends it.
pub(crate) struct Proxy {
    name: &'static str,
    child: Child,
    output: PathBuf,
}

impl Proxy {
    /// Runs `command` and waits until it accepts at all `addresses`.
    ///
    /// # Errors
    /// When it ends or is not ready within ten seconds, with the end of its output.
    pub(crate) fn start(
        name: &'static str,
        command: &mut Command,
        addresses: &[SocketAddr],
        directory: &Path,
    ) -> Result<Self> {
        let output = directory.join("output");
        let file = File::create(&output)?;
        let mut command = dying_with_us(command);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        // A group of its own: Ctrl-C reaches only us, and we end the proxies in order.
        command.process_group(0);
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        let mut proxy = Self { name, child, output };
        let deadline = Instant::now() + START_LIMIT;
        for address in addresses {
            while TcpStream::connect(address).is_err() {
                stop::check()?;
                proxy.check()?;
                if Instant::now() > deadline {
                    bail!("{name} does not accept at {address}\n{}", proxy.last_words());
                }
                std::thread::sleep(POLL);
            }
        }
        Ok(proxy)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error when it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} has ended: {status}{}", self.name, self.last_words());
        }
        Ok(())
    }

    /// The end of its output, each line on a line of its own.
    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.output).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].iter().map(|line| format!("\n  {line}")).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let family = family(self.child.id());
        signal(self.child.id(), Signal::TERM);
        let deadline = Instant::now() + END_LIMIT;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        for worker in family.into_iter().skip(1).filter(|pid| is_named(*pid, self.name)) {
            signal(worker, Signal::KILL);
        }
    }
}

/// The same command, so that the kernel ends it if this program is killed outright.
fn dying_with_us(command: &Command) -> Command {
    if !Path::new(SETPRIV).exists() {
        let mut plain = Command::new(command.get_program());
        plain.args(command.get_args());
        return plain;
    }
    let mut wrapped = Command::new(SETPRIV);
    wrapped.args(["--pdeathsig", "TERM", "--"]);
    wrapped.arg(command.get_program()).args(command.get_args());
    wrapped
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Guards against a process id that now means another program.
fn is_named(pid: u32, name: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
}

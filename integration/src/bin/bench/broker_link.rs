//! The controller's end of the scripted broker's process.

use crate::talk::Counters;
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A running scripted broker; it ends when this is dropped.
pub(crate) struct BrokerLink {
    child: Child,
    ask: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl BrokerLink {
    /// Starts the broker: this program again, with `broker` as its argument.
    pub(crate) fn start() -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        command.arg("broker").stdin(Stdio::piped()).stdout(Stdio::piped());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().context("starting the scripted broker")?;
        let ask = child.stdin.take();
        let answers = child.stdout.take().context("the scripted broker has no output")?;
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut link = Self { child, ask, answers: BufReader::new(answers), address };
        let port = link.line()?.trim().parse().context("the scripted broker's port")?;
        link.address.set_port(port);
        Ok(link)
    }

    /// What it counted so far.
    ///
    /// # Errors
    /// When it has died.
    pub(crate) fn counters(&mut self) -> Result<Counters> {
        let ask = self.ask.as_mut().context("the scripted broker is gone")?;
        ask.write_all(b"\n").context("asking the scripted broker")?;
        Ok(serde_json::from_str(&self.line()?)?)
    }

    /// Waits until no session is left and hands back the counters.
    ///
    /// # Errors
    /// When sessions are still there after five seconds.
    pub(crate) fn settled(&mut self) -> Result<Counters> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let counters = self.counters()?;
            if counters.live == 0 {
                return Ok(counters);
            }
            if Instant::now() > deadline {
                bail!("{} sessions stay open at the broker", counters.live);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the scripted broker has ended");
        Ok(line)
    }
}

impl Drop for BrokerLink {
    fn drop(&mut self) {
        self.ask = None;
        if self.child.wait().is_err() {
            let _ = self.child.kill();
        }
    }
}

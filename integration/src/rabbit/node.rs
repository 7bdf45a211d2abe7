//! One node as a process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::files::Files;
use crate::http;
use crate::process::{Process, Signal};
use crate::scratch::Scratch;
use crate::wait;

const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";
const START_DEADLINE: Duration = Duration::from_secs(120);
const STOP_DEADLINE: Duration = Duration::from_secs(60);

/// Where Debian keeps RabbitMQ's programs; those in the PATH insist on the system's own user.
pub(super) fn program(name: &str) -> PathBuf {
    Path::new(PROGRAMS).join(name)
}

pub(super) fn check_installed() -> Result<()> {
    let server = program("rabbitmq-server");
    ensure!(
        server.exists(),
        "{} is missing: `integration/install.sh test` installs rabbitmq-server",
        server.display()
    );
    Ok(())
}

/// Erlang's name service, for this cluster only.
pub(super) async fn start_epmd(scratch: &Scratch, files: &Files) -> Result<Process> {
    let port = files.epmd_port();
    let mut epmd = scratch.command("epmd");
    epmd.args(["-address", "127.0.0.1", "-port", &port.to_string()]);
    epmd.env("ERL_EPMD_ADDRESS", "127.0.0.1").stdout(Stdio::null()).stderr(Stdio::null());
    let epmd = Process::spawn(&mut epmd)?;
    wait::until(format!("epmd on port {port}"), Duration::from_secs(60), async || {
        TcpStream::connect(("127.0.0.1", port)).await.is_ok()
    })
    .await?;
    Ok(epmd)
}

#[derive(Debug)]
pub(super) struct Node {
    number: usize,
    process: Option<Process>,
}

impl Node {
    pub(super) fn new(number: usize) -> Self {
        Self { number, process: None }
    }

    /// Does nothing if the node runs.
    pub(super) fn start(&mut self, scratch: &Scratch, files: &Files) -> Result<()> {
        if let Some(process) = &mut self.process
            && process.exit_status()?.is_none()
        {
            return Ok(());
        }
        let output = files.output(self.number);
        let output =
            File::create(&output).with_context(|| format!("cannot write {}", output.display()))?;
        let mut server = scratch.command(program("rabbitmq-server"));
        server.arg("-noinput").envs(files.environment(self.number));
        server.current_dir(files.node_dir(self.number));
        server.stdout(output.try_clone()?).stderr(output);
        self.process = Some(Process::spawn(&mut server)?);
        Ok(())
    }

    /// The node has come up completely, speaks AMQP and all its vhosts are up.
    pub(super) async fn wait_ready(&mut self, files: &Files) -> Result<()> {
        let n = self.number;
        let ports = files.ports(n);
        let health = format!(
            "http://guest:guest@127.0.0.1:{}/api/health/checks/virtual-hosts",
            ports.management
        );
        let end = Instant::now() + START_DEADLINE;
        loop {
            let healthy =
                files.says_complete(n) && matches!(http::get(&health).await, Ok((200, _)));
            if healthy && TcpStream::connect(("127.0.0.1", ports.amqp)).await.is_ok() {
                return Ok(());
            }
            let process = self.process.as_mut().context("the node was not started")?;
            if let Some(status) = process.exit_status()? {
                bail!("node {n} died at its start ({status})\n{}", files.log_tail(n));
            }
            if Instant::now() >= end {
                bail!("node {n} is not up after {START_DEADLINE:?}\n{}", files.log_tail(n));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Ends the process and waits until it is gone.
    pub(super) async fn end(&mut self, signal: Signal) -> Result<()> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        // A paused process would not see a SIGTERM.
        process.signal(Signal::CONT)?;
        process.signal(signal)?;
        if process.wait(STOP_DEADLINE).await?.is_some() {
            return Ok(());
        }
        bail!("node {} was still there {STOP_DEADLINE:?} after {signal:?}", self.number)
    }

    pub(super) fn signal(&mut self, signal: Signal) -> Result<()> {
        let n = self.number;
        self.process.as_mut().with_context(|| format!("node {n} does not run"))?.signal(signal)
    }
}

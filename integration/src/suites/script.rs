//! Suites in other languages, as child processes that print a line a check.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::{Place, Report};
use crate::target;
use crate::tls::ClientTls;

const DEADLINE: Duration = Duration::from_secs(180);
const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients");

/// A client library with scripts in `integration/clients`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// pika, from PyPI.
    Pika,
    /// amqplib, from npm.
    Amqplib,
    /// Qpid Proton, Debian's python3-qpid-proton.
    Proton,
    /// rhea, from npm.
    Rhea,
    /// paho, stomp.py and rstream, from PyPI.
    Plugins,
    /// Debian's Chromium, led by playwright-core, from npm.
    Browser,
}

/// A running script; dropping it kills it.
#[derive(Debug)]
pub struct Script {
    name: String,
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    errors: ChildStderr,
}

impl Script {
    /// Starts `clients/CLIENT/SCRIPT` with host, port and further arguments; how it is to use TLS
    /// stands in its environment.
    ///
    /// # Errors
    /// When the library or its interpreter is not installed.
    pub fn start(
        client: Client,
        script: &str,
        place: impl Into<Place>,
        more: &[String],
    ) -> Result<Self> {
        let Place { address, tls } = place.into();
        let interop = target::interop()?;
        let (program, path) = match client {
            Client::Pika => (interop.join("venv/bin/python"), format!("pika/{script}.py")),
            Client::Plugins => (interop.join("venv/bin/python"), format!("plugins/{script}.py")),
            Client::Proton => (PathBuf::from("/usr/bin/python3"), format!("proton/{script}.py")),
            Client::Amqplib => (PathBuf::from("node"), format!("amqplib/{script}.js")),
            Client::Browser => (PathBuf::from("node"), format!("browser/{script}.js")),
            Client::Rhea => (PathBuf::from("node"), format!("rhea/{script}.js")),
        };
        let mut command = Command::new(&program);
        command.arg(Path::new(CLIENTS).join(&path));
        command.args([address.ip().to_string(), address.port().to_string()]).args(more);
        command.env("NODE_PATH", interop.join("node/node_modules"));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("SCREENSHOTS", interop.with_file_name("screenshots"));
        command.envs(tls.iter().flat_map(ClientTls::environment));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.kill_on_drop(true).spawn();
        let mut child = child.with_context(|| {
            format!("cannot start {}: run `integration/install.sh test`", program.display())
        })?;
        let input = child.stdin.take().context("no standard input")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let errors = child.stderr.take().context("no standard error")?;
        let lines = BufReader::new(stdout).lines();
        Ok(Self { name: path, child, input, lines, errors })
    }

    /// Waits for this line next.
    ///
    /// # Errors
    /// When another comes, or the script ends.
    pub async fn expect_line(&mut self, expected: &str) -> Result<()> {
        let line = self.next_line().await?;
        let line = line.with_context(|| format!("{} ended before {expected:?}", self.name))?;
        ensure!(line == expected, "{}: expected {expected:?}, got {line:?}", self.name);
        Ok(())
    }

    /// Reads all checks up to the script's end.
    ///
    /// # Errors
    /// When it ends with a failure of its own, or is silent for three minutes.
    pub async fn report(self) -> Result<Report> {
        self.report_doing(async |what| bail!("nobody is there to {what}")).await
    }

    /// The same for a script that has things done: to each line `do WHAT` it is answered with a line, which is what
    /// `act` made of it.
    ///
    /// # Errors
    /// As [`Script::report`], and when `act` fails.
    pub async fn report_doing(
        mut self,
        mut act: impl AsyncFnMut(&str) -> Result<String>,
    ) -> Result<Report> {
        let mut report = Report::default();
        while let Some(line) = self.next_line().await? {
            let Some(what) = line.strip_prefix("do ") else {
                report.add_line(&line).with_context(|| self.name.clone())?;
                continue;
            };
            let done = act(what).await.with_context(|| format!("{}: {what}", self.name))?;
            self.input.write_all(format!("{done}\n").as_bytes()).await?;
        }
        let status = self.child.wait().await?;
        if !status.success() {
            let mut errors = String::new();
            self.errors.read_to_string(&mut errors).await?;
            bail!("{} ended with {status} after {report}\n{errors}", self.name);
        }
        Ok(report)
    }

    async fn next_line(&mut self) -> Result<Option<String>> {
        let line = timeout(DEADLINE, self.lines.next_line()).await;
        Ok(line.with_context(|| format!("{}: no line for {DEADLINE:?}", self.name))??)
    }
}

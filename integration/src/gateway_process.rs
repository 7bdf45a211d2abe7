//! The gateway as its users run it: the binary with a configuration file.

use std::fmt::Display;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::http;
use crate::process::{Process, Signal};
use crate::scratch::Scratch;
use crate::{target, wait};

const START_DEADLINE: Duration = Duration::from_secs(60);

/// A running gateway; dropping it kills it.
#[derive(Debug)]
pub struct GatewayProcess {
    process: Process,
    admin: Option<String>,
    scratch: Scratch,
}

impl GatewayProcess {
    /// Runs the gateway with this configuration until it logs `ready`.
    ///
    /// The binary is that of [`target::gateway`].
    ///
    /// # Errors
    /// When there is no binary, or it ends or stays silent: carries its log.
    pub async fn start(config: &str) -> Result<Self> {
        let mut gateway = Self::spawn(config)?;
        let end = Instant::now() + START_DEADLINE;
        while !gateway.log().lines().any(says_ready) {
            if let Some(status) = gateway.process.exit_status()? {
                bail!("the gateway ended at its start ({status}):\n{}", gateway.log());
            }
            if Instant::now() >= end {
                bail!("the gateway is not ready after {START_DEADLINE:?}:\n{}", gateway.log());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(gateway)
    }

    /// Starts the gateway and waits for nothing, for a test of what it does at its start.
    ///
    /// # Errors
    /// When there is no binary or no temporary directory.
    pub fn spawn(config: &str) -> Result<Self> {
        Self::spawn_by(config, |scratch, binary| scratch.command(binary))
    }

    /// As [`GatewayProcess::spawn`], by a command of the caller's that becomes the binary with the arguments it is
    /// given: `ip netns exec NAME BINARY`.
    ///
    /// # Errors
    /// When there is no binary or no temporary directory.
    pub fn spawn_by(
        config: &str,
        command: impl FnOnce(&Scratch, &Path) -> Command,
    ) -> Result<Self> {
        let binary = target::gateway()?;
        let scratch = Scratch::new("gateway")?;
        let file = scratch.dir().join("gateway.toml");
        fs::write(&file, config).context("cannot write the gateway's configuration")?;
        let log = File::create(log_file(&scratch)).context("cannot create the gateway's log")?;
        let mut command = command(&scratch, &binary);
        command.arg("run").arg("--config").arg(file);
        command.stdout(log.try_clone()?).stderr(log);
        let process = Process::spawn(&mut command)?;
        Ok(Self { process, admin: admin_address(config), scratch })
    }

    /// All it has written so far, standard output and standard error.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(log_file(&self.scratch)).unwrap_or_default()
    }

    /// Waits for a line with `text` in it and returns the line.
    ///
    /// # Errors
    /// When there is none after `deadline`: carries the log.
    pub async fn wait_for_log(&self, text: &str, deadline: Duration) -> Result<String> {
        let end = Instant::now() + deadline;
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                return Ok(line.to_owned());
            }
            if Instant::now() >= end {
                bail!("no line with {text:?} after {deadline:?} in the gateway's log:\n{log}");
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The lines of the log that are JSON objects: with `log.format = "json"` all of them, access
    /// records included.
    #[must_use]
    pub fn json_lines(&self) -> Vec<Value> {
        let log = self.log();
        let values = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        values.filter(Value::is_object).collect()
    }

    /// Waits until `count` of [`GatewayProcess::json_lines`] fit, and returns all that do. A record comes a moment after
    /// the client that it tells of is gone.
    ///
    /// # Errors
    /// When there are fewer after `deadline`: carries the log.
    pub async fn wait_for_lines(
        &self,
        what: impl Display,
        count: usize,
        deadline: Duration,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Value>> {
        let mut found = Vec::new();
        let enough = async || {
            found = self.json_lines();
            found.retain(&fits);
            found.len() >= count
        };
        let waited = wait::until(format!("{count} of {what}"), deadline, enough).await;
        waited.with_context(|| format!("there are {}:\n{}", found.len(), self.log()))?;
        Ok(found)
    }

    /// The directory of the configuration file, `gateway.toml`.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.scratch.dir()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        self.process.exit_status()
    }

    /// Sends a signal: HUP reloads, TERM drains.
    ///
    /// # Errors
    /// When the system refuses to.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// SIGTERM: starts a drain.
    ///
    /// # Errors
    /// As [`GatewayProcess::signal`].
    pub fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// As [`GatewayProcess::signal`].
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs after `deadline`: carries the log.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let status = self.process.wait(deadline).await?;
        status.with_context(|| format!("still running after {deadline:?}:\n{}", self.log()))
    }

    /// The Prometheus text of its admin address.
    ///
    /// # Errors
    /// When the configuration has no `[admin] bind`, or there is no answer.
    pub async fn metrics(&self) -> Result<String> {
        let (status, body) = http::get(&self.admin_url("/metrics")?).await?;
        if status != 200 {
            bail!("GET /metrics: status {status}, {body}");
        }
        Ok(body)
    }

    /// The sum of a metric over all its series whose labels contain every one of `labels`, such
    /// as `node="n1"`; 0 when there is no such series.
    ///
    /// # Errors
    /// As [`GatewayProcess::metrics`].
    pub async fn metric(&self, name: &str, labels: &[&str]) -> Result<f64> {
        Ok(sum(&self.metrics().await?, name, labels))
    }

    /// Waits until [`GatewayProcess::metric`] fits, and returns it. Some are counted a moment after what they count.
    ///
    /// # Errors
    /// When it does not after `deadline`: carries the log.
    pub async fn wait_for_metric(
        &self,
        name: &str,
        labels: &[&str],
        deadline: Duration,
        fits: impl Fn(f64) -> bool,
    ) -> Result<f64> {
        let mut value = f64::NAN;
        let right = async || {
            value = self.metric(name, labels).await.unwrap_or(f64::NAN);
            fits(value)
        };
        let waited = wait::until(format!("{name} {labels:?}"), deadline, right).await;
        waited.with_context(|| format!("it is {value}:\n{}", self.log()))?;
        Ok(value)
    }

    /// `http://ADDRESS/path` of its admin address.
    ///
    /// # Errors
    /// When the configuration has no `[admin] bind`.
    pub fn admin_url(&self, path: &str) -> Result<String> {
        let admin = self.admin.as_ref().context("the configuration has no `[admin] bind`")?;
        Ok(format!("http://{admin}{path}"))
    }

    /// Whether a new client would be accepted at `address`.
    pub async fn accepts(&self, address: SocketAddr) -> bool {
        TcpStream::connect(address).await.is_ok()
    }
}

/// As [`GatewayProcess::metric`], from a Prometheus text that is there already.
#[must_use]
pub fn sum(metrics: &str, name: &str, labels: &[&str]) -> f64 {
    metrics.lines().filter_map(|line| sample(line, name, labels)).sum()
}

pub(crate) fn says_ready(line: &str) -> bool {
    line.split_ascii_whitespace().any(|word| word.trim_matches('"') == "ready")
        || line.contains(r#""message":"ready""#)
}

fn sample(line: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let (series, value) = rest.rsplit_once(' ')?;
    let whole_name = series.is_empty() || series.starts_with('{');
    let holds = whole_name && labels.iter().all(|label| series.contains(label));
    if holds { value.parse().ok() } else { None }
}

fn log_file(scratch: &Scratch) -> PathBuf {
    scratch.dir().join("gateway.log")
}

fn admin_address(config: &str) -> Option<String> {
    let config: toml::Table = config.parse().ok()?;
    Some(config.get("admin")?.get("bind")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_found_by_its_whole_name_and_labels() {
        let line = r#"amqp_gateway_sessions{cluster="main",node="n1"} 3"#;
        assert_eq!(sample(line, "amqp_gateway_sessions", &[r#"node="n1""#]), Some(3.0));
        assert_eq!(sample(line, "amqp_gateway_sessions", &[r#"node="n2""#]), None);
        assert_eq!(sample(line, "amqp_gateway_session", &[]), None);
    }

    #[test]
    fn ready_is_found_in_both_formats_and_not_inside_words() {
        assert!(says_ready("2026-11-20T10:00:00Z  INFO ready"));
        assert!(says_ready(r#"{"level":"INFO","fields":{"message":"ready"}}"#));
        assert!(!says_ready("already running"));
    }
}

//! The gateway in a namespace.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Lab, tree, wait};
use crate::gateway_process::{self, GatewayProcess};
use crate::process::Signal;

/// The hidden command that the gateway's VRRP process is started with.
const VRRP_COMMAND: &str = "vrrp-process";

/// A gateway with its two processes: the one that serves, and the one that speaks VRRP. Ended with -9 when dropped.
#[derive(Debug)]
pub struct Gateway {
    process: GatewayProcess,
    namespace: String,
    /// What was paused: looking for it again would take milliseconds.
    paused: Vec<u32>,
}

impl Gateway {
    /// Starts it with this configuration and waits until it logs `ready`.
    ///
    /// # Errors
    /// When there is no binary, or it ends or stays silent: carries its log.
    pub fn start(lab: &Lab, namespace: &str, config: &str) -> Result<Self> {
        let mut gateway = Self::spawn(lab, namespace, config)?;
        let mut ended = None;
        let deadline = Duration::from_secs(60);
        let ready = wait(deadline, || {
            ended = gateway.process.exit_status().ok().flatten();
            ended.is_some() || gateway.process.log().lines().any(gateway_process::says_ready)
        });
        if let Some(status) = ended {
            bail!("the gateway ended at its start ({status}):\n{}", gateway.log());
        }
        if !ready {
            bail!("the gateway is not ready after {deadline:?}:\n{}", gateway.log());
        }
        Ok(gateway)
    }

    /// Starts it and waits for nothing.
    ///
    /// # Errors
    /// When there is no binary.
    pub fn spawn(lab: &Lab, namespace: &str, config: &str) -> Result<Self> {
        let full = lab.full_name(namespace)?;
        let process = GatewayProcess::spawn_by(config, |scratch, binary| {
            let mut command = scratch.command("ip");
            command.args(["netns", "exec", full]).arg(binary);
            command
        })?;
        Ok(Self { process, namespace: namespace.to_owned(), paused: Vec::new() })
    }

    /// The process that serves. Its [`GatewayProcess::metrics`] are asked for from outside the namespace: use
    /// [`Gateway::get`].
    pub fn process(&mut self) -> &mut GatewayProcess {
        &mut self.process
    }

    /// All that it has written.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits for a line with `text` in it and returns the line.
    ///
    /// # Errors
    /// When there is none after `deadline`: carries the log.
    pub fn wait_for_log(&self, text: &str, deadline: Duration) -> Result<String> {
        let find = || self.log().lines().find(|line| line.contains(text)).map(str::to_owned);
        wait(deadline, || find().is_some());
        find().with_context(|| {
            format!(
                "no line with {text:?} after {deadline:?} in the log of {}:\n{}",
                self.namespace,
                self.log()
            )
        })
    }

    /// Asks its admin address for `path`, inside its namespace: status and body.
    ///
    /// # Errors
    /// When the configuration has no `[admin] bind`, or there is no answer.
    pub fn get(&self, lab: &Lab, path: &str) -> Result<(u16, String)> {
        let url = self.process.admin_url(path)?;
        lab.inside_async(&self.namespace, || async move { crate::http::get(&url).await })?
    }

    /// The sum of a metric over all its series with these labels; see [`GatewayProcess::metric`].
    ///
    /// # Errors
    /// As [`Gateway::get`].
    pub fn metric(&self, lab: &Lab, name: &str, labels: &[&str]) -> Result<f64> {
        let (status, body) = self.get(lab, "/metrics")?;
        if status != 200 {
            bail!("GET /metrics: status {status}, {body}");
        }
        Ok(gateway_process::sum(&body, name, labels))
    }

    /// Puts this configuration into its file, has it read by SIGHUP, and waits until that is in force.
    ///
    /// # Errors
    /// When it is refused, or nothing is said of it: carries the log.
    pub fn reload(&mut self, config: &str) -> Result<()> {
        let said = self.order_reload(config)?;
        if !said.contains("configuration in force") && !said.contains("configuration unchanged") {
            bail!("{said}\n{}", self.log());
        }
        Ok(())
    }

    /// The same with a configuration that is not valid: waits until it is refused.
    ///
    /// # Errors
    /// When it is not: carries the log.
    pub fn refuses(&mut self, config: &str) -> Result<()> {
        let said = self.order_reload(config)?;
        if !said.contains("configuration refused") {
            bail!("{said}\n{}", self.log());
        }
        Ok(())
    }

    fn order_reload(&mut self, config: &str) -> Result<String> {
        const OUTCOMES: [&str; 3] =
            ["configuration in force", "configuration unchanged", "configuration refused"];
        let outcomes = |log: &str| -> Vec<String> {
            let is_one = |line: &&str| OUTCOMES.iter().any(|outcome| line.contains(outcome));
            log.lines().filter(is_one).map(str::to_owned).collect()
        };
        let before = outcomes(&self.log()).len();
        std::fs::write(self.process.dir().join("gateway.toml"), config)?;
        self.process.signal(Signal::HUP)?;
        wait(Duration::from_secs(60), || outcomes(&self.log()).len() > before);
        let said = outcomes(&self.log()).into_iter().nth(before);
        said.with_context(|| format!("nothing is said of the reload:\n{}", self.log()))
    }

    /// The id of its VRRP process.
    ///
    /// # Errors
    /// When it has none: carries the log.
    pub fn vrrp_process(&self) -> Result<u32> {
        let children = tree::children(self.process.id());
        let found =
            children.into_iter().find(|child| tree::command_line(*child).contains(VRRP_COMMAND));
        found.with_context(|| format!("{} has no VRRP process:\n{}", self.namespace, self.log()))
    }

    /// SIGTERM to the process that serves: it drains, and the other one ends with it.
    ///
    /// # Errors
    /// When the system refuses to.
    pub fn terminate(&mut self) -> Result<()> {
        self.process.terminate()
    }

    /// SIGKILL to both, before one can notice that the other is gone.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn kill_both(&mut self) -> Result<()> {
        tree::kill_all(self.process.id())
    }

    /// SIGKILL to the process that serves, alone.
    ///
    /// # Errors
    /// When the system refuses to.
    pub fn kill_gateway(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// SIGKILL to the process that speaks VRRP, alone.
    ///
    /// # Errors
    /// When it has none.
    pub fn kill_vrrp(&mut self) -> Result<()> {
        tree::signal(self.vrrp_process()?, Signal::KILL)
    }

    /// SIGSTOP to both.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause(&mut self) -> Result<()> {
        let parent = self.process.id();
        let children = tree::children(parent);
        tree::signal(parent, Signal::STOP)?;
        // A script that it started may have ended meanwhile.
        let paused =
            children.into_iter().filter(|child| tree::signal(*child, Signal::STOP).is_ok());
        self.paused = [parent].into_iter().chain(paused).collect();
        Ok(())
    }

    /// SIGSTOP to the process that serves, alone.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause_gateway(&mut self) -> Result<()> {
        self.paused = vec![self.process.id()];
        tree::signal(self.process.id(), Signal::STOP)
    }

    /// SIGCONT to what was paused.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resume(&mut self) -> Result<()> {
        let paused = std::mem::take(&mut self.paused);
        // Those it started first: it cannot take note of their end yet.
        paused.into_iter().rev().try_for_each(|process| tree::signal(process, Signal::CONT))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Fails when it has ended.
        let _ = self.kill_both();
    }
}

//! keepalived in a namespace: the peer to get along with, and to compare with.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Lab, VIP, tree, wait};
use crate::process::{Process, Signal};

/// The configuration of one virtual router. [`Settings::new`] is version 3, 100 ms, VRID 51, multicast, [`VIP`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// VRRP version, 2 or 3.
    pub version: u8,
    /// Whether it starts with `state MASTER` (it still waits for others, unless it is the owner).
    pub master: bool,
    /// 1 to 255.
    pub priority: u8,
    /// Virtual router id.
    pub vrid: u8,
    /// Seconds from one advertisement to the next.
    pub interval: f64,
    /// Password of `auth_type PASS`, version 2 only.
    pub password: Option<String>,
    /// Unicast: the addresses of the peers. Empty: multicast.
    pub peers: Vec<IpAddr>,
    /// Whether to leave the address where it is when coming back.
    pub nopreempt: bool,
    /// Seconds to wait before taking the address from a lower one.
    pub preempt_delay: Option<f64>,
    /// Whether to use the virtual MAC.
    pub vmac: bool,
    /// A check whose failure costs priority.
    pub track: Option<TrackScript>,
    /// A command for each change of state; it gets `TYPE NAME STATE PRIORITY`.
    pub notify: Option<String>,
    /// Shared addresses, as keepalived takes them: with a prefix or without.
    pub addresses: Vec<String>,
    /// Further lines for the `vrrp_instance`.
    pub extra: String,
    /// Further lines for `global_defs`.
    pub global: String,
    /// Whether it goes before ordinary processes, as the gateway's VRRP process does. Tests are not to judge it by what
    /// else the machine has to do.
    pub favoured: bool,
}

/// A `vrrp_script` that keepalived runs again and again.
#[derive(Debug, Clone)]
pub struct TrackScript {
    /// A shell command: exit code 0 is good.
    pub command: String,
    /// Seconds between runs.
    pub interval: u32,
    /// Failures until it counts as failed.
    pub fall: u32,
    /// Successes until it counts as good again.
    pub rise: u32,
    /// Added to the priority while it fails; 0: the router is in fault then.
    pub weight: i32,
}

impl Settings {
    /// As told above, with this priority.
    #[must_use]
    pub fn new(priority: u8) -> Self {
        Self {
            version: 3,
            master: false,
            priority,
            vrid: 51,
            interval: 0.1,
            password: None,
            peers: Vec::new(),
            nopreempt: false,
            preempt_delay: None,
            vmac: false,
            track: None,
            notify: None,
            addresses: vec![VIP.to_string()],
            extra: String::new(),
            global: String::new(),
            favoured: true,
        }
    }

    /// `keepalived.conf`; helper files go to `dir`.
    fn render(&self, namespace: &str, dir: &Path) -> Result<String> {
        let mut text = format!(
            "global_defs {{\n  router_id {namespace}\n  script_user root\n{}\n}}\n",
            self.global
        );
        if let Some(track) = &self.track {
            let script = dir.join("check.sh");
            executable(&script, &track.command)?;
            let TrackScript { interval, fall, rise, weight, .. } = track;
            writeln!(
                text,
                "vrrp_script check {{\n  script {}\n  interval {interval}\n  fall {fall}\n  rise {rise}\n  weight {weight}\n}}",
                script.display()
            )?;
        }
        writeln!(text, "vrrp_instance lab {{")?;
        writeln!(text, "  state {}", if self.master { "MASTER" } else { "BACKUP" })?;
        writeln!(text, "  interface eth0\n  version {}", self.version)?;
        writeln!(text, "  virtual_router_id {}\n  priority {}", self.vrid, self.priority)?;
        writeln!(text, "  advert_int {}", self.interval)?;
        if let Some(password) = &self.password {
            writeln!(
                text,
                "  authentication {{\n    auth_type PASS\n    auth_pass {password}\n  }}"
            )?;
        }
        if !self.peers.is_empty() {
            writeln!(text, "  unicast_peer {{")?;
            self.peers.iter().try_for_each(|peer| writeln!(text, "    {peer}"))?;
            writeln!(text, "  }}")?;
        }
        if self.nopreempt {
            writeln!(text, "  nopreempt")?;
        }
        if let Some(delay) = self.preempt_delay {
            writeln!(text, "  preempt_delay {delay}")?;
        }
        if self.vmac {
            writeln!(text, "  use_vmac")?;
        }
        if self.track.is_some() {
            writeln!(text, "  track_script {{\n    check\n  }}")?;
        }
        if let Some(notify) = &self.notify {
            let script = dir.join("notify.sh");
            executable(&script, notify)?;
            writeln!(text, "  notify {}", script.display())?;
        }
        writeln!(text, "  virtual_ipaddress {{")?;
        self.addresses.iter().try_for_each(|address| writeln!(text, "    {address}"))?;
        writeln!(text, "  }}\n{}\n}}", self.extra)?;
        Ok(text)
    }
}

/// A running keepalived; ended with -9 when dropped. What it leaves in the kernel then stays there.
#[derive(Debug)]
pub struct Keepalived {
    process: Process,
    dir: PathBuf,
    namespace: String,
}

impl Keepalived {
    /// Starts it, and waits for nothing.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn start(lab: &Lab, namespace: &str, settings: &Settings) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("keepalived-").tempdir_in(lab.dir()?)?.keep();
        fs::write(dir.join("keepalived.conf"), settings.render(namespace, &dir)?)?;
        let log = File::create(dir.join("log"))?;
        let mut command = match settings.favoured {
            // Where that is not allowed, it goes on without.
            true => lab.command(namespace, "nice")?,
            false => lab.command(namespace, "keepalived")?,
        };
        if settings.favoured {
            command.args(["-n", "-15", "keepalived"]);
        }
        // In the foreground, log to standard error in detail, VRRP only, files of its own.
        command.args(["-n", "-l", "-D", "-P", "-f"]).arg(dir.join("keepalived.conf"));
        command.arg("-p").arg(dir.join("pid")).arg("-r").arg(dir.join("vrrp.pid"));
        command.stdout(log.try_clone()?).stderr(log);
        let process = Process::spawn(&mut command).context("`integration/install.sh test`")?;
        Ok(Self { process, dir, namespace: namespace.to_owned() })
    }

    /// All that it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Waits for a line with `text` in it and returns the line.
    ///
    /// # Errors
    /// When there is none after `deadline`: carries the log.
    pub fn wait_for_log(&self, text: &str, deadline: Duration) -> Result<String> {
        let find = || self.log().lines().find(|line| line.contains(text)).map(str::to_owned);
        wait(deadline, || find().is_some());
        find().with_context(|| {
            format!("no line with {text:?} after {deadline:?} in keepalived's log:\n{}", self.log())
        })
    }

    /// Waits until it has entered a state, in its words: `MASTER`, `BACKUP` or `FAULT`. The last state counts.
    ///
    /// # Errors
    /// When it is in another one after `deadline`: carries the log.
    pub fn wait_for_state(&self, state: &str, deadline: Duration) -> Result<()> {
        if !wait(deadline, || self.state().as_deref() == Some(state)) {
            bail!(
                "keepalived in {} is not {state} after {deadline:?}:\n{}",
                self.namespace,
                self.log()
            );
        }
        Ok(())
    }

    /// The state that it entered last, in its words.
    #[must_use]
    pub fn state(&self) -> Option<String> {
        let log = self.log();
        let last = log.lines().rev().find_map(|line| line.split_once("Entering "))?;
        last.1.split_ascii_whitespace().next().map(str::to_owned)
    }

    /// Replaces its configuration and tells it to read it (SIGHUP).
    ///
    /// # Errors
    /// When the file cannot be written or it runs no longer.
    pub fn reload(&mut self, settings: &Settings) -> Result<()> {
        fs::write(self.dir.join("keepalived.conf"), settings.render(&self.namespace, &self.dir)?)?;
        self.process.signal(Signal::HUP)
    }

    /// SIGTERM: it says priority 0, removes the addresses and ends.
    ///
    /// # Errors
    /// When the system refuses to.
    pub fn terminate(&mut self) -> Result<()> {
        self.process.signal(Signal::TERM)
    }

    /// SIGKILL to all of it, before any part can notice that another is gone.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn kill(&mut self) -> Result<()> {
        tree::kill_all(self.process.id())
    }

    /// SIGKILL to the process that speaks VRRP alone. The other starts it anew.
    ///
    /// # Errors
    /// When there is none.
    pub fn kill_child(&mut self) -> Result<()> {
        tree::signal(self.child()?, Signal::KILL)
    }

    /// SIGKILL to the process that started the other alone.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn kill_parent(&mut self) -> Result<()> {
        tree::signal(self.process.id(), Signal::KILL)
    }

    /// SIGSTOP to all of it.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause(&mut self) -> Result<()> {
        self.each(Signal::STOP)
    }

    /// SIGCONT to all of it.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resume(&mut self) -> Result<()> {
        self.each(Signal::CONT)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs after `deadline`.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.process.exit_status()? {
                return Ok(status);
            }
            if Instant::now() >= end {
                bail!("keepalived in {} still runs after {deadline:?}", self.namespace);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The process that speaks VRRP.
    ///
    /// # Errors
    /// When there is none (yet).
    pub fn child(&self) -> Result<u32> {
        tree::children(self.process.id()).first().copied().context("keepalived has no VRRP process")
    }

    fn each(&self, signal: Signal) -> Result<()> {
        let parent = self.process.id();
        let all = [parent].into_iter().chain(tree::children(parent));
        all.into_iter().try_for_each(|process| tree::signal(process, signal))
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        // Fails when it has ended.
        let _ = self.kill();
    }
}

fn executable(file: &Path, command: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(file, format!("#!/bin/sh\n{command}\n"))?;
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o755))?)
}

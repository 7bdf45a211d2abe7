//! keepalived as the guides set it up: a check script every second that has to fail twice.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use integration::vrrp_lab::{Keepalived, Lab, Settings, TrackScript};

use crate::candidate::{Candidate, Node};

/// The installed one.
pub(crate) struct Real {
    version: String,
}

impl Real {
    /// Asks for its version.
    ///
    /// # Errors
    /// When it is not installed.
    pub(crate) fn find() -> Result<Self> {
        let output = Command::new("keepalived").arg("--version").output();
        let output = output.context("no keepalived: `integration/install.sh bench`")?;
        // It tells on standard error.
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        Ok(Self { version: text.lines().next().unwrap_or_default().to_owned() })
    }
}

impl Candidate for Real {
    fn version(&self) -> String {
        self.version.clone()
    }

    fn start(&self, lab: &Lab, gateway: &str, priority: u8) -> Result<Box<dyn Node>> {
        let ill = lab.dir()?.join(format!("{gateway}-is-ill"));
        let command = format!("test ! -e {}", ill.display());
        let mut settings = Settings::new(priority);
        // As the guides have it.
        settings.favoured = false;
        settings.track = Some(TrackScript { command, interval: 1, fall: 2, rise: 2, weight: -20 });
        let process = Keepalived::start(lab, gateway, &settings)?;
        Ok(Box::new(One { process, ill }))
    }
}

struct One {
    process: Keepalived,
    /// Its check fails while this file exists.
    ill: PathBuf,
}

impl Node for One {
    fn settled(&self) -> bool {
        let checked = self.process.log().contains("VRRP_Script(check) succeeded");
        checked && self.process.state().is_some()
    }

    fn crash(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Another program serves, and keepalived learns of its end by the check script.
    fn crash_service(&mut self) -> Result<()> {
        self.fail_health()
    }

    fn crash_speaker(&mut self) -> Result<()> {
        self.process.kill_child()
    }

    fn goodbye(&mut self) -> Result<()> {
        self.process.terminate()
    }

    fn pause(&mut self) -> Result<()> {
        self.process.pause()
    }

    fn resume(&mut self) -> Result<()> {
        self.process.resume()
    }

    fn fail_health(&mut self) -> Result<()> {
        Ok(std::fs::write(&self.ill, "")?)
    }

    fn restore_health(&mut self) -> Result<()> {
        Ok(std::fs::remove_file(&self.ill)?)
    }
}

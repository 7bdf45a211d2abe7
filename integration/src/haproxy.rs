//! HAProxy, as a real sender and receiver of PROXY headers and a real end of TLS.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;

use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait;

const DEFAULTS: &str = "
defaults
  mode tcp
  timeout connect 5s
  timeout client 10m
  timeout server 10m
";

/// A running HAProxy; dropping it kills it.
#[derive(Debug)]
pub struct HaProxy {
    _process: Process,
    _scratch: Scratch,
}

impl HaProxy {
    /// Runs it with these `frontend`, `backend` and `listen` sections, in `mode tcp` unless they
    /// say otherwise, until it accepts at `address`.
    ///
    /// # Errors
    /// When it is not installed, or does not accept within a minute: carries its output.
    pub async fn start(sections: &str, address: SocketAddr) -> Result<Self> {
        let scratch = Scratch::new("haproxy")?;
        let (file, said) = (scratch.dir().join("haproxy.cfg"), scratch.dir().join("output"));
        fs::write(&file, format!("{DEFAULTS}{sections}\n")).context("cannot write haproxy.cfg")?;
        let output = File::create(&said).context("cannot write HAProxy's output")?;
        let mut command = scratch.command("/usr/sbin/haproxy");
        command.arg("-db").arg("-f").arg(&file).stdout(output.try_clone()?).stderr(output);
        let process = Process::spawn(&mut command).context("`integration/install.sh test`")?;
        let accepts = async || TcpStream::connect(address).await.is_ok();
        let what = format!("HAProxy at {address}");
        if let Err(error) = wait::until(what, Duration::from_secs(60), accepts).await {
            bail!("{error}:\n{}", fs::read_to_string(said).unwrap_or_default());
        }
        Ok(Self { _process: process, _scratch: scratch })
    }
}

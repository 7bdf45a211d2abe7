//! testssl.sh as a judge of TLS listeners.

use std::fmt;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::process::Process;
use crate::scratch::Scratch;
use crate::tls::ClientTls;

/// It takes half a minute on an idle machine.
const DEADLINE: Duration = Duration::from_secs(480);

/// Protocols, kinds of ciphers, forward secrecy, preferences, the certificate, known weaknesses.
/// Neither simulated clients nor every cipher one by one: they take twice as long and find nothing.
const CHECKS: [&str; 6] = ["-p", "-s", "-f", "-P", "-S", "-U"];

/// Nothing but the listener is talked to, and nobody is asked anything.
const QUIET: [&str; 7] = ["--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none"];

/// What a whole report has, in this order.
const WHOLE: [&str; 4] = ["protocol_negotiated", "cert_chain_of_trust", "RC4", "scanTime"];

/// Something that testssl.sh found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Finding {
    /// Its name, `cert_expirationStatus`.
    pub id: String,
    /// `DEBUG`, `INFO`, `OK`, `LOW`, `MEDIUM`, `HIGH`, `CRITICAL`; `WARN` and `FATAL` for a check
    /// that could not be made.
    pub severity: String,
    /// What it says.
    pub finding: String,
}

impl Finding {
    /// Whether it is worse than `LOW`.
    #[must_use]
    pub fn is_above_low(&self) -> bool {
        ["MEDIUM", "HIGH", "CRITICAL", "FATAL"].contains(&self.severity.as_str())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity, self.id, self.finding)
    }
}

/// All that testssl.sh finds at an address, whose certificate is `tls`' authority's and has its
/// server name. The version of `tls` does not matter.
///
/// # Errors
/// When testssl.sh is not installed, is not done after eight minutes, or could not do all.
pub async fn findings(address: SocketAddr, tls: &ClientTls) -> Result<Vec<Finding>> {
    let scratch = Scratch::new("testssl")?;
    let (json, said) = (scratch.dir().join("findings.json"), scratch.dir().join("output"));
    let output = File::create(&said).context("cannot write testssl.sh's output")?;
    let mut command = scratch.command("testssl");
    command.args(QUIET).args(CHECKS).arg("--add-ca").arg(&tls.authority);
    command.arg("--jsonfile").arg(&json).args(["--ip", &address.ip().to_string()]);
    command.arg(format!("{}:{}", tls.server_name, address.port()));
    command.stdout(output.try_clone()?).stderr(output);
    let mut testssl = Process::spawn(&mut command).context("`integration/install.sh test`")?;
    let ended = testssl.wait(DEADLINE).await?;
    let said = fs::read_to_string(said).unwrap_or_default();
    ensure!(ended.is_some(), "testssl.sh is not done after {DEADLINE:?}:\n{said}");
    let json = fs::read_to_string(json).with_context(|| format!("no findings:\n{said}"))?;
    let found: Vec<Finding> = serde_json::from_str(&json).context("not testssl.sh's JSON")?;
    for id in WHOLE {
        ensure!(found.iter().any(|one| one.id == id), "testssl.sh found no {id}:\n{said}");
    }
    Ok(found)
}

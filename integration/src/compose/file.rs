//! What docker-compose.yml says, as far as it is tried without a container engine.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::target;

/// The top of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A compose file.
#[derive(Debug, Deserialize)]
pub struct File {
    /// By name.
    pub services: BTreeMap<String, Service>,
    /// By name.
    pub networks: BTreeMap<String, Network>,
}

/// A service of one container.
#[derive(Debug, Clone, Deserialize)]
pub struct Service {
    /// An image from a registry.
    pub image: Option<String>,
    /// An image that is built.
    pub build: Option<Build>,
    /// The container's host name.
    pub hostname: Option<String>,
    /// Environment variables.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// `SOURCE:TARGET:ro`.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// Capabilities beyond those that are left.
    #[serde(default)]
    pub cap_add: Vec<String>,
    /// Capabilities that are taken away.
    #[serde(default)]
    pub cap_drop: Vec<String>,
    /// Resource limits; -1 is none.
    #[serde(default)]
    pub ulimits: BTreeMap<String, i64>,
    /// When the container counts as healthy.
    pub healthcheck: Option<HealthCheck>,
    /// How long it has after SIGTERM.
    pub stop_grace_period: Option<String>,
    /// By name.
    pub networks: BTreeMap<String, Attachment>,
}

impl Service {
    /// Its static address.
    ///
    /// # Panics
    /// When it is in no network: the schema allows that, the compose file does not do it.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.networks.values().next().expect("every service is in the network").ipv4_address
    }

    /// The Dockerfile that its image is built from.
    #[must_use]
    pub fn dockerfile(&self) -> Option<(PathBuf, PathBuf)> {
        let Build { context, dockerfile } = self.build.as_ref()?;
        let context = repository().join(context);
        Some((context.join(dockerfile), context))
    }
}

/// How an image is built.
#[derive(Debug, Clone, Deserialize)]
pub struct Build {
    context: PathBuf,
    dockerfile: PathBuf,
}

/// A command in the container that tells by its exit code how the container is.
#[derive(Debug, Clone, Deserialize)]
pub struct HealthCheck {
    /// `CMD`, program, arguments.
    pub test: Vec<String>,
}

/// A service's place in a network.
#[derive(Debug, Clone, Deserialize)]
pub struct Attachment {
    ipv4_address: Ipv4Addr,
}

/// A network.
#[derive(Debug, Deserialize)]
pub struct Network {
    /// Where its addresses come from.
    pub ipam: Ipam,
}

/// Where the addresses of a network come from.
#[derive(Debug, Deserialize)]
pub struct Ipam {
    /// One for each address family.
    pub config: Vec<Pool>,
}

/// Addresses of a network.
#[derive(Debug, Deserialize)]
pub struct Pool {
    /// All of them, `ADDRESS/LENGTH`.
    pub subnet: String,
    /// Those that the engine gives to containers without a static one, `ADDRESS/LENGTH`.
    pub ip_range: String,
    /// The address of the machine that the engine runs on.
    pub gateway: Ipv4Addr,
}

impl Pool {
    /// Whether a container may have this address.
    #[must_use]
    pub fn holds(&self, address: Ipv4Addr) -> bool {
        within(&self.subnet, address)
    }

    /// Whether the engine may give this address to a container without a static one.
    #[must_use]
    pub fn gives_out(&self, address: Ipv4Addr) -> bool {
        within(&self.ip_range, address)
    }
}

/// Whether an address lies in `ADDRESS/LENGTH`. What is none holds nothing.
fn within(network: &str, address: Ipv4Addr) -> bool {
    let parts = network.split_once('/');
    let parts = parts.and_then(|(base, length)| Some((base.parse().ok()?, length.parse().ok()?)));
    let Some((base, length)): Option<(Ipv4Addr, u32)> = parts else { return false };
    let shift = 32_u32.saturating_sub(length);
    let start = |address: Ipv4Addr| u64::from(u32::from(address)) >> shift;
    start(base) == start(address)
}

/// Reads the repository's docker-compose.yml.
///
/// # Errors
/// As [`read`].
pub fn read_own() -> Result<File> {
    read(&repository().join("docker-compose.yml"))
}

/// Reads a compose file, after a check against the schema of the Compose Specification.
///
/// # Errors
/// When the checker is not installed, or the file breaks the schema: each problem with its place.
pub fn read(path: &Path) -> Result<File> {
    let interop = target::interop()?;
    let mut check = Command::new(interop.join("venv/bin/python"));
    check.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/clients/compose/read.py")).arg(path);
    // The schema as it comes with dclint; its own place is github.com/compose-spec/compose-spec.
    check.arg(interop.join("node/node_modules/dclint/schemas/compose.schema.json"));
    let output = check.output().context("cannot run Python: `integration/install.sh test`")?;
    if !output.status.success() {
        bail!("{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    }
    let value: Value = serde_json::from_slice(&output.stdout)?;
    serde_json::from_value(value).with_context(|| path.display().to_string())
}

//! docker-compose.yml, tried without a container engine.
//!
//! Each service gets namespaces of its own (network, processes, mounts, host name) with the address, host name, user,
//! capabilities, limits, environment and mounted files that the compose file and the Dockerfiles name. Programs stand in for the
//! images: the gateway's binary, Debian's RabbitMQ and Prometheus, the Python of `target/interop`. All of it
//! belongs to the network namespace of the calling thread, see [`crate::namespace::alone`], and goes with it.

mod container;
mod dockerfile;
mod file;
mod stand_in;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

pub use container::Container;
pub use file::{File, Pool, Service, read, read_own, repository};

use stand_in::StandIn;

use crate::scratch::Scratch;
use crate::wait;

const BRIDGE: &str = "br0";

/// A compose file whose network is there; services are started one by one.
#[derive(Debug)]
pub struct Project {
    file: File,
    pool: Pool,
    scratch: Scratch,
}

impl Project {
    /// Reads the repository's docker-compose.yml and makes its network: a bridge in the network namespace of the
    /// calling thread, which has the gateway address on it, as the machine of an engine has.
    ///
    /// # Errors
    /// When the file breaks the schema, has no network, or a bridge is not allowed here.
    pub fn new() -> Result<Self> {
        let mut file = read_own()?;
        let (_, network) = file.networks.pop_first().context("the file has no network")?;
        let pool = network.ipam.config.into_iter().next().context("the network has no subnet")?;
        let (_, length) = pool.subnet.split_once('/').context("a subnet without length")?;
        container::ip(&["link", "add", BRIDGE, "type", "bridge"])?;
        container::ip(&["addr", "add", &format!("{}/{length}", pool.gateway), "dev", BRIDGE])?;
        container::ip(&["link", "set", BRIDGE, "up"])?;
        Ok(Self { file, pool, scratch: Scratch::new("compose")? })
    }

    /// What the file says of a service.
    ///
    /// # Errors
    /// When it has no such service.
    pub fn service(&self, name: &str) -> Result<&Service> {
        self.file.services.get(name).with_context(|| format!("there is no service {name}"))
    }

    /// Starts the container of a service; for a second time after it has ended.
    ///
    /// # Errors
    /// When namespaces are not allowed here, or the program of the image is not installed.
    pub async fn start(&self, name: &str) -> Result<Container> {
        let service = self.service(name)?;
        self.run(name, service, stand_in::of(name, service, self.scratch.dir())?).await
    }

    /// Starts a container of the service's image with this configuration in the place of its own, and with no capability
    /// at all, as `docker run --cap-drop ALL` does.
    ///
    /// # Errors
    /// As [`Project::start`].
    pub async fn start_bare(&self, name: &str, config: &str) -> Result<Container> {
        let mut service = self.service(name)?.clone();
        service.cap_add.clear();
        service.cap_drop = vec!["ALL".to_owned()];
        service.ulimits.clear();
        let file = self.scratch.dir().join("bare.toml");
        fs::write(&file, config)?;
        let mount = service.volumes.first_mut().context("nothing is mounted")?;
        let (_, target) = mount.split_once(':').context("a mount without a target")?;
        *mount = format!("{}:{target}", file.display());
        let stand_in = stand_in::of(name, &service, self.scratch.dir())?;
        self.run(name, &service, stand_in).await
    }

    async fn run(&self, name: &str, service: &Service, stand_in: StandIn) -> Result<Container> {
        let (_, length) = self.pool.subnet.split_once('/').context("a subnet without length")?;
        let address = format!("{}/{length}", service.address());
        let place = container::Place { bridge: BRIDGE, address, router: self.pool.gateway };
        Container::start(name, service, stand_in, &place, &self.hosts(), &self.scratch).await
    }

    /// Waits until a container is healthy by the command of the compose file.
    ///
    /// # Errors
    /// When it is not within two minutes: carries its output. When it has no health check.
    pub async fn wait_healthy(&self, container: &mut Container) -> Result<()> {
        let name = container.name().to_owned();
        let check = self.service(&name)?.healthcheck.clone();
        let test = check.with_context(|| format!("{name} has no health check"))?.test;
        let (kind, command) = test.split_first().context("an empty health check")?;
        ensure!(kind == "CMD", "the health check of {name} is of the kind {kind}");
        let mut ended = false;
        let what = format!("{name} to be healthy");
        let healthy = wait::until(what, Duration::from_secs(120), async || {
            ended = container.has_ended().unwrap_or(true);
            ended || container.execute(command).await.is_ok_and(|done| done.status.success())
        });
        healthy.await.with_context(|| container.log_tail())?;
        ensure!(!ended, "{name} ended at its start: {}", container.log_tail());
        Ok(())
    }

    /// The names that the engine's name server would know.
    fn hosts(&self) -> BTreeMap<String, String> {
        let services = self.file.services.iter();
        services.map(|(name, service)| (name.clone(), service.address().to_string())).collect()
    }
}

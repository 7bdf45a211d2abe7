//! Real RabbitMQ clusters on loopback, from the Debian package, beside the system's own instance.
//!
//! A cluster lives in a directory of its own with its own epmd and ports, and needs no root.
//! What makes it start quickly: all nodes at once with peer discovery instead of `join_cluster`,
//! readiness by HTTP and TCP instead of `rabbitmqctl`, and users and vhosts by one request.

mod builder;
mod files;
mod listeners;
mod node;

use std::net::SocketAddr;
use std::process::Output;

use anyhow::{Context, Result, bail};
use tokio::sync::Mutex;

pub use builder::Builder;
pub use listeners::{ClientCertificate, Protocol, Tls};
use node::Node;

use crate::ports::PortBlock;
use crate::process::{Process, Signal};
use crate::scratch::Scratch;

/// A running cluster; dropping it stops all of it. Nodes are numbered from 1.
///
/// Users: `guest`/`guest` and `admin`/`admin` (administrators), `app`/`secret`, all of them with
/// all rights on every vhost; `limited`/`limited` with rights on `orders` only; `noperm`/`noperm`
/// without rights.
#[derive(Debug)]
pub struct RabbitCluster {
    name: String,
    nodes: Vec<Mutex<Node>>,
    files: files::Files,
    _epmd: Process,
    // Declared last: the processes go before the ports are given back.
    scratch: Scratch,
    _ports: PortBlock,
}

impl RabbitCluster {
    /// Settings for a cluster; `name` (letters and digits) becomes part of the node names.
    #[must_use]
    pub fn builder(name: &str) -> Builder {
        Builder::new(name)
    }

    /// The name given to the builder.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many nodes the cluster has, running or not.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Where node `n` speaks AMQP.
    #[must_use]
    pub fn amqp_addr(&self, n: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.files.ports(n).amqp))
    }

    /// Where node `n` speaks AMQP over TLS, if it was told to: [`Builder::tls`].
    #[must_use]
    pub fn amqps_addr(&self, n: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.files.ports(n).amqp_tls))
    }

    /// Where node `n` speaks this, if it was told to: [`Builder::protocol`].
    #[must_use]
    pub fn addr(&self, protocol: Protocol, n: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.files.ports(n).of(protocol)))
    }

    /// Where node `n` serves management.
    #[must_use]
    pub fn mgmt_addr(&self, n: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.files.ports(n).management))
    }

    /// Where node `n` serves management over TLS, if it was told to: [`Builder::tls`].
    #[must_use]
    pub fn mgmt_tls_addr(&self, n: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.files.ports(n).management_tls))
    }

    /// The management address of node `n` over TLS, `https://127.0.0.1:PORT`: [`Builder::tls`].
    #[must_use]
    pub fn mgmt_tls_url(&self, n: usize) -> String {
        format!("https://{}", self.mgmt_tls_addr(n))
    }

    /// The management address of node `n`, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn mgmt_url(&self, n: usize) -> String {
        format!("http://127.0.0.1:{}", self.files.ports(n).management)
    }

    /// A management API address with a login: `mgmt_api(1, "connections")`.
    #[must_use]
    pub fn mgmt_api(&self, n: usize, path: &str) -> String {
        format!("http://guest:guest@127.0.0.1:{}/api/{path}", self.files.ports(n).management)
    }

    /// The Erlang name of node `n`.
    #[must_use]
    pub fn node_name(&self, n: usize) -> String {
        self.files.node_name(n)
    }

    /// `[cluster.NAME]` of a gateway's configuration, with all nodes as `n1`, `n2`, ...
    #[must_use]
    pub fn config_section(&self) -> String {
        let name = &self.name;
        let mut text = format!("[cluster.{name}]\n");
        for n in 1..=self.node_count() {
            let address = self.amqp_addr(n);
            text += &format!("[cluster.{name}.node.n{n}]\naddress = \"{address}\"\n");
        }
        text + "\n"
    }

    /// Starts a node that was stopped or killed and waits until it serves clients.
    ///
    /// # Errors
    /// When it does not come up; carries the tail of its log.
    pub async fn start_node(&self, n: usize) -> Result<()> {
        let mut node = self.node(n)?.lock().await;
        node.start(&self.scratch, &self.files)?;
        node.wait_ready(&self.files).await
    }

    /// SIGTERM: the node closes its connections with 320 and leaves the cluster in order.
    ///
    /// # Errors
    /// When it is still there after 30 s (it is then killed).
    pub async fn stop_node(&self, n: usize) -> Result<()> {
        self.node(n)?.lock().await.end(Signal::TERM).await
    }

    /// SIGKILL: the node's connections are reset.
    ///
    /// # Errors
    /// When the process cannot be signalled.
    pub async fn kill_node(&self, n: usize) -> Result<()> {
        self.node(n)?.lock().await.end(Signal::KILL).await
    }

    /// SIGSTOP: the node's kernel still accepts connections, the node never answers.
    ///
    /// # Errors
    /// When the node does not run.
    pub async fn pause_node(&self, n: usize) -> Result<()> {
        self.node(n)?.lock().await.signal(Signal::STOP)
    }

    /// SIGCONT after [`RabbitCluster::pause_node`].
    ///
    /// # Errors
    /// When the node does not run.
    pub async fn resume_node(&self, n: usize) -> Result<()> {
        self.node(n)?.lock().await.signal(Signal::CONT)
    }

    /// Runs `rabbitmqctl` against node `n`; its standard output.
    ///
    /// # Errors
    /// When it fails; carries what it printed.
    pub async fn ctl(&self, n: usize, args: &[&str]) -> Result<String> {
        self.tool(n, "rabbitmqctl", args).await
    }

    /// Runs another of RabbitMQ's tools against node `n`: `tool(2, "rabbitmq-upgrade", &["drain"])`.
    ///
    /// # Errors
    /// When it fails; carries what it printed.
    pub async fn tool(&self, n: usize, program: &str, args: &[&str]) -> Result<String> {
        self.node(n)?;
        let mut command = self.scratch.command(node::program(program));
        command.envs(self.files.environment(n)).args(args);
        let output = tokio::task::spawn_blocking(move || command.output()).await?;
        let Output { status, stdout, stderr } =
            output.with_context(|| format!("{program} cannot be started"))?;
        let printed = String::from_utf8_lossy(&stdout).into_owned();
        if !status.success() {
            let errors = String::from_utf8_lossy(&stderr);
            bail!("{program} {args:?} on node {n} of {}: {printed}{errors}", self.name);
        }
        Ok(printed)
    }

    /// All of node `n`'s log.
    #[must_use]
    pub fn log(&self, n: usize) -> String {
        self.files.log(n)
    }

    /// The tail of node `n`'s log.
    #[must_use]
    pub fn log_tail(&self, n: usize) -> String {
        self.files.log_tail(n)
    }

    /// Stops all nodes at once and removes the directory. Dropping the cluster does the same, but
    /// blocks its thread for a moment.
    ///
    /// # Errors
    /// When the clean-up was cancelled.
    pub async fn down(self) -> Result<()> {
        Ok(tokio::task::spawn_blocking(move || drop(self)).await?)
    }

    fn node(&self, n: usize) -> Result<&Mutex<Node>> {
        let index = n.checked_sub(1).and_then(|index| self.nodes.get(index));
        let count = self.nodes.len();
        index.with_context(|| format!("{} has nodes 1 to {count}, asked for {n}", self.name))
    }
}

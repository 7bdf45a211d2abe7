//! Settings of a cluster, and its start.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use tokio::sync::Mutex;

use super::RabbitCluster;
use super::files::{Files, definitions};
use super::listeners::{Listeners, Protocol, Tls};
use super::node::{self, Node};
use crate::http;
use crate::ports::PortBlock;
use crate::scratch::Scratch;
use crate::wait;

type Progress = Box<dyn Fn(String) + Send + Sync>;

/// Settings of a cluster that is to be started.
pub struct Builder {
    name: String,
    nodes: usize,
    vhosts: Vec<String>,
    extra_conf: String,
    local_guest: bool,
    listeners: Listeners,
    progress: Progress,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Builder({}, {} nodes)", self.name, self.nodes)
    }
}

impl Builder {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            nodes: 1,
            vhosts: ["/", "orders", "billing", "audit"].map(str::to_owned).to_vec(),
            extra_conf: String::new(),
            local_guest: false,
            listeners: Listeners::default(),
            progress: Box::new(|_| ()),
        }
    }

    /// How many nodes, 1 to 6. Default: 1.
    #[must_use]
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// The vhosts. Default: `/`, `orders`, `billing`, `audit`.
    #[must_use]
    pub fn vhosts<'a>(mut self, vhosts: impl IntoIterator<Item = &'a str>) -> Self {
        self.vhosts = vhosts.into_iter().map(str::to_owned).collect();
        self
    }

    /// Lines for every node's `rabbitmq.conf`, such as `channel_max = 100`.
    #[must_use]
    pub fn extra_conf(mut self, lines: &str) -> Self {
        self.extra_conf.push_str(lines);
        self.extra_conf.push('\n');
        self
    }

    /// Leaves `loopback_users` as RabbitMQ has it: `guest` may log in from loopback addresses only. Default: from anywhere.
    #[must_use]
    pub fn local_guest(mut self) -> Self {
        self.local_guest = true;
        self
    }

    /// Every node speaks this, too: see [`RabbitCluster::addr`].
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.listeners.protocols.push(protocol);
        self
    }

    /// Every node has TLS listeners for AMQP and management, too: see
    /// [`RabbitCluster::amqps_addr`] and [`RabbitCluster::mgmt_tls_addr`].
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.listeners.tls = Some(tls);
        self
    }

    /// Every AMQP, MQTT and STOMP connection must begin with a PROXY header.
    #[must_use]
    pub fn proxy_protocol(mut self) -> Self {
        self.listeners.proxy_protocol = true;
        self
    }

    /// Told in a few words what happens while the cluster starts.
    #[must_use]
    pub fn progress(mut self, told: impl Fn(String) + Send + Sync + 'static) -> Self {
        self.progress = Box::new(told);
        self
    }

    /// Starts all nodes, waits until they have joined, creates users and vhosts.
    ///
    /// # Errors
    /// When RabbitMQ is not installed, or a node does not come up or does not join: carries the
    /// tail of its log.
    pub async fn start(self) -> Result<RabbitCluster> {
        ensure!((1..=6).contains(&self.nodes), "1 to 6 nodes are possible, not {}", self.nodes);
        node::check_installed()?;
        let ports = PortBlock::claim()?;
        let scratch = Scratch::new(&self.name)?;
        let files = Files::new(&self.name, self.nodes, scratch.dir(), &ports);
        let loopback_users = if self.local_guest { "" } else { "loopback_users = none\n" };
        let conf = format!("{loopback_users}{}", self.extra_conf);
        files
            .write(&self.listeners, &conf)
            .context("cannot write the configuration of a cluster")?;
        let _epmd = node::start_epmd(&scratch, &files).await?;
        (self.progress)(format!("starting {} node(s)", self.nodes));
        let mut nodes = Vec::new();
        for n in 1..=self.nodes {
            let mut node = Node::new(n);
            node.start(&scratch, &files)?;
            nodes.push(Mutex::new(node));
        }
        let cluster =
            RabbitCluster { name: self.name, nodes, files, _epmd, scratch, _ports: ports };
        wait_all_ready(&cluster, &self.progress).await?;
        wait_joined(&cluster).await?;
        (self.progress)("joined; creating users and vhosts".to_owned());
        // Only now: definitions loaded while nodes join leave some vhosts down on some nodes.
        http::post_json(&cluster.mgmt_api(1, "definitions"), &definitions(&self.vhosts)).await?;
        wait_all_ready(&cluster, &|_| ()).await?;
        (self.progress)("up".to_owned());
        Ok(cluster)
    }
}

async fn wait_all_ready(
    cluster: &RabbitCluster,
    progress: &(dyn Fn(String) + Send + Sync),
) -> Result<()> {
    let ready = cluster.nodes.iter().enumerate().map(async |(index, node)| {
        node.lock().await.wait_ready(&cluster.files).await?;
        progress(format!("node {} is up", index + 1));
        anyhow::Ok(())
    });
    try_join_all(ready).await?;
    Ok(())
}

/// Every node sees every node running.
async fn wait_joined(cluster: &RabbitCluster) -> Result<()> {
    for n in 1..=cluster.node_count() {
        let url = cluster.mgmt_api(n, "nodes?columns=name,running");
        let what = format!("node {n} of {} to see all nodes", cluster.name);
        wait::until(what, Duration::from_secs(60), async || {
            let Ok(nodes) = http::get_json(&url).await else {
                return false;
            };
            let all = nodes.as_array().map(Vec::as_slice).unwrap_or_default();
            all.iter().filter(|node| node["running"] == true).count() == cluster.node_count()
        })
        .await
        .with_context(|| cluster.log_tail(n))?;
    }
    Ok(())
}

//! A gateway with a listener for HTTP, in front of scripted nodes or of a real cluster.

use std::net::SocketAddr;

use integration::GatewayProcess;
use integration::http_peer::HttpPeer;
use integration::ports::PortBlock;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::front::{SOON, local};

/// A running gateway with the listener `ui`, which leads to the cluster `main`.
#[derive(Debug)]
pub(crate) struct HttpFront {
    pub(crate) gateway: GatewayProcess,
    pub(crate) address: SocketAddr,
    /// Where the listener `extra` is, if there is one.
    pub(crate) extra: SocketAddr,
    // Declared last: the gateway goes before its ports are given back.
    _ports: PortBlock,
}

/// What it is configured with.
#[derive(Debug)]
pub(crate) struct HttpSetup {
    gateway: String,
    listener: String,
    extra: String,
    cluster: String,
    health: String,
    nodes: Vec<String>,
}

impl Default for HttpSetup {
    fn default() -> Self {
        Self {
            gateway: String::new(),
            listener: String::new(),
            extra: String::new(),
            cluster: String::new(),
            health: "checks = []".to_owned(),
            nodes: Vec::new(),
        }
    }
}

impl HttpSetup {
    /// A line for `[gateway]`.
    pub(crate) fn gateway(mut self, line: &str) -> Self {
        self.gateway += &format!("{line}\n");
        self
    }

    /// A line for `[listener.ui]`.
    pub(crate) fn listener(mut self, line: &str) -> Self {
        self.listener += &format!("{line}\n");
        self
    }

    /// Lines of `[listener.extra]`, a second listener for HTTP.
    pub(crate) fn extra(mut self, lines: &str) -> Self {
        self.extra = lines.to_owned();
        self
    }

    /// A line for `[cluster.main]`.
    pub(crate) fn cluster(mut self, line: &str) -> Self {
        self.cluster += &format!("{line}\n");
        self
    }

    /// `[cluster.main.health]`. Without, nodes are not checked: a script would take each check for a request.
    pub(crate) fn health(mut self, lines: &str) -> Self {
        self.health = lines.to_owned();
        self
    }

    /// Scripted nodes.
    pub(crate) fn scripted(mut self, nodes: &[TcpListener]) -> Self {
        let url = |node: &TcpListener| format!("http://{}", node.local_addr().unwrap());
        self.nodes = nodes.iter().map(url).collect();
        self
    }

    /// Nodes with these management addresses.
    pub(crate) fn managed(mut self, urls: impl IntoIterator<Item = String>) -> Self {
        self.nodes = urls.into_iter().collect();
        self
    }

    /// Starts it.
    pub(crate) async fn start(self) -> HttpFront {
        let Self { gateway, listener, extra, mut cluster, health, nodes } = self;
        let ports = PortBlock::claim().unwrap();
        let [address, extra_address, admin] = [0, 1, 2].map(|index| local(ports.port(index)));
        cluster += &format!("[cluster.main.health]\n{health}\n");
        for (index, url) in nodes.iter().enumerate() {
            // Nobody speaks AMQP there, and nobody asks.
            let (number, amqp) = (index + 1, local(ports.port(10 + index as u16)));
            cluster += &format!("[cluster.main.node.n{number}]\naddress = \"{amqp}\"\n");
            cluster += &format!("management = \"{url}\"\n");
        }
        let extra = match extra.is_empty() {
            true => extra,
            false => format!(
                "[listener.extra]\nbind = \"{extra_address}\"\nprotocol = \"http\"\n{extra}\n"
            ),
        };
        let config = format!(
            "[gateway]\nname = \"gw\"\n{gateway}\n[log]\nformat = \"json\"\n\n[admin]\nbind = \"{admin}\"\n\n\
             [listener.ui]\nbind = \"{address}\"\nprotocol = \"http\"\ncluster = \"main\"\n{listener}\n{extra}\n\
             [cluster.main]\n{cluster}"
        );
        let gateway = GatewayProcess::start(&config).await.unwrap();
        HttpFront { gateway, address, extra: extra_address, _ports: ports }
    }
}

impl HttpFront {
    /// A new client.
    pub(crate) async fn client(&self) -> HttpPeer {
        HttpPeer::connect(self.address).await.unwrap()
    }

    /// The access records of HTTP so far.
    pub(crate) fn records(&self) -> Vec<Value> {
        let lines = self.gateway.json_lines().into_iter();
        lines.filter(|line| line["message"] == "http").collect()
    }

    /// The first access record of which that is true, once it is there.
    pub(crate) async fn record(&self, what: &str, that: impl Fn(&Value) -> bool) -> Value {
        let its = |line: &Value| line["message"] == "http" && that(line);
        self.gateway.wait_for_lines(what, 1, SOON, its).await.unwrap().remove(0)
    }
}

/// Where a scripted node listens.
pub(crate) async fn node() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

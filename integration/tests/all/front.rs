//! A gateway of one's own, mostly in front of scripted brokers, and what it wrote about sessions.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use integration::GatewayProcess;
use integration::peer::{BrokerTune, Peer, ScriptedBroker, Tune};
use integration::ports::PortBlock;
use serde_json::Value;

/// How long a test waits for what must come.
pub(crate) const SOON: Duration = Duration::from_secs(40);

/// Held by a test that uses a core and more for a while: one after the other, so that none measures another.
pub(crate) fn heavy() -> MutexGuard<'static, ()> {
    static HEAVY: Mutex<()> = Mutex::new(());
    HEAVY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running gateway named `gw` with the listener `amqp`.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) gateway: GatewayProcess,
    pub(crate) address: SocketAddr,
    // Declared last: the gateway goes before its ports are given back.
    _ports: PortBlock,
}

/// What a gateway is configured with.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    gateway: String,
    listener: String,
    cluster: String,
    health: Option<String>,
    more: String,
}

impl Setup {
    /// A listener that leads to the cluster `main`: decided at accept.
    pub(crate) fn at_accept() -> Self {
        Self { listener: "cluster = \"main\"\n".to_owned(), ..Self::default() }
    }

    /// A listener without a cluster; the vhosts `orders` and `billing` lead to `main`: decided at
    /// open.
    pub(crate) fn at_open() -> Self {
        Self::default().more("[[route]]\nvhost = \"{orders,billing}\"\ncluster = \"main\"\n")
    }

    /// A line for `[gateway]`.
    pub(crate) fn gateway(mut self, line: &str) -> Self {
        self.gateway += &format!("{line}\n");
        self
    }

    /// A line for `[listener.amqp]`.
    pub(crate) fn listener(mut self, line: &str) -> Self {
        self.listener += &format!("{line}\n");
        self
    }

    /// A line for `[cluster.main]`.
    pub(crate) fn cluster(mut self, line: &str) -> Self {
        self.cluster += &format!("{line}\n");
        self
    }

    /// A line for `[cluster.main.health]`. Without any, nodes are not checked: a scripted broker
    /// would take each check for a session.
    pub(crate) fn health(mut self, line: &str) -> Self {
        *self.health.get_or_insert_default() += &format!("{line}\n");
        self
    }

    /// Whole sections.
    pub(crate) fn more(mut self, sections: &str) -> Self {
        self.more += sections;
        self
    }

    /// Starts it; the cluster `main` has these nodes, `n1`, `n2`, ...
    pub(crate) async fn start(self, nodes: &[SocketAddr]) -> Front {
        let Self { gateway, listener, mut cluster, health, more } = self;
        for (index, address) in nodes.iter().enumerate() {
            let name = index + 1;
            cluster += &format!("[cluster.main.node.n{name}]\naddress = \"{address}\"\n");
        }
        let health = health.unwrap_or_else(|| "checks = []\n".to_owned());
        cluster += &format!("[cluster.main.health]\n{health}");
        let ports = PortBlock::claim().unwrap();
        let (address, admin) = (local(ports.port(0)), local(ports.port(1)));
        let config = format!(
            "[gateway]\nname = \"gw\"\n{gateway}\n[log]\nformat = \"json\"\n\n\
             [admin]\nbind = \"{admin}\"\n\n[listener.amqp]\nbind = \"{address}\"\n{listener}\n\
             {more}\n[cluster.main]\n{cluster}"
        );
        let gateway = GatewayProcess::start(&config).await.unwrap();
        Front { gateway, address, _ports: ports }
    }
}

impl Front {
    /// A new client.
    pub(crate) async fn client(&self) -> Peer {
        Peer::connect(self.address).await.unwrap()
    }

    /// A session on the vhost `orders` without heartbeats: its client and its node.
    pub(crate) async fn open(&self, broker: &ScriptedBroker) -> (Peer, Peer) {
        self.open_with(broker, Tune { heartbeat: 0, ..BrokerTune::default().tune }).await
    }

    /// A session whose client answers connection.tune with these values.
    pub(crate) async fn open_with(&self, broker: &ScriptedBroker, answer: Tune) -> (Peer, Peer) {
        let mut client = self.client().await;
        let serve = async {
            let mut node = broker.accept().await?;
            node.serve(&BrokerTune::default()).await?;
            anyhow::Ok(node)
        };
        let (opened, node) = tokio::join!(client.open_tuned("orders", answer), serve);
        opened.unwrap();
        (client, node.unwrap())
    }

    /// A session from open to close: the gateway still serves.
    pub(crate) async fn still_serves(&self, broker: &ScriptedBroker) {
        let (client, mut node) = self.open(broker).await;
        let answer = async {
            node.expect_close().await?;
            node.send_close_ok().await?;
            node.expect_eof().await
        };
        let (closed, answered) = tokio::join!(client.close(), answer);
        closed.unwrap();
        answered.unwrap();
    }

    /// The first `count` access records, oldest first, once they are there.
    pub(crate) async fn records(&self, count: usize) -> Vec<Value> {
        let record = |line: &Value| line["message"] == "session";
        let found = self.gateway.wait_for_lines("access records", count, SOON, record).await;
        found.unwrap().into_iter().take(count).collect()
    }

    /// How the first `count` sessions ended: see [`end_of`].
    pub(crate) async fn ends(&self, count: usize) -> Vec<String> {
        self.records(count).await.iter().map(end_of).collect()
    }

    /// How the session of this client ended; the client may be gone.
    pub(crate) async fn end_of(&self, client: SocketAddr) -> String {
        end_of(&self.record_of(client).await)
    }

    /// The access record of the session of this client.
    pub(crate) async fn record_of(&self, client: SocketAddr) -> Value {
        let client = client.to_string();
        let its = |line: &Value| line["message"] == "session" && line["client"] == *client;
        let what = format!("access records of {client}");
        self.gateway.wait_for_lines(what, 1, SOON, its).await.unwrap().remove(0)
    }
}

/// Who, phase, reason and, if there is one, the reply code.
pub(crate) fn end_of(record: &Value) -> String {
    let text = |key: &str| record[key].as_str().unwrap_or("?").to_owned();
    let code = record["reply_code"].as_u64().map(|code| format!(" {code}")).unwrap_or_default();
    format!("{} {} {}{code}", text("who"), text("phase"), text("reason"))
}

/// An address of 127.0.0.1.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// An address where nobody listens; freed when the block is dropped.
pub(crate) fn nobody() -> (SocketAddr, PortBlock) {
    let ports = PortBlock::claim().unwrap();
    (local(ports.port(0)), ports)
}

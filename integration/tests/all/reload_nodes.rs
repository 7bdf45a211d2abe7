//! What a reload does to nodes and routes, and to the sessions there.

use std::fs;
use std::net::SocketAddr;

use integration::crowd::{Crowd, Told};
use integration::peer::{BrokerTune, Peer, ScriptedBroker};
use integration::ports::PortBlock;
use integration::process::Signal;
use integration::{GatewayProcess, wait};
use tokio::task::JoinSet;

use crate::front::SOON;

const CLIENTS: usize = 30;

/// A gateway in front of four scripted nodes, and clients of the vhost `orders` that come back when they are told to go.
struct Place {
    crowd: Crowd,
    gateway: GatewayProcess,
    nodes: Vec<SocketAddr>,
    local: [SocketAddr; 2],
    revision: f64,
    _brokers: JoinSet<()>,
    _ports: PortBlock,
}

/// As a node, for one session: told connection.close, it answers and goes.
async fn serve(mut node: Peer) -> anyhow::Result<()> {
    node.serve(&BrokerTune::default()).await?;
    loop {
        node.readable().await?;
        if node.read_frame().await?.id() == Some((10, 50)) {
            return node.send_close_ok().await;
        }
    }
}

async fn node(broker: ScriptedBroker) {
    let mut sessions = JoinSet::new();
    while let Ok(session) = broker.accept().await {
        sessions.spawn(async move { drop(serve(session).await) });
    }
}

/// `node.NAME` of a cluster.
fn section(cluster: &str, name: &str, address: SocketAddr, more: &str) -> String {
    format!("[cluster.{cluster}.node.{name}]\naddress = \"{address}\"\n{more}\n")
}

impl Place {
    async fn start() -> Self {
        let (mut brokers, mut nodes) = (JoinSet::new(), Vec::new());
        for _ in 0..4 {
            let broker = ScriptedBroker::bind().await.unwrap();
            nodes.push(broker.address());
            brokers.spawn(node(broker));
        }
        let ports = PortBlock::claim().unwrap();
        let local = [0, 1].map(|index| SocketAddr::from(([127, 0, 0, 1], ports.port(index))));
        let config = format!("{}{}", head(local), three(&nodes, ""));
        let gateway = GatewayProcess::start(&config).await.unwrap();
        let crowd = Crowd::start(local[0], CLIENTS);
        let place =
            Self { crowd, gateway, nodes, local, revision: 1.0, _brokers: brokers, _ports: ports };
        place.all_open().await;
        place
    }

    async fn all_open(&self) {
        let all = async || self.crowd.open() == CLIENTS;
        wait::until("all sessions", SOON, all).await.unwrap();
    }

    /// Puts this behind the head of the configuration, and waits until it is in force.
    async fn reload(&mut self, rest: &str) {
        let file = self.gateway.dir().join("gateway.toml");
        fs::write(file, format!("{}{rest}", head(self.local))).unwrap();
        self.gateway.signal(Signal::HUP).unwrap();
        self.revision += 1.0;
        let revision = self.revision;
        let gateway = &self.gateway;
        let reloaded =
            async || gateway.metric("amqp_gateway_config_revision", &[]).await.unwrap() == revision;
        let result = wait::until("the reload", SOON, reloaded).await;
        assert!(result.is_ok(), "{}", self.gateway.log());
    }

    /// Waits until so many have been told something, and all are back; what those after the first `before` were told.
    async fn told(&self, before: usize, count: usize) -> Vec<Told> {
        let told = async || self.crowd.told().len() >= before + count;
        wait::until("clients to be told", SOON, told).await.unwrap();
        self.all_open().await;
        self.crowd.told().split_off(before)
    }

    async fn sessions(&self, cluster: &str, node: &str) -> f64 {
        let labels = [format!("cluster=\"{cluster}\""), format!("node=\"{node}\"")];
        let labels = labels.each_ref().map(String::as_str);
        self.gateway.metric("amqp_gateway_node_sessions", &labels).await.unwrap()
    }

    async fn until_sessions(&self, cluster: &str, node: &str, count: f64) {
        let are = async || self.sessions(cluster, node).await == count;
        let result = wait::until(format!("{count} at {node}"), SOON, are).await;
        assert!(result.is_ok(), "{}", self.gateway.metrics().await.unwrap());
    }
}

fn head([amqp, admin]: [SocketAddr; 2]) -> String {
    format!(
        "[gateway]\nname = \"gw\"\ndrain_rate = 20\n[admin]\nbind = \"{admin}\"\n\
         [listener.amqp]\nbind = \"{amqp}\"\ncluster = \"main\"\n"
    )
}

fn three(nodes: &[SocketAddr], more: &str) -> String {
    let names = ["n1", "n2", "n3"].into_iter().zip(nodes);
    names.map(|(name, &address)| section("main", name, address, more)).collect()
}

#[tokio::test]
async fn whoever_is_on_a_removed_node_or_a_changed_route_is_told_so_at_a_pace_and_nobody_else() {
    let mut place = Place::start().await;
    let nodes = place.nodes.clone();
    place.until_sessions("main", "n3", 10.0).await;

    // Settings of nodes and of checks concern no session.
    let health = "[cluster.main.health]\ninterval = \"100ms\"\ntimeout = \"20s\"\nfall = 1\n";
    let settings = three(&nodes, "weight = 2\nmax_connections = 100");
    place.reload(&format!("{settings}{health}")).await;
    for _ in 0..10 {
        let up = place.gateway.metric("amqp_gateway_node_up", &["cluster=\"main\""]).await.unwrap();
        assert_eq!(up, 3.0, "{}", place.gateway.log());
    }
    assert!(place.crowd.told().is_empty());

    let two = format!("{}{health}", three(&nodes[..2], ""));
    place.reload(&two).await;
    let told = place.told(0, 10).await;
    assert_eq!(told.len(), 10);
    for told in &told {
        assert_eq!(told.code, 320);
        assert!(told.text.contains("node n3 of cluster main has been removed"), "{}", told.text);
    }
    println!("10 sessions told within {:?}, at 20 a second", told[9].at - told[0].at);
    place.until_sessions("main", "n3", 0.0).await;
    let left = place.sessions("main", "n1").await + place.sessions("main", "n2").await;
    assert_eq!(left, CLIENTS as f64);

    let route = "[[route]]\nname = \"moves\"\nvhost = \"orders\"\ncluster = \"blue\"\n";
    let blue = format!("{route}{two}{}", section("blue", "b1", nodes[3], ""));
    place.reload(&blue).await;
    let told = place.told(10, CLIENTS).await;
    for told in &told {
        assert_eq!(told.code, 320);
        assert!(told.text.contains("route of this vhost or client has changed"), "{}", told.text);
    }
    place.until_sessions("blue", "b1", CLIENTS as f64).await;
    assert_eq!((told.len(), place.crowd.lost()), (CLIENTS, Vec::new()));
    assert!(!place.gateway.log().contains("node is down"), "{}", place.gateway.log());

    // The same routes in other words.
    let same = blue.replace("\"orders\"", "\"{orders,audit}\"").replace("moves", "moved");
    place.reload(&same).await;
    assert_eq!(place.crowd.told().len(), 10 + CLIENTS);
}

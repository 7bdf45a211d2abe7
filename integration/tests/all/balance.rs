//! Balancing by a hash: whoever belongs together meets on one node.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use integration::peer::{BrokerTune, Peer, ScriptedBroker};
use integration::wait;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use crate::front::{Front, SOON, Setup};

const AMQP_1_0: [u8; 8] = *b"AMQP\x00\x01\x00\x00";

/// Three nodes, and which of them was asked for which vhost; AMQP 1.0 counts as a vhost of that name.
struct Nodes {
    front: Front,
    asked: Arc<Mutex<Vec<(usize, String)>>>,
    _brokers: JoinSet<()>,
}

impl Nodes {
    async fn start(setup: Setup) -> Self {
        let (mut brokers, mut addresses) = (JoinSet::new(), Vec::new());
        let asked: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
        for index in 0..3 {
            let broker = ScriptedBroker::bind().await.unwrap();
            addresses.push(broker.address());
            let asked = asked.clone();
            brokers.spawn(async move {
                let mut sessions = JoinSet::new();
                while let Ok(node) = broker.accept().await {
                    let asked = asked.clone();
                    sessions.spawn(async move {
                        let Ok((vhost, mut node)) = serve(node).await else { return };
                        asked.lock().unwrap().push((index, vhost));
                        let _ = node.read_until_gone().await;
                    });
                }
            });
        }
        Self { front: setup.start(&addresses).await, asked, _brokers: brokers }
    }

    /// A client from this address.
    async fn client(&self, source: Ipv4Addr) -> Peer {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(IpAddr::V4(source), 0)).unwrap();
        Peer::new(socket.connect(self.front.address).await.unwrap()).unwrap()
    }

    /// Opens a session and tells the node that was asked, and for what.
    async fn node_for(&self, source: Ipv4Addr, vhost: &str) -> (usize, String) {
        let mut client = self.client(source).await;
        let before = self.asked.lock().unwrap().len();
        if vhost == "AMQP 1.0" {
            client.send_raw(&AMQP_1_0).await.unwrap();
            client.expect_header(AMQP_1_0).await.unwrap();
        } else {
            client.open("app", "secret", vhost).await.unwrap();
        }
        let asked = async || self.asked.lock().unwrap().len() > before;
        wait::until("a node to be asked", SOON, asked).await.unwrap();
        self.asked.lock().unwrap()[before].clone()
    }
}

async fn serve(mut node: Peer) -> anyhow::Result<(String, Peer)> {
    let mut head = [0; 8];
    node.stream().peek(&mut head).await?;
    if head == AMQP_1_0 {
        node.send_raw(&AMQP_1_0).await?;
        return Ok(("AMQP 1.0".to_owned(), node));
    }
    let vhost = node.serve(&BrokerTune::default()).await?.vhost;
    Ok((vhost, node))
}

fn source(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

#[tokio::test]
async fn all_clients_of_a_vhost_meet_on_one_node() {
    let renamed = "[[route]]\nvhost = \"old\"\ncluster = \"main\"\nrename_vhost = \"v1\"\n";
    let setup = Setup::at_accept().cluster("balance = \"vhost-hash\"").more(renamed);
    let nodes = Nodes::start(setup).await;
    let mut homes: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for client in 1..=3 {
        for number in 1..=8 {
            let (node, vhost) = nodes.node_for(source(client), &format!("v{number}")).await;
            homes.entry(vhost).or_default().insert(node);
        }
    }
    let (node, vhost) = nodes.node_for(source(4), "old").await;
    assert_eq!(vhost, "v1");
    homes.entry(vhost).or_default().insert(node);
    assert_eq!(homes.len(), 8);
    assert!(homes.values().all(|nodes| nodes.len() == 1), "{homes:?}");
    let used: BTreeSet<_> = homes.values().flatten().collect();
    assert!(used.len() > 1, "{homes:?}");
}

#[tokio::test]
async fn all_sessions_of_a_client_meet_on_one_node() {
    for (balance, kinds) in [
        ("source-hash", ["orders", "billing", "AMQP 1.0"].as_slice()),
        // AMQP 1.0 does not tell its vhost.
        ("vhost-hash", &["AMQP 1.0", "AMQP 1.0"]),
    ] {
        let balance = format!("balance = \"{balance}\"");
        let nodes = Nodes::start(Setup::at_accept().cluster(&balance)).await;
        let mut used = BTreeSet::new();
        for client in 1..=8 {
            let mut home = BTreeSet::new();
            for kind in kinds {
                home.insert(nodes.node_for(source(client), kind).await.0);
            }
            assert_eq!(home.len(), 1, "{balance}: client {client} is on the nodes {home:?}");
            used.extend(home);
        }
        assert!(used.len() > 1, "{balance}: all are on {used:?}");
    }
}

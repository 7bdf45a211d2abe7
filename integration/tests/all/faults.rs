//! Nodes die, stop, are drained and hang; new connections through the gateway do not notice.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use integration::peer::Peer;
use integration::ports::PortBlock;
use integration::suites::{Client, Lapin, Script};
use integration::{GatewayProcess, RabbitCluster, wait};
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::verdicts;

/// A cluster of three whose nodes are hurt, with a gateway in front.
struct Faulty {
    cluster: RabbitCluster,
    gateway: GatewayProcess,
    /// Where new connections must succeed: decided at accept, decided at open.
    listeners: [SocketAddr; 2],
    /// Through each of them.
    attempts: AtomicUsize,
    _ports: PortBlock,
}

impl Faulty {
    async fn start() -> Self {
        let cluster = RabbitCluster::builder("faulty").nodes(3).start().await.unwrap();
        let ports = PortBlock::claim().unwrap();
        let listeners = [0, 1].map(|n| SocketAddr::from(([127, 0, 0, 1], ports.port(n))));
        let nodes = cluster.config_section();
        // Round robin meets the hurt node again and again; least-connections might avoid it.
        let nodes = nodes.replacen("]\n", "]\nbalance = \"round-robin\"\n", 1);
        let [accept, open] = listeners;
        let config = format!(
            "[listener.accept]\nbind = \"{accept}\"\ncluster = \"faulty\"\n\n\
             [listener.open]\nbind = \"{open}\"\n\n\
             [[route]]\nvhost = \"orders\"\ncluster = \"faulty\"\n\n{nodes}"
        );
        let gateway = GatewayProcess::start(&config).await.unwrap();
        let attempts = AtomicUsize::new(0);
        Self { cluster, gateway, listeners, attempts, _ports: ports }
    }

    /// Opens a connection through each listener every 0.1 s while `fault` runs; all of them must
    /// reach open-ok.
    async fn all_connect_while(&self, what: &str, fault: impl Future<Output = ()>) {
        let mut attempts = [JoinSet::new(), JoinSet::new()];
        let mut pace = interval(Duration::from_millis(100));
        tokio::pin!(fault);
        loop {
            tokio::select! {
                () = &mut fault => break,
                _ = pace.tick() => {
                    for (series, listener) in attempts.iter_mut().zip(self.listeners) {
                        series.spawn(open(listener));
                    }
                    self.attempts.fetch_add(1, Relaxed);
                }
            }
        }
        for (series, decided) in attempts.into_iter().zip(["at accept", "at open"]) {
            self.all_succeeded(&format!("{what}, decided {decided}"), &series.join_all().await);
        }
    }

    fn all_succeeded(&self, what: &str, results: &[anyhow::Result<()>]) {
        let failed = results.iter().filter_map(|result| result.as_ref().err());
        let failed: Vec<String> = failed.map(|error| format!("{error:#}")).collect();
        assert!(results.len() >= 10, "{what}: only {} attempts", results.len());
        let (count, log) = (results.len(), self.gateway.log());
        assert!(failed.is_empty(), "{what}: of {count} {} failed: {failed:?}\n{log}", failed.len());
    }
}

/// Opens a connection. The fault may end it before it is closed: that is another promise's.
async fn open(address: SocketAddr) -> anyhow::Result<()> {
    let mut client = Peer::connect(address).await?;
    client.open("app", "secret", "orders").await?;
    let _ = client.close().await;
    Ok(())
}

#[tokio::test]
async fn new_connections_all_succeed_while_a_node_is_killed_stopped_drained_or_hung() {
    let faulty = Faulty::start().await;
    let cluster = &faulty.cluster;
    faulty
        .all_connect_while("kill -9", async {
            cluster.kill_node(3).await.unwrap();
            cluster.start_node(3).await.unwrap();
        })
        .await;
    faulty
        .all_connect_while("stop", async {
            cluster.stop_node(3).await.unwrap();
            cluster.start_node(3).await.unwrap();
        })
        .await;
    faulty
        .all_connect_while("drain", async {
            verdicts::drain(cluster, 3).await;
            cluster.tool(3, "rabbitmq-upgrade", &["revive"]).await.unwrap();
        })
        .await;
    faulty
        .all_connect_while("hang", async {
            cluster.pause_node(3).await.unwrap();
            let before = faulty.attempts.load(Relaxed);
            let enough = async || faulty.attempts.load(Relaxed) >= before + 80;
            wait::until("80 attempts", Duration::from_secs(60), enough).await.unwrap();
            cluster.resume_node(3).await.unwrap();
        })
        .await;
    clients_come_back_after_a_node_is_killed(&faulty).await;
}

/// Directly they know all three addresses, through the gateway one listener's only.
async fn clients_come_back_after_a_node_is_killed(faulty: &Faulty) {
    let cluster = &faulty.cluster;
    let port = |n: usize| cluster.amqp_addr(n).port().to_string();
    let mut scripts = Vec::new();
    for client in [Client::Pika, Client::Amqplib] {
        let direct = [port(1), port(2)];
        let start = |address, more: &[String]| Script::start(client, "reconnect", address, more);
        scripts.push(start(cluster.amqp_addr(3), &direct).unwrap());
        for listener in faulty.listeners {
            scripts.push(start(listener, &[]).unwrap());
        }
    }
    for script in &mut scripts {
        script.expect_line("connected").await.unwrap();
    }
    let [listener, _] = faulty.listeners;
    let through = Lapin { name: "lapin-reconnect".to_owned(), ..Lapin::new(listener, "orders") };
    let lapin = through.connect().await.unwrap();
    // Whatever node the gateway chose for each of them: every node is killed once.
    for n in [3, 2, 1] {
        cluster.kill_node(n).await.unwrap();
        cluster.start_node(n).await.unwrap();
    }
    wait::until("lapin to notice", Duration::from_secs(60), async || !lapin.status().connected())
        .await
        .unwrap();
    for script in scripts {
        let report = script.report().await.unwrap();
        assert_eq!(report.failures(), Vec::<String>::new());
        assert_eq!(report.len(), 2);
    }
    through.connect().await.unwrap().close(200, "bye".into()).await.unwrap();
}

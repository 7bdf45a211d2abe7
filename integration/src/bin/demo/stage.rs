//! What the demo starts: both clusters and the gateway between them and the clients.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use integration::certificates::{Authority, Issued};
use integration::ports::PortBlock;
use integration::{GatewayProcess, RabbitCluster, command, gateway_process, target};

use crate::screen::Screen;
use crate::traffic::QUEUE;

const STOP_DEADLINE: Duration = Duration::from_secs(20);
/// States of a node, as `amqp_gateway_node_state` names them; the first one it is in is shown.
const STATES: [&str; 8] =
    ["down", "minority", "disabled", "draining", "maintenance", "alarm", "unknown", "up"];
const LONGEST_NEWS: usize = 110;
/// Lines of the gateway's log that are shown.
const NEWS: [&str; 4] = [" node is ", " is back ", " rebalanc", " closing its sessions "];

/// Everything that runs.
pub(crate) struct Stage {
    /// Three nodes, serves `orders`.
    pub(crate) main: RabbitCluster,
    blue: RabbitCluster,
    gateway: GatewayProcess,
    /// The only address that clients know.
    pub(crate) listener: SocketAddr,
    addresses: Addresses,
    authority: Authority,
    /// Of the user `admin` of the console.
    password: String,
    _ports: PortBlock,
}

/// Where the gateway listens besides.
struct Addresses {
    tls: SocketAddr,
    management: SocketAddr,
    admin: SocketAddr,
}

impl Stage {
    /// Starts both clusters at once, then the gateway.
    pub(crate) async fn start(screen: &Screen) -> Result<Self> {
        target::gateway()?;
        screen.note("Starting two RabbitMQ clusters (about 20 s) and the gateway ...");
        let (main, blue) = tokio::try_join!(
            start_cluster(screen, "main", 3, "orders"),
            start_cluster(screen, "blue", 1, "billing"),
        )?;
        let ports = PortBlock::claim()?;
        let address = |index| SocketAddr::from(([127, 0, 0, 1], ports.port(index)));
        let listener = address(0);
        let addresses = Addresses { tls: address(1), management: address(2), admin: address(3) };
        let authority = Authority::new("demo")?;
        let certificate = authority.server(&["localhost", "127.0.0.1"])?.write("gateway")?;
        let password = password();
        let hash = command::hash_password(&password).await?;
        let config = config(listener, &addresses, &certificate, &hash, [&main, &blue]);
        let gateway = GatewayProcess::start(&config).await?;
        Ok(Self { main, blue, gateway, listener, addresses, authority, password, _ports: ports })
    }

    /// Addresses to try by hand.
    pub(crate) fn hints(&self) -> String {
        let Self { gateway, listener, authority, password, .. } = self;
        let Addresses { tls, management, admin } = &self.addresses;
        let (dir, authority) = (gateway.dir().display(), authority.file().display());
        format!(
            "
  ==>  The console: http://{admin}   user admin   password {password}

The gateway listens at {listener}: vhost orders goes to cluster main, billing to blue.
Try it by hand, in another terminal:
  amqp-publish --url=amqp://app:secret@{listener}/orders -r {QUEUE} -b hello
  amqp-consume --url=amqp://app:secret@{listener}/billing -q {QUEUE} -c 3 cat
  the same with TLS         amqps://app:secret@{tls}, authority {authority}
  RabbitMQ's management     https://{management} (guest, guest): that of main, through the gateway
  metrics of the gateway    http://{admin}/metrics
  configuration and log     {dir}/gateway.toml  {dir}/gateway.log
Ctrl-C stops all of it.
"
        )
    }

    /// What the gateway tells about itself, as Prometheus text; empty if it does not answer.
    pub(crate) async fn metrics(&self) -> String {
        self.gateway.metrics().await.unwrap_or_default()
    }

    /// Cluster, and sessions and state of each node, behind the `at`th vhost: as the gateway sees them.
    pub(crate) fn nodes_of(&self, at: usize, metrics: &str) -> String {
        let cluster = [&self.main, &self.blue][at];
        let mut text = format!("{:<8}", cluster.name());
        for n in 1..=cluster.node_count() {
            let sessions = of_node(metrics, "amqp_gateway_node_sessions", cluster, n, "");
            let is = |state: &&&str| {
                let label = format!("state=\"{state}\"");
                of_node(metrics, "amqp_gateway_node_state", cluster, n, &label) == 1.0
            };
            let state = STATES.iter().find(is).unwrap_or(&"?");
            text += &format!(" {:<12}", format!("n{n}: {sessions} {state}"));
        }
        text
    }

    /// The node of `main` with the most sessions.
    pub(crate) async fn busiest_node(&self) -> usize {
        let metrics = self.metrics().await;
        let sessions =
            |n: &usize| of_node(&metrics, "amqp_gateway_node_sessions", &self.main, *n, "") as u64;
        (1..=self.main.node_count()).max_by_key(sessions).unwrap_or(1)
    }

    /// What the gateway's log says about nodes, from its start on.
    pub(crate) fn news(&self) -> Vec<String> {
        let log = self.gateway.log();
        let is_news = |line: &&str| {
            !line.contains(" session session=") && NEWS.iter().any(|news| line.contains(news))
        };
        log.lines().filter(is_news).map(headline).collect()
    }

    /// Stops the gateway first, as an operator would.
    pub(crate) async fn stop(self) -> Result<()> {
        let mut gateway = self.gateway;
        gateway.terminate()?;
        gateway.wait(STOP_DEADLINE).await?;
        tokio::try_join!(self.main.down(), self.blue.down())?;
        Ok(())
    }
}

async fn start_cluster(
    screen: &Screen,
    name: &str,
    nodes: usize,
    vhost: &str,
) -> Result<RabbitCluster> {
    let spinner = screen.spinner(&format!("cluster {name}"));
    let builder = RabbitCluster::builder(name).nodes(nodes).vhosts(["/", vhost]);
    builder.progress(move |text| spinner.say(&text)).start().await
}

/// A line of the gateway's log without time of day and level, and not all of the reasons.
fn headline(line: &str) -> String {
    let words = line.splitn(3, ' ').last().unwrap_or(line).trim_start();
    let short: String = words.chars().take(LONGEST_NEWS).collect();
    let rest = if short.len() < words.len() { " ..." } else { "" };
    format!("  gateway: {short}{rest}")
}

/// A metric of a node.
fn of_node(metrics: &str, name: &str, cluster: &RabbitCluster, n: usize, label: &str) -> f64 {
    let (cluster, node) = (format!("cluster=\"{}\"", cluster.name()), format!("node=\"n{n}\""));
    gateway_process::sum(metrics, name, &[&cluster, &node, label])
}

fn config(
    listener: SocketAddr,
    addresses: &Addresses,
    certificate: &Issued,
    password_hash: &str,
    [main, blue]: [&RabbitCluster; 2],
) -> String {
    let Addresses { tls, management, admin } = addresses;
    let bundle = certificate.bundle.display();
    format!(
        "# Two clusters behind one address.
[gateway]
drain_timeout = \"5s\"

[listener.amqp]
bind = \"{listener}\"

[listener.amqps]
bind = \"{tls}\"
tls.certificates = [{{ bundle = \"{bundle}\" }}]

[listener.management]
bind = \"{management}\"
protocol = \"http\"
cluster = \"main\"
tls.certificates = [{{ bundle = \"{bundle}\" }}]

[[route]]
vhost = \"orders\"
cluster = \"main\"

[[route]]
vhost = \"billing\"
cluster = \"blue\"

[admin]
bind = \"{admin}\"

[[admin.user]]
name = \"admin\"
password_hash = \"{password_hash}\"
role = \"admin\"

{}{}",
        cluster_config(main),
        cluster_config(blue)
    )
}

/// Good enough for a demo, of letters that are not mistaken for others.
fn password() -> String {
    const LETTERS: &[u8] = b"abcdefghkmnpqrstuvwxyz23456789";
    (0..16).map(|_| char::from(LETTERS[fastrand::usize(..LETTERS.len())])).collect()
}

fn cluster_config(cluster: &RabbitCluster) -> String {
    let name = cluster.name();
    let mut text = format!(
        "[cluster.{name}]
rebalance = \"auto\"

[cluster.{name}.health]
interval = \"1s\"
fast_interval = \"500ms\"
timeout = \"1s\"
checks = [\"tcp\", \"amqp\", \"management\"]
username = \"monitor\"
password = \"monitor\"

"
    );
    for n in 1..=cluster.node_count() {
        let (address, management) = (cluster.amqp_addr(n), cluster.mgmt_url(n));
        text += &format!(
            "[cluster.{name}.node.n{n}]
address = \"{address}\"
management = \"{management}\"

"
        );
    }
    text
}

//! What the demo starts: both clusters and the gateway between them and the clients.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use integration::ports::PortBlock;
use integration::{GatewayProcess, RabbitCluster, target};

use crate::screen::Screen;
use crate::traffic::QUEUE;

const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// Everything that runs.
pub(crate) struct Stage {
    /// Three nodes, serves `orders`.
    pub(crate) main: RabbitCluster,
    blue: RabbitCluster,
    gateway: GatewayProcess,
    /// The only address that clients know.
    pub(crate) listener: SocketAddr,
    admin: SocketAddr,
    _ports: PortBlock,
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
        let (listener, admin) = (address(0), address(1));
        let gateway = GatewayProcess::start(&config(listener, admin, &main, &blue)).await?;
        Ok(Self { main, blue, gateway, listener, admin, _ports: ports })
    }

    /// Addresses to try by hand.
    pub(crate) fn hints(&self) -> String {
        let Self { main, blue, gateway, listener, admin, .. } = self;
        let (main, blue) = (main.mgmt_url(1), blue.mgmt_url(1));
        let dir = gateway.dir().display();
        format!(
            "
The gateway listens at {listener}: vhost orders goes to cluster main, billing to blue.
Try it by hand, in another terminal:
  amqp-publish --url=amqp://app:secret@{listener}/orders -r {QUEUE} -b hello
  amqp-consume --url=amqp://app:secret@{listener}/billing -q {QUEUE} -c 3 cat
  metrics of the gateway    http://{admin}/metrics
  RabbitMQ's own consoles   main {main}  blue {blue}  (guest, guest)
  configuration and log     {dir}/gateway.toml  {dir}/gateway.log
Ctrl-C stops all of it.
"
        )
    }

    /// Cluster and sessions on each node behind the `at`th vhost, as the gateway counts them.
    pub(crate) async fn sessions_of(&self, at: usize) -> String {
        let cluster = [&self.main, &self.blue][at];
        let mut text = format!("{:<7} ", cluster.name());
        for n in 1..=cluster.node_count() {
            let sessions = self.sessions(cluster, n).await;
            let sessions = sessions.map_or_else(|| "?".to_owned(), |count| count.to_string());
            text += &format!(" n{n}: {sessions:<4}");
        }
        text
    }

    /// The node of `main` with the most sessions.
    pub(crate) async fn busiest_node(&self) -> usize {
        let mut busiest = (0, 1);
        for n in 1..=self.main.node_count() {
            let sessions = self.sessions(&self.main, n).await.unwrap_or_default();
            busiest = busiest.max((sessions, n));
        }
        busiest.1
    }

    async fn sessions(&self, cluster: &RabbitCluster, n: usize) -> Option<u64> {
        let labels = [format!("cluster=\"{}\"", cluster.name()), format!("node=\"n{n}\"")];
        let labels = [labels[0].as_str(), labels[1].as_str()];
        let count = self.gateway.metric("amqp_gateway_node_sessions", &labels).await.ok()?;
        Some(count as u64)
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

fn config(
    listener: SocketAddr,
    admin: SocketAddr,
    main: &RabbitCluster,
    blue: &RabbitCluster,
) -> String {
    format!(
        "# Two clusters behind one address.
[gateway]
drain_timeout = \"5s\"

[listener.amqp]
bind = \"{listener}\"

[[route]]
vhost = \"orders\"
cluster = \"main\"

[[route]]
vhost = \"billing\"
cluster = \"blue\"

[admin]
bind = \"{admin}\"

{}{}",
        main.config_section(),
        blue.config_section()
    )
}

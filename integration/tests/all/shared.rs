//! One cluster of three nodes with a gateway in front, shared by the tests that break nothing.

use std::net::SocketAddr;

use integration::ports::PortBlock;
use integration::{GatewayProcess, RabbitCluster};
use tokio::sync::OnceCell;

static SHARED: OnceCell<Shared> = OnceCell::const_new();

/// Lives until the test program ends; the watchdogs then clean up.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) cluster: RabbitCluster,
    _gateway: GatewayProcess,
    at_accept: SocketAddr,
    at_open: SocketAddr,
    _ports: PortBlock,
}

impl Shared {
    /// Where a client suite must see the same: directly, and through both kinds of listeners.
    pub(crate) fn places(&self) -> [(&'static str, SocketAddr); 3] {
        [
            ("directly", self.cluster.amqp_addr(1)),
            ("through a listener decided at accept", self.at_accept),
            ("through a listener decided at open", self.at_open),
        ]
    }
}

pub(crate) async fn setup() -> &'static Shared {
    SHARED.get_or_init(start).await
}

async fn start() -> Shared {
    let cluster = RabbitCluster::builder("main").nodes(3).start().await.unwrap();
    let ports = PortBlock::claim().unwrap();
    let address = |index| SocketAddr::from(([127, 0, 0, 1], ports.port(index)));
    let (at_accept, at_open, admin) = (address(0), address(1), address(2));
    let config = format!(
        r#"
[listener.at-accept]
bind = "{at_accept}"
cluster = "main"

[listener.at-open]
bind = "{at_open}"
cluster = "main"

# AMQP 1.0 names its vhost later than a listener can wait for: it takes the listener's cluster.
[[route]]
listener = "at-open"
vhost = "{{orders,billing,/}}"
cluster = "main"

[admin]
bind = "{admin}"

{nodes}
"#,
        nodes = cluster.config_section(),
    );
    let gateway = GatewayProcess::start(&config).await.unwrap();
    Shared { cluster, _gateway: gateway, at_accept, at_open, _ports: ports }
}

//! TLS with nodes: their checks go over it, and what is wrong with a certificate is said.

use std::fs;
use std::net::SocketAddr;

use integration::certificates::{Authority, Issued};
use integration::peer::Peer;
use integration::ports::PortBlock;
use integration::rabbit::{ClientCertificate, Tls};
use integration::{GatewayProcess, RabbitCluster, wait};

use crate::front::SOON;

const CHECKS: &str = "[\"tcp\", \"amqp\", \"channel-roundtrip\", \"management\"]";

/// A node that speaks AMQP over TLS, and asks the gateway for a certificate.
struct Secure {
    authority: Authority,
    own: Issued,
    node: RabbitCluster,
    address: SocketAddr,
    admin: SocketAddr,
    _ports: PortBlock,
}

impl Secure {
    async fn start(name: &str) -> Self {
        let authority = Authority::new("ca").unwrap();
        let server = authority.server(&["rabbit.internal"]).unwrap().write("server").unwrap();
        let own = authority.client("gateway").unwrap().write("gateway").unwrap();
        let tls = Tls::new(&authority, &server).clients(ClientCertificate::Required);
        let node = RabbitCluster::builder(name).tls(tls).start().await.unwrap();
        let ports = PortBlock::claim().unwrap();
        let local = |index| SocketAddr::from(([127, 0, 0, 1], ports.port(index)));
        let (address, admin) = (local(0), local(1));
        Self { authority, own, node, address, admin, _ports: ports }
    }

    /// A gateway whose `[cluster.main.tls]` has these lines.
    async fn gateway(&self, tls: &str) -> GatewayProcess {
        let (amqp, management) =
            (self.node.amqps_addr(1), format!("https://{}", self.node.mgmt_tls_addr(1)));
        GatewayProcess::start(&format!(
            "[gateway]\nname = \"gw\"\n[admin]\nbind = \"{}\"\n\
             [listener.amqp]\nbind = \"{}\"\ncluster = \"main\"\n\
             [cluster.main.node.n1]\naddress = \"{amqp}\"\nmanagement = \"{management}\"\n\
             [cluster.main.health]\nusername = \"guest\"\npassword = \"guest\"\n\
             interval = \"200ms\"\nfast_interval = \"100ms\"\ntimeout = \"20s\"\nchecks = {CHECKS}\n\
             [cluster.main.tls]\n{tls}\n",
            self.admin, self.address
        ))
        .await
        .unwrap()
    }

    fn own_certificate(&self) -> String {
        let (chain, key) = (self.own.chain.display(), self.own.key.display());
        format!("certificate = {{ chain = \"{chain}\", key = \"{key}\" }}")
    }
}

async fn becomes(gateway: &GatewayProcess, state: &str) {
    let label = format!("state=\"{state}\"");
    let is = async || gateway.metric("amqp_gateway_node_state", &[&label]).await.unwrap() == 1.0;
    let result = wait::until(state, SOON, is).await;
    assert!(result.is_ok(), "{}\n{}", result.unwrap_err(), gateway.log());
}

async fn failures(gateway: &GatewayProcess, check: &str, reason: &str) -> f64 {
    let labels = [format!("check=\"{check}\""), format!("reason=\"{reason}\"")];
    let labels = labels.each_ref().map(String::as_str);
    gateway.metric("amqp_gateway_node_probe_failures_total", &labels).await.unwrap()
}

#[tokio::test]
async fn checks_and_sessions_go_over_tls_where_the_cluster_speaks_it() {
    let secure = Secure::start("overtls").await;
    let ca = secure.authority.file().display();
    let own = secure.own_certificate();
    let tls = format!("ca = \"{ca}\"\nserver_name = \"rabbit.internal\"\n{own}");
    let gateway = secure.gateway(&tls).await;
    becomes(&gateway, "up").await;
    let all = gateway.metric("amqp_gateway_node_probe_failures_total", &[]).await.unwrap();
    assert_eq!(all, 0.0, "{}", gateway.log());
    let mut client = Peer::connect(secure.address).await.unwrap();
    client.open("guest", "guest", "/").await.unwrap();
    client.close().await.unwrap();
    let log = secure.node.log(1);
    assert!(!log.contains("TLS server: "), "nothing is wrong in the node's eyes: {log}");
}

#[tokio::test]
async fn a_node_whose_certificate_nobody_trusted_has_signed_is_down_until_its_authority_is_named() {
    let secure = Secure::start("untrusted").await;
    let other = Authority::new("other").unwrap();
    let (ca, own) = (other.file().display(), secure.own_certificate());
    let tls = format!("ca = \"{ca}\"\nserver_name = \"rabbit.internal\"\n{own}");
    let gateway = secure.gateway(&tls).await;
    becomes(&gateway, "down").await;
    let line = gateway.wait_for_log("node is down", SOON).await.unwrap();
    assert!(line.contains("nobody who is trusted has signed the node's certificate"), "{line}");
    assert!(failures(&gateway, "amqp", "certificate").await >= 1.0);
    // Management with a certificate of its own says nothing about the node's AMQP.
    gateway.wait_for_log("check cannot be made: it does not count", SOON).await.unwrap();
    assert!(failures(&gateway, "management", "certificate").await >= 1.0);
    fs::copy(secure.authority.file(), other.file()).unwrap();
    gateway.wait_for_log("new authorities in use", SOON).await.unwrap();
    becomes(&gateway, "up").await;
}

#[tokio::test]
async fn a_certificate_that_is_missing_or_for_another_name_is_said_with_the_cure() {
    let secure = Secure::start("missing").await;
    let (ca, own) = (secure.authority.file().display(), secure.own_certificate());
    let gateway = secure.gateway(&format!("ca = \"{ca}\"\n{own}")).await;
    becomes(&gateway, "down").await;
    let line = gateway.wait_for_log("node is down", SOON).await.unwrap();
    assert!(
        line.contains("is not for 127.0.0.1, but for: ") && line.contains("server_name"),
        "{line}"
    );
    drop(gateway);
    let tls = format!("ca = \"{ca}\"\nserver_name = \"rabbit.internal\"");
    let gateway = secure.gateway(&tls).await;
    becomes(&gateway, "down").await;
    // What the node says of it may be lost with the connection.
    let told = failures(&gateway, "amqp", "certificate").await;
    let lost = failures(&gateway, "amqp", "closed").await;
    assert!(told + lost >= 1.0, "{}", gateway.log());
    let line = gateway.wait_for_log("node is down", SOON).await.unwrap();
    assert!(
        line.contains("asks the gateway for a certificate")
            || line.contains("certificate of the gateway"),
        "{line}"
    );
}

#[tokio::test]
async fn tls_towards_a_port_without_it_is_said() {
    let secure = Secure::start("plain").await;
    let plain = secure.node.amqp_addr(1);
    let config = format!(
        "[admin]\nbind = \"{}\"\n[listener.amqp]\nbind = \"{}\"\ncluster = \"main\"\n\
         [cluster.main.node.n1]\naddress = \"{plain}\"\n\
         [cluster.main.health]\nusername = \"guest\"\npassword = \"guest\"\nchecks = [\"amqp\"]\n\
         [cluster.main.tls]\nca = \"{}\"\n",
        secure.admin,
        secure.address,
        secure.authority.file().display()
    );
    let gateway = GatewayProcess::start(&config).await.unwrap();
    let line = gateway.wait_for_log("check fails", SOON).await.unwrap();
    assert!(line.contains("is no TLS") && line.contains("5671"), "{line}");
}

//! Logins that a node takes from its own host only, where the gateway stands on that host: in a network of the test's
//! own, clients come from a loopback address or from elsewhere.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use integration::namespace::{ELSEWHERE, alone};
use integration::peer::{Args, HEADER, Peer, ScriptedBroker};
use integration::{GatewayProcess, RabbitCluster, wait};
use serde_json::Value;

use crate::front::SOON;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SASL: [u8; 8] = *b"AMQP\x03\x01\x00\x00";
const NO_SASL: [u8; 8] = *b"AMQP\x00\x01\x00\x00";
/// Ports of the gateway, one for each moment of the decision, in a network without other users.
const PORTS: [(u16, &str); 3] = [(7001, "at accept"), (7002, "at start-ok"), (7003, "at open")];
/// Where RabbitMQ itself listens for clients from elsewhere.
const DIRECT: SocketAddr = SocketAddr::new(ELSEWHERE, 7010);
const REFUSED_BY_RABBITMQ: &str = "can only connect via localhost";

/// A gateway on all addresses, one listener for each moment of the decision.
async fn gateway(nodes: &str) -> GatewayProcess {
    let [accept, start_ok, open] = PORTS.map(|(port, _)| port);
    let config = format!(
        "[log]\nformat = \"json\"\n\n[gateway]\nhandshake_timeout = \"60s\"\n\n\
         [listener.accept]\nbind = \"0.0.0.0:{accept}\"\ncluster = \"main\"\n\n\
         [listener.start-ok]\nbind = \"0.0.0.0:{start_ok}\"\ncluster = \"main\"\n\n\
         [listener.open]\nbind = \"0.0.0.0:{open}\"\n\n\
         [[route]]\nlistener = \"start-ok\"\nuser = \"*\"\ncluster = \"main\"\n\n\
         [[route]]\nlistener = \"open\"\nvhost = \"orders\"\ncluster = \"main\"\n\n{nodes}"
    );
    GatewayProcess::start(&config).await.unwrap()
}

async fn open(address: SocketAddr, user: &str, password: &str) -> Result<(), String> {
    let mut client = Peer::connect(address).await.unwrap();
    match client.open(user, password, "orders").await {
        Ok(_) => client.close().await.map_err(|error| format!("{error:#}")),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// As [`Peer::open`], by a client that does not understand a refusal of its login.
async fn open_simple(address: SocketAddr, user: &str) -> Peer {
    let mut client = Peer::connect(address).await.unwrap();
    client.send_raw(&HEADER).await.unwrap();
    client.expect_method((10, 10)).await.unwrap();
    client.send_method(0, (10, 11), start_ok("PLAIN", user)).await.unwrap();
    client
}

fn start_ok(mechanism: &str, user: &str) -> Args {
    let response = format!("\0{user}\0{user}");
    let start_ok = Args::new().nested(Args::new().string("product", "simple"));
    start_ok.shortstr(mechanism).longstr(response.as_bytes()).shortstr("en_US")
}

fn sasl_init(mechanism: &str, response: &[u8]) -> Vec<u8> {
    let mechanism = [&[0xA3, mechanism.len() as u8], mechanism.as_bytes()].concat();
    let response = [&[0xA0, response.len() as u8], response].concat();
    let fields = [mechanism, response].concat();
    let list = [&[0xC0, fields.len() as u8 + 1, 2], &fields[..]].concat();
    let size = (list.len() as u32 + 11).to_be_bytes();
    [&size, &[2, 1, 0, 0, 0, 0x53, 0x41][..], &list].concat()
}

/// The result code of the sasl-outcome that an AMQP 1.0 client gets.
pub(crate) async fn outcome(address: SocketAddr, mechanism: &str, response: &[u8]) -> u8 {
    let mut client = Peer::connect(address).await.unwrap();
    client.send_raw(&SASL).await.unwrap();
    client.expect_header(SASL).await.unwrap();
    let mechanisms: [u8; 4] = client.read_bytes().await.unwrap();
    for _ in 4..u32::from_be_bytes(mechanisms) {
        let _: [u8; 1] = client.read_bytes().await.unwrap();
    }
    client.send_raw(&sasl_init(mechanism, response)).await.unwrap();
    let head: [u8; 11] = client.read_bytes().await.unwrap();
    assert_eq!((head[5], head[10]), (1, 0x44), "a sasl-outcome: {head:?}");
    let rest = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize - head.len();
    let mut list = Vec::new();
    for _ in 0..rest {
        let [byte] = client.read_bytes().await.unwrap();
        list.push(byte);
    }
    let code = list.iter().position(|&byte| byte == 0x50).map(|at| list[at + 1]);
    code.unwrap_or_else(|| panic!("no code in {list:?}"))
}

#[test]
fn rabbitmqs_guest_is_refused_from_elsewhere_as_it_is_without_the_gateway() {
    alone(async || {
        let listens = format!("listeners.tcp.2 = {DIRECT}");
        let cluster = RabbitCluster::builder("main").local_guest().extra_conf(&listens);
        let cluster = cluster.start().await.unwrap();
        let nodes = cluster.config_section();
        // What there is to guard against.
        let careless = gateway(&nodes.replacen("]\n", "]\nloopback_users = []\n", 1)).await;
        open(SocketAddr::new(ELSEWHERE, PORTS[0].0), "guest", "guest").await.unwrap();
        drop(careless);

        let gateway = gateway(&nodes).await;
        assert!(gateway.log().contains("every client looks local"), "{}", gateway.log());

        let direct = open(DIRECT, "guest", "guest").await.unwrap_err();
        assert!(direct.contains("403"), "{direct}");
        let refused = || cluster.log(1).matches(REFUSED_BY_RABBITMQ).count();
        wait::until("the refusal in RabbitMQ's log", SOON, async || refused() == 1).await.unwrap();
        open(DIRECT, "app", "secret").await.unwrap();
        for (port, decided) in PORTS {
            let (here, far) = (SocketAddr::new(HERE, port), SocketAddr::new(ELSEWHERE, port));
            let refused = open(far, "guest", "guest").await.unwrap_err();
            assert!(refused.contains("403"), "{decided}: {refused}");
            assert!(refused.contains("own host only"), "{decided}: {refused}");
            open(far, "app", "secret").await.unwrap();
            open(here, "guest", "guest").await.unwrap();
        }
        let through = SocketAddr::new(ELSEWHERE, PORTS[0].0);
        open_simple(through, "guest").await.expect_eof().await.unwrap();
        amqp_10(&gateway).await;
        // The direct one comes last: of those before it at the gateway the node has heard nothing.
        open_simple(DIRECT, "guest").await.expect_eof().await.unwrap();
        wait::until("the second in the log", SOON, async || refused() >= 2).await.unwrap();
        assert_eq!(refused(), 2, "{}", cluster.log(1));
    });
}

/// RabbitMQ 3.10 takes a client of AMQP 1.0 without SASL, or with ANONYMOUS, for guest.
async fn amqp_10(gateway: &GatewayProcess) {
    let port = PORTS[0].0;
    let (here, far) = (SocketAddr::new(HERE, port), SocketAddr::new(ELSEWHERE, port));
    for (from, guest) in [(here, 0), (far, 1)] {
        assert_eq!(outcome(from, "PLAIN", b"\0guest\0guest").await, guest);
        assert_eq!(outcome(from, "ANONYMOUS", b"").await, guest);
        assert_eq!(outcome(from, "PLAIN", b"\0app\0secret").await, 0);
    }
    for (from, answer) in [(here, NO_SASL), (far, SASL)] {
        let mut client = Peer::connect(from).await.unwrap();
        client.send_raw(&NO_SASL).await.unwrap();
        client.expect_header(answer).await.unwrap();
    }
    // Four before these, and three here.
    let refusal = |line: &Value| line["message"] == "session" && line["reason"] == "access-refused";
    let refused = gateway.wait_for_lines("refusals", 7, SOON, refusal).await.unwrap();
    assert_eq!(refused.len(), 7, "{refused:?}");
}

#[test]
fn anonymous_is_offered_to_nobody_and_taken_on_the_nodes_own_host_only() {
    alone(async || {
        let broker = ScriptedBroker::bind().await.unwrap();
        let node = format!(
            "[cluster.main.health]\nchecks = []\n[cluster.main.node.n1]\naddress = \"{}\"\n",
            broker.address()
        );
        let _gateway = gateway(&node).await;
        let port = PORTS[0].0;
        for from in [HERE, ELSEWHERE] {
            let mut client = Peer::connect(SocketAddr::new(from, port)).await.unwrap();
            client.send_raw(&HEADER).await.unwrap();
            let mut node = broker.accept().await.unwrap();
            node.expect_header(HEADER).await.unwrap();
            node.send_start("PLAIN ANONYMOUS").await.unwrap();
            let mut start = client.expect_method((10, 10)).await.unwrap();
            start.u8().unwrap();
            start.u8().unwrap();
            start.longstr().unwrap();
            assert_eq!(start.longstr().unwrap(), b"PLAIN");
            client.send_method(0, (10, 11), start_ok("ANONYMOUS", "")).await.unwrap();
            if from == HERE {
                node.expect_method((10, 11)).await.unwrap();
            } else {
                client.expect_eof().await.unwrap();
                node.expect_eof().await.unwrap();
            }
        }
    });
}

//! Nodes given by name: a name server of the test's own tells, again and again, what the names lead to.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use integration::name_server::Mood;
use integration::peer::{Peer, ScriptedBroker};
use integration::ports::PortBlock;
use integration::{GatewayProcess, NameServer, command, http, wait};

use crate::front::{Front, SOON, Setup, local};

const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));
const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
const SERVICE: &str = "_amqp._tcp.rabbit.test";

/// Two brokers of different addresses and the same port.
async fn two_brokers() -> (ScriptedBroker, ScriptedBroker) {
    for _ in 0..20 {
        let one = ScriptedBroker::bind().await.unwrap();
        let port = one.address().port();
        if let Ok(two) = ScriptedBroker::bind_at(SocketAddr::new(TWO, port)).await {
            return (one, two);
        }
    }
    panic!("no port is free on 127.0.0.1 and 127.0.0.2");
}

/// A gateway whose only node `n1` has this address, looked up every second.
fn setup(names: &NameServer, address: &str) -> Setup {
    Setup::at_accept()
        .gateway(&format!("name_servers = \"{}\"", names.address()))
        .cluster("resolve_interval = \"1s\"")
        .cluster(&format!("[cluster.main.node.n1]\naddress = \"{address}\""))
}

async fn start(names: &NameServer, port: u16) -> Front {
    setup(names, &format!("rabbit.test:{port}")).start(&[]).await
}

async fn gauge(front: &Front, name: &str, node: &str) -> f64 {
    let name = format!("amqp_gateway_{name}");
    front.gateway.metric(&name, &[&format!("node=\"{node}\"")]).await.unwrap()
}

async fn until_gauge(front: &Front, name: &str, node: &str, value: f64) {
    let what = format!("{name} of {node} to be {value}");
    let reached = async || gauge(front, name, node).await == value;
    let waited = wait::until(what, SOON, reached).await;
    waited.unwrap_or_else(|error| panic!("{error}\n{}", front.gateway.log()));
}

async fn until_log(front: &Front, text: &str) -> String {
    front.gateway.wait_for_log(text, SOON).await.unwrap()
}

async fn close(client: Peer, mut node: Peer) {
    let answer = async {
        node.expect_close().await?;
        node.send_close_ok().await
    };
    let (closed, answered) = tokio::join!(client.close(), answer);
    closed.unwrap();
    answered.unwrap();
}

#[tokio::test]
async fn all_addresses_of_a_name_are_nodes_and_one_that_is_gone_gets_no_new_sessions() {
    let (one, two) = two_brokers().await;
    let names = NameServer::start().await.unwrap();
    names.set_addresses("rabbit.test", &[ONE]).unwrap();
    let front = start(&names, one.address().port()).await;
    let (client, node) = front.open(&one).await;

    names.set_addresses("rabbit.test", &[ONE, TWO]).unwrap();
    until_log(&front, "n1@127.0.0.2").await;
    let _on_two = front.open(&two).await;

    names.set_addresses("rabbit.test", &[TWO]).unwrap();
    until_log(&front, "node is gone from its name").await;
    let _further = [front.open(&two).await, front.open(&two).await, front.open(&two).await];
    assert_eq!(gauge(&front, "node_sessions", "n1@127.0.0.1").await, 1.0);
    assert_eq!(gauge(&front, "node_sessions", "n1@127.0.0.2").await, 4.0);
    close(client, node).await;
    until_gauge(&front, "node_sessions", "n1@127.0.0.1", 0.0).await;
    assert_eq!(front.ends(1).await, ["client relay client-closed 200"]);
}

#[tokio::test]
async fn a_node_that_is_gone_from_its_name_can_be_drained_all_the_same() {
    let (one, two) = two_brokers().await;
    let names = NameServer::start().await.unwrap();
    names.set_addresses("rabbit.test", &[ONE]).unwrap();
    let front = start(&names, one.address().port()).await;
    let (mut client, mut node) = front.open(&one).await;
    names.set_addresses("rabbit.test", &[TWO]).unwrap();
    until_log(&front, "node is gone from its name").await;
    let listed = command::run(&front.gateway, &["nodes"]).await.unwrap();
    assert!(listed.out.contains("gone from its name"), "{listed:?}");

    let told = async {
        let code = client.expect_close().await?.0;
        client.send_close_ok().await?;
        node.expect_close().await?;
        node.send_close_ok().await?;
        anyhow::Ok(code)
    };
    let drain = ["drain", "main/n1@127.0.0.1"];
    let (drained, code) = tokio::join!(command::run(&front.gateway, &drain), told);
    assert_eq!(code.unwrap(), 320);
    let drained = drained.unwrap();
    assert_eq!((drained.code, drained.error.as_str()), (Some(0), ""), "{drained:?}");
    front.still_serves(&two).await;
    let forgotten = async || {
        let listed = command::run(&front.gateway, &["nodes"]).await.unwrap();
        !listed.out.contains("127.0.0.1:")
    };
    wait::until("the empty one to be forgotten", SOON, forgotten).await.unwrap();
}

#[tokio::test]
async fn a_name_that_stops_resolving_keeps_its_nodes_and_shows_in_log_and_metrics() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let names = NameServer::start().await.unwrap();
    names.set_addresses("rabbit.test", &[ONE]).unwrap();
    let front = start(&names, broker.address().port()).await;
    assert_eq!(gauge(&front, "node_name_unresolved", "n1").await, 0.0);
    let cases = [
        (Mood::Failing, "Server Failure"),
        (Mood::Silent, "no answer"),
        (Mood::Well, "has no address"),
    ];
    for (mood, cause) in cases {
        names.set_addresses("rabbit.test", &[]).unwrap();
        names.set_mood(mood);
        let line = until_log(&front, cause).await;
        assert!(line.contains("\"warn\"") && line.contains("its last known nodes stay"), "{line}");
        until_gauge(&front, "node_name_unresolved", "n1", 1.0).await;
        let ready = front.gateway.admin_url("/health/ready").unwrap();
        assert_eq!(http::get(&ready).await.unwrap().0, 200);
        front.still_serves(&broker).await;

        names.set_mood(Mood::Well);
        names.set_addresses("rabbit.test", &[ONE]).unwrap();
        until_gauge(&front, "node_name_unresolved", "n1", 0.0).await;
    }
}

#[tokio::test]
async fn with_a_silent_name_server_clients_are_accepted_and_served_once_it_answers() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let names = NameServer::start().await.unwrap();
    names.set_mood(Mood::Silent);
    let front = start(&names, broker.address().port()).await;
    let ready = front.gateway.admin_url("/health/ready").unwrap();
    let (status, text) = http::get(&ready).await.unwrap();
    assert_eq!(status, 503);
    assert!(text.contains("no node of cluster main is usable"), "{text}");
    let refused = front.client().await.open("app", "secret", "orders").await.unwrap_err();
    assert!(format!("{refused:#}").contains("320"), "{refused:#}");

    names.set_addresses("rabbit.test", &[ONE]).unwrap();
    names.set_mood(Mood::Well);
    until_log(&front, "node found").await;
    front.still_serves(&broker).await;
    assert_eq!(http::get(&ready).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_lookup_under_way_does_not_delay_the_exit() {
    for at_the_start in [true, false] {
        let names = NameServer::start().await.unwrap();
        names.set_mood(Mood::Silent);
        let ports = PortBlock::claim().unwrap();
        let config = format!(
            "[gateway]\nname_servers = \"{}\"\n[listener.amqp]\nbind = \"{}\"\n\
             cluster = \"main\"\n[cluster.main]\nresolve_interval = \"1s\"\n\
             [cluster.main.node.n1]\naddress = \"rabbit.test:5672\"\n",
            names.address(),
            local(ports.port(0)),
        );
        let mut gateway = GatewayProcess::spawn(&config).unwrap();
        wait::until("a lookup", SOON, async || names.asked() > 0).await.unwrap();
        if !at_the_start {
            gateway.wait_for_log("ready", SOON).await.unwrap();
            let before = names.asked();
            wait::until("a further lookup", SOON, async || names.asked() > before).await.unwrap();
        }
        let told = Instant::now();
        gateway.terminate().unwrap();
        let status = gateway.wait(SOON).await.unwrap();
        assert!(status.success(), "{}", gateway.log());
        // The lookup itself would go on for ten seconds.
        assert!(told.elapsed() < Duration::from_secs(8), "it took {:?}", told.elapsed());
    }
}

#[tokio::test]
async fn an_srv_name_tells_ports_and_who_is_a_backup() {
    let (one, two) = (ScriptedBroker::bind().await.unwrap(), ScriptedBroker::bind().await.unwrap());
    let names = NameServer::start().await.unwrap();
    names.set_addresses("r1.test", &[ONE]).unwrap();
    names.set_addresses("r2.test", &[ONE]).unwrap();
    let (first, second) = (one.address().port(), two.address().port());
    let services = [(10, 5, first, "r1.test"), (20, 5, second, "r2.test")];
    names.set_services(SERVICE, &services).unwrap();
    let front = setup(&names, SERVICE).start(&[]).await;
    for _ in 0..3 {
        front.still_serves(&one).await;
    }
    until_gauge(&front, "node_sessions", &format!("n1@r1.test:{first}"), 0.0).await;

    drop(one);
    front.still_serves(&two).await;

    // Now the second comes first, and the first is not offered any more.
    names.set_services(SERVICE, &[(20, 5, second, "r2.test")]).unwrap();
    until_log(&front, "node is gone from its name").await;
    front.still_serves(&two).await;
}

#[tokio::test]
async fn a_name_of_the_hosts_file_works_without_any_name_server() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let names = NameServer::start().await.unwrap();
    names.set_mood(Mood::Silent);
    let address = format!("localhost:{}", broker.address().port());
    let front = setup(&names, &address).start(&[]).await;
    front.still_serves(&broker).await;
    assert_eq!(gauge(&front, "node_name_unresolved", "n1").await, 0.0);
}

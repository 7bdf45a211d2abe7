//! Listeners for whatever else nodes speak: bytes go through unread.

use std::net::SocketAddr;

use futures_util::future::join_all;
use integration::RabbitCluster;
use integration::certificates::Authority;
use integration::peer::{BrokerTune, Peer, ScriptedBroker};
use integration::ports::PortBlock;
use integration::proxy_header::v1;
use integration::rabbit::{Protocol, Tls};
use integration::suites::{Place, Suite, run_suite};
use integration::tls::ClientTls;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::front::{SOON, Setup, end_of, local};

/// A listener `name` that leads to a port of the nodes of `main`.
fn listener(name: &str, bind: SocketAddr, port: u16) -> String {
    format!(
        "[listener.{name}]\nbind = \"{bind}\"\nprotocol = \"tcp\"\nnode_port = {port}\n\
         cluster = \"main\"\n"
    )
}

async fn passes(suite: Suite, place: Place) {
    let report = run_suite(suite, place).await.unwrap();
    assert_eq!(report.failures(), Vec::<String>::new(), "{suite:?}");
    assert_eq!(report.len(), suite.checks(), "{suite:?}: a check is missing");
}

#[tokio::test]
async fn mqtt_stomp_and_streams_pass_what_they_pass_directly() {
    let authority = Authority::new("ca").unwrap();
    // stomp.py looks for the address in the certificate.
    let server = authority.server(&["localhost", "127.0.0.1"]).unwrap().write("server").unwrap();
    let node = RabbitCluster::builder("main").protocol(Protocol::Mqtt).protocol(Protocol::Stomp);
    let node = node.protocol(Protocol::Stream).start().await.unwrap();
    let port = |protocol| node.addr(protocol, 1).port();
    let ports = PortBlock::claim().unwrap();
    let at = |index| local(ports.port(index));
    let tls = format!("tls.certificates = [{{ bundle = {:?} }}]\n", server.bundle);
    let listeners = [
        listener("mqtt", at(0), port(Protocol::Mqtt)),
        listener("mqtts", at(1), port(Protocol::Mqtt)) + &tls,
        listener("stomp", at(2), port(Protocol::Stomp)),
        listener("stomps", at(3), port(Protocol::Stomp)) + &tls,
        listener("stream", at(4), port(Protocol::Stream)),
    ];
    let front = Setup::at_accept().more(&listeners.join("\n")).start(&[node.amqp_addr(1)]).await;
    let tls = ClientTls::new(&authority, "localhost");
    let suites = [
        passes(Suite::Paho, at(0).into()),
        passes(Suite::Paho, Place::over(at(1), &tls)),
        passes(Suite::StompPy, at(2).into()),
        passes(Suite::StompPy, Place::over(at(3), &tls)),
        passes(Suite::Rstream, at(4).into()),
    ];
    join_all(suites).await;
    for name in ["mqtt", "mqtts", "stomp", "stomps", "stream"] {
        let its = |line: &Value| line["message"] == "session" && line["listener"] == name;
        let records = front.gateway.wait_for_lines(name, 1, SOON, its).await.unwrap();
        let record = &records[0];
        assert_eq!((&record["protocol"], &record["node"]), (&"tcp".into(), &"n1".into()));
        assert_eq!(record["tls"].is_string(), ["mqtts", "stomps"].contains(&name), "{record}");
        assert!(record["bytes_from_client"].as_u64() > Some(0), "{record}");
    }
}

#[tokio::test]
async fn mqtt_and_stomp_pass_behind_proxy_headers() {
    let node = RabbitCluster::builder("main").protocol(Protocol::Mqtt).protocol(Protocol::Stomp);
    let node = node.proxy_protocol().start().await.unwrap();
    let ports = PortBlock::claim().unwrap();
    let at = |index| local(ports.port(index));
    let listeners = listener("mqtt", at(0), node.addr(Protocol::Mqtt, 1).port())
        + &listener("stomp", at(1), node.addr(Protocol::Stomp, 1).port());
    let setup = Setup::at_accept().more(&listeners).cluster("proxy_protocol = \"v2\"");
    let _front = setup.start(&[node.amqp_addr(1)]).await;
    tokio::join!(passes(Suite::Paho, at(0).into()), passes(Suite::StompPy, at(1).into()));
}

#[tokio::test]
async fn the_port_is_spoken_to_in_tls_if_the_nodes_are() {
    let authority = Authority::new("ca").unwrap();
    let server = authority.server(&["127.0.0.1"]).unwrap().write("server").unwrap();
    let node = RabbitCluster::builder("main").tls(Tls::new(&authority, &server));
    let node = node.start().await.unwrap();
    let ports = PortBlock::claim().unwrap();
    let at = local(ports.port(0));
    let more = listener("x", at, node.amqps_addr(1).port())
        + &format!("[cluster.main.tls]\nca = {:?}\n", authority.file());
    let _front = Setup::at_accept().more(&more).start(&[node.amqp_addr(1)]).await;
    let mut client = Peer::connect(at).await.unwrap();
    client.open("app", "secret", "orders").await.unwrap();
    client.close().await.unwrap();
}

/// A client of STOMP that has logged in.
async fn stomp(address: SocketAddr) -> std::io::Result<TcpStream> {
    let mut client = TcpStream::connect(address).await?;
    let connect = b"CONNECT\naccept-version:1.2\nhost:/\nlogin:app\npasscode:secret\n\n\0";
    client.write_all(connect).await?;
    let mut said = Vec::new();
    while client.read_buf(&mut said).await? > 0 {
        if said.starts_with(b"CONNECTED\n") {
            return Ok(client);
        }
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}

#[tokio::test]
async fn a_client_whose_node_is_killed_gets_another_when_it_comes_again() {
    let ports = PortBlock::claim().unwrap();
    let (at, port) = (local(ports.port(0)), ports.port(1));
    let node = |name: &str, host: &str| {
        let listens = format!("stomp.listeners.tcp.2 = {host}:{port}");
        RabbitCluster::builder(name).protocol(Protocol::Stomp).extra_conf(&listens).start()
    };
    let (one, other) = tokio::join!(node("one", "127.0.0.1"), node("other", "127.0.0.2"));
    let (one, _other) = (one.unwrap(), other.unwrap());
    let setup = Setup::at_accept().more(&listener("x", at, port)).cluster("balance = \"first\"");
    let front = setup.start(&[one.amqp_addr(1), ([127, 0, 0, 2], 1).into()]).await;

    let mut client = stomp(at).await.unwrap();
    let own = client.local_addr().unwrap();
    one.kill_node(1).await.unwrap();
    let _ = client.read_to_end(&mut Vec::new()).await;
    let record = front.record_of(own).await;
    assert_eq!((end_of(&record).as_str(), &record["node"]), ("node relay node-lost", &"n1".into()));

    let client = stomp(at).await.unwrap();
    let own = client.local_addr().unwrap();
    drop(client);
    let record = front.record_of(own).await;
    assert_eq!((&record["node"], &record["reason"]), (&"n2".into(), &"client-gone".into()));
}

/// Two nodes at different addresses with the same port for other things than AMQP.
async fn same_port() -> (ScriptedBroker, ScriptedBroker, u16) {
    loop {
        let first = ScriptedBroker::bind().await.unwrap();
        let port = first.address().port();
        if let Ok(second) = ScriptedBroker::bind_at(([127, 0, 0, 2], port).into()).await {
            return (first, second, port);
        }
    }
}

#[tokio::test]
async fn bytes_pass_in_both_directions_whoever_speaks_first_and_however_late() {
    let (first, second, port) = same_port().await;
    let ports = PortBlock::claim().unwrap();
    let at = local(ports.port(0));
    let setup = Setup::at_accept().gateway("handshake_timeout = \"500ms\"");
    let setup = setup.more(&listener("x", at, port)).cluster("balance = \"first\"");
    let front = setup.start(&[first.address(), second.address()]).await;

    let mut client = Peer::connect(at).await.unwrap();
    let own = client.local_addr().unwrap();
    let mut node = first.accept().await.unwrap();
    node.send_raw(b"welcome!").await.unwrap();
    client.expect_header(*b"welcome!").await.unwrap();
    // Long after the time that a handshake has.
    let mute = front.client().await;
    let address = mute.local_addr().unwrap();
    assert_eq!(front.end_of(address).await, "client handshake handshake-timeout");
    client.send_raw(b"PROXY TC").await.unwrap();
    node.expect_header(*b"PROXY TC").await.unwrap();
    drop(node);
    client.expect_eof().await.unwrap();
    let record = front.record_of(own).await;
    assert_eq!(end_of(&record), "node relay node-lost");
    let expected = (&"tcp".into(), &8.into(), &8.into());
    let bytes = (&record["bytes_from_client"], &record["bytes_from_node"]);
    assert_eq!((&record["protocol"], bytes.0, bytes.1), expected);

    // The node is gone, and the client comes again.
    drop(first);
    let mut client = Peer::connect(at).await.unwrap();
    let own = client.local_addr().unwrap();
    client.send_raw(b"hello, 2").await.unwrap();
    let mut node = second.accept().await.unwrap();
    node.expect_header(*b"hello, 2").await.unwrap();
    drop(client);
    node.expect_eof().await.unwrap();
    let record = front.record_of(own).await;
    assert_eq!(
        (end_of(&record).as_str(), &record["node"]),
        ("client relay client-gone", &"n2".into())
    );
}

#[tokio::test]
async fn a_node_that_does_not_listen_at_the_port_stays_in_use_for_amqp() {
    let (unused, other, port) = same_port().await;
    let amqp = ScriptedBroker::bind().await.unwrap();
    drop(unused);
    let ports = PortBlock::claim().unwrap();
    let at = local(ports.port(0));
    let setup = Setup::at_accept().more(&listener("x", at, port)).cluster("balance = \"first\"");
    let setup = setup.health("checks = [\"tcp\"]\npassive = { failures = 1, within = \"10s\" }");
    // Their AMQP ports differ: only the other port is the same.
    let front = setup.start(&[amqp.address(), ([127, 0, 0, 2], port).into()]).await;
    for _ in 0..5 {
        let mut client = Peer::connect(at).await.unwrap();
        client.send_raw(b"anything").await.unwrap();
        loop {
            // Checks come here, too.
            let mut node = other.accept().await.unwrap();
            if node.expect_header(*b"anything").await.is_ok() {
                break;
            }
        }
    }
    let labels = ["node=\"n1\"", "reason=\"refused\""];
    let failures = "amqp_gateway_node_connect_failures_total";
    let counted = front.gateway.wait_for_metric(failures, &labels, SOON, |count| count >= 5.0);
    assert_eq!(counted.await.unwrap(), 5.0);
    assert_eq!(front.gateway.metric("amqp_gateway_node_up", &["node=\"n1\""]).await.unwrap(), 1.0);
    let mut client = front.client().await;
    let serve = async {
        loop {
            let mut node = amqp.accept().await.unwrap();
            if node.serve(&BrokerTune::default()).await.is_ok() {
                return;
            }
        }
    };
    let (opened, ()) = tokio::join!(client.open("app", "secret", "orders"), serve);
    opened.unwrap();
}

#[tokio::test]
async fn who_may_not_be_taken_for_a_local_client_is_refused_where_nobody_can_read_who_it_is() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let port = broker.address().port();
    let far: SocketAddr = "203.0.113.7:4711".parse().unwrap();
    for (users, lets_in) in [("[\"guest\"]", false), ("[]", true)] {
        let ports = PortBlock::claim().unwrap();
        let at = local(ports.port(0));
        let proxied = "proxy_protocol = \"optional\"\ntrusted_proxies = [\"127.0.0.1\"]\n";
        let setup = Setup::at_accept().more(&(listener("x", at, port) + proxied));
        let setup = setup.cluster(&format!("loopback_users = {users}"));
        let front = setup.start(&[broker.address()]).await;

        let mut here = Peer::connect(at).await.unwrap();
        here.send_raw(b"anything").await.unwrap();
        let mut node = broker.accept().await.unwrap();
        node.expect_header(*b"anything").await.unwrap();

        let mut client = Peer::connect(at).await.unwrap();
        client.send_raw(&[&v1(far, at)[..], b"anything"].concat()).await.unwrap();
        let mut node = broker.accept().await.unwrap();
        if lets_in {
            node.expect_header(*b"anything").await.unwrap();
            continue;
        }
        node.expect_eof().await.unwrap();
        client.expect_eof().await.unwrap();
        assert_eq!(front.end_of(far).await, "gateway connect access-refused");
        let cure = "name the node by another address";
        front.gateway.wait_for_log(cure, SOON).await.unwrap();
    }
}

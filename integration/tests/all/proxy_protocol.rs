//! PROXY headers: who may say who a client is, and what nodes are told of it.

use std::net::SocketAddr;
use std::time::Duration;

use integration::certificates::Authority;
use integration::haproxy::HaProxy;
use integration::peer::{BrokerTune, HEADER, Peer, ScriptedBroker};
use integration::ports::PortBlock;
use integration::proxy_header::{Ssl, V2, kind, v1};
use integration::rabbit::Tls;
use integration::tls::ClientTls;
use integration::{RabbitCluster, http, wait};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::time::{interval, timeout};

use crate::front::{Front, SOON, Setup, end_of, local};

/// Clients of addresses that a proxy has made up.
const FAR: &str = "203.0.113.7:4711";

fn far() -> SocketAddr {
    FAR.parse().unwrap()
}

/// A listener whose clients may, or must, come by a proxy of this machine.
fn behind_proxy(how: &str) -> Setup {
    let setup = Setup::at_accept().listener(&format!("proxy_protocol = \"{how}\""));
    setup.listener("trusted_proxies = [\"127.0.0.0/8\"]")
}

/// A client that says these bytes first and AMQP afterwards.
async fn saying(front: &Front, first: &[u8]) -> Peer {
    let mut client = front.client().await;
    client.send_raw(&[first, &HEADER].concat()).await.unwrap();
    client
}

/// What the first session says of itself that ends for this reason.
async fn ended(front: &Front, reason: &str) -> Value {
    let ended = |line: &Value| line["message"] == "session" && line["reason"] == reason;
    front.gateway.wait_for_lines(reason, 1, SOON, ended).await.unwrap().remove(0)
}

#[tokio::test]
async fn haproxy_says_who_the_client_is_and_its_checks_are_nothing_to_speak_of() {
    let authority = Authority::new("ca").unwrap();
    let server = authority.server(&["localhost"]).unwrap().write("server").unwrap();
    let app = authority.client("app").unwrap().write("app").unwrap();
    let node = RabbitCluster::builder("main").start().await.unwrap();
    for how in ["required", "optional"] {
        // Else it warns of the limit on open files.
        let setup = behind_proxy(how).gateway("max_connections = 100");
        let front = setup.start(&[node.amqp_addr(1)]).await;
        let ports = PortBlock::claim().unwrap();
        let (plain, secure) = (local(ports.port(0)), local(ports.port(1)));
        let sections = format!(
            "listen plain\n  bind {plain}\n  server one {at} send-proxy check inter 100ms\n\
             listen secure\n  bind {secure} ssl crt {} ca-file {} verify optional\n  \
             server one {at} send-proxy-v2-ssl-cn proxy-v2-options authority check inter 100ms\n\
             listen by-tcp\n  bind {}\n  server one {at} check inter 100ms\n",
            server.bundle.display(),
            authority.file().display(),
            local(ports.port(2)),
            at = front.address,
        );
        let _haproxy = HaProxy::start(&sections, plain).await.unwrap();
        let tls = ClientTls::new(&authority, "localhost").certificate(&app).connector().unwrap();
        for (mut client, sni) in [
            (Peer::connect(plain).await.unwrap(), Value::Null),
            (Peer::connect_tls(secure, &tls).await.unwrap(), "localhost".into()),
        ] {
            let own = client.local_addr().unwrap();
            client.open("app", "secret", "orders").await.unwrap();
            let shown = connection_of(&node, own).await;
            assert_eq!(shown["peer_host"], "127.0.0.1", "{shown}");
            client.close().await.unwrap();
            let record = record_of_app(&front, own).await;
            let proxy: SocketAddr = record["proxy"].as_str().unwrap().parse().unwrap();
            assert!(proxy != own && proxy.ip().is_loopback(), "{record}");
            assert_eq!((&record["sni"], &record["reason"]), (&sni, &"client-closed".into()));
        }
        // Checks by all three ways have come by now, again and again.
        let checks = || front.gateway.json_lines().iter().filter(|l| l["user"].is_null()).count();
        let first = checks();
        wait::until("checks of HAProxy", SOON, async || checks() > first + 20).await.unwrap();
        for line in front.gateway.json_lines() {
            assert!(line["level"] == "info" && line["message"] != "session ended", "{line}");
        }
    }
}

/// The access record of a client that has logged in. A check of HAProxy, which logs in as nobody, may by chance have come
/// from the same port.
async fn record_of_app(front: &Front, client: SocketAddr) -> Value {
    let client = client.to_string();
    let its = |line: &Value| line["client"] == *client && line["user"] == "app";
    front.gateway.wait_for_lines("the access record", 1, SOON, its).await.unwrap().remove(0)
}

/// What a node shows of the connection of a client, which its gateway has told it of.
pub(crate) async fn connection_of(node: &RabbitCluster, client: SocketAddr) -> Value {
    let (url, client) = (node.mgmt_api(1, "connections"), client.to_string());
    let mut found = Value::Null;
    wait::until(format!("the connection of {client}"), SOON, async || {
        let all = http::get_json(&url).await.unwrap_or_default();
        let mut all = all.as_array().cloned().unwrap_or_default().into_iter();
        let its = |one: &Value| one["client_properties"]["amqp_gateway_client"] == *client;
        found = all.find(its).unwrap_or_default();
        found["user"].is_string()
    })
    .await
    .unwrap();
    found
}

#[tokio::test]
async fn whoever_breaks_the_rules_is_refused_and_the_record_says_why() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = behind_proxy("required").start(&[broker.address()]).await;
    let mut cases = [
        (saying(&front, b"").await, "client accept proxy-missing"),
        (saying(&front, b"PROXY TCP4 nobody 1.2.3.4 5 6\r\n").await, "client accept proxy-bad"),
        (saying(&front, b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c").await, "client accept proxy-bad"),
    ];
    for (client, end) in &mut cases {
        client.expect_eof().await.unwrap();
        let own = client.local_addr().unwrap();
        assert_eq!(front.end_of(own).await, *end);
    }
    let mut gone = front.client().await;
    gone.send_raw(b"PROXY TC").await.unwrap();
    drop(gone);
    assert_eq!(end_of(&ended(&front, "client-gone").await), "client accept client-gone");

    let setup = Setup::at_accept().listener("proxy_protocol = \"required\"");
    let setup = setup.listener("trusted_proxies = [\"192.0.2.0/24\"]");
    let strict = setup.start(&[broker.address()]).await;
    let mut client = saying(&strict, &v1(far(), strict.address)).await;
    client.expect_eof().await.unwrap();
    let own = client.local_addr().unwrap();
    assert_eq!(strict.end_of(own).await, "client accept proxy-untrusted");

    let setup = Setup::at_accept().listener("proxy_protocol = \"optional\"");
    let setup = setup.listener("trusted_proxies = [\"192.0.2.0/24\"]");
    let mild = setup.start(&[broker.address()]).await;
    let mut client = saying(&mild, &v1(far(), mild.address)).await;
    client.expect_header(HEADER).await.unwrap();
    let own = client.local_addr().unwrap();
    drop(client);
    assert_eq!(mild.end_of(own).await, "client handshake not-amqp");
    mild.still_serves(&broker).await;
}

#[tokio::test]
async fn a_header_that_does_not_come_is_waited_for_three_seconds() {
    let broker = ScriptedBroker::bind().await.unwrap();
    for (how, mute) in [("required", "proxy-timeout"), ("optional", "client-gone")] {
        let front = behind_proxy(how).start(&[broker.address()]).await;
        let drips = async {
            let mut client = front.client().await;
            let own = client.local_addr().unwrap();
            let mut pace = interval(Duration::from_millis(200));
            for byte in v1(far(), front.address) {
                pace.tick().await;
                if client.send_raw(&[byte]).await.is_err() {
                    return own;
                }
            }
            panic!("the gateway took the whole drip");
        };
        let silent = async {
            let mut client = front.client().await;
            let own = client.local_addr().unwrap();
            if how == "required" {
                client.expect_eof().await.unwrap();
            } else {
                // Whoever may say nothing of itself is a client like any other, only later.
                wait::until("its session", SOON, async || sessions(&front).await == 1.0)
                    .await
                    .unwrap();
                let mut node = open(&mut client, &broker).await;
                drop(client);
                let _ = node.read_until_gone().await;
            }
            own
        };
        let (slow, silent) = tokio::join!(drips, silent);
        let record = front.record_of(slow).await;
        assert_eq!(end_of(&record), "client accept proxy-timeout", "{how}");
        assert!(record["duration_ms"].as_f64().unwrap() >= 3000.0, "{record}");
        assert_eq!(front.record_of(silent).await["reason"], mute, "{how}");
    }
}

async fn sessions(front: &Front) -> f64 {
    front.gateway.metric("amqp_gateway_sessions", &[]).await.unwrap()
}

/// Opens a session, and what has become of it at the broker.
async fn open(client: &mut Peer, broker: &ScriptedBroker) -> Peer {
    let serve = async {
        let mut node = broker.accept().await.unwrap();
        node.serve(&BrokerTune::default()).await.unwrap();
        node
    };
    let (opened, node) = tokio::join!(client.open("app", "secret", "orders"), serve);
    opened.unwrap();
    node
}

/// The PROXY header that a node is told first.
async fn header(node: &mut Peer) -> V2 {
    let mut bytes = Vec::new();
    let read = async {
        loop {
            bytes.push(node.stream().read_u8().await.unwrap());
            if let Some((header, _)) = V2::decode(&bytes).unwrap() {
                return header;
            }
        }
    };
    timeout(SOON, read).await.unwrap()
}

#[tokio::test]
async fn nodes_are_told_what_is_known_of_the_client() {
    let authority = Authority::new("ca").unwrap();
    let server = authority.server(&["localhost"]).unwrap().write("server").unwrap();
    let app = authority.client("app").unwrap().write("app").unwrap();
    let broker = ScriptedBroker::bind().await.unwrap();
    let setup = behind_proxy("optional").cluster("proxy_protocol = \"v2\"");
    let plain = setup.start(&[broker.address()]).await;
    let setup = behind_proxy("optional").cluster("proxy_protocol = \"v2\"").more(&format!(
        "[listener.amqp.tls]\ncertificates = [{{ bundle = {:?} }}]\nclient_auth = \"required\"\n\
         client_ca = {:?}\n",
        server.bundle,
        authority.file()
    ));
    let secure = setup.start(&[broker.address()]).await;

    // Its own addresses, and the number of its session.
    let client = saying(&plain, b"").await;
    let own = client.local_addr().unwrap();
    let mut node = broker.accept().await.unwrap();
    let told = header(&mut node).await;
    assert_eq!(told.addresses, Some((own, plain.address)));
    assert_eq!(told.ssl().unwrap(), None);
    node.expect_header(HEADER).await.unwrap();
    drop(client);
    let session = plain.record_of(own).await["session"].as_str().unwrap().to_owned();
    assert_eq!(told.get(kind::UNIQUE_ID), Some(session.as_bytes()));

    // What a proxy has said, addresses and TLS.
    let ssl = Ssl {
        client: 1,
        verify: 0,
        extras: vec![
            (kind::SSL_VERSION, b"TLSv1.2".to_vec()),
            (kind::SSL_CIPHER, b"ECDHE-RSA-AES128-GCM-SHA256".to_vec()),
        ],
    };
    let there: SocketAddr = "[2001:db8::1]:5671".parse().unwrap();
    let from: SocketAddr = "[2001:db8::7]:4711".parse().unwrap();
    let _client = saying(&plain, &V2::new(from, there).with_ssl(&ssl).encode()).await;
    let told = header(&mut broker.accept().await.unwrap()).await;
    assert_eq!(told.addresses, Some((from, there)));
    assert_eq!(told.ssl().unwrap(), Some(ssl));

    // What the gateway's own TLS has shown.
    let tls = ClientTls::new(&authority, "localhost").certificate(&app).connector().unwrap();
    for announced in [None, Some(far())] {
        let mut client = secure.client().await;
        let own = announced.unwrap_or_else(|| client.local_addr().unwrap());
        if let Some(source) = announced {
            client.send_raw(&V2::new(source, secure.address).encode()).await.unwrap();
        }
        let mut client = client.start_tls(&tls).await.unwrap();
        client.send_raw(&HEADER).await.unwrap();
        let told = header(&mut broker.accept().await.unwrap()).await;
        assert_eq!(told.addresses, Some((own, secure.address)));
        assert_eq!(told.get(kind::AUTHORITY), Some(&b"localhost"[..]));
        let ssl = told.ssl().unwrap().unwrap();
        assert_eq!((ssl.verify, ssl.text(kind::SSL_CN).unwrap().as_str()), (0, "app"));
        assert_eq!(ssl.text(kind::SSL_VERSION).unwrap(), "TLSv1.3");
        assert!(ssl.text(kind::SSL_CIPHER).unwrap().starts_with("TLS_AES_"), "{ssl:?}");
        // A resumed session has the certificate of the one before.
        assert!(ssl.client == 7 || announced.is_some() && ssl.client == 5, "{ssl:?}");
    }
}

#[tokio::test]
async fn rabbitmq_shows_the_clients_own_address_and_the_checks_of_its_gateway_pass() {
    let authority = Authority::new("ca").unwrap();
    let server = authority.server(&["localhost", "127.0.0.1"]).unwrap().write("server").unwrap();
    let node = RabbitCluster::builder("main").tls(Tls::new(&authority, &server));
    let node = node.proxy_protocol().start().await.unwrap();
    let tls = format!("[cluster.main.tls]\nca = {:?}\n", authority.file());
    let cases = [
        ("v1", node.amqp_addr(1), ""),
        ("v2", node.amqp_addr(1), ""),
        ("v1", node.amqps_addr(1), &tls),
        ("v2", node.amqps_addr(1), &tls),
    ];
    for (version, address, tls) in cases {
        let setup = behind_proxy("optional").more(tls);
        let setup = setup.cluster(&format!("proxy_protocol = \"{version}\""));
        let setup = setup.health("checks = [\"tcp\", \"amqp\", \"channel-roundtrip\"]");
        let setup = setup.health(
            "interval = \"100ms\"\ntimeout = \"20s\"\nusername = \"app\"\npassword = \"secret\"",
        );
        let front = setup.start(&[address]).await;
        for source in ["198.51.100.9:1234", "[2001:db8::9]:1234"] {
            let source: SocketAddr = source.parse().unwrap();
            let there = SocketAddr::new(source.ip(), 5672);
            let mut client = front.client().await;
            client.send_raw(&V2::new(source, there).encode()).await.unwrap();
            client.open("app", "secret", "orders").await.unwrap();
            let shown = connection_of(&node, source).await;
            assert_eq!(shown["peer_host"], source.ip().to_string(), "{version} {shown}");
            assert_eq!(shown["peer_port"], source.port(), "{version} {shown}");
            client.close().await.unwrap();
        }
        for check in ["tcp", "amqp", "channel-roundtrip"] {
            let labels = [&*format!("check=\"{check}\"")];
            wait::until(format!("a check by {check}"), SOON, async || {
                let took = front.gateway.metric("amqp_gateway_node_probe_seconds", &labels).await;
                took.unwrap() > 0.0
            })
            .await
            .unwrap();
        }
        let failed = front.gateway.metric("amqp_gateway_node_probe_failures_total", &[]).await;
        assert_eq!(failed.unwrap(), 0.0, "{version}");
        assert_eq!(front.gateway.metric("amqp_gateway_node_up", &[]).await.unwrap(), 1.0);
    }
    let log = node.log(1);
    assert!(!log.contains("[error]") && !log.contains("crash"), "{log}");
}

#[tokio::test]
async fn rabbitmq_shows_the_tls_that_the_gateway_has_ended() {
    let authority = Authority::new("ca").unwrap();
    let server = authority.server(&["localhost"]).unwrap().write("server").unwrap();
    let app = authority.client("app").unwrap().write("app").unwrap();
    let node = RabbitCluster::builder("main").proxy_protocol().start().await.unwrap();
    let setup = Setup::at_accept().cluster("proxy_protocol = \"v2\"").more(&format!(
        "[listener.amqp.tls]\ncertificates = [{{ bundle = {:?} }}]\nclient_auth = \"optional\"\n\
         client_ca = {:?}\n",
        server.bundle,
        authority.file()
    ));
    let front = setup.start(&[node.amqp_addr(1)]).await;
    let tls = ClientTls::new(&authority, "localhost").certificate(&app).connector().unwrap();
    let mut client = Peer::connect_tls(front.address, &tls).await.unwrap();
    client.open("app", "secret", "orders").await.unwrap();
    let shown = connection_of(&node, client.local_addr().unwrap()).await;
    assert_eq!((&shown["ssl"], &shown["ssl_protocol"]), (&true.into(), &"tlsv1.3".into()));
    assert_eq!(shown["peer_port"], client.local_addr().unwrap().port(), "{shown}");
}

/// RabbitMQ looks at its own end of the connection, and not at the header.
#[tokio::test]
async fn a_proxy_header_makes_nobody_a_stranger_to_rabbitmq_so_the_gateway_judges_in_its_place() {
    let strict = RabbitCluster::builder("strict").local_guest().proxy_protocol().start();
    let open = RabbitCluster::builder("open").proxy_protocol().start();
    let (strict, open) = tokio::join!(strict, open);
    let (strict, open) = (strict.unwrap(), open.unwrap());
    for (node, users, lets_in) in [
        (&strict, "[\"guest\"]", false),
        (&open, "[\"guest\"]", false),
        (&open, "[]", true),
        // What there is to guard against.
        (&strict, "[]", true),
    ] {
        let setup = behind_proxy("optional").cluster("proxy_protocol = \"v2\"");
        let setup = setup.cluster(&format!("loopback_users = {users}"));
        let front = setup.start(&[node.amqp_addr(1)]).await;
        let mut here = front.client().await;
        here.open("guest", "guest", "orders").await.unwrap();
        let mut client = front.client().await;
        client.send_raw(&V2::new(far(), front.address).encode()).await.unwrap();
        let opened = client.open("guest", "guest", "orders").await;
        assert_eq!(opened.is_ok(), lets_in, "{opened:?}");
        drop(client);
        let end =
            if lets_in { "client relay client-gone" } else { "gateway connect access-refused 403" };
        assert_eq!(front.end_of(far()).await, end);
    }
}

//! What the harness says of RabbitMQ's further protocols and of PROXY headers is true of RabbitMQ.

use std::net::SocketAddr;
use std::time::Duration;

use integration::certificates::Authority;
use integration::haproxy::HaProxy;
use integration::peer::Peer;
use integration::ports::PortBlock;
use integration::proxy_header::{Ssl, V2, kind, v1};
use integration::rabbit::{Protocol, Tls};
use integration::suites::{Suite, run_suite};
use integration::tls::ClientTls;
use integration::{RabbitCluster, http, wait};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

#[tokio::test]
async fn nodes_speak_the_protocols_they_are_told_to() {
    let node = RabbitCluster::builder("many").protocol(Protocol::Mqtt).protocol(Protocol::Stomp);
    let node = node.protocol(Protocol::Stream).start().await.unwrap();
    for (suite, protocol) in [
        (Suite::Paho, Protocol::Mqtt),
        (Suite::StompPy, Protocol::Stomp),
        (Suite::Rstream, Protocol::Stream),
    ] {
        let report = run_suite(suite, node.addr(protocol, 1)).await.unwrap();
        assert_eq!(report.failures(), Vec::<String>::new(), "{suite:?}");
        assert_eq!(report.len(), suite.checks(), "{suite:?}: a check is missing");
    }
}

/// The only connection that a node's management API shows, once it shows one.
async fn connection(node: &RabbitCluster) -> Value {
    let url = node.mgmt_api(1, "connections");
    let mut found = Value::Null;
    wait::until("one connection", Duration::from_secs(20), async || {
        let all = http::get_json(&url).await.unwrap_or_default();
        found = all[0].clone();
        all.as_array().is_some_and(|all| all.len() == 1) && found["user"] == "app"
    })
    .await
    .unwrap();
    found
}

async fn closed(client: Peer, node: &RabbitCluster) {
    client.close().await.unwrap();
    let url = node.mgmt_api(1, "connections");
    wait::until("no connection", Duration::from_secs(20), async || {
        http::get_json(&url).await.is_ok_and(|all| all.as_array().is_some_and(Vec::is_empty))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_node_that_asks_for_proxy_headers_shows_what_they_say() {
    let authority = Authority::new("ca").unwrap();
    let server = authority.server(&["localhost"]).unwrap().write("server").unwrap();
    let node = RabbitCluster::builder("proxied").tls(Tls::new(&authority, &server));
    let node = node.proxy_protocol().start().await.unwrap();
    let address = node.amqp_addr(1);
    let source: SocketAddr = "203.0.113.7:1234".parse().unwrap();
    let source6: SocketAddr = "[2001:db8::7]:1234".parse().unwrap();
    let destination6: SocketAddr = "[2001:db8::1]:5672".parse().unwrap();

    let mut bare = Peer::connect(address).await.unwrap();
    bare.open("app", "secret", "/").await.unwrap_err();

    let ssl = Ssl {
        client: 3,
        verify: 0,
        extras: vec![
            (kind::SSL_VERSION, b"TLSv1.3".to_vec()),
            (kind::SSL_CIPHER, b"TLS_AES_256_GCM_SHA384".to_vec()),
            (kind::SSL_CN, b"app".to_vec()),
        ],
    };
    let with_ssl = V2::new(source, address).with_ssl(&ssl).with(kind::UNIQUE_ID, b"session 1");
    let cases = [
        (v1(source, address), "203.0.113.7", false),
        (v1(source6, destination6), "2001:db8::7", false),
        (V2::new(source, address).encode(), "203.0.113.7", false),
        (V2::new(source6, destination6).encode(), "2001:db8::7", false),
        (with_ssl.encode(), "203.0.113.7", true),
    ];
    for (header, host, secure) in cases {
        let mut client = Peer::connect(address).await.unwrap();
        client.send_raw(&header).await.unwrap();
        client.open("app", "secret", "/").await.unwrap();
        let shown = connection(&node).await;
        assert_eq!(shown["peer_host"], host, "{shown}");
        assert_eq!(shown["ssl"], secure, "{shown}");
        assert!(!secure || shown["ssl_protocol"] == "tlsv1.3", "{shown}");
        closed(client, &node).await;
    }

    let tls = ClientTls::new(&authority, "localhost").connector().unwrap();
    let mut client = Peer::connect(node.amqps_addr(1)).await.unwrap();
    client.send_raw(&v1(source, address)).await.unwrap();
    let mut client = client.start_tls(&tls).await.unwrap();
    client.open("app", "secret", "/").await.unwrap();
    assert_eq!(connection(&node).await["peer_host"], "203.0.113.7");
    closed(client, &node).await;
}

#[tokio::test]
async fn mqtt_and_stomp_with_proxy_headers_pass_behind_haproxy_only() {
    let node = RabbitCluster::builder("fronted").proxy_protocol();
    let node = node.protocol(Protocol::Mqtt).protocol(Protocol::Stomp).start().await.unwrap();
    let ports = PortBlock::claim().unwrap();
    for (suite, protocol, index) in
        [(Suite::Paho, Protocol::Mqtt, 0), (Suite::StompPy, Protocol::Stomp, 1)]
    {
        let front = SocketAddr::from(([127, 0, 0, 1], ports.port(index)));
        let behind = node.addr(protocol, 1);
        let listen = format!("listen one\n  bind {front}\n  server one {behind} send-proxy-v2");
        let _haproxy = HaProxy::start(&listen, front).await.unwrap();
        let report = run_suite(suite, front).await.unwrap();
        assert_eq!(report.failures(), Vec::<String>::new(), "{suite:?}");
        let mut bare = Peer::connect(behind).await.unwrap();
        bare.send_raw(b"\x10\x00CONNECT\n\n\0").await.unwrap();
        assert_eq!(bare.read_until_gone().await.unwrap(), b"");
    }
}

#[tokio::test]
async fn the_headers_that_are_read_are_those_that_haproxy_sends() {
    let authority = Authority::new("ca").unwrap();
    let server = authority.server(&["localhost"]).unwrap().write("server").unwrap();
    let app = authority.client("app").unwrap().write("app").unwrap();
    let ports = PortBlock::claim().unwrap();
    let front = SocketAddr::from(([127, 0, 0, 1], ports.port(0)));
    let behind = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sections = format!(
        "listen tls\n  bind {front} ssl crt {} ca-file {} verify optional\n  \
         server one {} send-proxy-v2-ssl-cn proxy-v2-options ssl,cert-cn,ssl-cipher,authority,unique-id,crc32c\n  \
         unique-id-format session-%pid\n",
        server.bundle.display(),
        authority.file().display(),
        behind.local_addr().unwrap(),
    );
    let _haproxy = HaProxy::start(&sections, front).await.unwrap();
    let tls = ClientTls::new(&authority, "localhost").certificate(&app).connector().unwrap();
    let client = Peer::connect_tls(front, &tls).await.unwrap();
    let (header, end) = loop {
        // The first connection was there only to see whether HAProxy accepts.
        let (mut stream, _) = behind.accept().await.unwrap();
        let mut bytes = vec![0; 2048];
        let count = stream.read(&mut bytes).await.unwrap();
        if count > 0 {
            let (header, end) = V2::decode(&bytes[..count]).unwrap().unwrap();
            assert_eq!(V2::decode(&bytes[..end - 1]).unwrap(), None, "not complete yet");
            assert_eq!(header.encode(), &bytes[..end], "written as it was read");
            break (header, end);
        }
    };
    assert!(end > 28);
    assert_eq!(header.addresses.unwrap(), (client.local_addr().unwrap(), front));
    assert_eq!(header.get(kind::AUTHORITY).unwrap(), b"localhost");
    assert!(header.get(kind::UNIQUE_ID).unwrap().starts_with(b"session-"));
    let ssl = header.ssl().unwrap().unwrap();
    assert_eq!((ssl.client & 1, ssl.verify), (1, 0));
    assert_eq!(ssl.text(kind::SSL_VERSION).unwrap(), "TLSv1.3");
    assert_eq!(ssl.text(kind::SSL_CN).unwrap(), "app");
    assert!(ssl.text(kind::SSL_CIPHER).unwrap().starts_with("TLS_"));
}

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

/// The connection from port `from`, once a node's management API shows it. Ports tell connections apart, for the API may go
/// on showing one that has ended.
async fn connection(node: &RabbitCluster, from: u16) -> Value {
    let url = node.mgmt_api(1, "connections");
    let mut found = Value::Null;
    wait::until("the connection", Duration::from_secs(60), async || {
        let all = http::get_json(&url).await.unwrap_or_default();
        let ours = |one: &&Value| one["peer_port"] == from && one["user"] == "app";
        found = all.as_array().into_iter().flatten().find(ours).cloned().unwrap_or_default();
        !found.is_null()
    })
    .await
    .unwrap();
    found
}

#[tokio::test]
async fn a_node_that_asks_for_proxy_headers_shows_what_they_say() {
    let authority = Authority::new("ca").unwrap();
    let server = authority.server(&["localhost"]).unwrap().write("server").unwrap();
    let node = RabbitCluster::builder("proxied").tls(Tls::new(&authority, &server));
    let node = node.proxy_protocol().start().await.unwrap();
    let address = node.amqp_addr(1);
    let source = |port| SocketAddr::from(([203, 0, 113, 7], port));
    let source6 = |port| SocketAddr::new("2001:db8::7".parse().unwrap(), port);
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
    let with_ssl =
        V2::new(source(1005), address).with_ssl(&ssl).with(kind::UNIQUE_ID, b"session 1");
    let cases = [
        (1001, v1(source(1001), address), "203.0.113.7", false),
        (1002, v1(source6(1002), destination6), "2001:db8::7", false),
        (1003, V2::new(source(1003), address).encode(), "203.0.113.7", false),
        (1004, V2::new(source6(1004), destination6).encode(), "2001:db8::7", false),
        (1005, with_ssl.encode(), "203.0.113.7", true),
    ];
    for (port, header, host, secure) in cases {
        let mut client = Peer::connect(address).await.unwrap();
        client.send_raw(&header).await.unwrap();
        client.open("app", "secret", "/").await.unwrap();
        let shown = connection(&node, port).await;
        assert_eq!(shown["peer_host"], host, "{shown}");
        assert_eq!(shown["ssl"], secure, "{shown}");
        assert!(!secure || shown["ssl_protocol"] == "tlsv1.3", "{shown}");
        client.close().await.unwrap();
    }

    let tls = ClientTls::new(&authority, "localhost").connector().unwrap();
    let mut client = Peer::connect(node.amqps_addr(1)).await.unwrap();
    client.send_raw(&v1(source(1006), address)).await.unwrap();
    let mut client = client.start_tls(&tls).await.unwrap();
    client.open("app", "secret", "/").await.unwrap();
    assert_eq!(connection(&node, 1006).await["peer_host"], "203.0.113.7");
    client.close().await.unwrap();
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

//! What an HTTP listener does to requests and answers on their way, seen from both ends.

use std::time::Duration;

use integration::certificates::Authority;
use integration::http_peer::{Head, HttpPeer};
use integration::tls::ClientTls;
use integration::wait;
use tokio::net::TcpListener;

use crate::front::SOON;
use crate::http_front::{HttpFront, HttpSetup, node};

/// A gateway in front of one scripted node.
async fn alone(setup: HttpSetup) -> (HttpFront, TcpListener) {
    let nodes = [node().await];
    let front = setup.scripted(&nodes).start().await;
    let [node] = nodes;
    (front, node)
}

/// What the node is asked if the client sends this; it answers with 200.
async fn asked(client: &mut HttpPeer, node: &TcpListener, request: &str) -> Head {
    client.send(request).await.unwrap();
    let mut served = HttpPeer::accept(node).await.unwrap();
    let head = served.head().await.unwrap();
    served.answer("200 OK", "fine").await.unwrap();
    let (answer, text) = client.answered().await.unwrap();
    assert_eq!((answer.status(), &*text), (200, "fine"));
    head
}

#[tokio::test]
async fn the_node_is_told_who_asks_and_what_concerns_the_connection_alone_is_not_passed() {
    let (front, node) = alone(HttpSetup::default()).await;
    let mut client = front.client().await;
    let head = asked(
        &mut client,
        &node,
        "GET /api/queues?page=1 HTTP/1.1\r\nHost: rabbit.example.com:15672\r\nConnection: close, X-Mine\r\n\
         X-Mine: 1\r\nX-Forwarded-For: 1.2.3.4\r\nProxy-Authorization: Basic x\r\nAuthorization: Basic y\r\n\r\n",
    )
    .await;
    assert_eq!(head.line, "GET /api/queues?page=1 HTTP/1.1");
    let port = front.address.port().to_string();
    for (name, value) in [
        ("host", "rabbit.example.com:15672"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "rabbit.example.com:15672"),
        ("x-forwarded-port", &*port),
        ("via", "1.1 amqp-gateway-gw"),
        ("authorization", "Basic y"),
    ] {
        assert_eq!(head.header(name), Some(value), "{head:?}");
    }
    for name in ["connection", "x-mine", "proxy-authorization"] {
        assert_eq!(head.header(name), None, "{head:?}");
    }
    client.expect_end().await.unwrap();
    let record = front.record("a record", |_| true).await;
    assert_eq!((&record["method"], &record["path"]), (&"GET".into(), &"/api/queues".into()));
    assert_eq!((&record["status"], &record["bytes_to_client"]), (&200.into(), &4.into()));
    assert_eq!((&record["cluster"], &record["node"]), (&"main".into(), &"n1".into()));
    assert_eq!(record["client"], client.local_addr().to_string());
    let requests = "amqp_gateway_http_requests_total";
    let labels = ["listener=\"ui\"", "node=\"n1\"", "status=\"2xx\""];
    front.gateway.wait_for_metric(requests, &labels, SOON, |count| count == 1.0).await.unwrap();
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_by_header_and_by_proxy_protocol() {
    let trusted = HttpSetup::default().listener("trusted_proxies = [\"127.0.0.0/8\"]");
    let (front, node) = alone(trusted).await;
    let request =
        "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n";
    let head = asked(&mut front.client().await, &node, request).await;
    assert_eq!(head.header("x-forwarded-for"), Some("1.2.3.4, 127.0.0.1"));
    assert_eq!(head.header("x-forwarded-proto"), Some("https"));

    let (front, node) = alone(announced().cluster("loopback_users = []")).await;
    let mut client = front.client().await;
    client.send("PROXY TCP4 10.9.8.7 10.0.0.1 4000 8443\r\n").await.unwrap();
    let head = asked(&mut client, &node, request).await;
    assert_eq!(head.header("x-forwarded-for"), Some("10.9.8.7"), "the proxy says who it is");
    assert_eq!(head.header("x-forwarded-port"), Some("8443"));
    let record = front.record("a record", |_| true).await;
    assert_eq!(record["client"], "10.9.8.7:4000");
    let mut none = front.client().await;
    none.send(request).await.unwrap();
    none.expect_end().await.unwrap();
    front.record("one without", |record| record["reason"] == "proxy-missing").await;
}

/// A listener whose clients are announced by a PROXY header.
fn announced() -> HttpSetup {
    let setup = HttpSetup::default().listener("proxy_protocol = \"required\"");
    setup.listener("trusted_proxies = [\"127.0.0.0/8\"]")
}

#[tokio::test]
async fn a_client_of_another_host_is_kept_from_a_node_that_would_take_it_for_a_local_one() {
    let (front, node) = alone(announced()).await;
    let request =
        "GET /api/whoami HTTP/1.1\r\nHost: h\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n";
    let mut local = front.client().await;
    local.send("PROXY TCP4 127.0.0.9 127.0.0.1 4000 8443\r\n").await.unwrap();
    asked(&mut local, &node, request).await;
    let mut stranger = front.client().await;
    stranger.send("PROXY TCP4 10.9.8.7 10.0.0.1 4000 8443\r\n").await.unwrap();
    stranger.send(request).await.unwrap();
    let (answer, text) = stranger.answered().await.unwrap();
    assert_eq!(answer.status(), 403, "{text}");
    assert!(text.contains("loopback_users"), "{text}");
    let record = front.record("a refusal", |record| record["reason"] == "access-refused").await;
    assert_eq!(record["client"], "10.9.8.7:4000");
}

#[tokio::test]
async fn bodies_pass_as_they_come_in_both_directions() {
    let (front, node) = alone(HttpSetup::default()).await;
    let mut client = front.client().await;
    let head = "PUT /api/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(&format!("{head}5\r\nfirst\r\n")).await.unwrap();
    let mut node = HttpPeer::accept(&node).await.unwrap();
    assert_eq!(node.head().await.unwrap().header("transfer-encoding"), Some("chunked"));
    assert_eq!(node.chunk().await.unwrap(), "first");
    client.send("6\r\nsecond\r\n0\r\n\r\n").await.unwrap();
    assert_eq!((&*node.chunk().await.unwrap(), &*node.chunk().await.unwrap()), ("second", ""));
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    node.send(&format!("{head}3\r\none\r\n")).await.unwrap();
    assert_eq!(client.head().await.unwrap().status(), 200);
    assert_eq!(client.chunk().await.unwrap(), "one");
    node.send("3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
    assert_eq!((&*client.chunk().await.unwrap(), &*client.chunk().await.unwrap()), ("two", ""));
    let record = front.record("a record", |_| true).await;
    assert_eq!((&record["bytes_from_client"], &record["bytes_to_client"]), (&11.into(), &6.into()));
}

#[tokio::test]
async fn lengths_head_requests_and_the_leave_to_send_a_body_are_kept() {
    let (front, node) = alone(HttpSetup::default()).await;
    let mut client = front.client().await;
    let head =
        "POST /api/x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    client.send(head).await.unwrap();
    assert_eq!(client.head().await.unwrap().status(), 100);
    client.send("body").await.unwrap();
    let mut served = HttpPeer::accept(&node).await.unwrap();
    let head = served.head().await.unwrap();
    assert_eq!((head.header("content-length"), head.header("expect")), (Some("4"), None));
    assert_eq!(served.text(4).await.unwrap(), "body");
    served.answer("204 No Content", "").await.unwrap();
    assert_eq!(client.head().await.unwrap().status(), 204);

    client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert_eq!(served.head().await.unwrap().line, "HEAD / HTTP/1.1");
    served.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n").await.unwrap();
    assert_eq!(client.head().await.unwrap().header("content-length"), Some("1234"));
    client.send("GET /next HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert_eq!(served.head().await.unwrap().line, "GET /next HTTP/1.1", "the same connection");
}

#[tokio::test]
async fn a_client_of_http_1_0_is_served_and_one_that_asks_for_nothing_here_is_not() {
    let (front, node) = alone(HttpSetup::default()).await;
    let mut client = front.client().await;
    let head = asked(&mut client, &node, "GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(head.line, "GET / HTTP/1.1");
    assert_eq!(head.header("host"), Some(&*front.address.to_string()));
    client.expect_end().await.unwrap();
    let twice = "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
    for request in ["GET / HTTP/1.1\r\n\r\n", twice, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"] {
        let mut client = front.client().await;
        client.send(request).await.unwrap();
        assert_eq!(client.head().await.unwrap().status(), 400, "{request}");
    }
    let mut again = front.client().await;
    again.send("GET / HTTP/1.1\r\nHost: h\r\nVia: 1.1 amqp-gateway-gw\r\n\r\n").await.unwrap();
    assert_eq!(again.head().await.unwrap().status(), 508, "it was here before");
    let mut proxied = front.client().await;
    proxied.send("CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n").await.unwrap();
    assert_eq!(proxied.head().await.unwrap().status(), 405);
    let mut garbage = front.client().await;
    garbage.send("AMQP\x00\x00\x09\x01\r\n\r\n").await.unwrap();
    front.record("garbage", |record| record["reason"] == "bad-request").await;
}

#[tokio::test]
async fn a_websocket_is_relayed_both_ways_until_both_sides_have_ended() {
    let (front, node) = alone(HttpSetup::default()).await;
    let mut client = front.client().await;
    let upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
    client.send(&format!("GET /ws HTTP/1.1\r\nHost: h\r\n{upgrade}\r\n")).await.unwrap();
    let mut node = HttpPeer::accept(&node).await.unwrap();
    let head = node.head().await.unwrap();
    assert_eq!(
        (head.header("upgrade"), head.header("connection")),
        (Some("websocket"), Some("upgrade"))
    );
    node.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello").await.unwrap();
    let head = client.head().await.unwrap();
    assert_eq!((head.status(), head.header("upgrade")), (101, Some("websocket")));
    assert_eq!(client.text(5).await.unwrap(), "hello");
    client.send("from the client").await.unwrap();
    assert_eq!(node.text(15).await.unwrap(), "from the client");
    client.half_close().await.unwrap();
    node.expect_end().await.unwrap();
    node.send("a last word").await.unwrap();
    assert_eq!(client.text(11).await.unwrap(), "a last word");
    drop(node);
    client.expect_end().await.unwrap();
    let record = front.record("a record", |record| record["status"] == 101).await;
    assert_eq!(
        (&record["bytes_from_client"], &record["bytes_to_client"]),
        (&15.into(), &16.into())
    );
    assert!(record["reason"].is_null(), "{record}");
}

#[tokio::test]
async fn what_a_node_has_not_answered_is_asked_of_another_only_if_it_may_be_asked_twice() {
    let nodes = [node().await, node().await];
    let front = HttpSetup::default().scripted(&nodes).start().await;
    // Whoever is asked first breaks off.
    let break_off = async |request: &str| {
        let mut client = front.client().await;
        client.send(request).await.unwrap();
        let (first, other) = tokio::select! {
            first = HttpPeer::accept(&nodes[0]) => (first.unwrap(), &nodes[1]),
            first = HttpPeer::accept(&nodes[1]) => (first.unwrap(), &nodes[0]),
        };
        let mut first = first;
        first.head().await.unwrap();
        drop(first);
        (client, other)
    };
    let (mut client, other) = break_off("GET /api/queues HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut served = HttpPeer::accept(other).await.unwrap();
    served.head().await.unwrap();
    served.answer("200 OK", "[]").await.unwrap();
    assert_eq!(client.answered().await.unwrap().1, "[]");
    drop(served);

    let post = "POST /api/x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab";
    let (mut client, _) = break_off(post).await;
    let (head, text) = client.answered().await.unwrap();
    assert_eq!((head.status(), head.header("content-type")), (502, Some("application/json")));
    assert!(text.contains("\"bad_gateway\"") && text.contains("cluster main"), "{text}");
    let record = front.record("a record", |record| record["status"] == 502).await;
    assert_eq!(record["reason"], "node-lost");
}

#[tokio::test]
async fn a_browser_is_told_in_a_page_that_no_node_takes_its_request() {
    let nodes = [node().await];
    let setup = HttpSetup::default().scripted(&nodes);
    drop(nodes);
    let front = setup.start().await;
    let mut client = front.client().await;
    client.send("GET / HTTP/1.1\r\nHost: h\r\nAccept: text/html\r\n\r\n").await.unwrap();
    let (head, text) = client.answered().await.unwrap();
    assert_eq!(
        (head.status(), head.header("content-type")),
        (503, Some("text/html; charset=utf-8"))
    );
    assert!(text.contains("RabbitMQ cluster main cannot be reached: node n1"), "{text}");
    let record = front.record("a record", |_| true).await;
    assert_eq!((&record["reason"], &record["node"]), (&"no-node".into(), &"n1".into()));
}

#[tokio::test]
async fn a_head_that_comes_slowly_is_cut_and_an_idle_connection_is_not() {
    let (front, node) = alone(HttpSetup::default().gateway("handshake_timeout = \"1s\"")).await;
    let mut idle = front.client().await;
    idle.send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut served = HttpPeer::accept(&node).await.unwrap();
    served.head().await.unwrap();
    served.answer("200 OK", "1").await.unwrap();
    idle.answered().await.unwrap();
    let mut slow = front.client().await;
    slow.send("GET / HTTP/1.1\r\nHo").await.unwrap();
    slow.expect_end().await.unwrap();
    let record = front.record("a record", |record| record["reason"] == "head-timeout").await;
    assert!(record["method"].is_null() && record["client"] == slow.local_addr().to_string());
    idle.send("GET /second HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert_eq!(served.head().await.unwrap().line, "GET /second HTTP/1.1");
    served.answer("200 OK", "2").await.unwrap();
    assert_eq!(idle.answered().await.unwrap().1, "2");
    idle.send("GET /third HTTP/1.1\r\nHo").await.unwrap();
    idle.expect_end().await.unwrap();
}

#[tokio::test]
async fn a_node_is_not_read_while_the_client_is_not() {
    let (front, node) = alone(HttpSetup::default()).await;
    let mut client = front.client().await;
    client.send("GET /much HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut node = HttpPeer::accept(&node).await.unwrap();
    node.head().await.unwrap();
    let (chunk, chunks) = ("x".repeat(1024 * 1024), 64);
    let all = chunk.len() * chunks;
    node.send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {all}\r\n\r\n")).await.unwrap();
    let mut sent = 0;
    let mut sending = Box::pin(async {
        for _ in 0..chunks {
            node.send(&chunk).await.unwrap();
            sent += 1;
        }
    });
    let stuck = tokio::time::timeout(Duration::from_secs(2), &mut sending).await;
    assert!(stuck.is_err(), "all {all} bytes were taken with nobody to read them");
    let read = async {
        client.head().await.unwrap();
        for _ in 0..chunks {
            client.text(chunk.len()).await.unwrap();
        }
    };
    tokio::join!(sending, read);
    assert_eq!(sent, chunks);
}

#[tokio::test]
async fn an_answer_before_the_end_of_an_upload_reaches_the_client() {
    let (front, node) = alone(HttpSetup::default()).await;
    let mut client = front.client().await;
    let all = 64 * 1024 * 1024;
    client
        .send(&format!("PUT /api/x HTTP/1.1\r\nHost: h\r\nContent-Length: {all}\r\n\r\nbegin"))
        .await
        .unwrap();
    let mut node = HttpPeer::accept(&node).await.unwrap();
    node.head().await.unwrap();
    node.answer("413 Payload Too Large", "too much").await.unwrap();
    let (head, text) = client.answered().await.unwrap();
    assert_eq!((head.status(), &*text), (413, "too much"));
}

#[tokio::test]
async fn at_sigterm_a_request_under_way_is_finished_and_an_idle_connection_is_closed() {
    let (mut front, node) = alone(HttpSetup::default()).await;
    let mut idle = front.client().await;
    asked(&mut idle, &node, "GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut client = front.client().await;
    client.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut served = HttpPeer::accept(&node).await.unwrap();
    served.head().await.unwrap();
    front.gateway.terminate().unwrap();
    idle.expect_end().await.unwrap();
    let refused = async || HttpPeer::connect(front.address).await.is_err();
    wait::until("nobody to be accepted", SOON, refused).await.unwrap();
    served.answer("200 OK", "late").await.unwrap();
    assert_eq!(client.answered().await.unwrap().1, "late");
    client.expect_end().await.unwrap();
    assert!(front.gateway.wait(SOON).await.unwrap().success());
}

#[tokio::test]
async fn what_is_left_when_the_time_to_drain_is_over_is_cut() {
    let (mut front, node) = alone(HttpSetup::default().gateway("drain_timeout = \"1s\"")).await;
    let mut client = front.client().await;
    client.send("GET /never HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut served = HttpPeer::accept(&node).await.unwrap();
    served.head().await.unwrap();
    front.gateway.terminate().unwrap();
    client.expect_end().await.unwrap();
    assert!(front.gateway.wait(SOON).await.unwrap().success());
    front.record("a record", |record| record["reason"] == "cut").await;
}

#[tokio::test]
async fn connections_over_the_limit_of_a_listener_wait() {
    let (front, node) = alone(HttpSetup::default().listener("max_connections = 1")).await;
    let mut first = front.client().await;
    asked(&mut first, &node, "GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut second = front.client().await;
    second.send("GET /second HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut third = front.client().await;
    third.send("GET /third HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let sessions = front.gateway.metric("amqp_gateway_sessions", &["listener=\"ui\""]).await;
    assert_eq!(sessions.unwrap(), 1.0);
    drop(first);
    let mut served = HttpPeer::accept(&node).await.unwrap();
    assert_eq!(served.head().await.unwrap().line, "GET /second HTTP/1.1");
}

#[tokio::test]
async fn browsers_are_sent_to_https_with_the_host_they_asked_for() {
    let extra = HttpSetup::default().extra("redirect_to_https = 15671");
    let (front, _node) = alone(extra).await;
    let mut client = HttpPeer::connect(front.extra).await.unwrap();
    for method in ["GET", "PUT", "DELETE"] {
        let request = "/api/queues?page=1 HTTP/1.1\r\nHost: rabbit.example.com:15672\r\n\r\n";
        client.send(&format!("{method} {request}")).await.unwrap();
        let (head, _) = client.answered().await.unwrap();
        let to = "https://rabbit.example.com:15671/api/queues?page=1";
        assert_eq!((head.status(), head.header("location")), (308, Some(to)), "{head:?}");
    }
    client.send("GET / HTTP/1.1\r\nHost: evil@host\r\n\r\n").await.unwrap();
    assert_eq!(client.head().await.unwrap().status(), 400);
}

#[tokio::test]
async fn https_is_told_to_the_node_and_plain_http_is_told_that_this_is_https() {
    let authority = Authority::new("ca").unwrap();
    let server = authority.server(&["localhost"]).unwrap().write("server").unwrap();
    let (chain, key) = (server.chain.display(), server.key.display());
    let tls = format!("tls = {{ certificates = [{{ chain = \"{chain}\", key = \"{key}\" }}] }}");
    let (front, node) = alone(HttpSetup::default().listener(&tls)).await;
    let trust = ClientTls::new(&authority, "localhost");
    let mut client = HttpPeer::connect_tls(front.address, &trust).await.unwrap();
    let head = asked(&mut client, &node, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(head.header("x-forwarded-proto"), Some("https"));
    assert_eq!(front.record("a record", |_| true).await["scheme"], "https");

    let mut plain = front.client().await;
    let (head, text) = plain.get("/").await.unwrap();
    assert_eq!(head.status(), 400);
    assert!(text.contains("This port speaks https."), "{text}");
    plain.expect_end().await.unwrap();
    front.record("the plain one", |record| record["reason"] == "not-tls").await;
}

//! How sessions end that the client ends, or that never become one: what the client hears, what
//! the node gets, and what is written down.

use std::net::SocketAddr;
use std::time::Duration;

use integration::peer::{Args, Frame, HEADER, Peer, ScriptedBroker};
use tokio::time::{Instant, interval};

use crate::front::{Front, SOON, Setup, end_of, nobody};

#[tokio::test]
async fn what_is_not_amqp_091_gets_its_header_and_an_orderly_end() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    let http = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\n\r\n".repeat(40);
    let hello = [&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[0xA5; 506]].concat();
    let cases: [(&[u8], &str); 7] = [
        (&http, "http"),
        (&hello, "tls"),
        (b"AMQP\x01\x01\x08\x00", "amqp-version"),
        (b"AMQP\x01\x01\x00\x09", "amqp-version"),
        (b"AMQP\x00\x00\x09\x02", "amqp-version"),
        (b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", "proxy-protocol"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "unknown"),
    ];
    for (count, (bytes, guess)) in cases.into_iter().enumerate() {
        let mut client = front.client().await;
        client.send_raw(bytes).await.unwrap();
        client.expect_header(HEADER).await.unwrap();
        client.expect_fin().await.unwrap();
        drop(client);
        let record = &front.ends(count + 1).await[count];
        assert_eq!(record, "client handshake not-amqp", "{guess}");
        let looks = format!("looks like {guess}");
        front.gateway.wait_for_log(&looks, SOON).await.unwrap();
    }
    // The first connection that the node gets is this one's.
    front.still_serves(&broker).await;
}

#[tokio::test]
async fn the_handshake_has_a_deadline_that_no_drip_of_bytes_moves() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let setup = Setup::at_open().gateway("handshake_timeout = \"1s\"");
    let front = setup.start(&[broker.address()]).await;
    let mute = async || {
        let mut client = front.client().await;
        let address = client.local_addr().unwrap();
        client.expect_fin().await.unwrap();
        address
    };
    let mute_after_start = async || {
        let mut client = front.client().await;
        let address = client.local_addr().unwrap();
        client.send_raw(&HEADER).await.unwrap();
        client.expect_method((10, 10)).await.unwrap();
        client.expect_fin().await.unwrap();
        address
    };
    let begin = Instant::now();
    let ended = tokio::join!(mute(), mute_after_start(), drip(&front));
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    for address in [ended.0, ended.1, ended.2] {
        let record = front.record_of(address).await;
        assert_eq!(crate::front::end_of(&record), "client handshake handshake-timeout");
        assert!(record["duration_ms"].as_f64().unwrap() >= 1000.0, "{record}");
    }
    front.still_serves(&broker).await;
}

/// A client that would take half a minute for its handshake, byte by byte.
async fn drip(front: &Front) -> SocketAddr {
    let mut client = front.client().await;
    let address = client.local_addr().unwrap();
    let mut pace = interval(Duration::from_millis(100));
    for byte in [&HEADER[..], &start_ok("app", "secret", true).encode()].concat().repeat(5) {
        pace.tick().await;
        if client.send_raw(&[byte]).await.is_err() {
            return address;
        }
    }
    panic!("the gateway took the whole drip");
}

/// PLAIN; `told` = wants to hear of a wrong password.
fn start_ok(user: &str, password: &str, told: bool) -> Frame {
    let capabilities = Args::new().boolean("authentication_failure_close", told);
    let properties = Args::new().string("product", "scripted").table("capabilities", capabilities);
    let args = Args::new()
        .nested(properties)
        .shortstr("PLAIN")
        .longstr(format!("\0{user}\0{password}").as_bytes())
        .shortstr("en_US");
    Frame::method(0, (10, 11), args)
}

#[tokio::test]
async fn a_session_without_a_route_is_refused_in_answer_to_open() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let reject = "[[route]]\nvhost = \"shut\"\nreject = { code = 402, text = \"until Monday\" }\n\
                  [[route]]\nuser = \"intruder\"\nreject = { code = 403, text = \"not you\" }\n";
    let front = Setup::at_open().more(reject).start(&[broker.address()]).await;
    let cases = [
        ("app", "nowhere", 530, "nowhere"),
        ("app", "shut", 402, "until Monday"),
        ("intruder", "nowhere", 403, "not you"),
    ];
    for (count, (user, vhost, code, text)) in cases.into_iter().enumerate() {
        let mut client = front.client().await;
        let tune = client.login(user, "secret").await.unwrap();
        client.send_open(vhost, tune).await.unwrap();
        let close = client.expect_goodbye().await.unwrap();
        assert_eq!(close.0, code, "{close:?}");
        assert!(close.1.contains(text), "{close:?}");
        let record = &front.records(count + 1).await[count];
        assert_eq!(crate::front::end_of(record), format!("gateway route no-route {code}"));
        assert_eq!((&record["user"], &record["vhost"]), (&user.into(), &vhost.into()));
    }
    front.still_serves(&broker).await;
}

/// What a client of AMQP 1.0 says first.
const AMQP_10: [u8; 8] = *b"AMQP\x03\x01\x00\x00";

#[tokio::test]
async fn amqp_10_is_answered_with_the_header_of_0_9_1_where_no_cluster_can_take_it() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_open().start(&[broker.address()]).await;
    let mut client = front.client().await;
    client.send_raw(&AMQP_10).await.unwrap();
    client.expect_header(HEADER).await.unwrap();
    client.expect_fin().await.unwrap();
    drop(client);
    assert_eq!(front.ends(1).await, ["gateway route no-route"]);
    front.still_serves(&broker).await;
}

#[tokio::test]
async fn amqp_10_passes_untouched_and_ends_without_a_close_that_it_would_not_understand() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let (refuses, _ports) = nobody();
    let front = Setup::at_accept().start(&[refuses, broker.address()]).await;
    for node_leaves in [true, false] {
        let mut client = front.client().await;
        let address = client.local_addr().unwrap();
        client.send_raw(&AMQP_10).await.unwrap();
        let mut node = broker.accept().await.unwrap();
        node.expect_header(AMQP_10).await.unwrap();
        node.send_raw(&AMQP_10).await.unwrap();
        client.expect_header(AMQP_10).await.unwrap();
        let (up, down) = ([0xFE; 5000], [0xFD; 7000]);
        client.send_raw(&up).await.unwrap();
        node.send_raw(&down).await.unwrap();
        assert_eq!(node.read_bytes().await.unwrap(), up);
        assert_eq!(client.read_bytes().await.unwrap(), down);
        if node_leaves {
            drop(node);
            client.expect_eof().await.unwrap();
            drop(client);
            assert_eq!(front.end_of(address).await, "node relay node-lost");
        } else {
            drop(client);
            node.expect_fin().await.unwrap();
            drop(node);
            assert_eq!(front.end_of(address).await, "client relay client-gone");
        }
    }
}

#[tokio::test]
async fn the_record_of_an_amqp_10_client_that_found_no_node_names_the_cluster_and_the_last_node() {
    let (refuses, _ports) = nobody();
    let front = Setup::at_accept().start(&[refuses]).await;
    let mut client = front.client().await;
    client.send_raw(&AMQP_10).await.unwrap();
    client.expect_eof().await.unwrap();
    let record = &front.records(1).await[0];
    assert_eq!(end_of(record), "gateway connect no-node");
    assert_eq!((record["cluster"].as_str(), record["node"].as_str()), (Some("main"), Some("n1")));
}

#[tokio::test]
async fn a_client_that_closes_in_its_handshake_is_told_close_ok() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_open().start(&[broker.address()]).await;
    let mut client = front.client().await;
    client.login("app", "secret").await.unwrap();
    let close = Args::new().u16(200).shortstr("changed my mind").u16(0).u16(0);
    client.send_method(0, (10, 50), close).await.unwrap();
    client.expect_method((10, 51)).await.unwrap();
    client.expect_fin().await.unwrap();
    drop(client);
    assert_eq!(front.ends(1).await, ["client handshake client-closed 200"]);
    front.still_serves(&broker).await;
}

#[tokio::test]
async fn when_the_client_vanishes_the_node_gets_all_it_sent_and_then_the_end() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    let body = Frame::body(1, &[7; 100_000]).encode();
    for (resets, sent) in
        [(false, &body[..]), (true, &body[..]), (false, &body[..60_000]), (true, &body[..60_000])]
    {
        let (mut client, mut node) = front.open(&broker).await;
        let address = client.local_addr().unwrap();
        client.send_raw(sent).await.unwrap();
        if resets {
            // All of it has left the client: a reset would take what is still on its way.
            integration::wait::until("an empty send queue", SOON, async || {
                unsent(client.stream()) == 0
            })
            .await
            .unwrap();
            client.reset().unwrap();
        } else {
            client.half_close().await.unwrap();
        }
        let got = node.read_to_end().await.unwrap();
        assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
        drop(node);
        assert_eq!(front.end_of(address).await, "client relay client-gone");
    }
    front.still_serves(&broker).await;
}

/// Bytes that the peer's kernel has not acknowledged.
fn unsent(stream: &tokio::net::TcpStream) -> usize {
    let local = stream.local_addr().unwrap().port();
    let peer = stream.peer_addr().unwrap().port();
    let hex = |port: u16| format!("0100007F:{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let line = table.lines().find(|line| line.contains(&format!("{} {}", hex(local), hex(peer))));
    let queues = line.and_then(|line| line.split_ascii_whitespace().nth(4)).unwrap();
    usize::from_str_radix(queues.split(':').next().unwrap(), 16).unwrap()
}

/// A frame that is none, and whether the node can still be told connection.close after it.
fn broken_frames() -> Vec<(&'static str, Vec<u8>, bool)> {
    let mut bad_end = Frame::body(1, &[7; 2000]).encode();
    *bad_end.last_mut().unwrap() = 0;
    let mut bad_method = Frame::method(1, (20, 10), Args::new().shortstr("")).encode();
    *bad_method.last_mut().unwrap() = 0;
    let oversize = Frame::body(1, &vec![7; 131_072 + 1]).encode();
    let unknown = Frame { kind: 77, channel: 0, payload: vec![1, 2, 3] }.encode();
    vec![
        ("an oversize frame", oversize, true),
        ("an unknown kind", unknown, true),
        ("a method without its end", bad_method, true),
        ("a body without its end", bad_end, false),
    ]
}

#[tokio::test]
async fn a_client_that_breaks_the_framing_is_told_501_and_nothing_of_it_reaches_the_node() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    for (what, broken, can_close) in broken_frames() {
        let (mut client, mut node) = front.open(&broker).await;
        let address = client.local_addr().unwrap();
        let good = Frame::body(1, b"good").encode();
        let poison = Frame::body(1, b"poison").encode();
        client.send_raw(&[&good[..], &broken, &poison].concat()).await.unwrap();
        let hears = async {
            let close = client.expect_close().await.unwrap();
            assert_eq!(close.0, 501, "{what}: {close:?}");
            client.expect_fin().await.unwrap();
            drop(client);
        };
        let (got, ()) = tokio::join!(node_hears(&mut node, can_close), hears);
        assert!(got.starts_with(&good), "{what}");
        assert!(!got.windows(6).any(|bytes| bytes == b"poison"), "{what}");
        assert_eq!(can_close, closes_with_501(&got[good.len()..]), "{what}");
        if !can_close {
            assert!(broken[..broken.len() - 1].starts_with(&got[good.len()..]), "{what}");
        }
        assert_eq!(front.end_of(address).await, "client relay bad-frame 501", "{what}");
    }
    front.still_serves(&broker).await;
}

/// What the node gets up to its end; it closes as soon as it has been told to.
async fn node_hears(node: &mut Peer, closes: bool) -> Vec<u8> {
    if !closes {
        return node.read_until_gone().await.unwrap();
    }
    let mut got = Vec::new();
    loop {
        let frame = node.read_frame().await.unwrap();
        got.extend(frame.encode());
        if frame.id() == Some((10, 50)) {
            node.send_close_ok().await.unwrap();
            got.extend(node.read_until_gone().await.unwrap());
            return got;
        }
    }
}

/// Is it connection.close 501, and nothing else?
fn closes_with_501(bytes: &[u8]) -> bool {
    bytes.get(7..13) == Some(&[0, 10, 0, 50, 1, 0xF5]) && bytes.len() < 300
}

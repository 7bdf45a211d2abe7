//! How sessions go on, or end, when a node fails: before open-ok and after it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use integration::peer::{Args, BrokerTune, Frame, HEADER, Peer, ScriptedBroker};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::front::{Front, SOON, Setup, nobody};

/// How far a node comes in a handshake before it dies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Dies {
    BeforeStart,
    AfterStart,
    AfterTune,
    InPlaceOfOpenOk,
    /// It refuses as a node that an operator stops.
    Stopping,
}

const DEATHS: [Dies; 5] =
    [Dies::BeforeStart, Dies::AfterStart, Dies::AfterTune, Dies::InPlaceOfOpenOk, Dies::Stopping];

/// As a broker, up to its death.
async fn die(mut node: Peer, when: Dies) -> anyhow::Result<()> {
    node.expect_header(HEADER).await?;
    if when == Dies::BeforeStart {
        return Ok(());
    }
    node.send_start("AMQPLAIN PLAIN").await?;
    if when == Dies::AfterStart {
        return Ok(());
    }
    node.expect_method((10, 11)).await?;
    let tune = BrokerTune::default().tune;
    let tune = Args::new().u16(tune.channel_max).u32(tune.frame_max).u16(tune.heartbeat);
    node.send_method(0, (10, 30), tune).await?;
    if when == Dies::AfterTune {
        return Ok(());
    }
    node.expect_method((10, 31)).await?;
    node.expect_method((10, 40)).await?;
    if when == Dies::Stopping {
        let text = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'";
        let close = Args::new().u16(320).shortstr(text).u16(0).u16(0);
        node.send_method(0, (10, 50), close).await?;
        let _ = node.read_until_gone().await;
    }
    Ok(())
}

/// Serves one connection: whichever broker is reached first dies, the other one opens.
async fn serve_or_die(
    broker: &ScriptedBroker,
    died: &AtomicBool,
    when: Dies,
) -> anyhow::Result<Option<Peer>> {
    let mut node = broker.accept().await?;
    if !died.swap(true, Ordering::Relaxed) {
        die(node, when).await?;
        return Ok(None);
    }
    node.serve(&BrokerTune::default()).await?;
    Ok(Some(node))
}

/// A client that opens, and every frame it heard on the way.
async fn open_watching(front: &Front) -> (Peer, Vec<Frame>) {
    let mut client = front.client().await;
    client.send_raw(&HEADER).await.unwrap();
    let mut heard = vec![client.read_frame().await.unwrap()];
    let start_ok = Args::new()
        .nested(Args::new().string("product", "scripted"))
        .shortstr("PLAIN")
        .longstr(b"\0app\0secret")
        .shortstr("en_US");
    client.send_method(0, (10, 11), start_ok).await.unwrap();
    heard.push(client.read_frame().await.unwrap());
    client.send_open("orders", BrokerTune::default().tune).await.unwrap();
    heard.push(client.read_frame().await.unwrap());
    (client, heard)
}

async fn brokers() -> (ScriptedBroker, ScriptedBroker) {
    (ScriptedBroker::bind().await.unwrap(), ScriptedBroker::bind().await.unwrap())
}

#[tokio::test]
async fn a_node_that_dies_in_the_handshake_is_replaced_and_the_client_notices_nothing() {
    let (a, b) = brokers().await;
    for setup in [Setup::at_accept, Setup::at_open] {
        let front = setup().start(&[a.address()]).await;
        let healthy = AtomicBool::new(true);
        let ((_, undisturbed), served) =
            tokio::join!(open_watching(&front), serve_or_die(&a, &healthy, DEATHS[0]));
        served.unwrap().unwrap();
        for when in DEATHS {
            let front = setup().start(&[a.address(), b.address()]).await;
            let died = AtomicBool::new(false);
            let ((mut client, heard), on_a, on_b) = tokio::join!(
                open_watching(&front),
                serve_or_die(&a, &died, when),
                serve_or_die(&b, &died, when)
            );
            assert_eq!(heard, undisturbed, "{when:?}");
            let (on_a, on_b) = (on_a.unwrap(), on_b.unwrap());
            let mut node = on_a.or(on_b).unwrap();
            let sent = Frame::body(1, b"first");
            client.send_frame(&sent).await.unwrap();
            assert_eq!(node.read_frame().await.unwrap(), sent, "{when:?}");
        }
    }
}

#[tokio::test]
async fn when_every_node_dies_in_the_handshake_the_client_is_told_320() {
    let (a, b) = brokers().await;
    for setup in [Setup::at_accept, Setup::at_open] {
        // One that drops the connection in place of tune may mean the password: that is told in
        // its own way.
        for when in DEATHS.into_iter().filter(|when| *when != Dies::AfterStart) {
            let front = setup().start(&[a.address(), b.address()]).await;
            let heard = tokio::select! {
                heard = told_320(&front) => heard,
                () = keep_dying(&a, when) => unreachable!(),
                () = keep_dying(&b, when) => unreachable!(),
            };
            assert!(heard.contains("cluster main"), "{when:?}: {heard}");
            assert_eq!(front.ends(1).await, ["gateway connect no-node 320"], "{when:?}");
        }
    }
}

async fn keep_dying(broker: &ScriptedBroker, when: Dies) {
    loop {
        // How the gateway takes it is seen at the client.
        if let Ok(node) = broker.accept().await {
            let _ = die(node, when).await;
        }
    }
}

/// A client that is refused with 320 in answer to open; the text.
async fn told_320(front: &Front) -> String {
    let mut client = front.client().await;
    let tune = client.login("app", "secret").await.unwrap();
    client.send_open("orders", tune).await.unwrap();
    let (code, text) = client.expect_goodbye().await.unwrap();
    assert_eq!(code, 320, "{text}");
    text
}

#[tokio::test]
async fn a_node_that_refuses_connections_is_passed_over_unnoticed() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let (refuses, _ports) = nobody();
    for setup in [Setup::at_accept, Setup::at_open] {
        let front = setup().start(&[refuses, broker.address()]).await;
        for _ in 0..6 {
            front.still_serves(&broker).await;
        }
        let failures = "amqp_gateway_node_connect_failures_total";
        let labels = [r#"node="n1""#, r#"reason="refused""#];
        assert!(front.gateway.metric(failures, &labels).await.unwrap() >= 1.0);
        for record in front.records(6).await {
            assert_eq!(record["node"], "n2", "{record}");
        }
    }
}

#[tokio::test]
async fn with_all_nodes_down_the_client_is_led_to_open_and_told_320() {
    let (refuses, _ports) = nobody();
    for setup in [Setup::at_accept, Setup::at_open] {
        let front = setup().start(&[refuses]).await;
        let text = told_320(&front).await;
        assert!(text.contains("gateway gw") && text.contains("cluster main"), "{text}");
        assert_eq!(front.ends(1).await, ["gateway connect no-node 320"]);
    }
}

#[tokio::test]
async fn a_node_that_is_back_before_open_takes_the_client_that_found_none() {
    let (address, _ports) = nobody();
    let front = Setup::at_accept().start(&[address]).await;
    let mut client = front.client().await;
    let tune = client.login("app", "secret").await.unwrap();
    let node = TcpListener::bind(address).await.unwrap();
    client.send_open("orders", tune).await.unwrap();
    let serve = async {
        let mut node = Peer::new(node.accept().await?.0)?;
        node.serve(&BrokerTune::default()).await
    };
    let (served, opened) = tokio::join!(serve, client.expect_method((10, 41)));
    opened.unwrap();
    assert_eq!(served.unwrap().vhost, "orders");
}

#[tokio::test]
async fn a_node_that_is_silent_before_start_is_given_up_after_about_a_second() {
    let (hung, works) = brokers().await;
    for setup in [Setup::at_accept, Setup::at_open] {
        // The first session goes to the first node.
        let front = setup().start(&[hung.address(), works.address()]).await;
        let begin = Instant::now();
        let mute = async {
            let mut node = hung.accept().await.unwrap();
            node.expect_header(HEADER).await.unwrap();
            node.expect_eof().await.unwrap();
        };
        let healthy = AtomicBool::new(true);
        let (served, _, ()) =
            tokio::join!(serve_or_die(&works, &healthy, DEATHS[0]), open_watching(&front), mute);
        served.unwrap().unwrap();
        let took = begin.elapsed();
        assert!((Duration::from_millis(900)..Duration::from_secs(20)).contains(&took), "{took:?}");
    }
}

#[tokio::test]
async fn a_refused_login_is_no_failure_of_the_node_and_is_not_tried_elsewhere() {
    let (a, b) = brokers().await;
    let front = Setup::at_accept().start(&[a.address(), b.address()]).await;
    let refuse = async |broker: &ScriptedBroker, silently: bool| {
        let mut node = broker.accept().await?;
        node.expect_header(HEADER).await?;
        node.send_start("PLAIN").await?;
        node.expect_method((10, 11)).await?;
        if silently {
            // RabbitMQ keeps a client whose password is wrong waiting before it drops it.
            tokio::time::sleep(Duration::from_secs(3)).await;
        } else {
            let close = Args::new().u16(403).shortstr("ACCESS_REFUSED - no").u16(0).u16(0);
            node.send_method(0, (10, 50), close).await?;
            node.expect_method((10, 51)).await?;
        }
        anyhow::Ok(())
    };
    for (count, silently) in [false, true, false].into_iter().enumerate() {
        let mut client = front.client().await;
        let begin = Instant::now();
        let hears = async {
            let error = client.login("app", "wrong").await.unwrap_err();
            if !silently {
                client.send_close_ok().await.unwrap();
            }
            client.expect_eof().await.unwrap();
            format!("{error:#}")
        };
        let refused_once = async {
            tokio::select! {
                first = refuse(&a, silently) => first,
                other = refuse(&b, silently) => other,
            }
        };
        let (error, refused) = tokio::join!(hears, refused_once);
        refused.unwrap();
        assert_eq!(error.contains("ACCESS_REFUSED - no"), !silently, "{error}");
        assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
        let end = &front.ends(count + 1).await[count];
        let expected = if silently {
            "node connect refused-silently"
        } else {
            "node connect refused-by-node 403"
        };
        assert_eq!(end, expected);
    }
    let failures = "amqp_gateway_node_connect_failures_total";
    assert_eq!(front.gateway.metric(failures, &[]).await.unwrap(), 0.0);
}

#[tokio::test]
async fn a_node_that_dies_between_two_frames_is_told_to_the_client_with_320() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    for resets in [false, true] {
        let (mut client, mut node) = front.open(&broker).await;
        let address = client.local_addr().unwrap();
        let last = Frame::body(1, &[5; 70_000]);
        node.send_frame(&last).await.unwrap();
        assert_eq!(client.read_frame().await.unwrap(), last);
        if resets {
            node.reset().unwrap();
        } else {
            drop(node);
        }
        let (code, text) = client.expect_goodbye().await.unwrap();
        assert_eq!(code, 320);
        for part in ["gateway gw", "node n1", "cluster main"] {
            assert!(text.contains(part), "{text}");
        }
        drop(client);
        assert_eq!(front.end_of(address).await, "node relay node-lost 320");
    }
    front.still_serves(&broker).await;
}

#[tokio::test]
async fn a_node_that_dies_within_a_frame_costs_the_client_its_connection_and_no_close_is_mixed_in()
{
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    let (mut client, mut node) = front.open(&broker).await;
    let address = client.local_addr().unwrap();
    let half = &Frame::body(1, &[5; 100_000]).encode()[..50_000];
    node.send_raw(half).await.unwrap();
    drop(node);
    let got = client.read_until_gone().await.unwrap();
    assert!(got == half, "{} bytes", got.len());
    drop(client);
    assert_eq!(front.end_of(address).await, "node relay node-lost");
    front.still_serves(&broker).await;
}

#[tokio::test]
async fn a_node_that_closes_is_passed_on_unchanged() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    let (mut client, mut node) = front.open(&broker).await;
    let address = client.local_addr().unwrap();
    let text = "INTERNAL_ERROR - said by the node";
    let close = Frame::method(0, (10, 50), Args::new().u16(541).shortstr(text).u16(60).u16(40));
    node.send_frame(&close).await.unwrap();
    assert_eq!(client.read_frame().await.unwrap(), close);
    client.send_close_ok().await.unwrap();
    node.expect_method((10, 51)).await.unwrap();
    drop(node);
    client.expect_fin().await.unwrap();
    drop(client);
    let record = front.record_of(address).await;
    assert_eq!(crate::front::end_of(&record), "node relay node-closed 541");
    assert_eq!(record["reply_text"], text);
    front.still_serves(&broker).await;
}

#[tokio::test]
async fn a_node_that_sends_garbage_is_told_to_the_client_with_320() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    let (mut client, mut node) = front.open(&broker).await;
    let address = client.local_addr().unwrap();
    let good = Frame::body(1, b"good");
    let garbage = [good.encode(), b"\xFFgarbage".repeat(9000)].concat();
    node.send_raw(&garbage).await.unwrap();
    assert_eq!(client.read_frame().await.unwrap(), good);
    let (code, text) = client.expect_goodbye().await.unwrap();
    assert_eq!(code, 320, "{text}");
    assert!(text.contains("node n1 of cluster main"), "{text}");
    drop(client);
    assert_eq!(front.end_of(address).await, "node relay bad-frame 320");
    front.gateway.wait_for_log("bad-frame", SOON).await.unwrap();
    front.still_serves(&broker).await;
}

//! The hand-over from the gateway to a node, at each of the three moments: accept, start-ok, open.

use std::net::SocketAddr;
use std::time::Duration;

use integration::peer::{Args, BrokerTune, Frame, HEADER, Peer, ScriptedBroker, Tune};
use integration::{RabbitCluster, http, wait};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::front::{Front, SOON, Setup};
use crate::shared::setup;

/// What the nodes of the small cluster offer.
const SMALL: Tune = Tune { channel_max: 100, frame_max: 65_536, heartbeat: 60 };

static SMALL_CLUSTER: OnceCell<RabbitCluster> = OnceCell::const_new();

/// A cluster of one node that offers less than others.
async fn small() -> &'static RabbitCluster {
    let start = async || {
        let limits = "channel_max = 100\nframe_max = 65536";
        RabbitCluster::builder("small").extra_conf(limits).start().await.unwrap()
    };
    SMALL_CLUSTER.get_or_init(start).await
}

async fn large_nodes() -> Vec<SocketAddr> {
    let cluster = &setup().await.cluster;
    (1..=cluster.node_count()).map(|n| cluster.amqp_addr(n)).collect()
}

/// PLAIN; `told` = the client wants to hear of a wrong password.
fn start_ok(user: &str, password: &str, told: bool) -> Frame {
    let capabilities = Args::new().boolean("authentication_failure_close", told);
    let properties = Args::new()
        .string("product", "scripted")
        .string("connection_name", user)
        .table("capabilities", capabilities);
    let args = Args::new()
        .nested(properties)
        .shortstr("PLAIN")
        .longstr(format!("\0{user}\0{password}").as_bytes())
        .shortstr("en_US");
    Frame::method(0, (10, 11), args)
}

/// What a client hears that says header, start-ok, tune-ok and open, up to a close or open-ok.
async fn heard(address: SocketAddr, user: &str, password: &str, vhost: &str) -> Vec<Frame> {
    let mut client = Peer::connect(address).await.unwrap();
    client.send_raw(&HEADER).await.unwrap();
    let mut frames = vec![client.read_frame().await.unwrap()];
    client.send_frame(&start_ok(user, password, true)).await.unwrap();
    frames.push(client.read_frame().await.unwrap());
    if frames[1].id() == Some((10, 30)) {
        let mut tune = frames[1].arguments();
        let (channel_max, frame_max) = (tune.u16().unwrap(), tune.u32().unwrap());
        client.send_open(vhost, Tune { channel_max, frame_max, heartbeat: 0 }).await.unwrap();
        frames.push(client.read_frame().await.unwrap());
    }
    if frames.last().unwrap().id() == Some((10, 50)) {
        client.send_close_ok().await.unwrap();
    }
    frames
}

#[tokio::test]
async fn decided_at_accept_the_client_hears_every_word_of_the_broker() {
    let nodes = large_nodes().await;
    // Each node tells its own name.
    let front = Setup::at_accept().start(&nodes[..1]).await;
    let cases = [
        ("app", "secret", "orders", "client relay client-gone"),
        ("app", "wrong", "orders", "node connect refused-by-node 403"),
        ("app", "secret", "nowhere", "node connect refused-by-node 530"),
        ("noperm", "noperm", "orders", "node connect refused-by-node 530"),
    ];
    for (count, (user, password, vhost, end)) in cases.into_iter().enumerate() {
        let directly = heard(nodes[0], user, password, vhost).await;
        assert_eq!(heard(front.address, user, password, vhost).await, directly, "{user} {vhost}");
        assert_eq!(front.ends(count + 1).await[count], end);
    }
}

#[tokio::test]
async fn decided_at_open_the_brokers_refusals_pass_in_answer_to_open() {
    let nodes = large_nodes().await;
    let anywhere = "[[route]]\nvhost = \"*\"\ncluster = \"main\"\n";
    let front = Setup::at_open().more(anywhere).start(&nodes).await;
    let cases =
        [("app", "wrong", "orders"), ("app", "secret", "nowhere"), ("noperm", "noperm", "orders")];
    for (user, password, vhost) in cases {
        let directly = heard(nodes[0], user, password, vhost).await;
        let through = heard(front.address, user, password, vhost).await;
        assert_eq!(through.last(), directly.last(), "{user} {vhost}");
        assert_eq!(through.len(), 3, "{user} {vhost}");
    }
    let ends = front.ends(3).await;
    let expected = [403, 530, 530].map(|code| format!("node connect refused-by-node {code}"));
    assert_eq!(ends, expected);
}

/// Nobody waits, and each connection to a node is counted.
const COUNTED: &str = "admission = { rate = 1000, queue = 1000, wait = \"10s\" }";

#[tokio::test]
async fn a_client_that_cannot_be_told_of_a_wrong_password_is_dropped_when_the_broker_drops_it() {
    let nodes = large_nodes().await;
    for setup in [Setup::at_accept, Setup::at_open] {
        let front = setup().cluster(COUNTED).start(&nodes).await;
        let mut client = front.client().await;
        client.send_raw(&HEADER).await.unwrap();
        client.expect_method((10, 10)).await.unwrap();
        client.send_frame(&start_ok("app", "wrong", false)).await.unwrap();
        client.send_open("orders", BrokerTune::default().tune).await.unwrap();
        let begin = Instant::now();
        client.read_until_gone().await.unwrap();
        // The broker's three seconds, once.
        let took = begin.elapsed();
        assert!((Duration::from_millis(2500)..Duration::from_secs(15)).contains(&took), "{took:?}");
        assert_eq!(front.ends(1).await, ["node connect refused-silently"]);
        // A busy broker may take more than a second for its start: another is asked then, and that alone is a failure.
        let metric = async |name: &str, labels: &[&str]| {
            front.gateway.metric(&format!("amqp_gateway_{name}"), labels).await.unwrap()
        };
        let late = metric("node_connect_failures_total", &["reason=\"silent\""]).await;
        let asked = metric("admission_wait_seconds_count", &[]).await;
        let failed = metric("node_connect_failures_total", &[]).await;
        assert_eq!((asked, failed), (1.0 + late, late), "{}", front.gateway.log());
    }
}

#[tokio::test]
async fn decided_at_start_ok_each_user_gets_the_tune_of_its_own_cluster() {
    let (nodes, small) = (large_nodes().await, small().await);
    let routes = "[[route]]\nuser = \"admin\"\ncluster = \"small\"\n\
                  [[route]]\nuser = \"*\"\ncluster = \"main\"\n";
    let more = format!("{routes}{}", small.config_section());
    let front = Setup::default().more(&more).start(&nodes).await;
    for (user, password, direct) in [
        ("admin", "admin", small.amqp_addr(1)),
        ("app", "secret", nodes[0]),
        ("admin", "admin", small.amqp_addr(1)),
    ] {
        let directly = heard(direct, user, password, "orders").await;
        let through = heard(front.address, user, password, "orders").await;
        assert_eq!(through[1..], directly[1..], "{user}");
        assert_eq!(through[2].id(), Some((10, 41)), "{user}");
    }
    let clusters: Vec<_> =
        front.records(3).await.iter().map(|record| record["cluster"].clone()).collect();
    assert_eq!(clusters, ["small", "main", "small"]);
}

/// A gateway whose vhost `orders` leads to the large cluster, `billing` to the small one, and
/// `renamed` to `audit` there.
async fn by_vhost() -> Front {
    let (nodes, small) = (large_nodes().await, small().await);
    let routes = "[[route]]\nvhost = \"orders\"\ncluster = \"main\"\n\
                  [[route]]\nvhost = \"billing\"\ncluster = \"small\"\n\
                  [[route]]\nvhost = \"renamed\"\ncluster = \"small\"\nrename_vhost = \"audit\"\n";
    let more = format!("{routes}{}", small.config_section());
    Setup::default().more(&more).start(&nodes).await
}

#[tokio::test]
async fn decided_at_open_the_offer_is_what_the_nodes_have_in_common_once_they_are_known() {
    let front = by_vhost().await;
    let unknown = BrokerTune::default().tune;

    // Nothing is known of the small cluster, and its node takes no such frames.
    let mut client = front.client().await;
    assert_eq!(client.login("app", "secret").await.unwrap(), unknown);
    client.send_open("billing", unknown).await.unwrap();
    let (code, text) = client.expect_goodbye().await.unwrap();
    assert_eq!(code, 320, "{text}");
    assert!(text.contains("65536") && text.contains("reconnect"), "{text}");
    drop(client);
    assert_eq!(front.ends(1).await, ["gateway connect tune-mismatch 320"]);

    // That one lesson was enough.
    let mut client = front.client().await;
    let answer = Tune { heartbeat: 0, ..SMALL };
    assert_eq!(client.open_tuned("billing", answer).await.unwrap(), SMALL);
    client.open_channel(100).await.unwrap();
    client.close().await.unwrap();

    // What holds on both clusters is offered, whichever is asked for.
    let mut client = front.client().await;
    assert_eq!(client.open_tuned("orders", answer).await.unwrap(), SMALL);
    client.open_channel(1).await.unwrap();
    client.close().await.unwrap();
    let records = front.records(3).await;
    assert_eq!((&records[1]["cluster"], &records[2]["cluster"]), (&"small".into(), &"main".into()));
}

#[tokio::test]
async fn a_client_with_too_many_channels_is_given_what_an_unknown_node_has() {
    let front = by_vhost().await;
    let mut client = front.client().await;
    let answer = Tune { channel_max: 2047, frame_max: 65_536, heartbeat: 0 };
    client.open_tuned("billing", answer).await.unwrap();
    client.open_channel(100).await.unwrap();
    client.close().await.unwrap();
    assert_eq!(front.ends(1).await, ["client relay client-closed 200"]);
}

#[tokio::test]
async fn a_renamed_vhost_is_the_one_that_is_opened() {
    let (front, small) = (by_vhost().await, small().await);
    let mut client = front.client().await;
    let answer = Tune { heartbeat: 0, ..SMALL };
    client.open_tuned("renamed", answer).await.unwrap();
    client.open_channel(1).await.unwrap();
    client.send_method(1, (50, 10), declare("handover", false)).await.unwrap();
    client.expect_method((50, 11)).await.unwrap();
    for (vhost, there) in [("audit", (50, 11)), ("billing", (20, 40))] {
        let mut direct = Peer::connect(small.amqp_addr(1)).await.unwrap();
        direct.open("app", "secret", vhost).await.unwrap();
        direct.open_channel(1).await.unwrap();
        direct.send_method(1, (50, 10), declare("handover", true)).await.unwrap();
        direct.expect_method(there).await.unwrap();
    }
    client.close().await.unwrap();
    let record = &front.records(1).await[0];
    assert_eq!((&record["vhost"], &record["cluster"]), (&"renamed".into(), &"small".into()));
}

/// queue.declare of an auto-delete queue.
fn declare(queue: &str, passive: bool) -> Args {
    let bits = if passive { 0b0000_0001 } else { 0b0000_1000 };
    Args::new().u16(0).shortstr(queue).u8(bits).nested(Args::new())
}

#[tokio::test]
async fn the_broker_sees_the_clients_properties_and_where_it_came_from() {
    let nodes = large_nodes().await;
    let cluster = &setup().await.cluster;
    for setup in [Setup::at_accept, Setup::at_open] {
        let front = setup().start(&nodes).await;
        let mut client = front.client().await;
        let address = client.local_addr().unwrap().to_string();
        client.open("limited", "limited", "orders").await.unwrap();
        let url = cluster.mgmt_api(1, "connections");
        let mut seen = Value::Null;
        wait::until("the connection in the management API", SOON, async || {
            let all = http::get_json(&url).await.unwrap_or_default();
            let mut all = all.as_array().cloned().unwrap_or_default().into_iter();
            let ours = all.find(|c| c["client_properties"]["amqp_gateway_client"] == *address);
            seen = ours.unwrap_or_default();
            !seen.is_null()
        })
        .await
        .unwrap();
        let properties = &seen["client_properties"];
        assert_eq!(properties["amqp_gateway"], "gw", "{seen}");
        assert_eq!(properties["product"], "scripted", "{seen}");
        let capability = &properties["capabilities"]["authentication_failure_close"];
        assert_eq!(capability, true, "{seen}");
        assert_eq!((&seen["user"], &seen["vhost"]), (&"limited".into(), &"orders".into()));
        client.close().await.unwrap();
    }
}

/// As a broker: start with a mechanism of several steps, start-ok, and two challenges.
async fn challenge(node: &mut Peer) -> anyhow::Result<()> {
    node.expect_header(HEADER).await?;
    node.send_start("RABBIT-CR-DEMO PLAIN EXTERNAL").await?;
    node.expect_method((10, 11)).await?;
    for question in [&b"first"[..], b"second"] {
        node.send_method(0, (10, 20), Args::new().longstr(question)).await?;
        let answer = node.expect_method((10, 21)).await?.longstr()?;
        anyhow::ensure!(answer == [b"to ", question].concat(), "{answer:?}");
    }
    Ok(())
}

/// As a client: header and start-ok with this mechanism.
async fn ask(client: &mut Peer, mechanism: &str) -> anyhow::Result<()> {
    client.send_raw(&HEADER).await?;
    client.expect_method((10, 10)).await?;
    let args = Args::new().nested(Args::new()).shortstr(mechanism).longstr(b"me").shortstr("en_US");
    client.send_method(0, (10, 11), args).await
}

async fn answer_challenges(client: &mut Peer) -> anyhow::Result<()> {
    for _ in 0..2 {
        let question = client.expect_method((10, 20)).await?.longstr()?;
        let answer = [b"to ", &question[..]].concat();
        client.send_method(0, (10, 21), Args::new().longstr(&answer)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn decided_at_accept_a_sasl_conversation_passes() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    let mut client = front.client().await;
    let speaks = async {
        ask(&mut client, "RABBIT-CR-DEMO").await?;
        answer_challenges(&mut client).await?;
        client.expect_method((10, 30)).await?;
        client.send_open("orders", SMALL).await?;
        client.expect_method((10, 41)).await
    };
    let serves = async {
        let mut node = broker.accept().await?;
        challenge(&mut node).await?;
        let tune = Args::new().u16(100).u32(65_536).u16(60);
        node.send_method(0, (10, 30), tune).await?;
        node.expect_method((10, 31)).await?;
        let vhost = node.expect_method((10, 40)).await?.shortstr()?;
        node.send_method(0, (10, 41), Args::new().shortstr("")).await?;
        anyhow::Ok(vhost)
    };
    let (spoke, served) = tokio::join!(speaks, serves);
    spoke.unwrap();
    assert_eq!(served.unwrap(), "orders");
}

#[tokio::test]
async fn a_node_lost_in_a_sasl_conversation_is_not_replaced() {
    let (a, b) = (ScriptedBroker::bind().await.unwrap(), ScriptedBroker::bind().await.unwrap());
    let front = Setup::at_accept().start(&[a.address(), b.address()]).await;
    let mut client = front.client().await;
    let speaks = async {
        ask(&mut client, "RABBIT-CR-DEMO").await?;
        answer_challenges(&mut client).await?;
        client.expect_eof().await
    };
    let dies = async {
        let mut node = tokio::select! { node = a.accept() => node, node = b.accept() => node }?;
        challenge(&mut node).await
    };
    let (spoke, died) = tokio::join!(speaks, dies);
    spoke.unwrap();
    died.unwrap();
    assert_eq!(front.ends(1).await, ["node connect node-lost"]);
}

#[tokio::test]
async fn decided_at_open_only_mechanisms_that_can_be_handed_on_are_offered() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_open().start(&[broker.address()]).await;
    let mut client = front.client().await;
    client.send_raw(&HEADER).await.unwrap();
    let mut start = client.expect_method((10, 10)).await.unwrap();
    assert_eq!((start.u8().unwrap(), start.u8().unwrap()), (0, 9));
    start.longstr().unwrap();
    let mut offered: Vec<_> = String::from_utf8(start.longstr().unwrap())
        .unwrap()
        .split(' ')
        .map(str::to_owned)
        .collect();
    offered.sort();
    assert_eq!(offered, ["AMQPLAIN", "PLAIN"]);
    drop(client);

    let mut client = front.client().await;
    ask(&mut client, "EXTERNAL").await.unwrap();
    client.expect_eof().await.unwrap();
    assert_eq!(front.ends(2).await[1], "client handshake bad-handshake");

    // A node that asks back all the same.
    let mut client = front.client().await;
    let serves = async {
        let mut node = broker.accept().await?;
        challenge(&mut node).await
    };
    let speaks = async {
        ask(&mut client, "PLAIN").await?;
        client.expect_method((10, 30)).await?;
        client.send_open("orders", BrokerTune::default().tune).await?;
        client.expect_goodbye().await
    };
    let (spoke, served) = tokio::join!(speaks, serves);
    let (code, text) = spoke.unwrap();
    assert_eq!(code, 503, "{text}");
    assert!(text.contains("PLAIN"), "{text}");
    served.unwrap_err();
}

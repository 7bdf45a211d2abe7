//! What passes through chosen sessions is shown, method by method, to whoever asks.

use std::time::Duration;

use futures_util::StreamExt;
use integration::peer::{Args, Frame, Peer, ScriptedBroker};
use integration::suites::Lapin;
use integration::watching::Watching;
use integration::{command, wait};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::time::Instant;

use crate::front::{Front, SOON, Setup, heavy};
use crate::shared;

fn tap(front: &Front, arguments: &[&str]) -> Watching {
    Watching::start(&front.gateway, &[&["tap"], arguments].concat()).unwrap()
}

/// Publishes until the tap has shown that it is at work.
async fn until_shown(tap: &Watching, channel: &Channel) {
    let shown = async || {
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default();
        let sent = channel.basic_publish("".into(), "nobody".into(), options, b"", properties);
        sent.await.unwrap().await.unwrap();
        tap.lines().iter().any(|line| line.contains("basic.publish"))
    };
    wait::until("the tap to begin", SOON, shown).await.unwrap();
}

async fn open_channel(front: &Front) -> (lapin::Connection, Channel) {
    let connection = Lapin::new(front.address, "orders").connect().await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    (connection, channel)
}

#[tokio::test]
async fn a_tap_that_begins_in_mid_session_shows_each_method_with_its_arguments_and_no_secret() {
    let cluster = &shared::setup().await.cluster;
    let front = Setup::at_accept().start(&[cluster.amqp_addr(1)]).await;
    let (connection, channel) = open_channel(&front).await;
    let mut tap = tap(&front, &["--vhost", "orders", "--user", "app", "--bodies", "5"]);
    until_shown(&tap, &channel).await;

    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(7));
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    channel.queue_declare("tapped".into(), options, arguments).await.unwrap();
    let options = BasicConsumeOptions::default();
    let mut consumer = channel
        .basic_consume("tapped".into(), "me".into(), options, FieldTable::default())
        .await
        .unwrap();
    let mut headers = FieldTable::default();
    headers.insert("shop".into(), AMQPValue::LongString("one".into()));
    let properties =
        BasicProperties::default().with_content_type("text/plain".into()).with_headers(headers);
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let sent =
        channel.basic_publish("".into(), "tapped".into(), options, b"hello, world", properties);
    sent.await.unwrap().await.unwrap();
    let delivery = consumer.next().await.unwrap().unwrap();
    delivery.ack(BasicAckOptions::default()).await.unwrap();
    connection.update_secret("hunter2".into(), "it was time".into()).await.unwrap();
    connection.close(200, "goodbye".into()).await.unwrap();

    for texts in [
        &[
            "-> ",
            " 1 ",
            "queue.declare ",
            "queue=\"tapped\"",
            "exclusive=true",
            "{x-max-length: 7}",
        ][..],
        &["<- ", "queue.declare-ok ", "queue=\"tapped\" message-count=0 consumer-count=0"],
        &["-> ", "basic.consume ", "queue=\"tapped\" consumer-tag=\"me\""],
        &[
            "-> ",
            "basic.publish ",
            "exchange=\"\" routing-key=\"tapped\" mandatory=true immediate=false",
        ],
        &["-> ", "header ", "body-size=12 content-type=\"text/plain\" headers={shop: \"one\"}"],
        &["-> ", "body ", "size=12 \"hello\""],
        &["<- ", "basic.ack ", "multiple="],
        &[
            "<- ",
            "basic.deliver ",
            "consumer-tag=\"me\" delivery-tag=1 redelivered=false exchange=\"\" routing-key=\"tapped\"",
        ],
        &["-> ", "basic.ack ", "delivery-tag=1 multiple=false"],
        &["-> ", " 0 ", "connection.update-secret", "new-secret=***"],
        &["<- ", " 0 ", "connection.update-secret-ok"],
        &["-> ", "connection.close ", "reply-code=200 reply-text=\"goodbye\""],
    ] {
        tap.line(texts, SOON).await.unwrap();
    }
    // Sessions that begin meanwhile are seen, too, from the first frame after open-ok on.
    let (second, _channel) = open_channel(&front).await;
    tap.line(&["channel.open-ok"], SOON).await.unwrap();
    second.close(200, "bye again".into()).await.unwrap();
    tap.line(&["bye again"], SOON).await.unwrap();
    let all = tap.lines().join("\n");
    for secret in ["hunter2", "secret\"", "start-ok", "it was time"] {
        assert!(!all.contains(secret), "{secret} in:\n{all}");
    }
    assert_eq!(tap.interrupt().await.unwrap(), Some(0));
}

#[tokio::test]
async fn only_what_was_asked_for_is_shown_and_a_tap_of_one_session_ends_with_it() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    let (mut first, mut its_node) = front.open(&broker).await;
    let (mut second, mut other_node) = front.open(&broker).await;
    let mut of_first = tap(&front, &["--session", "1"]);
    let of_other_vhost = tap(&front, &["--vhost", "billing"]);
    let of_all = tap(&front, &["--json"]);
    let (mut seen, mut number) = (false, 0);
    while !seen {
        number += 1;
        publish(&mut first, &mut its_node, &format!("first-{number}")).await;
        publish(&mut second, &mut other_node, &format!("second-{number}")).await;
        let both = of_all.lines().iter().any(|line| line.contains("second-"));
        seen = both && of_first.lines().iter().any(|line| line.contains("first-"));
        tokio::task::yield_now().await;
    }
    let line = of_all.line(&["second-"], SOON).await.unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["session"], &line["method"]), (&2.into(), &"basic.publish".into()), "{line}");
    assert_eq!(line["direction"], "from_client");
    assert!(!of_first.lines().iter().any(|line| line.contains("second-")));
    assert_eq!(of_other_vhost.lines(), Vec::<String>::new());
    let of_none = command::run(&front.gateway, &["tap", "--session", "99"]).await.unwrap();
    assert_eq!((of_none.code, &*of_none.error), (Some(1), "There is no session 99.\n"));

    drop(first);
    assert_eq!(of_first.ended(SOON).await.unwrap(), Some(0));
}

async fn publish(client: &mut Peer, node: &mut Peer, key: &str) {
    let publish = Args::new().u16(0).shortstr("").shortstr(key).u8(0);
    client.send_method(1, (60, 40), publish).await.unwrap();
    client.send_frame(&Frame::content_header(1, 0)).await.unwrap();
    node.expect_method((60, 40)).await.unwrap();
    node.read_frame().await.unwrap();
}

#[tokio::test]
async fn sessions_whose_bytes_are_not_read_cannot_be_tapped() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let node_port = broker.address().port();
    let setup = Setup::at_accept()
        .listener("protocol = \"tcp\"")
        .listener(&format!("node_port = {node_port}"));
    let front = setup.start(&[broker.address()]).await;
    let mut client = TcpStream::connect(front.address).await.unwrap();
    client.write_all(b"MQTT?").await.unwrap();
    let mut node = broker.accept().await.unwrap();
    assert_eq!(node.read_bytes::<5>().await.unwrap(), *b"MQTT?");
    let done = command::run(&front.gateway, &["tap", "--session", "1"]).await.unwrap();
    assert_eq!(done.code, Some(1));
    assert!(done.error.starts_with("Session 1 does not speak AMQP 0-9-1"), "{}", done.error);
}

/// Messages of a flood: octets of each body, and how many.
const BODY: usize = 1024;
const FLOOD: usize = 100_000;

/// Publishes all messages, and returns how long it took until the node had them all.
async fn flood(client: &mut Peer, node: &mut Peer) -> Duration {
    let publish =
        Frame::method(1, (60, 40), Args::new().u16(0).shortstr("").shortstr("flood").u8(0));
    let message = [
        publish.encode(),
        Frame::content_header(1, BODY as u64).encode(),
        Frame::body(1, &[7; BODY]).encode(),
    ];
    let message = message.concat();
    let batch = message.repeat(100);
    let begun = Instant::now();
    let send = async {
        for _ in 0..FLOOD / 100 {
            client.send_raw(&batch).await.unwrap();
        }
    };
    let receive = async {
        let (mut buffer, mut left) = (vec![0; 256 * 1024], message.len() * FLOOD);
        while left > 0 {
            let most = buffer.len().min(left);
            left -= node.stream().read(&mut buffer[..most]).await.unwrap();
        }
    };
    tokio::join!(send, receive);
    begun.elapsed()
}

fn resident_kb(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_flood_is_shown_in_part_and_neither_delayed_nor_kept() {
    let _alone = heavy();
    Builder::new_current_thread().enable_all().build().unwrap().block_on(flooded());
}

async fn flooded() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    let (mut client, mut node) = front.open(&broker).await;
    let before = flood(&mut client, &mut node).await;
    let mut tap = tap(&front, &["--bodies", "4096"]);
    // And one who asks and never reads.
    let admin = front.gateway.admin_url("").unwrap().replace("http://", "");
    let mut deaf = TcpStream::connect(&admin).await.unwrap();
    let request = format!("GET /api/v1/tap?bodies=4096 HTTP/1.1\r\nHost: {admin}\r\n\r\n");
    deaf.write_all(request.as_bytes()).await.unwrap();
    deaf.readable().await.unwrap();
    let begun = async || {
        flood(&mut client, &mut node).await;
        tap.lines().iter().any(|line| line.contains("basic.publish"))
    };
    wait::until("the tap to begin", SOON, begun).await.unwrap();

    let resident = resident_kb(front.gateway.id());
    let mut tapped = Vec::new();
    for _ in 0..3 {
        tapped.push(flood(&mut client, &mut node).await);
    }
    let grown = resident_kb(front.gateway.id()).saturating_sub(resident);
    println!(
        "{FLOOD} messages: {before:?} untapped, {tapped:?} with two taps; {grown} kB more memory"
    );
    assert!(grown < 24 * 1024, "{grown} kB");
    let slowest = tapped.iter().max().unwrap();
    assert!(*slowest < before * 5 + Duration::from_secs(5), "{before:?}, then {tapped:?}");
    tap.line(&["lines are left out: there were too many"], SOON).await.unwrap();
    let shown = tap.lines().len();
    assert!(shown < FLOOD, "{shown} lines of {} frames", FLOOD * 3 * 3);
    assert_eq!(tap.interrupt().await.unwrap(), Some(0));
}

//! Handshakes of real client libraries with a real RabbitMQ, replayed through the bridge.
//!
//! `data/handshakes` holds them as they went over the wire, one frame a line: who said it, its
//! name, its bytes in hex. The first line of each file names library and broker with their
//! versions.
#![allow(clippy::unwrap_used)]

#[path = "../src/handshake/pair.rs"]
mod pair;

use std::fs;
use std::path::PathBuf;

use amqp_codec::frame::HEADER;
use amqp_codec::handshake::bridge::{Stage, Step};
use amqp_codec::handshake::server::Hello;
use amqp_codec::login_guard::LoginGuard;
use amqp_codec::protocol_header::AMQP_0_9_1;
use amqp_codec::tune::Tune;
use amqp_codec::wire::{self, ConnectionMethod};
use pair::{Client, End, Node, Owner, Pair};

const STAGES: [Stage; 3] = [Stage::Header, Stage::StartOk, Stage::Open];

/// Library, mechanism, number of client properties, product, connection_name.
type Expected = (&'static str, &'static str, usize, Option<&'static str>, Option<&'static str>);

const CLIENTS: [Expected; 10] = [
    ("aiormq", "PLAIN", 6, Some("aiormq"), Some("orders-aio")),
    ("amqp091-go", "PLAIN", 2, None, Some("orders-go")),
    ("amqplib", "PLAIN", 6, Some("amqplib"), Some("orders-node")),
    ("bunny", "PLAIN", 6, Some("Bunny"), Some("orders-ruby")),
    ("java-client", "PLAIN", 7, Some("RabbitMQ"), Some("orders-java")),
    ("lapin", "PLAIN", 4, Some("lapin"), None),
    ("librabbitmq", "PLAIN", 6, Some("rabbitmq-c"), None),
    ("php-amqplib", "AMQPLAIN", 6, Some("AMQPLib"), None),
    ("pika", "PLAIN", 6, Some("Pika Python Client Library"), Some("orders-worker-1")),
    ("py-amqp", "AMQPLAIN", 3, Some("py-amqp"), None),
];

struct Recording {
    lines: Vec<(String, String, Vec<u8>)>,
}

impl Recording {
    fn read(protocol: &str, name: &str) -> Self {
        let text = fs::read_to_string(folder(protocol).join(name).with_extension("txt")).unwrap();
        let line = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            let mut word = || words.next().unwrap();
            (word(), word(), unhex(&word()))
        };
        let lines = text.lines().filter(|line| !line.starts_with('#')).map(line).collect();
        Self { lines }
    }

    fn said_by(&self, who: &str) -> Vec<Vec<u8>> {
        let said = self.lines.iter().filter(|(from, _, _)| from == who);
        said.map(|(_, _, bytes)| bytes.clone()).collect()
    }

    /// The client's parts, as it said them: one after each frame it heard.
    fn client_parts(&self) -> Vec<Vec<u8>> {
        let mut parts = Vec::new();
        let mut listening = true;
        for (from, _, bytes) in &self.lines {
            let speaks = from == "client";
            if speaks && listening {
                parts.push(Vec::new());
            }
            if speaks {
                parts.last_mut().unwrap().extend_from_slice(bytes);
            }
            listening = !speaks;
        }
        parts
    }
}

fn folder(protocol: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/handshakes").join(protocol)
}

fn unhex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0, "{text}");
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn owner(decides_at: Stage) -> Owner {
    Owner {
        decides_at,
        rename_vhost: None,
        guard: LoginGuard::default(),
        identity: None,
        start: Recording::read("amqp-0-9-1", "pika").said_by("node")[0].clone(),
        mechanisms: vec!["AMQPLAIN".to_owned(), "PLAIN".to_owned()],
        tune: Tune { heartbeat: 20, ..Tune::RABBITMQ_DEFAULT },
        annotations: vec![("gateway", "gw1".to_owned()), ("gateway_session", "7".to_owned())],
    }
}

fn decode(frame: &[u8]) -> ConnectionMethod {
    wire::decode(&frame[HEADER..frame.len() - 1]).unwrap()
}

/// The node must hear the client's own frames, with our annotations behind its properties.
fn assert_node_heard(pair: &Pair, said: &[Vec<u8>]) {
    let (before, after) = (said[0].len(), said[2..].concat());
    assert_eq!(pair.node.heard[..before], AMQP_0_9_1);
    assert!(pair.node.heard.ends_with(&after));
    let start_ok = &pair.node.heard[before..pair.node.heard.len() - after.len()];
    let ConnectionMethod::StartOk(mut told) = decode(start_ok) else { panic!("{start_ok:?}") };
    assert_eq!(wire::text(&told.client_properties, "gateway"), Some("gw1"));
    assert_eq!(wire::text(&told.client_properties, "gateway_session"), Some("7"));
    let ConnectionMethod::StartOk(said) = decode(&said[1]) else { panic!("{said:?}") };
    let own = told.client_properties.inner().clone().into_iter();
    let own = own.filter(|(key, _)| !key.as_str().starts_with("gateway"));
    told.client_properties = own.collect::<std::collections::BTreeMap<_, _>>().into();
    assert_eq!(told, said);
}

fn assert_hello(hello: &Hello, expected: Expected) {
    let (_, mechanism, properties, product, connection_name) = expected;
    assert_eq!(hello.mechanism, mechanism);
    assert_eq!(hello.user.as_deref(), Some("app"));
    assert_eq!(hello.properties.keys().count(), properties);
    assert_eq!(hello.properties.text("product"), product);
    assert_eq!(hello.properties.text("connection_name"), connection_name);
}

#[test]
fn every_recording_is_expected_and_every_expected_one_is_there() {
    let files = fs::read_dir(folder("amqp-0-9-1")).unwrap();
    let mut names: Vec<_> =
        files.map(|f| f.unwrap().path().file_stem().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, CLIENTS.map(|client| client.0));
}

#[test]
fn recorded_clients_open_whenever_the_route_is_decided_and_however_bytes_are_cut() {
    for expected in CLIENTS {
        let recording = Recording::read("amqp-0-9-1", expected.0);
        let (said, answered) = (recording.said_by("client"), recording.said_by("node"));
        for (stage, piece) in STAGES.into_iter().flat_map(|s| [(s, 1), (s, 41), (s, u16::MAX)]) {
            let client = Client::in_turns(&recording.client_parts());
            let owner = owner(stage);
            let (start, tune) = (owner.start.clone(), wire::tune(owner.tune));
            let mut pair = Pair::new(owner, client, vec![Node::new(&answered)]);
            let end = pair.run(std::iter::repeat(piece));
            assert_eq!(end, End::Step(Step::Opened), "{} {stage:?}", expected.0);
            let heard = match stage {
                Stage::Header => answered.concat(),
                Stage::StartOk => [start, answered[1..].concat()].concat(),
                Stage::Open => [start, tune, answered[2].clone()].concat(),
            };
            assert_eq!(pair.client.heard, heard, "{} {stage:?}", expected.0);
            assert_node_heard(&pair, &said);
            assert_hello(pair.bridge.hello().unwrap(), expected);
            assert_eq!(pair.bridge.vhost(), Some("orders"));
            let tune = pair.into_opened().tune;
            let ConnectionMethod::TuneOk(tune_ok) = decode(&said[2]) else { panic!() };
            assert_eq!((tune.channel_max, tune.frame_max), (2047, 131_072));
            assert_eq!(tune.heartbeat, tune_ok.heartbeat);
        }
    }
}

#[test]
fn recorded_clients_notice_nothing_of_a_node_that_is_lost() {
    for expected in CLIENTS {
        let recording = Recording::read("amqp-0-9-1", expected.0);
        let (said, answered) = (recording.said_by("client"), recording.said_by("node"));
        for lost_after in (0..answered.concat().len()).step_by(37) {
            let mut lost = Node::new(&answered);
            lost.lost_after = Some(lost_after);
            let client = Client::in_turns(&recording.client_parts());
            let mut pair =
                Pair::new(owner(Stage::Header), client, vec![lost, Node::new(&answered)]);
            assert_eq!(pair.run([]), End::Step(Step::Opened));
            assert_eq!(pair.client.heard, answered.concat(), "{} {lost_after}", expected.0);
            assert_node_heard(&pair, &said);
        }
    }
}

#[test]
fn recorded_amqp_1_0_clients_are_told_apart_and_keep_every_byte() {
    let files = fs::read_dir(folder("amqp-1.0")).unwrap();
    let mut count = 0;
    for file in files {
        let name = file.unwrap().file_name().into_string().unwrap();
        let said = Recording::read("amqp-1.0", name.trim_end_matches(".txt")).said_by("client");
        let protocol_id = said[0][4];
        let mut pair = Pair::new(owner(Stage::Open), Client::pipelined(&said), vec![]);
        assert_eq!(pair.run([]), End::Step(Step::Amqp10 { protocol_id }), "{name}");
        assert_eq!(protocol_id, if name.contains("no-sasl") { 0 } else { 3 });
        assert_eq!(pair.client.heard, b"");
        assert_eq!(pair.into_opened().client_rest, said[1..].concat());
        count += 1;
    }
    assert_eq!(count, 7);
}

//! What the gateway offers in a broker's place: a start and a tune that hold on every node a session may reach.
//!
//! Before any node has answered, it is what RabbitMQ offers by default; afterwards, what the nodes have in common.

use std::sync::Arc;

use amqp_codec::handshake::bridge::Learned;
use amqp_codec::login_guard::EXTERNAL;
use amqp_codec::tune::Tune;
use amqp_codec::wire::{
    self, AMQPValue, ConnectionMethod, FieldTable, LongString, Start, short_string,
};

use super::node::Node;

/// Mechanisms that can be handed on to a node chosen later: one message, and no channel binding. Never ANONYMOUS:
/// a node would see the gateway's own address and may take it for a trusted one.
const MECHANISMS: [&str; 2] = ["AMQPLAIN", PLAIN];

const PLAIN: &str = "PLAIN";

/// Capabilities that every RabbitMQ since 3.2 announces.
const CAPABILITIES: [&str; 9] = [
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "consumer_priorities",
    "authentication_failure_close",
    "per_consumer_qos",
    "direct_reply_to",
];

/// An offer, ready to send.
#[derive(Debug, PartialEq)]
pub struct Offer {
    /// What clients are greeted with.
    pub greeting: Greeting,
    /// The same with EXTERNAL before all else, for clients whose certificate stands for a login. Nodes are told that
    /// login by PLAIN: where not all of them take PLAIN, it has no EXTERNAL either.
    pub with_external: Greeting,
    /// For connection.tune.
    pub tune: Tune,
}

/// A connection.start.
#[derive(Debug, PartialEq)]
pub struct Greeting {
    /// The frame.
    pub start: Vec<u8>,
    /// The mechanisms in it.
    pub mechanisms: Vec<String>,
}

impl Offer {
    /// What holds on all of `nodes`, as far as they have answered.
    #[must_use]
    pub fn common<'a>(nodes: impl Iterator<Item = &'a Arc<Node>>) -> Self {
        let learned: Vec<Arc<Learned>> = nodes.filter_map(|node| node.learned()).collect();
        let tune = learned.iter().filter_map(|l| l.tune).reduce(Tune::strictest);
        let starts = learned.iter().filter_map(|l| l.greeting.as_ref()?.read());
        let starts: Vec<Start> = starts.collect();
        let mechanisms: Vec<String> = MECHANISMS
            .into_iter()
            .filter(|mechanism| starts.iter().all(|start| offers(start, mechanism)))
            .map(str::to_owned)
            .collect();
        let tables: Vec<_> = starts.iter().map(|start| &start.server_properties).collect();
        let properties = properties(&tables);
        let plain = mechanisms.iter().any(|mechanism| mechanism == PLAIN);
        let external = plain.then(|| EXTERNAL.to_owned());
        let with_external = external.into_iter().chain(mechanisms.iter().cloned()).collect();
        Self {
            with_external: Greeting::new(properties.clone(), with_external),
            greeting: Greeting::new(properties, mechanisms),
            tune: tune.unwrap_or(Tune::RABBITMQ_DEFAULT),
        }
    }
}

impl Greeting {
    fn new(server_properties: FieldTable, mechanisms: Vec<String>) -> Self {
        let start = wire::encode(ConnectionMethod::Start(Start {
            version_major: 0,
            version_minor: 9,
            server_properties,
            mechanisms: LongString::from(mechanisms.join(" ").into_bytes()),
            locales: LongString::from(b"en_US".as_slice()),
        }));
        Self { start, mechanisms }
    }
}

fn offers(start: &Start, mechanism: &str) -> bool {
    let mechanisms = start.mechanisms.as_bytes();
    mechanisms.split(|&byte| byte == b' ').any(|offered| offered == mechanism.as_bytes())
}

/// What all nodes say of themselves in the same words, and the capabilities that all have.
fn properties(tables: &[&FieldTable]) -> FieldTable {
    let mut common = FieldTable::default();
    let Some((first, others)) = tables.split_first() else {
        common.insert(short_string("product"), AMQPValue::LongString("RabbitMQ".into()));
        common.insert(short_string("capabilities"), capabilities(|_| true));
        return common;
    };
    for (key, value) in first.inner() {
        if others.iter().all(|table| table.inner().get(key) == Some(value)) {
            common.insert(key.clone(), value.clone());
        }
    }
    let has = |name: &str| tables.iter().all(|table| has_capability(table, name));
    common.insert(short_string("capabilities"), capabilities(has));
    common
}

fn capabilities(has: impl Fn(&str) -> bool) -> AMQPValue {
    let mut table = FieldTable::default();
    for name in CAPABILITIES.into_iter().filter(|name| has(name)) {
        table.insert(short_string(name), AMQPValue::Boolean(true));
    }
    AMQPValue::FieldTable(table)
}

fn has_capability(properties: &FieldTable, name: &str) -> bool {
    match properties.inner().get("capabilities") {
        Some(AMQPValue::FieldTable(table)) => {
            table.inner().get(name) == Some(&AMQPValue::Boolean(true))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use amqp_codec::handshake::client;

    use super::*;
    use crate::config::model::samples;

    fn node(learned: Option<Learned>) -> Arc<Node> {
        let node = Node::sample("main", &samples::node("r1", 5672));
        if let Some(learned) = learned {
            node.learn(&learned);
        }
        Arc::new(node)
    }

    fn learned(version: &str, mechanisms: &[&str], tune: Tune) -> Learned {
        let mut properties = FieldTable::default();
        properties.insert(short_string("product"), AMQPValue::LongString("RabbitMQ".into()));
        properties.insert(short_string("version"), AMQPValue::LongString(version.into()));
        properties.insert(short_string("capabilities"), capabilities(|c| c != "direct_reply_to"));
        let greeting = client::Greeting::new(wire::encode(ConnectionMethod::Start(Start {
            version_major: 0,
            version_minor: 9,
            server_properties: properties,
            mechanisms: LongString::from(mechanisms.join(" ").into_bytes()),
            locales: LongString::from(b"en_US".as_slice()),
        })));
        Learned { greeting: Some(greeting), tune: Some(tune) }
    }

    fn read(greeting: &Greeting) -> Start {
        let payload = &greeting.start[7..greeting.start.len() - 1];
        match wire::decode(payload) {
            Ok(ConnectionMethod::Start(start)) => start,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn before_any_answer_the_offer_is_rabbitmqs_default() {
        let offer = Offer::common([&node(None)].into_iter());
        assert_eq!(offer.tune, Tune::RABBITMQ_DEFAULT);
        assert_eq!(offer.greeting.mechanisms, ["AMQPLAIN", "PLAIN"]);
        let start = read(&offer.greeting);
        assert!(has_capability(&start.server_properties, "publisher_confirms"));
    }

    #[test]
    fn the_offer_is_what_all_nodes_have_in_common() {
        let small = Tune { channel_max: 100, frame_max: 65_536, heartbeat: 60 };
        let one = learned("3.10.8", &["PLAIN", "EXTERNAL"], Tune::RABBITMQ_DEFAULT);
        let other = learned("4.1.0", &["ANONYMOUS", "AMQPLAIN", "PLAIN"], small);
        let offer = Offer::common([&node(Some(one)), &node(Some(other)), &node(None)].into_iter());
        assert_eq!(offer.greeting.mechanisms, ["PLAIN"]);
        assert_eq!(offer.tune, small);
        let properties = read(&offer.greeting).server_properties;
        assert_eq!(wire::text(&properties, "product"), Some("RabbitMQ"));
        assert_eq!(wire::text(&properties, "version"), None);
        assert!(has_capability(&properties, "basic.nack"));
        assert!(!has_capability(&properties, "direct_reply_to"));
    }
    #[test]
    fn external_stands_before_all_else_where_all_nodes_take_the_login_it_stands_for() {
        let of = |mechanisms: &[&str]| {
            let node = node(Some(learned("3.10.8", mechanisms, Tune::RABBITMQ_DEFAULT)));
            Offer::common([&node].into_iter())
        };
        let offer = of(&["EXTERNAL", "PLAIN", "AMQPLAIN"]);
        let start = read(&offer.with_external);
        assert_eq!(start.mechanisms.as_bytes(), b"EXTERNAL AMQPLAIN PLAIN");
        assert_eq!(start.server_properties, read(&offer.greeting).server_properties);
        assert_eq!(read(&offer.greeting).mechanisms.as_bytes(), b"AMQPLAIN PLAIN");
        let offer = of(&["EXTERNAL", "AMQPLAIN"]);
        assert_eq!(offer.with_external, offer.greeting);
    }
}

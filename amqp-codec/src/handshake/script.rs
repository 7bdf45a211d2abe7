//! For tests and fuzzers: the frames of handshakes that succeed, and peers that say them.

use amq_protocol::protocol::connection;

use super::bridge::Stage;
use super::pair::{Client, Node, Owner};
use crate::login_guard::LoginGuard;
use crate::protocol_header;
use crate::reply::{CloseReason, ReplyCode};
use crate::table::Table;
use crate::tune::Tune;
use crate::wire::{
    self, AMQPValue, ConnectionMethod, FieldTable, LongString, encode, short_string,
};

pub(crate) const OFFER: Tune = Tune::RABBITMQ_DEFAULT;
pub(crate) const ANSWER: Tune = Tune { heartbeat: 30, ..OFFER };
pub(crate) const STAGES: [Stage; 3] = [Stage::Header, Stage::StartOk, Stage::Open];

pub(crate) fn start(product: &str) -> Vec<u8> {
    let mut server_properties = FieldTable::default();
    let product = AMQPValue::LongString(product.into());
    server_properties.insert(short_string("product"), product);
    encode(ConnectionMethod::Start(connection::Start {
        version_major: 0,
        version_minor: 9,
        server_properties,
        mechanisms: LongString::from("AMQPLAIN PLAIN"),
        locales: LongString::from("en_US"),
    }))
}

pub(crate) fn start_ok(mechanism: &str, annotations: &[(&str, &str)]) -> Vec<u8> {
    let mut client_properties = FieldTable::default();
    for (key, value) in [("product", "pika")].iter().chain(annotations) {
        client_properties.insert(short_string(key), AMQPValue::LongString((*value).into()));
    }
    encode(ConnectionMethod::StartOk(connection::StartOk {
        client_properties,
        mechanism: short_string(mechanism),
        response: LongString::from("\0app\0secret"),
        locale: short_string("en_US"),
    }))
}

/// A start-ok with this response.
#[cfg(test)]
pub(crate) fn start_ok_with(mechanism: &str, response: &str) -> Vec<u8> {
    let response = response.as_bytes();
    wire::with_login(&start_ok(mechanism, &[]), mechanism, response).unwrap_or_default()
}

/// A start-ok of this user; does the client understand a refusal of its login?
#[cfg(test)]
pub(crate) fn start_ok_of(mechanism: &str, user: &str, understands: bool) -> Vec<u8> {
    let mut capabilities = FieldTable::default();
    let name = short_string("authentication_failure_close");
    capabilities.insert(name, AMQPValue::Boolean(understands));
    let mut client_properties = FieldTable::default();
    let capabilities = AMQPValue::FieldTable(capabilities);
    client_properties.insert(short_string("capabilities"), capabilities);
    encode(ConnectionMethod::StartOk(connection::StartOk {
        client_properties,
        mechanism: short_string(mechanism),
        response: LongString::from(format!("\0{user}\0secret").into_bytes()),
        locale: short_string("en_US"),
    }))
}

/// What the node hears of [`start_ok`], for annotations are appended and the library sorts.
pub(crate) fn annotated(mechanism: &str) -> Vec<u8> {
    let plain = start_ok(mechanism, &[]);
    wire::annotate_start_ok(&plain, &Table::default(), &[("gateway", "gw1")], 4096)
}

pub(crate) fn secure() -> Vec<u8> {
    let challenge = LongString::from("prove it");
    encode(ConnectionMethod::Secure(connection::Secure { challenge }))
}

pub(crate) fn secure_ok() -> Vec<u8> {
    let response = LongString::from("proof");
    encode(ConnectionMethod::SecureOk(connection::SecureOk { response }))
}

pub(crate) fn open_ok() -> Vec<u8> {
    encode(ConnectionMethod::OpenOk(connection::OpenOk {}))
}

pub(crate) fn close(code: ReplyCode) -> Vec<u8> {
    wire::close(&CloseReason::new(code, "as you wish"))
}

pub(crate) fn header() -> Vec<u8> {
    protocol_header::AMQP_0_9_1.to_vec()
}

pub(crate) fn tune_ok_open(answer: Tune) -> Vec<u8> {
    [wire::tune_ok(answer), wire::open("orders")].concat()
}

pub(crate) fn client_parts() -> [Vec<u8>; 3] {
    [header(), start_ok("PLAIN", &[]), tune_ok_open(ANSWER)]
}

pub(crate) fn node_with(offer: Tune) -> Node {
    Node::new(&[start("RabbitMQ"), wire::tune(offer), open_ok()])
}

pub(crate) fn node() -> Node {
    node_with(OFFER)
}

/// A node that is lost after it has said so many bytes.
pub(crate) fn lost(after: usize) -> Node {
    let mut node = node();
    node.lost_after = Some(after);
    node
}

/// A node that is not there.
pub(crate) fn absent() -> Node {
    let mut node = node();
    node.absent = true;
    node
}

pub(crate) fn owner(decides_at: Stage) -> Owner {
    Owner {
        decides_at,
        rename_vhost: None,
        guard: LoginGuard::default(),
        identity: None,
        start: start("gateway"),
        mechanisms: vec!["AMQPLAIN".to_owned(), "PLAIN".to_owned()],
        tune: OFFER,
        annotations: vec![("gateway", "gw1".to_owned())],
    }
}

/// What a client hears of a handshake that succeeds.
pub(crate) fn heard(decided_at: Stage) -> Vec<u8> {
    let product = if decided_at == Stage::Header { "RabbitMQ" } else { "gateway" };
    [start(product), wire::tune(OFFER), open_ok()].concat()
}

pub(crate) fn told_node() -> Vec<u8> {
    [header(), annotated("PLAIN"), tune_ok_open(ANSWER)].concat()
}

pub(crate) fn conversation() -> (Client, Node) {
    let parts = [header(), start_ok("PLAIN", &[]), secure_ok(), secure_ok(), tune_ok_open(ANSWER)];
    let answers = [start("RabbitMQ"), secure(), secure(), wire::tune(OFFER), open_ok()];
    (Client::in_turns(&parts), Node::new(&answers))
}

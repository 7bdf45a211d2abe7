//! What an access record looks like, and that no peer can forge one.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

const TEXT: Style = Style { format: LogFormat::Text, stamp: true, colour: false };
const JSON: Style = Style { format: LogFormat::Json, stamp: true, colour: false };

fn full() -> AccessRecord<'static> {
    AccessRecord {
        product: Some(b"pika"),
        version: Some(b"1.3.2"),
        platform: Some(b"Python 3.11"),
        connection_name: Some(b"worker 1"),
        user: Some(b"guest"),
        vhost: Some(b"/"),
        cluster: Some("main"),
        node: Some("rabbit1"),
        handshake_client: Some(Duration::from_micros(1200)),
        handshake_upstream: Some(Duration::from_micros(805)),
        messages: Some(Messages {
            published: 5,
            delivered: 4,
            acknowledged: 3,
            confirmed: 2,
            returned: 1,
        }),
        channels_peak: Some(2),
        protocol: Protocol::Amqp091,
        who: Who::Client,
        phase: Phase::Relay,
        reason: "client-closed",
        reply_code: Some(200),
        reply_text: Some(b"Normal shutdown"),
        ..bare()
    }
}

/// What is known of a client that connected and said nothing.
fn bare() -> AccessRecord<'static> {
    AccessRecord {
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_792_000_000_042),
        session: 0x2a,
        listener: "amqp",
        client: "127.0.0.1:40000".parse().unwrap(),
        proxy: None,
        sni: None,
        tls: None,
        protocol: Protocol::Unknown,
        user: None,
        vhost: None,
        product: None,
        version: None,
        platform: None,
        connection_name: None,
        cluster: None,
        node: None,
        handshake_client: None,
        handshake_upstream: None,
        duration: Duration::from_millis(10_000),
        bytes_from_client: 0,
        bytes_from_node: 12_345,
        messages: None,
        channels_peak: None,
        who: Who::Gateway,
        phase: Phase::Handshake,
        reason: "handshake-timeout",
        reply_code: None,
        reply_text: None,
    }
}

fn line(record: &AccessRecord<'_>, style: Style) -> String {
    let mut out = Vec::new();
    record.format(style, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn text_names_every_field_of_a_whole_session() {
    assert_eq!(
        line(&full(), TEXT),
        "2026-10-14T17:46:40.042Z INFO  session session=000000000000002a listener=amqp \
         client=127.0.0.1:40000 protocol=amqp-0-9-1 user=guest vhost=/ product=pika version=1.3.2 \
         platform=\"Python 3.11\" connection_name=\"worker 1\" cluster=main node=rabbit1 \
         handshake_client_ms=1.200 handshake_upstream_ms=0.805 duration_ms=10000.000 \
         bytes_from_client=0 bytes_from_node=12345 published=5 delivered=4 acknowledged=3 \
         confirmed=2 returned=1 channels_peak=2 who=client phase=relay reason=client-closed \
         reply_code=200 reply_text=\"Normal shutdown\""
    );
}

#[test]
fn json_has_the_same_fields_as_text() {
    let value: Value = serde_json::from_str(&line(&full(), JSON)).unwrap();
    let expected = json!({
        "time": "2026-10-14T17:46:40.042Z", "level": "info", "message": "session",
        "session": "000000000000002a", "listener": "amqp", "client": "127.0.0.1:40000",
        "protocol": "amqp-0-9-1", "user": "guest", "vhost": "/", "product": "pika",
        "version": "1.3.2", "platform": "Python 3.11", "connection_name": "worker 1",
        "cluster": "main", "node": "rabbit1", "handshake_client_ms": 1.2,
        "handshake_upstream_ms": 0.805, "duration_ms": 10000.0, "bytes_from_client": 0,
        "bytes_from_node": 12345, "published": 5, "delivered": 4, "acknowledged": 3,
        "confirmed": 2, "returned": 1, "channels_peak": 2, "who": "client", "phase": "relay",
        "reason": "client-closed", "reply_code": 200, "reply_text": "Normal shutdown",
    });
    assert_eq!(value, expected);
}

#[test]
fn what_is_unknown_is_left_out() {
    assert_eq!(
        line(&bare(), TEXT),
        "2026-10-14T17:46:40.042Z INFO  session session=000000000000002a listener=amqp \
         client=127.0.0.1:40000 protocol=unknown duration_ms=10000.000 bytes_from_client=0 \
         bytes_from_node=12345 who=gateway phase=handshake reason=handshake-timeout"
    );
    let value: Value = serde_json::from_str(&line(&bare(), JSON)).unwrap();
    assert_eq!(value.as_object().unwrap().len(), 13);
    let unstamped = line(&bare(), Style { stamp: false, ..TEXT });
    assert!(unstamped.starts_with("session session=000000000000002a "), "{unstamped}");
}

#[test]
fn no_peer_forges_a_line_or_a_field() {
    let evil = b"x\" who=operator\n2026-11-20T12:00:00.000Z INFO  session \x1b[2J\xff\0\r";
    let record = AccessRecord {
        user: Some(evil),
        vhost: Some(evil),
        product: Some(evil),
        version: Some(evil),
        platform: Some(evil),
        connection_name: Some(evil),
        reply_text: Some(evil),
        ..full()
    };
    let text = line(&record, TEXT);
    assert!(!text.contains(char::is_control), "{text}");
    assert_eq!(unquoted(&text).matches("who=").count(), 1, "{text}");
    let json: Value = serde_json::from_str(&line(&record, JSON)).unwrap();
    assert_eq!(json["who"], "client");
    for field in ["user", "vhost", "product", "version", "connection_name", "reply_text"] {
        assert_eq!(json[field], String::from_utf8_lossy(evil).as_ref(), "{field}");
    }
}

#[test]
fn a_peer_cannot_make_the_line_long() {
    let long = vec![b'\x01'; 100_000];
    let record = AccessRecord { user: Some(&long), product: Some(&long), ..full() };
    assert!(line(&record, TEXT).len() < 10_000);
    assert!(line(&record, JSON).len() < 10_000);
}

/// Removes quoted values, as a reader of `key=value` lines would.
fn unquoted(line: &str) -> String {
    let (mut out, mut quoted, mut escaped) = (String::new(), false, false);
    for c in line.chars() {
        match (quoted, escaped, c) {
            (true, false, '\\') => escaped = true,
            (_, false, '"') => quoted = !quoted,
            (true, ..) => escaped = false,
            (false, ..) => out.push(c),
        }
    }
    assert!(!quoted);
    out
}

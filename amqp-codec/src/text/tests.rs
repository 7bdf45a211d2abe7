use amq_protocol::frame::{AMQPFrame, WriteContext, gen_frame};
use amq_protocol::protocol::{AMQPClass, basic, confirm, connection, queue};

use super::*;
use crate::frame::HEADER;
use crate::wire::{AMQPValue, FieldTable, LongString, short_string};

fn payload(class: AMQPClass) -> Vec<u8> {
    frame(&AMQPFrame::Method(1, class))
}

fn frame(frame: &AMQPFrame) -> Vec<u8> {
    let mut bytes = vec![0; 64 * 1024];
    let context = WriteContext::from(std::io::Cursor::new(bytes.as_mut_slice()));
    let written = gen_frame(frame)(context).map(|context| context.write.position()).expect("room");
    bytes[HEADER..written as usize - 1].to_vec()
}

fn arguments() -> FieldTable {
    let mut inner = FieldTable::default();
    inner.insert(short_string("deep one"), AMQPValue::ShortInt(-2));
    let mut table = FieldTable::default();
    table.insert(short_string("x-queue-type"), AMQPValue::LongString("quorum".into()));
    table.insert(short_string("x-max-length"), AMQPValue::LongInt(5));
    table.insert(short_string("in"), AMQPValue::FieldTable(inner));
    table.insert(short_string("on"), AMQPValue::Boolean(true));
    table
}

#[test]
fn a_method_tells_its_arguments_by_name() {
    let publish = basic::Publish {
        exchange: short_string("orders"),
        routing_key: short_string("a\n\"b"),
        mandatory: true,
        immediate: false,
    };
    assert_eq!(
        method(&payload(AMQPClass::Basic(basic::AMQPMethod::Publish(publish)))),
        r#"basic.publish exchange="orders" routing-key="a\n\"b" mandatory=true immediate=false"#
    );
    let ack = basic::Ack { delivery_tag: 7, multiple: true };
    assert_eq!(
        method(&payload(AMQPClass::Basic(basic::AMQPMethod::Ack(ack)))),
        "basic.ack delivery-tag=7 multiple=true"
    );
    let select = confirm::Select { nowait: true };
    assert_eq!(
        method(&payload(AMQPClass::Confirm(confirm::AMQPMethod::Select(select)))),
        "confirm.select no-wait=true"
    );
}

#[test]
fn a_table_tells_its_entries_however_deep() {
    let declare = queue::Declare {
        queue: short_string("q"),
        passive: false,
        durable: true,
        exclusive: false,
        auto_delete: false,
        nowait: false,
        arguments: arguments(),
    };
    assert_eq!(
        method(&payload(AMQPClass::Queue(queue::AMQPMethod::Declare(declare)))),
        "queue.declare queue=\"q\" passive=false durable=true exclusive=false auto-delete=false \
         no-wait=false arguments={in: {\"deep one\": -2}, on: true, x-max-length: 5, \
         x-queue-type: \"quorum\"}"
    );
}

#[test]
fn a_header_tells_size_and_properties() {
    let properties = basic::AMQPProperties::default()
        .with_content_type(short_string("text/plain"))
        .with_headers(arguments())
        .with_delivery_mode(2)
        .with_timestamp(99)
        .with_app_id(short_string("shop"));
    let header = frame(&AMQPFrame::Header(
        1,
        amq_protocol::frame::AMQPContentHeader { class_id: 60, body_size: 12, properties },
    ));
    assert_eq!(
        content_header(&header),
        "body-size=12 content-type=\"text/plain\" headers={in: {\"deep one\": -2}, on: true, \
         x-max-length: 5, x-queue-type: \"quorum\"} delivery-mode=2 timestamp=99 app-id=\"shop\""
    );
}

#[test]
fn secrets_are_starred_out() {
    let update = connection::UpdateSecret {
        new_secret: LongString::from("hunter2"),
        reason: short_string("it was time"),
    };
    let update = payload(AMQPClass::Connection(connection::AMQPMethod::UpdateSecret(update)));
    assert_eq!(method(&update), "connection.update-secret new-secret=***");
    let ok = connection::SecureOk { response: LongString::from("hunter2") };
    let ok = payload(AMQPClass::Connection(connection::AMQPMethod::SecureOk(ok)));
    assert_eq!(method(&ok), "connection.secure-ok response=***");
    let ok = connection::StartOk { response: "hunter2".into(), ..connection::StartOk::default() };
    let ok = payload(AMQPClass::Connection(connection::AMQPMethod::StartOk(ok)));
    assert_eq!(method(&ok), "connection.start-ok response=***");
    assert_eq!(method(&[0, 10, 0, 70]), "connection.update-secret new-secret=***");
}

#[test]
fn what_is_cut_short_or_unknown_is_told_as_far_as_it_goes() {
    let publish = basic::Publish {
        exchange: short_string("orders"),
        routing_key: short_string("abc"),
        ..basic::Publish::default()
    };
    let whole = payload(AMQPClass::Basic(basic::AMQPMethod::Publish(publish)));
    for end in 0..whole.len() {
        let text = method(&whole[..end]);
        assert!(text == "other" || text.ends_with(CUT), "{end}: {text}");
    }
    assert_eq!(method(&whole[..15]), "basic.publish exchange=\"orders\" …");
    assert_eq!(method(&[9, 9, 9, 9, 1, 2, 3]), "other");
    assert_eq!(content_header(&[0, 60, 0, 0, 1]), CUT);
}

#[test]
fn a_hostile_table_is_told_of_and_not_followed() {
    let mut nested = vec![b'V'];
    for _ in 0..500 {
        nested = [b"A", (nested.len() as u32).to_be_bytes().as_slice(), &nested].concat();
    }
    let table = [b"\x01a".as_slice(), &nested].concat();
    let head = [0, 50, 0, 10, 0, 0, 1, b'q', 0];
    let payload = [head.as_slice(), &(table.len() as u32).to_be_bytes(), &table].concat();
    let told = method(&payload);
    assert!(told.ends_with("arguments={field table nests deeper than 16 levels}"), "{told}");
}

#[test]
fn a_line_is_bounded() {
    let entry = [b"\x01a".as_slice(), b"S", &500_u32.to_be_bytes(), &[b'x'; 500]].concat();
    let table = entry.repeat(60);
    let head = [0, 50, 0, 10, 0, 0, 1, b'q', 0];
    let payload = [head.as_slice(), &(table.len() as u32).to_be_bytes(), &table].concat();
    let told = method(&payload);
    assert!(told.len() <= LONGEST && told.ends_with(CUT), "{}", told.len());
}

proptest::proptest! {
    #[test]
    fn nothing_of_a_strangers_bytes_panics(bytes: Vec<u8>, class in 0_u8..100, number in 0_u8..130) {
        let payload = [&[0, class, 0, number], bytes.as_slice()].concat();
        let line = method(&payload);
        proptest::prop_assert!(!line.contains('\n') && line.len() <= LONGEST);
        let line = content_header(&payload);
        proptest::prop_assert!(!line.contains('\n') && line.len() <= LONGEST);
    }
}

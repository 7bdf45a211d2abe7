//! Field tables and what carries them: the guard, the decoder behind it, SASL responses.

use std::thread;

use amq_protocol::types::parsing::parse_field_table;

use super::Input;
use crate::frame::{END, HEADER, kind};
use crate::guard::{self, GuardError, MAX_DEPTH, MAX_ENTRIES};
use crate::handshake::server::{self, ClientSaid, ServerHandshake};
use crate::protocol_header::AMQP_0_9_1;
use crate::sasl as sasl_response;
use crate::sasl_init::{self as init, SaslInit};
use crate::table::Table;
use crate::wire::{self, AMQPValue, ConnectionMethod, FieldTable, StartOk};

/// A stack that one unguarded nesting of some hundred levels overflows.
const SMALL_STACK: usize = 256 * 1024;

/// What the guard lets pass is decoded on a small stack; what it refuses for its shape is refused
/// by the decoder, too; what is decoded can be written and read again.
pub fn guard_and_decode(data: &[u8]) {
    let mut input = Input(data);
    let as_table = input.byte() & 1 == 0;
    let content = input.0.to_vec();
    let run = move || {
        if as_table { table(&content) } else { method(&content) }
    };
    let thread = thread::Builder::new().stack_size(SMALL_STACK).spawn(run);
    thread.expect("a thread").join().expect("no promise broken");
}

fn table(content: &[u8]) {
    let verdict = guard::check_table(content);
    if matches!(verdict, Err(GuardError::TooDeep | GuardError::TooManyEntries)) {
        return;
    }
    let prefixed = [&(content.len() as u32).to_be_bytes(), content].concat();
    assert_eq!(guard::check_prefixed_table(&prefixed).map(<[u8]>::len), verdict.map(|()| 0));
    match (parse_field_table(prefixed.as_slice()), verdict) {
        (Ok((rest, table)), Ok(())) => {
            assert!(rest.is_empty());
            let mut entries = 0;
            measure_table(&table, 1, &mut entries);
            assert!(entries <= MAX_ENTRIES);
        }
        // Only keys that are no text may displease the decoder alone.
        (Err(_), _) => {}
        (Ok(_), Err(error)) => panic!("decoded in spite of {error}"),
    }
}

fn measure_table(table: &FieldTable, depth: usize, entries: &mut usize) {
    for value in table.inner().values() {
        measure(value, depth, entries);
    }
}

fn measure(value: &AMQPValue, depth: usize, entries: &mut usize) {
    assert!(depth <= MAX_DEPTH);
    *entries += 1;
    match value {
        AMQPValue::FieldTable(table) => measure_table(table, depth + 1, entries),
        AMQPValue::FieldArray(array) => {
            array.as_slice().iter().for_each(|value| measure(value, depth + 1, entries));
        }
        _ => {}
    }
}

fn method(payload: &[u8]) {
    let Ok(decoded) = wire::decode(payload) else {
        return;
    };
    let shown = format!("{decoded:?}");
    let frame = wire::encode(decoded.clone());
    let again = wire::decode(&frame[HEADER..frame.len() - 1]);
    assert_eq!(format!("{again:?}"), format!("Ok({shown})"));
    match decoded {
        ConnectionMethod::StartOk(said) => {
            let (table, _) = Table::read(&payload[4..]).expect("decode has let it pass");
            let decoded = said.client_properties.inner();
            let each_once = table.keys().count() == decoded.len();
            for key in decoded.keys() {
                assert!(table.contains(key.as_str()));
                // Of several of one name the decoder keeps another one.
                let text = wire::text(&said.client_properties, key.as_str());
                assert!(!each_once || table.text(key.as_str()) == text);
            }
            annotated(payload, &table);
            heard(payload, &said);
        }
        ConnectionMethod::Close(close) => {
            assert_eq!(wire::read_close(&frame), Some(wire::close_reason(close)));
        }
        _ => {}
    }
}

/// The handshake reads by hand what the decoder reads.
fn heard(payload: &[u8], said: &StartOk) {
    let mut handshake = ServerHandshake::default();
    handshake.push(&AMQP_0_9_1);
    handshake.push(&frame(payload));
    assert_eq!(handshake.next_said(), Ok(Some(ClientSaid::Header)));
    match handshake.next_said() {
        Ok(Some(ClientSaid::StartOk { hello: Ok(hello), .. })) => {
            assert_eq!(hello.mechanism, said.mechanism.as_str());
            let user = sasl_response::user(said.mechanism.as_str(), said.response.as_bytes());
            assert_eq!(hello.user, user);
        }
        other => assert!(payload.len() > server::MAX_PAYLOAD as usize, "{other:?}"),
    }
}

/// A frame on channel 0.
fn frame(payload: &[u8]) -> Vec<u8> {
    let size = (payload.len() as u32).to_be_bytes();
    [[kind::METHOD, 0, 0].as_slice(), &size, payload, &[END]].concat()
}

/// Our annotations are added, everything else stays.
fn annotated(payload: &[u8], properties: &Table) {
    const ENTRIES: [(&str, &str); 2] = [("gateway", "gw1"), ("product", "not the client's")];
    let frame = frame(payload);
    let longer = wire::annotate_start_ok(&frame, properties, &ENTRIES, 1 << 20);
    let Ok(ConnectionMethod::StartOk(told)) = wire::decode(&longer[HEADER..longer.len() - 1])
    else {
        // One entry too many for our own guard; RabbitMQ has no such limit.
        return;
    };
    for (key, value) in ENTRIES {
        if !properties.contains(key) {
            assert_eq!(wire::text(&told.client_properties, key), Some(value));
        }
    }
    for key in properties.keys() {
        assert!(told.client_properties.contains_key(&key));
    }
    assert_eq!(wire::annotate_start_ok(&frame, properties, &ENTRIES, frame.len()), frame);
}

/// A user is some of the response's own bytes, and never empty.
pub fn sasl(data: &[u8]) {
    let mut input = Input(data);
    let mechanism = ["PLAIN", "AMQPLAIN", "EXTERNAL", ""][usize::from(input.byte() & 3)];
    let response = input.0;
    let Some(user) = sasl_response::user(mechanism, response) else {
        return;
    };
    assert!(!user.is_empty());
    assert!(response.windows(user.len()).any(|bytes| bytes == user.as_bytes()));
    match mechanism {
        "PLAIN" => {
            let parts: Vec<_> = response.split(|&byte| byte == 0).collect();
            assert_eq!((parts[1], parts.len() >= 3), (user.as_bytes(), true));
        }
        "AMQPLAIN" => assert_eq!(guard::check_table(response), Ok(())),
        _ => panic!("{mechanism:?} names no user"),
    }
}

/// A sasl-init waits for more bytes until its frame is whole, then says the same whatever follows;
/// names that it tells stand in it.
pub fn sasl_init(data: &[u8]) {
    let whole = init::read(data);
    let size = data.first_chunk().map_or(0, |size| u32::from_be_bytes(*size) as usize);
    match &whole {
        SaslInit::More => assert!(data.len() < size.max(4) && size <= init::MAX_FRAME),
        SaslInit::Unreadable => {}
        SaslInit::Login { mechanism, user } => {
            assert_eq!(init::read(&data[..size]), whole);
            assert_eq!(init::read(&data[..size - 1]), SaslInit::More);
            for name in user.iter().chain([mechanism]).filter(|name| !name.is_empty()) {
                assert!(data[..size].windows(name.len()).any(|bytes| bytes == name.as_bytes()));
            }
        }
    }
}

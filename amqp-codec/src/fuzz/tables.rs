//! Field tables and what carries them: the guard, the decoder behind it, SASL responses.

use std::thread;

use amq_protocol::types::parsing::parse_field_table;

use super::Input;
use crate::frame::{END, HEADER, kind};
use crate::guard::{self, GuardError, MAX_DEPTH, MAX_ENTRIES};
use crate::sasl as sasl_response;
use crate::table::Table;
use crate::wire::{self, AMQPValue, ConnectionMethod, FieldTable};

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
            for key in said.client_properties.inner().keys() {
                assert!(table.contains(key.as_str()));
            }
            annotated(payload, &table);
        }
        ConnectionMethod::Close(close) => {
            assert_eq!(wire::read_close(&frame), Some(wire::close_reason(close)));
        }
        _ => {}
    }
}

/// Our annotations are added, everything else stays.
fn annotated(payload: &[u8], properties: &Table) {
    const ENTRIES: [(&str, &str); 2] = [("gateway", "gw1"), ("product", "not the client's")];
    let size = (payload.len() as u32).to_be_bytes();
    let frame = [[kind::METHOD, 0, 0].as_slice(), &size, payload, &[END]].concat();
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

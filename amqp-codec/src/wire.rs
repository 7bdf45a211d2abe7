//! Methods of channel 0, read and written by amq-protocol, behind the [guard].

use std::io::Cursor;

use amq_protocol::frame::{AMQPFrame, WriteContext, gen_frame};
use amq_protocol::protocol::connection::AMQPMethod;
use amq_protocol::protocol::{AMQPClass, connection, parse_class};
use thiserror::Error;

use crate::frame::method::{self, id};
use crate::frame::{END, ENVELOPE, HEADER, kind};
use crate::guard::{self, GuardError};
use crate::reply::{self, CloseReason, ReplyCode};
use crate::table::Table;
use crate::tune::Tune;

pub use amq_protocol::protocol::connection::{AMQPMethod as ConnectionMethod, Start, StartOk};
pub use amq_protocol::types::{AMQPValue, FieldTable, LongString, ShortString};

/// A connection.close-ok frame.
pub const CLOSE_OK: [u8; 12] = [kind::METHOD, 0, 0, 0, 0, 0, 4, 0, 10, 0, 51, END];

/// Why a method cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// A field table that must not be decoded.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// Arguments that are cut short, too long, or not what their type says.
    #[error("malformed arguments of {0}")]
    Arguments(&'static str),
    /// A method of another class.
    #[error("{0} where only methods of the connection class may stand")]
    NotConnection(&'static str),
}

/// Reads the payload of a method frame on channel 0.
///
/// # Errors
/// If it is no method of the connection class, is malformed, or has a table that the guard rejects.
pub fn decode(payload: &[u8]) -> Result<ConnectionMethod, WireError> {
    let id = payload.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let name = method::name(method::index(id));
    // Methods of other classes have tables, too, and nobody guards those.
    if payload.len() >= 4 && id >> 16 != method::CONNECTION_CLASS {
        return Err(WireError::NotConnection(name));
    }
    match id {
        // version-major and version-minor stand before the table.
        id::CONNECTION_START => guard::check_prefixed_table(payload.get(6..).unwrap_or_default())?,
        id::CONNECTION_START_OK => guard::check_prefixed_table(&payload[4..])?,
        _ => &[],
    };
    match parse_class(payload) {
        Ok(([], AMQPClass::Connection(method))) => Ok(method),
        Ok(_) | Err(_) => Err(WireError::Arguments(name)),
    }
}

/// Writes a method frame on channel 0; empty if it would take more than 128 KiB, which none of ours
/// does.
#[must_use]
pub fn encode(method: ConnectionMethod) -> Vec<u8> {
    let frame = AMQPFrame::Method(0, AMQPClass::Connection(method));
    // The library writes into memory of fixed size only.
    for size in [512, 8 * 1024, 128 * 1024] {
        let mut bytes = vec![0; size];
        let context = WriteContext::from(Cursor::new(bytes.as_mut_slice()));
        let written = gen_frame(&frame)(context).map(|context| context.write.position());
        if let Ok(length) = written {
            bytes.truncate(length as usize);
            return bytes;
        }
    }
    Vec::new()
}

/// Writes a connection.close.
#[must_use]
pub fn close(reason: &CloseReason) -> Vec<u8> {
    encode(AMQPMethod::Close(connection::Close {
        reply_code: reason.code.0,
        reply_text: short_string(reason.text()),
        class_id: 0,
        method_id: 0,
    }))
}

/// Writes a connection.tune.
#[must_use]
pub fn tune(tune: Tune) -> Vec<u8> {
    encode(AMQPMethod::Tune(connection::Tune {
        channel_max: tune.channel_max,
        frame_max: tune.frame_max,
        heartbeat: tune.heartbeat,
    }))
}

/// Writes a connection.tune-ok.
#[must_use]
pub fn tune_ok(tune: Tune) -> Vec<u8> {
    encode(AMQPMethod::TuneOk(connection::TuneOk {
        channel_max: tune.channel_max,
        frame_max: tune.frame_max,
        heartbeat: tune.heartbeat,
    }))
}

/// Writes a connection.open.
#[must_use]
pub fn open(vhost: &str) -> Vec<u8> {
    encode(AMQPMethod::Open(connection::Open { virtual_host: short_string(vhost) }))
}

/// What a decoded connection.close says.
#[must_use]
pub fn close_reason(close: connection::Close) -> CloseReason {
    CloseReason::verbatim(ReplyCode(close.reply_code), close.reply_text.into())
}

/// What a whole connection.close frame says, if it can be read.
#[must_use]
pub fn read_close(frame: &[u8]) -> Option<CloseReason> {
    let payload = frame.get(HEADER..frame.len().checked_sub(1)?)?;
    match decode(payload).ok()? {
        AMQPMethod::Close(close) => Some(close_reason(close)),
        _ => None,
    }
}

/// A short string, cut to its 255 bytes at a character boundary: the library's own constructor
/// panics there.
#[must_use]
pub fn short_string(text: &str) -> ShortString {
    ShortString::try_new(reply::cut(text, reply::MAX_TEXT)).unwrap_or_default()
}

/// The text of a string value in a table.
#[must_use]
pub fn text<'a>(table: &'a FieldTable, key: &str) -> Option<&'a str> {
    match table.inner().get(key)? {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        _ => None,
    }
}

/// Adds string entries to the client-properties of a start-ok frame, behind what the client wrote.
///
/// Leaves the frame as it is where the result would be larger than `largest` bytes, and leaves out
/// an entry whose key `properties` has already.
#[must_use]
pub fn annotate_start_ok(
    frame: &[u8],
    properties: &Table,
    entries: &[(&str, &str)],
    largest: usize,
) -> Vec<u8> {
    const TABLE: usize = HEADER + 4;
    let mut added = Vec::new();
    for (key, value) in entries.iter().filter(|(key, _)| !properties.contains(key)) {
        added.push(key.len() as u8);
        added.extend_from_slice(key.as_bytes());
        added.push(b'S');
        added.extend_from_slice(&(value.len() as u32).to_be_bytes());
        added.extend_from_slice(value.as_bytes());
    }
    let Some((content, _)) =
        frame.get(TABLE..).and_then(|rest| guard::split_long_string(rest).ok())
    else {
        return frame.to_vec();
    };
    if frame.len() + added.len() > largest {
        return frame.to_vec();
    }
    let content_end = TABLE + 4 + content.len();
    let mut bytes = Vec::with_capacity(frame.len() + added.len());
    bytes.extend_from_slice(&frame[..3]);
    bytes.extend_from_slice(&((frame.len() - ENVELOPE + added.len()) as u32).to_be_bytes());
    bytes.extend_from_slice(&frame[HEADER..TABLE]);
    bytes.extend_from_slice(&((content.len() + added.len()) as u32).to_be_bytes());
    bytes.extend_from_slice(content);
    bytes.extend_from_slice(&added);
    bytes.extend_from_slice(&frame[content_end..]);
    bytes
}

/// A start-ok frame with another mechanism and response, and all else as it was. `None` if it cannot
/// be read.
#[must_use]
pub fn with_login(frame: &[u8], mechanism: &str, response: &[u8]) -> Option<Vec<u8>> {
    const TABLE: usize = HEADER + 4;
    let payload_end = frame.len().checked_sub(1)?;
    let (table, rest) = guard::split_long_string(frame.get(TABLE..payload_end)?).ok()?;
    let (_, rest) = split_short_string(rest)?;
    let (_, locale) = guard::split_long_string(rest).ok()?;
    let mut bytes = frame.get(..TABLE + 4 + table.len())?.to_vec();
    bytes.push(u8::try_from(mechanism.len()).ok()?);
    bytes.extend_from_slice(mechanism.as_bytes());
    bytes.extend_from_slice(&u32::try_from(response.len()).ok()?.to_be_bytes());
    bytes.extend_from_slice(response);
    bytes.extend_from_slice(locale);
    let size = u32::try_from(bytes.len() - HEADER).ok()?;
    bytes[3..HEADER].copy_from_slice(&size.to_be_bytes());
    bytes.push(END);
    Some(bytes)
}

fn split_short_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    rest.split_at_checked(length.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start_ok(properties: FieldTable) -> Vec<u8> {
        encode(AMQPMethod::StartOk(StartOk {
            client_properties: properties,
            mechanism: short_string("PLAIN"),
            response: LongString::from(b"\0app\0secret".as_slice()),
            locale: short_string("en_US"),
        }))
    }

    fn payload(frame: &[u8]) -> &[u8] {
        &frame[HEADER..frame.len() - 1]
    }

    #[test]
    fn the_constant_close_ok_is_what_the_library_writes() {
        assert_eq!(encode(AMQPMethod::CloseOk(connection::CloseOk {})), CLOSE_OK);
    }

    #[test]
    fn a_close_survives_the_wire() {
        let reason = CloseReason::new(ReplyCode::CONNECTION_FORCED, "node r1 was lost");
        assert_eq!(read_close(&close(&reason)), Some(reason));
        assert_eq!(read_close(&CLOSE_OK), None);
        assert_eq!(read_close(&[]), None);
    }

    #[test]
    fn trailing_bytes_and_other_classes_are_errors() {
        let frame = open("orders");
        let longer = [payload(&frame), b"x"].concat();
        assert_eq!(decode(&longer), Err(WireError::Arguments("connection.open")));
        assert_eq!(decode(&[0, 20, 0, 10, 0]), Err(WireError::NotConnection("channel.open")));
        assert_eq!(decode(&[]), Err(WireError::Arguments("other")));
    }

    #[test]
    fn properties_are_added_behind_the_clients_own() {
        let mut table = FieldTable::default();
        table.insert(short_string("product"), AMQPValue::LongString("pika".into()));
        let frame = start_ok(table.clone());
        let entries = [("gateway", "gw1"), ("product", "not me")];
        let (sent, _) = Table::read(&frame[11..]).expect("a table");
        let annotated = annotate_start_ok(&frame, &sent, &entries, 4096);
        let Ok(AMQPMethod::StartOk(read)) = decode(payload(&annotated)) else {
            panic!("{annotated:?}")
        };
        assert_eq!(text(&read.client_properties, "product"), Some("pika"));
        assert_eq!(text(&read.client_properties, "gateway"), Some("gw1"));
        assert_eq!(read.mechanism.as_str(), "PLAIN");
        let largest = annotated.len();
        assert_eq!(annotate_start_ok(&frame, &sent, &entries, largest), annotated);
        assert_eq!(annotate_start_ok(&frame, &sent, &entries, largest - 1), frame);
    }

    #[test]
    fn another_login_takes_the_place_of_the_clients_and_nothing_else_changes() {
        let mut table = FieldTable::default();
        table.insert(short_string("product"), AMQPValue::LongString("pika".into()));
        let frame = start_ok(table.clone());
        let other = with_login(&frame, "PLAIN", b"\0billing\0a longer one").expect("a start-ok");
        let Ok(AMQPMethod::StartOk(read)) = decode(payload(&other)) else { panic!("{other:?}") };
        assert_eq!(read.client_properties, table);
        assert_eq!(read.response.as_bytes(), b"\0billing\0a longer one");
        assert_eq!((read.mechanism.as_str(), read.locale.as_str()), ("PLAIN", "en_US"));
        assert_eq!(with_login(&other, "PLAIN", b"\0app\0secret"), Some(frame.clone()));
        for end in 0..frame.len() - b"\x05en_US\xCE".len() {
            assert_eq!(with_login(&frame[..end], "PLAIN", b""), None, "cut at {end}");
        }
    }

    /// A table of arrays in arrays, with its length.
    fn nested_table(depth: usize) -> Vec<u8> {
        let mut value = Vec::new();
        for _ in 0..depth {
            value = [b"A", (value.len() as u32).to_be_bytes().as_slice(), &value].concat();
        }
        let length = (value.len() as u32 + 2).to_be_bytes();
        [length.as_slice(), b"\x01a", &value].concat()
    }

    fn decode_on_a_small_stack(payload: Vec<u8>) -> Result<ConnectionMethod, WireError> {
        std::thread::Builder::new()
            .stack_size(128 * 1024)
            .spawn(move || decode(&payload))
            .expect("thread")
            .join()
            .expect("no overflow")
    }

    /// 7.5 KB of nested client properties overflow a 2 MiB stack in amq-protocol's decoder.
    #[test]
    fn a_start_ok_nested_1500_deep_is_refused_on_a_small_stack() {
        let response = b"\x05PLAIN\0\0\0\x0b\0app\0secret\x05en_US";
        let payload = [[0, 10, 0, 11].as_slice(), &nested_table(1500), response].concat();
        let refused = WireError::Guard(GuardError::TooDeep);
        assert_eq!(decode_on_a_small_stack(payload), Err(refused));
    }

    #[test]
    fn nested_tables_of_other_classes_are_not_decoded_either() {
        // queue.declare: a reserved number, the queue's name, flags, the arguments.
        let head = [0, 50, 0, 10, 0, 0, 1, b'q', 0];
        let payload = [head.as_slice(), &nested_table(1500)].concat();
        let refused = WireError::NotConnection("queue.declare");
        assert_eq!(decode_on_a_small_stack(payload), Err(refused));
    }

    #[test]
    fn a_short_string_is_cut_not_a_panic() {
        assert_eq!(short_string(&"x".repeat(300)).as_str().len(), 255);
        assert_eq!(short_string(&"é".repeat(200)).as_str().len(), 254);
    }
}

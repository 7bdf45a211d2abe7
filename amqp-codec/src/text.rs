//! Methods and content headers in words, for people who watch a session.
//!
//! One line each: `basic.publish exchange="orders" routing-key="a" mandatory=false immediate=false`. What is read here may
//! be cut short: the line then ends with an ellipsis. Secrets are starred out without a look at them.

mod arguments;
mod value;

use crate::frame::method::{self, MethodId, id};
use crate::reply;
use arguments::{Kind, PROPERTIES, of};
use value::Reader;

/// Longest line, in bytes.
pub const LONGEST: usize = 8 * 1024;

/// Where something is missing.
const CUT: &str = "…";

/// Do arguments of this method carry a secret? Then only its [id](MethodId) is to be kept of it.
#[must_use]
pub fn is_secret(id: MethodId) -> bool {
    matches!(
        id,
        id::CONNECTION_START_OK
            | id::CONNECTION_SECURE
            | id::CONNECTION_SECURE_OK
            | id::CONNECTION_UPDATE_SECRET
    )
}

/// The method at the head of a payload: `basic.publish`, `other` if unknown.
#[must_use]
pub fn method_name(payload: &[u8]) -> &'static str {
    method::name(method::index(method_id(payload)))
}

/// Name and arguments of a method, from the payload of its frame.
#[must_use]
pub fn method(payload: &[u8]) -> String {
    let id = method_id(payload);
    let mut text = method::name(method::index(id)).to_owned();
    if is_secret(id) {
        for (name, _) in of(id).iter().filter(|(_, kind)| *kind == Kind::Secret) {
            text.push_str(&format!(" {name}=***"));
        }
        return text;
    }
    let mut reader = Reader::new(payload.get(4..).unwrap_or_default());
    for &(name, kind) in of(id) {
        let Some(value) = reader.value(kind) else {
            text.push_str(&format!(" {CUT}"));
            break;
        };
        if !name.is_empty() {
            text.push_str(&format!(" {name}={value}"));
        }
    }
    bounded(text)
}

/// Body size and properties of a content header, from the payload of its frame.
#[must_use]
pub fn content_header(payload: &[u8]) -> String {
    let mut reader = Reader::new(payload.get(4..).unwrap_or_default());
    let (Some(size), Some(flags)) = (reader.value(Kind::LongLong), reader.number::<2>()) else {
        return CUT.to_owned();
    };
    let mut text = format!("body-size={size}");
    for (position, &(name, kind)) in PROPERTIES.iter().enumerate() {
        if flags & (0x8000 >> position) == 0 {
            continue;
        }
        let Some(value) = reader.value(kind) else {
            text.push_str(&format!(" {CUT}"));
            break;
        };
        text.push_str(&format!(" {name}={value}"));
    }
    bounded(text)
}

fn method_id(payload: &[u8]) -> MethodId {
    payload.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn bounded(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = reply::cut(&text, LONGEST - CUT.len()).len();
        text.truncate(end);
        text.push_str(CUT);
    }
    text
}

#[cfg(test)]
mod tests;

//! A look at a field table before anything decodes it.
//!
//! amq-protocol decodes nested tables by recursion without a limit: a table of some 7 KB, nested
//! deeply enough, overflows a thread's stack and aborts the process. This guard walks a table with
//! a stack of fixed size and rejects what nests too deep, has too many entries, or has a length
//! that does not fit.

use thiserror::Error;

/// Deepest nesting of tables and arrays that passes. Client libraries nest two levels.
pub const MAX_DEPTH: usize = 16;

/// Most entries, over all levels, that pass. Client libraries send about twenty.
pub const MAX_ENTRIES: usize = 1024;

/// Why a table must not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GuardError {
    /// Nested more than [`MAX_DEPTH`] levels.
    #[error("field table nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// More than [`MAX_ENTRIES`] entries.
    #[error("field table has more than {MAX_ENTRIES} entries")]
    TooManyEntries,
    /// A length points past its surroundings.
    #[error("field table is cut short or a length in it is wrong")]
    Length,
    /// A type letter that neither the specification nor RabbitMQ knows.
    #[error("field table has a value of the unknown type {0:#04x}")]
    Type(u8),
}

#[derive(Clone, Copy)]
struct Level {
    end: usize,
    is_table: bool,
}

/// Checks the content of a field table (without its own length).
///
/// # Errors
/// The first reason not to decode it.
pub fn check_table(content: &[u8]) -> Result<(), GuardError> {
    let mut levels = [Level { end: content.len(), is_table: true }; MAX_DEPTH];
    let mut depth = 0;
    let mut at = 0;
    let mut entries = 0;
    loop {
        let Level { end, is_table } = levels[depth];
        if at == end {
            if depth == 0 {
                return Ok(());
            }
            depth -= 1;
            continue;
        }
        entries += 1;
        if entries > MAX_ENTRIES {
            return Err(GuardError::TooManyEntries);
        }
        if is_table {
            at = within(at + 1 + usize::from(byte(content, at)?), end)?;
        }
        let kind = byte(content, at)?;
        at = within(at + 1, end)?;
        match size_of_value(kind, content, at, end)? {
            Value::Leaf(size) => at = within(at + size, end)?,
            Value::Nested { size, is_table } => {
                depth += 1;
                if depth == MAX_DEPTH {
                    return Err(GuardError::TooDeep);
                }
                at += 4;
                levels[depth] = Level { end: within(at + size, end)?, is_table };
            }
        }
    }
}

/// Checks a field table with its four length bytes and returns what follows it.
///
/// # Errors
/// The first reason not to decode it.
pub fn check_prefixed_table(bytes: &[u8]) -> Result<&[u8], GuardError> {
    let (content, rest) = split_long_string(bytes)?;
    check_table(content)?;
    Ok(rest)
}

/// Splits a long string (four length bytes) from what follows it.
///
/// # Errors
/// [`GuardError::Length`] if it is cut short.
pub fn split_long_string(bytes: &[u8]) -> Result<(&[u8], &[u8]), GuardError> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(GuardError::Length)?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(GuardError::Length)
}

enum Value {
    Leaf(usize),
    Nested { size: usize, is_table: bool },
}

/// Sizes by type letter: AMQP 0-9-1 section 4.2.5.5 as amended by RabbitMQ's errata.
fn size_of_value(kind: u8, content: &[u8], at: usize, end: usize) -> Result<Value, GuardError> {
    let length = || {
        within(at + 4, end)?;
        let bytes = content.get(at..).and_then(<[u8]>::first_chunk).ok_or(GuardError::Length)?;
        Ok(u32::from_be_bytes(*bytes) as usize)
    };
    Ok(match kind {
        b'V' => Value::Leaf(0),
        b't' | b'b' | b'B' => Value::Leaf(1),
        b's' | b'U' | b'u' => Value::Leaf(2),
        b'I' | b'i' | b'f' => Value::Leaf(4),
        b'D' => Value::Leaf(5),
        b'L' | b'l' | b'd' | b'T' => Value::Leaf(8),
        b'S' | b'x' => Value::Leaf(4 + length()?),
        b'F' => Value::Nested { size: length()?, is_table: true },
        b'A' => Value::Nested { size: length()?, is_table: false },
        other => return Err(GuardError::Type(other)),
    })
}

/// Size of a value of this type that `bytes` begin with, its own length bytes included.
pub(crate) fn value_size(kind: u8, bytes: &[u8]) -> Result<usize, GuardError> {
    Ok(match size_of_value(kind, bytes, 0, bytes.len())? {
        Value::Leaf(size) => size,
        Value::Nested { size, .. } => 4 + size,
    })
}

fn byte(content: &[u8], at: usize) -> Result<u8, GuardError> {
    content.get(at).copied().ok_or(GuardError::Length)
}

fn within(at: usize, end: usize) -> Result<usize, GuardError> {
    if at <= end { Ok(at) } else { Err(GuardError::Length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, kind: u8, value: &[u8]) -> Vec<u8> {
        let mut bytes = vec![key.len() as u8];
        bytes.extend_from_slice(key.as_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(value);
        bytes
    }

    fn prefixed(content: &[u8]) -> Vec<u8> {
        let mut bytes = (content.len() as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(content);
        bytes
    }

    fn nested_arrays(depth: usize) -> Vec<u8> {
        let mut value = Vec::new();
        for _ in 0..depth {
            let inner = prefixed(&value);
            value = [b"A".as_slice(), &inner].concat();
        }
        entry("a", value[0], &value[1..])
    }

    #[test]
    fn what_client_libraries_send_passes() {
        let capabilities = [entry("basic.nack", b't', &[1]), entry("x", b'V', &[])].concat();
        let table = [
            entry("product", b'S', &prefixed(b"pika")),
            entry("capabilities", b'F', &prefixed(&capabilities)),
            entry("list", b'A', &prefixed(&[b'I', 0, 0, 0, 1, b't', 1])),
        ]
        .concat();
        assert_eq!(check_table(&table), Ok(()));
        assert_eq!(check_table(&[]), Ok(()));
    }

    #[test]
    fn deep_nesting_is_refused_without_recursion() {
        assert_eq!(check_table(&nested_arrays(MAX_DEPTH - 1)), Ok(()));
        assert_eq!(check_table(&nested_arrays(MAX_DEPTH)), Err(GuardError::TooDeep));
        assert_eq!(check_table(&nested_arrays(1500)), Err(GuardError::TooDeep));
    }

    #[test]
    fn a_flood_of_entries_is_refused() {
        let table = entry("", b'V', &[]).repeat(MAX_ENTRIES);
        assert_eq!(check_table(&table), Ok(()));
        let table = entry("", b'V', &[]).repeat(MAX_ENTRIES + 1);
        assert_eq!(check_table(&table), Err(GuardError::TooManyEntries));
    }

    #[test]
    fn lengths_that_point_outside_are_refused() {
        assert_eq!(check_table(&[5, b'a']), Err(GuardError::Length));
        assert_eq!(check_table(&entry("a", b'S', &[0xff; 4])), Err(GuardError::Length));
        // An inner table that claims bytes of the outer one.
        let inner = entry("x", b'S', &[0, 0, 0, 9, 1]);
        let outer = [entry("in", b'F', &prefixed(&inner)), vec![0; 16]].concat();
        assert_eq!(check_table(&outer), Err(GuardError::Length));
        assert_eq!(check_table(&entry("a", b'?', &[])), Err(GuardError::Type(b'?')));
    }
}

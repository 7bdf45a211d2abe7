//! Values in words.

use std::fmt::Write;

use super::CUT;
use super::arguments::Kind;
use crate::guard::{self, GuardError};

/// Longest text shown of one value, in bytes.
const LONGEST_TEXT: usize = 512;

/// Reads arguments one after another.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// The octet that the last bit came from, and how many of its bits are used.
    bits: Option<(u8, u8)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest, bits: None }
    }

    /// The next argument; `None` where it is cut off.
    pub(super) fn value(&mut self, kind: Kind) -> Option<String> {
        if kind == Kind::Bit {
            return self.bit().map(|bit| bit.to_string());
        }
        self.bits = None;
        Some(match kind {
            Kind::Octet => self.number::<1>()?.to_string(),
            Kind::Short => self.number::<2>()?.to_string(),
            Kind::Long => self.number::<4>()?.to_string(),
            Kind::LongLong => self.number::<8>()?.to_string(),
            Kind::ShortText => {
                let length = self.number::<1>()?;
                text(self.take(length as usize)?)
            }
            Kind::LongText => text(self.long()?),
            Kind::Table => table(self.long()?),
            Kind::Bit | Kind::Secret => return None,
        })
    }

    /// A number of so many octets.
    pub(super) fn number<const N: usize>(&mut self) -> Option<u64> {
        let octets = self.take(N)?;
        Some(octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
    }

    fn bit(&mut self) -> Option<bool> {
        let (octet, used) = match self.bits {
            Some((octet, used)) if used < 8 => (octet, used),
            _ => (self.number::<1>()? as u8, 0),
        };
        self.bits = Some((octet, used + 1));
        Some(octet >> used & 1 == 1)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn long(&mut self) -> Option<&'a [u8]> {
        let (long, rest) = guard::split_long_string(self.rest).ok()?;
        self.rest = rest;
        Some(long)
    }
}

/// In quotes, control characters and quotes escaped; what is no UTF-8 as escaped bytes.
fn text(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(LONGEST_TEXT)];
    let cut = if shown.len() < bytes.len() { CUT } else { "" };
    match std::str::from_utf8(shown) {
        Ok(text) => format!("{text:?}{cut}"),
        // Cut in the middle of a character.
        Err(error) if error.error_len().is_none() && !cut.is_empty() => {
            format!("{:?}{cut}", String::from_utf8_lossy(&shown[..error.valid_up_to()]))
        }
        Err(_) => format!("b\"{}\"{cut}", shown.escape_ascii()),
    }
}

/// `{x-queue-type: "quorum", x-max-length: 5}`. The guard bounds its depth before anything follows its nesting.
fn table(content: &[u8]) -> String {
    let mut words = String::from("{");
    match guard::check_table(content) {
        Ok(()) => entries(content, true, &mut words),
        Err(error @ (GuardError::TooDeep | GuardError::TooManyEntries)) => {
            let _ = write!(words, "{error}");
        }
        Err(_) => words.push_str(CUT),
    }
    words.push('}');
    words
}

/// The entries of a table or array that has passed the guard, which bounds the recursion.
fn entries(mut rest: &[u8], named: bool, words: &mut String) {
    let mut first = true;
    while !rest.is_empty() {
        if words.len() > super::LONGEST {
            return;
        }
        if !std::mem::take(&mut first) {
            words.push_str(", ");
        }
        let Some(after) = entry(rest, named, words) else { return };
        rest = after;
    }
}

fn entry<'a>(mut rest: &'a [u8], named: bool, words: &mut String) -> Option<&'a [u8]> {
    if named {
        let (&length, after) = rest.split_first()?;
        let (name, after) = after.split_at_checked(length.into())?;
        let _ = write!(words, "{}: ", name_text(name));
        rest = after;
    }
    let (&kind, after) = rest.split_first()?;
    let (value, after) = after.split_at_checked(guard::value_size(kind, after).ok()?)?;
    field(kind, value, words);
    Some(after)
}

/// A name without quotes, where it needs none.
fn name_text(name: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    match name.iter().all(plain) && !name.is_empty() {
        true => String::from_utf8_lossy(name).into_owned(),
        false => text(name),
    }
}

/// A value of a table by its type letter.
fn field(kind: u8, value: &[u8], words: &mut String) {
    let inner = value.get(4..).unwrap_or_default();
    let number = value.iter().fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
    let signed = || {
        let unused = 64 - 8 * value.len().clamp(1, 8) as u32;
        (number << unused) as i64 >> unused
    };
    let _ = match kind {
        b't' => write!(words, "{}", number != 0),
        b'B' | b'u' | b'i' | b'T' => write!(words, "{number}"),
        b'b' | b's' | b'U' | b'I' | b'L' | b'l' => write!(words, "{}", signed()),
        b'f' => write!(words, "{}", f32::from_bits(number as u32)),
        b'd' => write!(words, "{}", f64::from_bits(number)),
        b'D' => {
            let digits = number as u32 as i32;
            write!(words, "{digits}e-{}", value.first().copied().unwrap_or(0))
        }
        b'S' | b'x' => write!(words, "{}", text(inner)),
        b'F' | b'A' => {
            let named = kind == b'F';
            words.push(if named { '{' } else { '[' });
            entries(inner, named, words);
            words.push(if named { '}' } else { ']' });
            Ok(())
        }
        _ => write!(words, "none"),
    };
}

//! A field table as it came: looked into, not decoded.
//!
//! Of a client's properties the gateway wants three or four texts. Decoding the table for them
//! would allocate for every entry of every connection.

use std::borrow::Cow;

use crate::guard::{self, GuardError};

/// The content of a field table that has passed the [guard].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Table {
    content: Box<[u8]>,
}

impl Table {
    /// Reads a table with its four length bytes; returns what follows it, too.
    ///
    /// # Errors
    /// If the guard rejects it.
    pub fn read(bytes: &[u8]) -> Result<(Self, &[u8]), GuardError> {
        let (content, rest) = guard::split_long_string(bytes)?;
        guard::check_table(content)?;
        Ok((Self { content: content.into() }, rest))
    }

    /// The text of a string entry; `None` if there is none of this name, or it is no UTF-8. The
    /// first of several counts.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        let (_, kind, value) = self.entries().find(|(name, ..)| *name == key.as_bytes())?;
        if kind != b'S' {
            return None;
        }
        std::str::from_utf8(guard::split_long_string(value).ok()?.0).ok()
    }

    /// The texts in it alone, as [`Table::text`] finds them, without that of `but`; `None` if they take more than `most`
    /// bytes.
    #[must_use]
    pub fn texts(&self, but: Option<&str>, most: usize) -> Option<Self> {
        let mut content = Vec::new();
        for (name, kind, value) in self.entries() {
            let Ok(key) = std::str::from_utf8(name) else { continue };
            let found = self.text(key).is_some_and(|text| value.get(4..) == Some(text.as_bytes()));
            if kind == b'S' && found && but != Some(key) {
                // Its length took one byte before.
                content.push(name.len() as u8);
                content.extend([name, b"S", value].concat());
            }
            if content.len() > most {
                return None;
            }
        }
        Some(Self { content: content.into() })
    }

    /// How many bytes it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.content.len()
    }

    /// Does the table `capabilities` in it say `true` to this one?
    #[must_use]
    pub fn has_capability(&self, name: &str) -> bool {
        let capabilities = self.entries().find(|(key, ..)| *key == b"capabilities");
        let Some((_, b'F', value)) = capabilities else { return false };
        // All of it has passed the guard.
        let Ok((content, _)) = guard::split_long_string(value) else { return false };
        let capable = |(key, kind, value): (&[u8], u8, &[u8])| {
            key == name.as_bytes() && kind == b't' && value != [0]
        };
        entries(content).any(capable)
    }

    /// Is there an entry of this name, of any type?
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.entries().any(|(name, ..)| name == key.as_bytes())
    }

    /// The names of the entries.
    pub fn keys(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.entries().map(|(name, ..)| String::from_utf8_lossy(name))
    }

    /// Name, type letter and value of each entry.
    fn entries(&self) -> impl Iterator<Item = (&[u8], u8, &[u8])> {
        entries(&self.content)
    }
}

fn entries(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&length, after) = rest.split_first()?;
        let (name, after) = after.split_at_checked(length.into())?;
        let (&kind, after) = after.split_first()?;
        let (value, after) = after.split_at_checked(guard::value_size(kind, after).ok()?)?;
        rest = after;
        Some((name, kind, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{self, AMQPValue, FieldTable, short_string};

    fn table() -> Table {
        let mut capabilities = FieldTable::default();
        capabilities.insert(short_string("product"), AMQPValue::LongString("inner".into()));
        capabilities.insert(short_string("basic.nack"), AMQPValue::Boolean(true));
        capabilities.insert(short_string("sleep"), AMQPValue::Boolean(false));
        let mut fields = FieldTable::default();
        fields.insert(short_string("capabilities"), AMQPValue::FieldTable(capabilities));
        fields.insert(short_string("product"), AMQPValue::LongString("pika".into()));
        fields.insert(short_string("port"), AMQPValue::LongUInt(5672));
        fields.insert(short_string("odd"), AMQPValue::LongString(vec![0xff].into()));
        let frame = wire::encode(wire::ConnectionMethod::StartOk(wire::StartOk {
            client_properties: fields,
            ..wire::StartOk::default()
        }));
        Table::read(&frame[11..]).expect("a table").0
    }

    #[test]
    fn texts_are_found_at_the_top_level_only() {
        let table = table();
        assert_eq!(table.text("product"), Some("pika"));
        assert_eq!((table.text("port"), table.text("odd"), table.text("none")), (None, None, None));
        assert!(table.contains("capabilities") && !table.contains("none"));
        assert_eq!(table.keys().count(), 4);
    }

    #[test]
    fn its_texts_alone_say_the_same_and_take_less() {
        let table = table();
        let texts = table.texts(None, 100).expect("few");
        assert_eq!(texts.text("product"), Some("pika"));
        assert!(texts.keys().eq(["product"]) && texts.size() < table.size());
        assert_eq!(table.texts(Some("product"), 100), Some(Table::default()));
        assert_eq!(table.texts(None, texts.size() - 1), None);
    }

    #[test]
    fn a_capability_is_what_is_said_to_be_true() {
        let table = table();
        assert!(table.has_capability("basic.nack"));
        for other in ["sleep", "product", "none"] {
            assert!(!table.has_capability(other), "{other}");
        }
        assert!(!Table::default().has_capability("basic.nack"));
    }

    #[test]
    fn what_the_guard_rejects_is_no_table() {
        assert_eq!(Table::read(&[0, 0, 0, 2, 9, b'x']), Err(GuardError::Length));
        assert_eq!(Table::read(&[0, 0]), Err(GuardError::Length));
        assert_eq!(Table::read(&[0, 0, 0, 0, 7]).map(|(_, rest)| rest), Ok(&[7][..]));
    }
}

//! Frames and method arguments, written and read without a library so that a test can break them.

use anyhow::{Context, Result};

/// A frame of any kind; the end octet is not part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// 1 method, 2 content header, 3 body, 8 heartbeat, or anything else.
    pub kind: u8,
    /// 0 for the connection itself.
    pub channel: u16,
    /// What stands between size and end octet.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Kind of a heartbeat frame.
    pub const HEARTBEAT: u8 = 8;

    /// A method frame; `id` is class and method.
    #[must_use]
    pub fn method(channel: u16, id: (u16, u16), args: Args) -> Self {
        let mut payload = Vec::with_capacity(4 + args.0.len());
        payload.extend(id.0.to_be_bytes());
        payload.extend(id.1.to_be_bytes());
        payload.extend(args.0);
        Self { kind: 1, channel, payload }
    }

    /// A content header of basic without properties.
    #[must_use]
    pub fn content_header(channel: u16, body_size: u64) -> Self {
        let args = Args::new().u16(60).u16(0).u64(body_size).u16(0);
        Self { kind: 2, channel, payload: args.0 }
    }

    /// A body frame.
    #[must_use]
    pub fn body(channel: u16, bytes: &[u8]) -> Self {
        Self { kind: 3, channel, payload: bytes.to_vec() }
    }

    /// A heartbeat.
    #[must_use]
    pub fn heartbeat() -> Self {
        Self { kind: Self::HEARTBEAT, channel: 0, payload: Vec::new() }
    }

    /// The bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.payload.len() + 8);
        bytes.push(self.kind);
        bytes.extend(self.channel.to_be_bytes());
        bytes.extend((self.payload.len() as u32).to_be_bytes());
        bytes.extend(&self.payload);
        bytes.push(0xCE);
        bytes
    }

    /// Class and method of a method frame.
    #[must_use]
    pub fn id(&self) -> Option<(u16, u16)> {
        if self.kind != 1 {
            return None;
        }
        let mut reader = Reader(self.payload.clone());
        Some((reader.u16().ok()?, reader.u16().ok()?))
    }

    /// The arguments of a method frame.
    #[must_use]
    pub fn arguments(&self) -> Reader {
        Reader(self.payload.get(4..).unwrap_or_default().to_vec())
    }

    /// For messages: a close with code and text, else kind and method.
    #[must_use]
    pub fn describe(&self) -> String {
        if let Some((10, 50) | (20, 40)) = self.id() {
            let mut reader = self.arguments();
            let code = reader.u16().unwrap_or_default();
            return format!("close {code} {:?}", reader.shortstr().unwrap_or_default());
        }
        format!("a frame of kind {} with method {:?}", self.kind, self.id())
    }
}

/// Writes method arguments and tables.
#[derive(Debug, Clone, Default)]
pub struct Args(Vec<u8>);

impl Args {
    /// No arguments yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One octet; also a row of up to eight bits.
    #[must_use]
    pub fn u8(self, value: u8) -> Self {
        self.raw(&[value])
    }

    /// Two octets.
    #[must_use]
    pub fn u16(self, value: u16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// Four octets.
    #[must_use]
    pub fn u32(self, value: u32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// Eight octets.
    #[must_use]
    pub fn u64(self, value: u64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// A string of up to 255 bytes.
    #[must_use]
    pub fn shortstr(self, text: &str) -> Self {
        self.u8(text.len() as u8).raw(text.as_bytes())
    }

    /// A string with a length of four octets.
    #[must_use]
    pub fn longstr(self, bytes: &[u8]) -> Self {
        self.u32(bytes.len() as u32).raw(bytes)
    }

    /// A table as an argument; `entries` is written with [`Args::string`] and the like.
    #[must_use]
    pub fn nested(self, entries: Self) -> Self {
        self.longstr(&entries.0)
    }

    /// A table entry: a string.
    #[must_use]
    pub fn string(self, key: &str, value: &str) -> Self {
        self.shortstr(key).u8(b'S').longstr(value.as_bytes())
    }

    /// A table entry: a boolean.
    #[must_use]
    pub fn boolean(self, key: &str, value: bool) -> Self {
        self.shortstr(key).u8(b't').u8(u8::from(value))
    }

    /// A table entry: a table.
    #[must_use]
    pub fn table(self, key: &str, entries: Self) -> Self {
        self.shortstr(key).u8(b'F').nested(entries)
    }

    /// Bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}

/// Reads method arguments in their order.
#[derive(Debug, Clone)]
pub struct Reader(Vec<u8>);

impl Reader {
    /// One octet.
    ///
    /// # Errors
    /// When nothing is left.
    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// Two octets.
    ///
    /// # Errors
    /// When less is left.
    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Four octets.
    ///
    /// # Errors
    /// When less is left.
    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Eight octets.
    ///
    /// # Errors
    /// When less is left.
    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A string of up to 255 bytes.
    ///
    /// # Errors
    /// When less is left than its length says.
    pub fn shortstr(&mut self) -> Result<String> {
        let length = self.u8()?;
        Ok(String::from_utf8_lossy(&self.take(usize::from(length))?).into_owned())
    }

    /// A long string, or a table as its bytes.
    ///
    /// # Errors
    /// When less is left than its length says.
    pub fn longstr(&mut self) -> Result<Vec<u8>> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    /// What has not been read yet.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.0
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N)?;
        bytes.try_into().ok().context("arguments too short")
    }

    fn take(&mut self, count: usize) -> Result<Vec<u8>> {
        let (head, tail) = self.0.split_at_checked(count).context("arguments too short")?;
        let (head, tail) = (head.to_vec(), tail.to_vec());
        self.0 = tail;
        Ok(head)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let table = Args::new().boolean("a", true);
        let args = Args::new().u16(7).shortstr("vhost").nested(table).u64(1 << 40);
        let frame = Frame::method(3, (10, 40), args);
        assert_eq!(frame.id(), Some((10, 40)));
        let mut reader = frame.arguments();
        assert_eq!(reader.u16().unwrap(), 7);
        assert_eq!(reader.shortstr().unwrap(), "vhost");
        assert_eq!(reader.longstr().unwrap(), b"\x01at\x01");
        assert_eq!(reader.u64().unwrap(), 1 << 40);
        assert!(reader.u8().is_err());
    }

    #[test]
    fn a_frame_has_head_and_end_octet() {
        assert_eq!(Frame::heartbeat().encode(), [8, 0, 0, 0, 0, 0, 0, 0xCE]);
    }
}

//! The way through a whole ClientHello to the name in it.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::HelloError;

/// Type of the extension that holds server names.
const SERVER_NAME: u16 = 0;
/// Type of a server name that is a host's. There is no other so far.
const HOST_NAME: u8 = 0;

/// Longest name of a host, in bytes, and of a part of it between dots (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Reads the body of a ClientHello.
pub(super) fn read(body: &[u8]) -> Result<Option<String>, HelloError> {
    let mut body = Reader(body);
    let version = body.short()?;
    if !(0x0301..0x0400).contains(&version) {
        return Err(HelloError::Version(version));
    }
    let _random = body.take(32)?;
    let session_id = body.short_vector()?;
    let cipher_suites = body.vector()?;
    let compression_methods = body.short_vector()?;
    if session_id.len() > 32
        || cipher_suites.is_empty()
        || cipher_suites.len() % 2 == 1
        || compression_methods.is_empty()
    {
        return Err(HelloError::Malformed);
    }
    // Clients of TLS 1.0 to 1.2 may do without extensions.
    if body.is_empty() {
        return Ok(None);
    }
    let extensions = body.vector()?;
    if !body.is_empty() {
        return Err(HelloError::Malformed);
    }
    match find(extensions)? {
        Some(names) => host_name(names),
        None => Ok(None),
    }
}

/// The content of the extension with the names. Two of them could be read in two ways.
fn find(extensions: &[u8]) -> Result<Option<&[u8]>, HelloError> {
    let (mut extensions, mut found) = (Reader(extensions), None);
    while !extensions.is_empty() {
        let kind = extensions.short()?;
        let content = extensions.vector()?;
        if kind == SERVER_NAME && found.replace(content).is_some() {
            return Err(HelloError::Malformed);
        }
    }
    Ok(found)
}

fn host_name(extension: &[u8]) -> Result<Option<String>, HelloError> {
    let mut extension = Reader(extension);
    let mut names = Reader(extension.vector()?);
    if !extension.is_empty() || names.is_empty() {
        return Err(HelloError::Malformed);
    }
    let mut host = None;
    while !names.is_empty() {
        let kind = names.byte()?;
        // Names of other types must begin with a length, too (RFC 6066 section 3).
        let name = names.vector()?;
        if kind == HOST_NAME && host.replace(name).is_some() {
            return Err(HelloError::Malformed);
        }
    }
    host.map_or(Ok(None), checked)
}

/// A name as routes know it.
fn checked(name: &[u8]) -> Result<Option<String>, HelloError> {
    let name = std::str::from_utf8(name).map_err(|_| HelloError::ServerName)?;
    if name.parse::<Ipv4Addr>().is_ok() || name.parse::<Ipv6Addr>().is_ok() {
        return Ok(None);
    }
    // RFC 6066 wants it without the dot, and some clients put it there.
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() <= MAX_NAME && name.split('.').all(is_label) {
        Ok(Some(name.to_ascii_lowercase()))
    } else {
        Err(HelloError::ServerName)
    }
}

/// Letters, digits and hyphens (RFC 1123 section 2.1), and the underscores that many networks have
/// in spite of it.
fn is_label(label: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(is_fit)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Takes a message apart; what is missing is an error.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], HelloError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(HelloError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, HelloError> {
        Ok(self.take(1)?[0])
    }

    fn short(&mut self) -> Result<u16, HelloError> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    /// As many bytes as the two before them say.
    fn vector(&mut self) -> Result<&'a [u8], HelloError> {
        let length = self.short()?;
        self.take(length.into())
    }

    /// As many bytes as the one before them says.
    fn short_vector(&mut self) -> Result<&'a [u8], HelloError> {
        let length = self.byte()?;
        self.take(length.into())
    }
}

//! The ClientHello of TLS, read without TLS: which host is asked for (RFC 8446 section 4.1.2,
//! RFC 5246 section 7.4.1.2, RFC 6066 section 3).
//!
//! This is for those who pass TLS through. Of the message only its frame and the server name are
//! looked at; the rest is for whoever ends TLS.

mod server_name;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use thiserror::Error;

use crate::protocol_header::{self, Guess, Opening};

/// Most bytes that are read until a ClientHello is whole, its record headers included. Browsers
/// send some 2,000.
pub const MAX_HELLO: usize = 16 * 1024;

/// Largest content of a record (RFC 8446 section 5.1).
const MAX_FRAGMENT: usize = 1 << 14;
const RECORD_HEADER: usize = 5;
const MESSAGE_HEADER: usize = 4;

/// Content type of a record.
const HANDSHAKE: u8 = 22;
/// Type of a handshake message.
const CLIENT_HELLO: u8 = 1;

/// What the first bytes of a connection say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Too little is there yet.
    More,
    /// A whole ClientHello.
    Hello(ClientHello),
}

/// What a client says before TLS hides the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello {
    /// The host name that it asks for (SNI), in lower case and without a dot at its end. `None` if
    /// it asks for none, or for an address: that is no name by RFC 6066, but some clients do it.
    pub server_name: Option<String>,
}

/// Why there is no ClientHello to go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HelloError {
    /// No TLS at all, but this.
    #[error("no TLS handshake, but {}", .0.as_str())]
    NotTls(Opening),
    /// The hello of SSL 2.0, which old clients sent for any version.
    #[error("ClientHello in the format of SSL 2.0")]
    Ssl2,
    /// Another record or message of TLS.
    #[error("TLS record that is no part of a ClientHello")]
    NotHello,
    /// SSL 3.0, or a version that is none.
    #[error("ClientHello of the version {0:#06x}, which is no TLS")]
    Version(u16),
    /// It does not end within [`MAX_HELLO`] bytes.
    #[error("ClientHello does not end within {MAX_HELLO} bytes")]
    TooLarge,
    /// A length in it is wrong, or something is there twice.
    #[error("malformed ClientHello")]
    Malformed,
    /// A server name that is no name of a host.
    #[error("ClientHello with a server name that is no host name")]
    ServerName,
}

/// Reads the first bytes of a connection, of which more may come. Eight bytes tell that they are
/// not TLS.
///
/// # Errors
/// Anything but the beginning of a ClientHello of TLS 1.0 to 1.3, as soon as this is seen.
pub fn read(bytes: &[u8]) -> Result<Progress, HelloError> {
    if !matches!(bytes, [] | [HANDSHAKE] | [HANDSHAKE, 3, ..]) {
        return foreign(bytes);
    }
    match message(&bytes[..bytes.len().min(MAX_HELLO)])? {
        Some(message) => {
            let server_name = server_name::read(&message[MESSAGE_HEADER..])?;
            Ok(Progress::Hello(ClientHello { server_name }))
        }
        None if bytes.len() < MAX_HELLO => Ok(Progress::More),
        None => Err(HelloError::TooLarge),
    }
}

fn foreign(bytes: &[u8]) -> Result<Progress, HelloError> {
    let Some(&first) = bytes.first_chunk::<{ protocol_header::LENGTH }>() else {
        return Ok(Progress::More);
    };
    Err(match first {
        // Length with its top bit set, message type, version 2 or 3.x (RFC 5246 appendix E.2).
        [0x80..=0xFF, _, CLIENT_HELLO, 0, 2, ..] | [0x80..=0xFF, _, CLIENT_HELLO, 3, ..] => {
            HelloError::Ssl2
        }
        // Version 0.x or 4.x: no TLS, even if the rest looks like it.
        [HANDSHAKE, ..] => HelloError::NotTls(Opening::Foreign(Guess::Unknown)),
        _ => HelloError::NotTls(protocol_header::classify(first)),
    })
}

/// The message, put together from its records; `None` as long as it is not whole.
fn message(mut records: &[u8]) -> Result<Option<Cow<'_, [u8]>>, HelloError> {
    let mut message = Cow::Borrowed(&records[..0]);
    loop {
        if let Some(size) = size(&message)?
            && message.len() >= size
        {
            return Ok(Some(exactly(message, size)));
        }
        let Some((header, rest)) = records.split_first_chunk::<RECORD_HEADER>() else {
            return Ok(None);
        };
        // The minor version means nothing (RFC 8446 section 5.1).
        let &[HANDSHAKE, 3, _, high, low] = header else { return Err(HelloError::NotHello) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if !(1..=MAX_FRAGMENT).contains(&length) {
            return Err(HelloError::Malformed);
        }
        let (fragment, rest) = rest.split_at(length.min(rest.len()));
        if message.is_empty() {
            message = Cow::Borrowed(fragment);
        } else {
            message.to_mut().extend_from_slice(fragment);
        }
        records = rest;
    }
}

/// The size of the message with its header, once that is there.
fn size(message: &[u8]) -> Result<Option<usize>, HelloError> {
    match *message {
        [kind, ..] if kind != CLIENT_HELLO => Err(HelloError::NotHello),
        [_, high, middle, low, ..] => {
            let size = MESSAGE_HEADER + u32::from_be_bytes([0, high, middle, low]) as usize;
            let fits = size <= MAX_HELLO - RECORD_HEADER;
            if fits { Ok(Some(size)) } else { Err(HelloError::TooLarge) }
        }
        _ => Ok(None),
    }
}

/// What may follow in the last record is another message.
fn exactly(message: Cow<'_, [u8]>, size: usize) -> Cow<'_, [u8]> {
    match message {
        Cow::Borrowed(message) => Cow::Borrowed(&message[..size]),
        Cow::Owned(mut message) => {
            message.truncate(size);
            Cow::Owned(message)
        }
    }
}

//! Version 2: a binary header (section 2.2).

use std::net::{IpAddr, SocketAddr};

use super::tlv::{self, Fields};
use super::{Command, MAX_HEADER, Progress, ProxyError, ProxyHeader, canonical};

/// What a header of version 2 begins with.
pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and transport, length of the rest.
pub(super) const FIXED: usize = SIGNATURE.len() + 4;

/// Version 2 with the command LOCAL.
pub(super) const LOCAL: u8 = 0x20;
/// Version 2 with the command PROXY.
pub(super) const PROXY: u8 = 0x21;

/// TCP over IPv4.
pub(super) const TCP4: u8 = 0x11;
/// TCP over IPv6.
pub(super) const TCP6: u8 = 0x21;

/// Reads a header that begins with the [`SIGNATURE`].
pub(super) fn read(bytes: &[u8]) -> Result<Progress, ProxyError> {
    let rest = &bytes[SIGNATURE.len()..];
    let Some(&first) = rest.first() else { return Ok(Progress::More) };
    let command = match first {
        LOCAL => Command::Local,
        PROXY => Command::Proxy,
        _ if first >> 4 == 2 => return Err(ProxyError::Command(first & 0x0F)),
        _ => return Err(ProxyError::Version(first >> 4)),
    };
    let &[_, family, high, low, ..] = rest else { return Ok(Progress::More) };
    let len = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if len > MAX_HEADER {
        return Err(ProxyError::TooLarge(len));
    }
    let space = match command {
        Command::Local => 0,
        Command::Proxy => space(family, len - FIXED)?,
    };
    let Some(header) = bytes.get(..len) else { return Ok(Progress::More) };
    let fields = match command {
        // All of it is to be thrown away, whatever it is.
        Command::Local => Fields::default(),
        Command::Proxy => fields(family, header, FIXED + space)?,
    };
    let addresses = match command {
        Command::Local => None,
        Command::Proxy => addresses(family, &header[FIXED..FIXED + space]),
    };
    Ok(Progress::Header(Box::new(ProxyHeader {
        len,
        command,
        source: addresses.map(|(source, _)| source),
        destination: addresses.map(|(_, destination)| destination),
        unique_id: fields.unique_id,
        authority: fields.authority,
        tls: fields.tls,
    })))
}

/// Is family or transport left open? Then nobody knows which addresses stand there, if any.
fn is_unspecified(family: u8) -> bool {
    family >> 4 == 0 || family & 0x0F == 0
}

/// How many of the bytes behind the fixed part are addresses.
fn space(family: u8, length: usize) -> Result<usize, ProxyError> {
    let space = match (family >> 4, family & 0x0F) {
        (0, 0..=2) => 0,
        (1, 0..=2) => 12,
        (2, 0..=2) => 36,
        (3, 0..=2) => 216,
        _ => return Err(ProxyError::Family(family)),
    };
    if space <= length {
        Ok(space)
    } else if is_unspecified(family) {
        Ok(length)
    } else {
        Err(ProxyError::Addresses)
    }
}

fn fields(family: u8, header: &[u8], start: usize) -> Result<Fields, ProxyError> {
    match tlv::read(header, start) {
        // Here may be addresses of any form instead, which are to be passed over.
        Err(ProxyError::Field(_)) if is_unspecified(family) => Ok(Fields::default()),
        read => read,
    }
}

/// Where client and proxy are. `None` for all but TCP: sockets of UNIX have no address that helps
/// here, and what came as datagrams is not this connection.
fn addresses(family: u8, bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    match family {
        TCP4 => pair::<4>(bytes),
        TCP6 => pair::<16>(bytes),
        _ => None,
    }
}

fn pair<const N: usize>(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)>
where
    [u8; N]: Into<IpAddr>,
{
    let (source, rest) = bytes.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let &[a, b, c, d] = rest else { return None };
    let source = SocketAddr::new((*source).into(), u16::from_be_bytes([a, b]));
    let destination = SocketAddr::new((*destination).into(), u16::from_be_bytes([c, d]));
    Some((canonical(source), canonical(destination)))
}

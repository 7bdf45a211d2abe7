//! Headers of the PROXY protocol, written and read by the book of HAProxy's `proxy-protocol.txt`.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, bail, ensure};

/// What every header of version 2 begins with.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Kinds of what a header of version 2 can carry besides addresses.
pub mod kind {
    /// The protocol by ALPN.
    pub const ALPN: u8 = 0x01;
    /// The name by SNI.
    pub const AUTHORITY: u8 = 0x02;
    /// A CRC32c of the header.
    pub const CRC32C: u8 = 0x03;
    /// Padding.
    pub const NOOP: u8 = 0x04;
    /// Up to 128 bytes that name the connection.
    pub const UNIQUE_ID: u8 = 0x05;
    /// Facts on TLS: flags, whether the certificate was verified, and the kinds below.
    pub const SSL: u8 = 0x20;
    /// `TLSv1.3`.
    pub const SSL_VERSION: u8 = 0x21;
    /// The common name of the client's certificate.
    pub const SSL_CN: u8 = 0x22;
    /// The cipher suite by openssl's name.
    pub const SSL_CIPHER: u8 = 0x23;
}

/// A header of version 1 for a connection from `source` to `destination`.
///
/// # Panics
/// When one is IPv4 and the other IPv6.
#[must_use]
pub fn v1(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    assert_eq!(source.is_ipv4(), destination.is_ipv4(), "two families in one header");
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    let (from_port, to_port) = (source.port(), destination.port());
    format!("PROXY {family} {from} {to} {from_port} {to_port}\r\n").into_bytes()
}

/// A header of version 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V2 {
    /// Source and destination; `None` is LOCAL: the proxy speaks for itself.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// What else it carries: kinds and values.
    pub extras: Vec<(u8, Vec<u8>)>,
}

/// The value of [`kind::SSL`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssl {
    /// 1: there is TLS. 2: a certificate on this connection. 4: one in this session.
    pub client: u8,
    /// 0: the client's certificate was verified.
    pub verify: u32,
    /// The kinds from [`kind::SSL_VERSION`] on.
    pub extras: Vec<(u8, Vec<u8>)>,
}

impl V2 {
    /// For a connection from `source` to `destination`.
    #[must_use]
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        Self { addresses: Some((source, destination)), extras: Vec::new() }
    }

    /// LOCAL.
    #[must_use]
    pub fn local() -> Self {
        Self { addresses: None, extras: Vec::new() }
    }

    /// Carries this, too.
    #[must_use]
    pub fn with(mut self, kind: u8, value: &[u8]) -> Self {
        self.extras.push((kind, value.to_vec()));
        self
    }

    /// Carries facts on TLS, too.
    #[must_use]
    pub fn with_ssl(self, ssl: &Ssl) -> Self {
        let mut value = vec![ssl.client];
        value.extend(ssl.verify.to_be_bytes());
        value.extend(encode(&ssl.extras));
        self.with(kind::SSL, &value)
    }

    /// The first value of a kind.
    #[must_use]
    pub fn get(&self, kind: u8) -> Option<&[u8]> {
        get(&self.extras, kind)
    }

    /// Facts on TLS, if it carries them.
    ///
    /// # Errors
    /// When they are cut off.
    pub fn ssl(&self) -> Result<Option<Ssl>> {
        let Some(value) = self.get(kind::SSL) else { return Ok(None) };
        let (&client, rest) = value.split_first().context("no flags")?;
        let (verify, rest) = rest.split_first_chunk().context("no verification")?;
        let verify = u32::from_be_bytes(*verify);
        Ok(Some(Ssl { client, verify, extras: decode(rest)? }))
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut rest = Vec::new();
        let family = match self.addresses {
            None => 0x00,
            Some((source, destination)) => {
                for address in [source.ip(), destination.ip()] {
                    match address {
                        IpAddr::V4(address) => rest.extend(address.octets()),
                        IpAddr::V6(address) => rest.extend(address.octets()),
                    }
                }
                rest.extend(source.port().to_be_bytes());
                rest.extend(destination.port().to_be_bytes());
                if source.is_ipv4() { 0x11 } else { 0x21 }
            }
        };
        rest.extend(encode(&self.extras));
        let command = 0x20 | u8::from(self.addresses.is_some());
        let length = (rest.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, &rest].concat()
    }

    /// Reads a header; how many bytes it has, if it is there completely.
    ///
    /// # Errors
    /// When it is none of version 2, or speaks of another transport than TCP.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>> {
        let known = bytes.len().min(SIGNATURE.len());
        ensure!(bytes[..known] == SIGNATURE[..known], "another signature: {bytes:?}");
        let Some((head, rest)) = bytes.split_first_chunk::<16>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
        let Some(rest) = rest.get(..length) else { return Ok(None) };
        let (addresses, extras) = match (head[12], head[13]) {
            (0x20, _) => (None, &[][..]),
            (0x21, 0x11) => split::<4>(rest)?,
            (0x21, 0x21) => split::<16>(rest)?,
            (command, family) => bail!("command {command:#x}, family {family:#x}"),
        };
        Ok(Some((Self { addresses, extras: decode(extras)? }, 16 + length)))
    }
}

impl Ssl {
    /// The first value of a kind, as text.
    ///
    /// # Errors
    /// When there is none, or it is no text.
    pub fn text(&self, kind: u8) -> Result<String> {
        let value = get(&self.extras, kind).with_context(|| format!("no {kind:#x}"))?;
        Ok(String::from_utf8(value.to_vec())?)
    }
}

type Addresses = Option<(SocketAddr, SocketAddr)>;

fn split<const N: usize>(rest: &[u8]) -> Result<(Addresses, &[u8])>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = rest.split_first_chunk::<N>().context("no source")?;
    let (destination, rest) = rest.split_first_chunk::<N>().context("no destination")?;
    let (ports, rest) = rest.split_first_chunk::<4>().context("no ports")?;
    let source = SocketAddr::new(IpAddr::from(*source), u16::from_be_bytes([ports[0], ports[1]]));
    let port = u16::from_be_bytes([ports[2], ports[3]]);
    Ok((Some((source, SocketAddr::new(IpAddr::from(*destination), port))), rest))
}

fn get(extras: &[(u8, Vec<u8>)], kind: u8) -> Option<&[u8]> {
    extras.iter().find(|(found, _)| *found == kind).map(|(_, value)| value.as_slice())
}

fn encode(extras: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, value) in extras {
        bytes.push(*kind);
        bytes.extend((value.len() as u16).to_be_bytes());
        bytes.extend(value);
    }
    bytes
}

fn decode(mut bytes: &[u8]) -> Result<Vec<(u8, Vec<u8>)>> {
    let mut extras = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
        let (value, rest) = rest.split_at_checked(length).context("an extra is cut off")?;
        extras.push((head[0], value.to_vec()));
        bytes = rest;
    }
    ensure!(bytes.is_empty(), "bytes after the last extra: {bytes:?}");
    Ok(extras)
}

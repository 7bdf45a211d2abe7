//! Headers that go to a node.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::v2::{self, FIXED, SIGNATURE};
use super::{MAX_AUTHORITY, MAX_UNIQUE_ID, TlsFacts, canonical, tlv};

/// The header of version 2 for a connection of one's own, as for a health check.
pub const LOCAL: [u8; FIXED] = *b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Longest text of a TLS field that is told, in bytes; common names have at most 64 characters
/// (RFC 5280 appendix A.1).
const MAX_TEXT: usize = 255;

/// What a node is told of a client.
///
/// A text or an id that is empty or too long is left out: a part of it could be somebody else's.
/// So a header has less than 1500 bytes, whatever is told.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Where the client is.
    pub source: SocketAddr,
    /// Where it connected to.
    pub destination: SocketAddr,
    /// The host name that it asked for, at most [`MAX_AUTHORITY`] bytes.
    pub authority: Option<&'a str>,
    /// A name for the connection, at most [`MAX_UNIQUE_ID`] bytes.
    pub unique_id: Option<&'a [u8]>,
    /// What is known of the client's TLS; texts of at most 255 bytes.
    pub tls: Option<&'a TlsFacts>,
    /// Is a CRC32C wanted?
    pub checksum: bool,
}

impl<'a> Outgoing<'a> {
    /// The addresses and nothing else.
    #[must_use]
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        Self { source, destination, authority: None, unique_id: None, tls: None, checksum: false }
    }

    /// A line of version 1, which has room for the addresses only.
    #[must_use]
    pub fn v1(&self) -> Vec<u8> {
        let ports = format!("{} {}", self.source.port(), self.destination.port());
        let line = match self.addresses() {
            Addresses::V4(source, destination) => {
                format!("PROXY TCP4 {source} {destination} {ports}\r\n")
            }
            Addresses::V6(source, destination) => {
                format!("PROXY TCP6 {} {} {ports}\r\n", hex(source), hex(destination))
            }
        };
        line.into_bytes()
    }

    /// A header of version 2.
    #[must_use]
    pub fn v2(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(256);
        header.extend_from_slice(&SIGNATURE);
        header.push(v2::PROXY);
        match self.addresses() {
            Addresses::V4(source, destination) => {
                header.extend_from_slice(&[v2::TCP4, 0, 0]);
                header.extend_from_slice(&source.octets());
                header.extend_from_slice(&destination.octets());
            }
            Addresses::V6(source, destination) => {
                header.extend_from_slice(&[v2::TCP6, 0, 0]);
                header.extend_from_slice(&source.octets());
                header.extend_from_slice(&destination.octets());
            }
        }
        header.extend_from_slice(&self.source.port().to_be_bytes());
        header.extend_from_slice(&self.destination.port().to_be_bytes());
        self.fields(header)
    }

    /// Adds the fields, and what hangs on them: length and checksum.
    fn fields(&self, mut header: Vec<u8>) -> Vec<u8> {
        let sum = self.checksum.then(|| {
            field(&mut header, tlv::CRC32C, &[0; 4], 4);
            header.len() - 4
        });
        let authority = self.authority.unwrap_or_default();
        field(&mut header, tlv::AUTHORITY, authority.as_bytes(), MAX_AUTHORITY);
        field(&mut header, tlv::UNIQUE_ID, self.unique_id.unwrap_or_default(), MAX_UNIQUE_ID);
        if let Some(tls) = self.tls {
            field(&mut header, tlv::SSL, &tls_facts(tls), usize::MAX);
        }
        let length = (header.len() - FIXED) as u16;
        header[FIXED - 2..FIXED].copy_from_slice(&length.to_be_bytes());
        if let Some(at) = sum {
            let sum = tlv::checksum(&header, at);
            header[at..at + 4].copy_from_slice(&sum.to_be_bytes());
        }
        header
    }

    fn addresses(&self) -> Addresses {
        match (canonical(self.source).ip(), canonical(self.destination).ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Addresses::V4(source, destination),
            (source, destination) => Addresses::V6(mapped(source), mapped(destination)),
        }
    }
}

/// A header has one family for both.
enum Addresses {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// An address in hexadecimal groups alone: the line has no dots in IPv6.
fn hex(address: Ipv6Addr) -> String {
    match (address.to_ipv4_mapped(), address.segments()) {
        (Some(_), [.., high, low]) => format!("::ffff:{high:x}:{low:x}"),
        (None, _) => address.to_string(),
    }
}

fn tls_facts(tls: &TlsFacts) -> Vec<u8> {
    let client = [
        (tls.tls, tlv::CLIENT_SSL),
        (tls.certificate, tlv::CLIENT_CERT_CONN),
        (tls.session_certificate, tlv::CLIENT_CERT_SESS),
    ];
    let client = client.iter().filter(|(is_so, _)| *is_so).fold(0, |bits, (_, bit)| bits | bit);
    let mut value = vec![client];
    value.extend_from_slice(&tls.verify.to_be_bytes());
    for (kind, text) in [
        (tlv::SSL_VERSION, &tls.version),
        (tlv::SSL_CN, &tls.common_name),
        (tlv::SSL_CIPHER, &tls.cipher),
    ] {
        field(&mut value, kind, text.as_deref().unwrap_or_default().as_bytes(), MAX_TEXT);
    }
    value
}

/// Adds a field, unless it would be empty or have more than `most` bytes.
fn field(to: &mut Vec<u8>, kind: u8, value: &[u8], most: usize) {
    if value.is_empty() || value.len() > most {
        return;
    }
    to.push(kind);
    to.extend_from_slice(&(value.len() as u16).to_be_bytes());
    to.extend_from_slice(value);
}

//! The PROXY header, by which a proxy says for whom it connects: versions 1 and 2 of HAProxy's
//! proxy-protocol.txt.
//!
//! Whoever may send one can claim any address, so ask [`read`] only for peers that are trusted to.

#[cfg(test)]
mod tests;
mod tlv;
mod v1;
mod v2;
mod write;

use std::net::SocketAddr;

use thiserror::Error;

pub use write::{LOCAL, Outgoing};

/// Largest header of version 2 that is waited for, in bytes. HAProxy's, with a certificate and all
/// options, has some 300.
pub const MAX_HEADER: usize = 4096;

/// Longest line of version 1, in bytes with its CRLF (section 2.1).
pub const MAX_LINE: usize = 107;

/// Longest unique id, in bytes (section 2.2.5).
pub const MAX_UNIQUE_ID: usize = 128;

/// Longest authority, in bytes: what a host name may have. HAProxy has the same limit.
pub const MAX_AUTHORITY: usize = 255;

/// What the first bytes of a connection say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Too little is there yet.
    More,
    /// No PROXY header: these bytes are the client's own.
    Absent,
    /// A whole header.
    Header(Box<ProxyHeader>),
}

/// What a proxy says of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyHeader {
    /// Number of bytes that the header takes; the client's own follow.
    pub len: usize,
    /// On whose behalf the proxy connects.
    pub command: Command,
    /// Where the client is. `None` where the header tells no TCP address: then the connection's own
    /// counts. An IPv4 address inside an IPv6 one is given as IPv4.
    pub source: Option<SocketAddr>,
    /// Where the client connected to; told together with the source.
    pub destination: Option<SocketAddr>,
    /// The proxy's name for the connection; any bytes, at most [`MAX_UNIQUE_ID`].
    pub unique_id: Option<Vec<u8>>,
    /// The host name that the client asked for, as it wrote it; with TLS this is the SNI.
    pub authority: Option<String>,
    /// What the proxy says of TLS between the client and itself.
    pub tls: Option<TlsFacts>,
}

/// On whose behalf a proxy connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Its own, as for a health check. The rest of the header means nothing.
    Local,
    /// A client's.
    Proxy,
}

/// TLS between a client and its proxy (section 2.2.6).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// Did the client connect by TLS?
    pub tls: bool,
    /// Did it show a certificate on this connection?
    pub certificate: bool,
    /// Did it show one when the TLS session began, be it on this connection or on an earlier one?
    pub session_certificate: bool,
    /// How the check of the certificate came out; 0 is good. HAProxy says 0 without one, too.
    pub verify: u32,
    /// The version, such as `TLSv1.3`.
    pub version: Option<String>,
    /// The common name in the certificate's subject. `None` if it is not UTF-8.
    pub common_name: Option<String>,
    /// The cipher suite, by the name that the proxy has for it.
    pub cipher: Option<String>,
}

impl TlsFacts {
    /// Did the client show a certificate that the proxy found good?
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.tls && (self.certificate || self.session_certificate) && self.verify == 0
    }
}

/// Why a PROXY header is none to go by. The connection is to be closed (sections 2.1 and 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProxyError {
    /// No CRLF within [`MAX_LINE`] bytes.
    #[error("PROXY line does not end within {MAX_LINE} bytes")]
    LineTooLong,
    /// A line whose words are not those of version 1.
    #[error("PROXY line with a wrong {0}")]
    Line(&'static str),
    /// The signature of version 2 and another version behind it.
    #[error("PROXY header of the unknown version {0}")]
    Version(u8),
    /// Neither LOCAL nor PROXY.
    #[error("PROXY header with the unknown command {0}")]
    Command(u8),
    /// An address family or a transport that version 2 does not have.
    #[error("PROXY header with the unknown address family and protocol {0:#04x}")]
    Family(u8),
    /// More than [`MAX_HEADER`] bytes are announced.
    #[error("PROXY header of {0} bytes, more than {MAX_HEADER}")]
    TooLarge(usize),
    /// No room for the addresses of its family.
    #[error("PROXY header too short for its addresses")]
    Addresses,
    /// A field that overruns what it stands in, has a wrong length or comes twice.
    #[error("PROXY header whose field {0:#04x} is malformed or comes twice")]
    Field(u8),
    /// The header was changed on its way, or its sender cannot count.
    #[error("PROXY header with a wrong checksum")]
    Checksum,
}

/// Reads the first bytes of a connection, of which more may come.
///
/// # Errors
/// A PROXY header that breaks the rules, as soon as this is seen.
pub fn read(bytes: &[u8]) -> Result<Progress, ProxyError> {
    if bytes.starts_with(&v2::SIGNATURE) {
        v2::read(bytes)
    } else if bytes.starts_with(v1::WORD) {
        v1::read(bytes)
    } else if v2::SIGNATURE.starts_with(bytes) || v1::WORD.starts_with(bytes) {
        Ok(Progress::More)
    } else {
        Ok(Progress::Absent)
    }
}

/// An address as the rest of the gateway knows it.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

//! The fields behind the addresses: type, length, value (sections 2.2.1 to 2.2.8).

use super::{MAX_AUTHORITY, MAX_UNIQUE_ID, ProxyError, TlsFacts};

pub(super) const AUTHORITY: u8 = 0x02;
pub(super) const CRC32C: u8 = 0x03;
pub(super) const UNIQUE_ID: u8 = 0x05;
pub(super) const SSL: u8 = 0x20;
pub(super) const SSL_VERSION: u8 = 0x21;
pub(super) const SSL_CN: u8 = 0x22;
pub(super) const SSL_CIPHER: u8 = 0x23;

/// The client came by TLS.
pub(super) const CLIENT_SSL: u8 = 1;
/// It has shown a certificate on this connection.
pub(super) const CLIENT_CERT_CONN: u8 = 2;
/// It has shown one in this TLS session.
pub(super) const CLIENT_CERT_SESS: u8 = 4;

/// What is told by fields that mean something here. Others are passed over.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) unique_id: Option<Vec<u8>>,
    pub(super) authority: Option<String>,
    pub(super) tls: Option<TlsFacts>,
}

/// Reads the fields of a whole header; they begin at `start`.
pub(super) fn read(header: &[u8], start: usize) -> Result<Fields, ProxyError> {
    let (mut unique_id, mut authority, mut tls, mut sum) = (None, None, None, None);
    let mut rest = header.get(start..).unwrap_or_default();
    while let Some((kind, value)) = next(&mut rest)? {
        match kind {
            UNIQUE_ID if value.len() <= MAX_UNIQUE_ID => once(&mut unique_id, kind, value)?,
            AUTHORITY if value.len() <= MAX_AUTHORITY => once(&mut authority, kind, value)?,
            SSL => once(&mut tls, kind, tls_facts(value)?)?,
            CRC32C if value.len() == 4 => once(&mut sum, kind, header.len() - rest.len() - 4)?,
            UNIQUE_ID | AUTHORITY | CRC32C => return Err(ProxyError::Field(kind)),
            _ => {}
        }
    }
    if let Some(at) = sum
        && header[at..at + 4] != checksum(header, at).to_be_bytes()
    {
        return Err(ProxyError::Checksum);
    }
    let unique_id = unique_id.filter(|id| !id.is_empty()).map(<[u8]>::to_vec);
    Ok(Fields { unique_id, authority: authority.and_then(text), tls })
}

fn tls_facts(value: &[u8]) -> Result<TlsFacts, ProxyError> {
    let (&[client, verify @ ..], mut rest) =
        value.split_first_chunk::<5>().ok_or(ProxyError::Field(SSL))?;
    let (mut version, mut common_name, mut cipher) = (None, None, None);
    while let Some((kind, value)) = next(&mut rest)? {
        match kind {
            SSL_VERSION => once(&mut version, kind, value)?,
            SSL_CN => once(&mut common_name, kind, value)?,
            SSL_CIPHER => once(&mut cipher, kind, value)?,
            _ => {}
        }
    }
    Ok(TlsFacts {
        tls: client & CLIENT_SSL != 0,
        certificate: client & CLIENT_CERT_CONN != 0,
        session_certificate: client & CLIENT_CERT_SESS != 0,
        verify: u32::from_be_bytes(verify),
        version: version.and_then(text),
        common_name: common_name.and_then(text),
        cipher: cipher.and_then(text),
    })
}

/// Takes one field off.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Option<(u8, &'a [u8])>, ProxyError> {
    let Some(&kind) = rest.first() else { return Ok(None) };
    let taken = match **rest {
        [_, high, low, ref behind @ ..] => {
            behind.split_at_checked(u16::from_be_bytes([high, low]).into())
        }
        _ => None,
    };
    let (value, behind) = taken.ok_or(ProxyError::Field(kind))?;
    *rest = behind;
    Ok(Some((kind, value)))
}

/// Two fields of one type could be read in two ways by two programs.
fn once<T>(place: &mut Option<T>, kind: u8, value: T) -> Result<(), ProxyError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ProxyError::Field(kind)),
    }
}

/// Bytes that are no UTF-8 say nothing: a name made up from them could be somebody else's.
fn text(value: &[u8]) -> Option<String> {
    std::str::from_utf8(value).ok().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The CRC32C (RFC 9260 appendix A) of a header whose four bytes at `at` count as zero.
pub(super) fn checksum(header: &[u8], at: usize) -> u32 {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    let blank = at..at + 4;
    let bytes = header.iter().enumerate();
    !bytes.fold(u32::MAX, |sum, (index, &byte)| {
        let byte = if blank.contains(&index) { 0 } else { byte };
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ if sum & 1 == 1 { POLYNOMIAL } else { 0 }
        })
    })
}

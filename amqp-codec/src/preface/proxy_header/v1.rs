//! Version 1: a line of text (section 2.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{Command, MAX_LINE, Progress, ProxyError, ProxyHeader, canonical};

/// What says that a line of version 1 follows.
pub(super) const WORD: &[u8] = b"PROXY";

const CRLF: &[u8] = b"\r\n";

/// Reads a line that begins with [`WORD`].
pub(super) fn read(bytes: &[u8]) -> Result<Progress, ProxyError> {
    let most = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = most.windows(CRLF.len()).position(|two| two == CRLF) else {
        let ends = most.len() == MAX_LINE;
        return if ends { Err(ProxyError::LineTooLong) } else { Ok(Progress::More) };
    };
    let addresses = addresses(&most[WORD.len()..end])?;
    Ok(Progress::Header(Box::new(ProxyHeader {
        len: end + CRLF.len(),
        command: Command::Proxy,
        source: addresses.map(|(source, _)| canonical(source)),
        destination: addresses.map(|(_, destination)| canonical(destination)),
        unique_id: None,
        authority: None,
        tls: None,
    })))
}

/// What stands between the first word and the end of the line.
fn addresses(rest: &[u8]) -> Result<Option<(SocketAddr, SocketAddr)>, ProxyError> {
    // Behind UNKNOWN anything may stand, and means nothing.
    if rest == b" UNKNOWN" || rest.starts_with(b" UNKNOWN ") {
        return Ok(None);
    }
    let text = std::str::from_utf8(rest).map_err(|_| ProxyError::Line("character"))?;
    let words: Vec<_> = text.split(' ').collect();
    let ["", family, source, destination, source_port, destination_port] = words[..] else {
        return Err(ProxyError::Line("number of words"));
    };
    let ip = match family {
        "TCP4" => ip::<Ipv4Addr>,
        "TCP6" => ip::<Ipv6Addr>,
        _ => return Err(ProxyError::Line("address family")),
    };
    Ok(Some((
        SocketAddr::new(ip(source)?, port(source_port)?),
        SocketAddr::new(ip(destination)?, port(destination_port)?),
    )))
}

fn ip<T: FromStr + Into<IpAddr>>(word: &str) -> Result<IpAddr, ProxyError> {
    word.parse::<T>().map(Into::into).map_err(|_| ProxyError::Line("address"))
}

/// Digits alone, without a sign or leading zeros.
fn port(word: &str) -> Result<u16, ProxyError> {
    let port: u16 = word.parse().map_err(|_| ProxyError::Line("port"))?;
    if port.to_string() == word { Ok(port) } else { Err(ProxyError::Line("port")) }
}

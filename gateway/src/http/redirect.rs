//! Where browsers are sent that are to speak https. Pure.

use std::net::Ipv6Addr;
use std::num::NonZeroU16;

/// Longest host that is repeated to a client, in bytes: that of a DNS name.
const LONGEST_HOST: usize = 253;

/// The same place at `port`, with https. `host` is the value of the request's `Host` (RFC 9112 section 3.2); `None` if
/// there is no host in it.
pub(super) fn location(host: &[u8], port: NonZeroU16, target: &str) -> Option<String> {
    let host = host_of(host)?;
    let port = if port.get() == 443 { String::new() } else { format!(":{port}") };
    let target = if target.starts_with('/') { target } else { "/" };
    Some(format!("https://{host}{port}{target}"))
}

/// The host in the value of a `Host` header, with the brackets of an IPv6 address and without the port; `None` if there is
/// none.
pub(super) fn host_of(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let end = match text.strip_prefix('[') {
        Some(rest) => {
            let length = rest.find(']')?;
            rest[..length].parse::<Ipv6Addr>().ok()?;
            length + 2
        }
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(end);
    let port = rest.strip_prefix(':').unwrap_or(rest);
    let named = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_host = host.starts_with('[') || (!host.is_empty() && host.chars().all(named));
    let is_port = port.len() <= 5 && port.chars().all(|c| c.is_ascii_digit());
    (is_host && is_port && host.len() <= LONGEST_HOST).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(host: &str, port: u16, target: &str) -> Option<String> {
        location(host.as_bytes(), NonZeroU16::new(port).expect("not 0"), target)
    }

    #[test]
    fn a_browser_is_sent_to_the_host_it_asked_for() {
        let table = [
            ("rabbit.example.com", 15671, "/", "https://rabbit.example.com:15671/"),
            (
                "rabbit.example.com:15672",
                15671,
                "/api/queues?page=1",
                "https://rabbit.example.com:15671/api/queues?page=1",
            ),
            ("rabbit_1", 443, "/#/queues", "https://rabbit_1/#/queues"),
            ("[::1]:15672", 15671, "/", "https://[::1]:15671/"),
            ("10.0.0.5:", 15671, "//evil.example/", "https://10.0.0.5:15671//evil.example/"),
            ("h", 15671, "*", "https://h:15671/"),
        ];
        for (host, port, target, expected) in table {
            assert_eq!(to(host, port, target).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_is_no_host_leads_nowhere() {
        for host in [
            "",
            ":80",
            "user@evil.example",
            "evil.example/..",
            "a b",
            "a\"b",
            "h:80:90",
            "h:port",
            "h:123456",
            "[::1",
            "[not]",
            "[::1]x",
            "h\u{e9}",
        ] {
            assert_eq!(to(host, 15671, "/"), None, "{host}");
        }
        assert_eq!(host_of(&[0xff]), None);
        assert_eq!(to(&"h".repeat(254), 1, "/"), None);
    }
}

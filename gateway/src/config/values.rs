//! Texts of the file -> values of the model: addresses, networks, durations, names, patterns.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;

use super::defaults::text as duration_text;
use super::model::NodeAddress;
use super::pattern::Pattern;

/// Longest short string of AMQP: vhosts and reply texts.
const SHORT_STRING_BYTES: usize = 255;
const NAME_BYTES: usize = 64;
const HOST_NAME_BYTES: usize = 253;
const LABEL_BYTES: usize = 63;

/// What is wrong with a text, and what would be right.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) advice: String,
}

type Parsed<T> = Result<T, Fault>;

fn fault<T>(message: impl Into<String>, advice: impl Into<String>) -> Parsed<T> {
    Err(Fault { message: message.into(), advice: advice.into() })
}

/// An IP address and a port to bind or send to.
pub(super) fn socket_address(text: &str) -> Parsed<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if !text.contains([':', '.']) && text.parse::<u16>().is_err() {
        return fault(
            format!("{text:?} is not an IP address and a port"),
            "write both, as in \"0.0.0.0:5672\"",
        );
    }
    let (host, port) = host_and_port(text)?;
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(SocketAddr::new(address, port)),
        Err(_) if host == "*" || host.is_empty() => fault(
            format!("{text:?} has no IP address"),
            format!("write \"0.0.0.0:{port}\" for all of IPv4, \"[::]:{port}\" for all of IPv6"),
        ),
        Err(_) => fault(
            format!("{host:?} is not an IP address"),
            format!("write an address of this machine, as in \"192.168.1.10:{port}\""),
        ),
    }
}

/// An IP address and a port to send to.
pub(super) fn server_address(text: &str) -> Parsed<SocketAddr> {
    let address = socket_address(text)?;
    if address.port() == 0 || address.ip().is_unspecified() {
        return fault(
            format!("{text:?} is no server's address"),
            "write the address and port that the server is reached at, as in \"127.0.0.1:53\"",
        );
    }
    Ok(address)
}

/// A host (IP address or name) and the port of a node, or an SRV name.
pub(super) fn node_address(text: &str) -> Parsed<NodeAddress> {
    if text.starts_with('_') && !text.contains(':') {
        return srv_name(text);
    }
    let (host, port) = host_and_port(text)?;
    if port == 0 {
        return fault("a node cannot have port 0", format!("write \"{host}:5672\""));
    }
    match host.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => fault(
            format!("{host} is no node's address"),
            "write the address that the node is reached at",
        ),
        Ok(_) => Ok(NodeAddress { host: host.to_owned(), port: Some(port) }),
        Err(_) if is_host_name(host) => Ok(NodeAddress { host: host.to_owned(), port: Some(port) }),
        Err(_) => fault(
            format!("{host:?} is neither an IP address nor a host name"),
            "write it as in \"rabbit1.internal:5672\", \"192.168.1.10:5672\", \"[fd00::1]:5672\"",
        ),
    }
}

/// `_SERVICE._PROTOCOL.DOMAIN`.
fn srv_name(text: &str) -> Parsed<NodeAddress> {
    let mut labels = text.split('.');
    let marked = labels.by_ref().take(2).filter(|l| l.len() > 1 && l.starts_with('_')).count();
    if marked == 2 && labels.next().is_some() && is_host_name(text) {
        return Ok(NodeAddress { host: text.to_owned(), port: None });
    }
    fault(
        format!("{text:?} is not the name of an SRV record"),
        "write it as in \"_amqp._tcp.rabbit.internal\"; or a host with its port, as in \
         \"rabbit1.internal:5672\"",
    )
}

fn host_and_port(text: &str) -> Parsed<(&str, u16)> {
    if text.contains("//") {
        return fault(
            format!("{text:?} is a URL"),
            "write only host and port, as in \"192.168.1.10:5672\"",
        );
    }
    let is_ipv6 = |text: &str| text.parse::<Ipv6Addr>().is_ok();
    let (host, port) = match text.rsplit_once(':') {
        Some(parts) if !is_ipv6(text) && !text.ends_with(']') => parts,
        _ => return no_port(text),
    };
    let Ok(port) = port.parse::<u16>() else {
        return fault(
            format!("{port:?} is not a port"),
            format!("write a number from 1 to 65535, as in \"{host}:5672\""),
        );
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match bracketed {
        Some(host) if is_ipv6(host) => Ok((host, port)),
        Some(host) => fault(
            format!("{host:?} is not an IPv6 address"),
            "only IPv6 addresses stand in brackets, as in \"[fd00::1]:5672\"",
        ),
        None if host.contains(':') => fault(
            format!("{text:?} is ambiguous"),
            "put an IPv6 address in brackets, as in \"[fd00::1]:5672\"",
        ),
        None => Ok((host, port)),
    }
}

fn no_port<T>(text: &str) -> Parsed<T> {
    let (message, right) = if text.parse::<u16>().is_ok() {
        ("is only a port", format!("192.168.1.10:{text}"))
    } else if text.contains(':') {
        ("has no port", format!("[{}]:5672", text.trim_matches(['[', ']'])))
    } else {
        ("has no port", format!("{text}:5672"))
    };
    fault(format!("{text:?} {message}"), format!("write \"{right}\""))
}

/// Letters, digits, `-` and `_` (Docker Compose has names with it) between dots.
fn is_host_name(host: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let label = |label: &str| {
        (1..=LABEL_BYTES).contains(&label.len())
            && !label.starts_with('-')
            && label.chars().all(fits)
    };
    let only_digits = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    host.len() <= HOST_NAME_BYTES
        && !only_digits
        && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
}

/// A network, or a single IP address.
pub(super) fn network(text: &str) -> Parsed<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    match text.parse::<IpNet>() {
        Ok(network) => Ok(network),
        Err(_) => fault(
            format!("{text:?} is not a network"),
            "write address and prefix length, as in \"10.20.0.0/16\" or \"fd00::/8\"",
        ),
    }
}

/// A duration within `range`.
pub(super) fn duration(text: &str, range: &RangeInclusive<Duration>) -> Parsed<Duration> {
    let Ok(duration) = humantime::parse_duration(text) else {
        return fault(
            format!("{text:?} is not a duration"),
            "write number and unit, as in \"500ms\", \"3s\", \"1m\"",
        );
    };
    if range.contains(&duration) {
        return Ok(duration);
    }
    let (min, max) = (duration_text(*range.start()), duration_text(*range.end()));
    fault(format!("{text:?} is out of range"), format!("write a duration from {min} to {max}"))
}

/// The name of a listener, cluster, node or gateway.
pub(super) fn name(text: &str) -> Parsed<&str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if (1..=NAME_BYTES).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text);
    }
    fault(
        format!("{text:?} is not a valid name"),
        "use 1 to 64 of the characters A-Z, a-z, 0-9, \"_\", \".\" and \"-\"",
    )
}

/// A text that is not empty and has no control characters.
pub(super) fn plain_text(text: &str) -> Parsed<&str> {
    if text.is_empty() {
        return fault("this text is empty", "fill it, or remove the key");
    }
    if text.contains(char::is_control) {
        return fault("this text has control characters", "write printable characters only");
    }
    Ok(text)
}

/// A text that fits where AMQP has a short string.
pub(super) fn short_string(text: &str) -> Parsed<&str> {
    if text.len() > SHORT_STRING_BYTES {
        let length = text.len();
        return fault(
            format!("this text has {length} bytes, AMQP allows {SHORT_STRING_BYTES}"),
            "shorten it",
        );
    }
    plain_text(text)
}

/// A pattern of a route's condition.
pub(super) fn pattern(text: &str) -> Parsed<Pattern> {
    Pattern::parse(text).or_else(|error| {
        let cause = error.lines().last().unwrap_or("").trim();
        let cause = cause.strip_prefix("error: ").unwrap_or(cause);
        fault(
            format!("{text:?} is not a valid pattern: {cause}"),
            "write a plain text, a glob (\"team-*\", \"{orders,audit}\"; \\\\ before a special \
             character makes it plain), or a regular expression between slashes \
             (\"/^eu-[0-9]+$/\")",
        )
    })
}

/// The known word that a written one may be a misspelling of.
pub(super) fn similar<'s, S: AsRef<str> + ?Sized + 's>(
    written: &str,
    known: impl Iterator<Item = &'s S>,
) -> Option<&'s str> {
    known
        .map(|candidate| (strsim::jaro_winkler(written, candidate.as_ref()), candidate.as_ref()))
        .filter(|(similarity, _)| *similarity > 0.84)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T: std::fmt::Debug>(parsed: Parsed<T>) -> String {
        parsed.expect_err("a fault").message
    }

    #[test]
    fn a_bind_address_is_an_ip_address_and_a_port() {
        for good in ["0.0.0.0:5672", "[::]:5672", "127.0.0.1:0"] {
            assert!(socket_address(good).is_ok(), "{good}");
        }
        assert!(message(socket_address("0.0.0.0")).contains("has no port"));
        assert!(message(socket_address("5672")).contains("only a port"));
        assert!(message(socket_address(":5672")).contains("no IP address"));
        assert!(message(socket_address("localhost")).contains("not an IP address"));
        assert!(message(socket_address("localhost:5672")).contains("not an IP address"));
        assert!(message(socket_address("::1")).contains("has no port"));
        assert!(message(socket_address("::1:99999")).contains("is not a port"));
        assert!(message(socket_address("1.2.3.4:70000")).contains("is not a port"));
    }

    #[test]
    fn a_node_address_is_a_host_and_a_port() {
        for good in ["rabbit-1.internal:5672", "rabbit_1:5672", "10.0.0.1:5672", "a.b.:1"] {
            assert!(node_address(good).is_ok(), "{good}");
        }
        assert_eq!(node_address("[fd00::1]:5672").map(|a| a.host).as_deref(), Ok("fd00::1"));
        for bad in ["", "rabbit1", "amqp://rabbit1:5672", "a b:5672", "1.2.3:5672", "[x]:1", "h:0"]
        {
            assert!(node_address(bad).is_err(), "{bad}");
        }
        assert!(message(node_address("0.0.0.0:5672")).contains("no node's address"));
        assert!(message(node_address("fd00::1:ab:cd:5672")).contains("has no port"));
    }

    #[test]
    fn a_node_address_may_be_an_srv_name_which_has_no_port() {
        let address = node_address("_amqp._tcp.rabbit.internal").expect("an SRV name");
        assert_eq!((&*address.host, address.port), ("_amqp._tcp.rabbit.internal", None));
        assert!(node_address("_rabbit:5672").is_ok_and(|address| !address.is_srv()));
        for bad in ["_amqp", "_amqp._tcp", "_amqp.tcp.a", "_._tcp.a", "_amqp._tcp..a"] {
            assert!(message(node_address(bad)).contains("SRV record"), "{bad}");
        }
    }

    #[test]
    fn durations_have_a_unit_and_bounds() {
        let range = Duration::from_millis(1)..=Duration::from_secs(60);
        assert_eq!(duration("500ms", &range), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m", &range), Ok(Duration::from_secs(60)));
        assert!(message(duration("10", &range)).contains("not a duration"));
        assert!(message(duration("2m", &range)).contains("out of range"));
        assert!(message(duration("99999999999999999999y", &range)).contains("not a duration"));
    }

    #[test]
    fn names_and_texts_have_their_limits() {
        assert!(name("rabbit-1.eu_west").is_ok());
        for bad in ["", "rabbit 1", "käse", &"x".repeat(65)] {
            assert!(name(bad).is_err(), "{bad}");
        }
        assert!(short_string(&"x".repeat(255)).is_ok());
        assert!(message(short_string(&"ä".repeat(128))).contains("256 bytes"));
        assert!(plain_text("two\nlines").is_err());
    }

    #[test]
    fn a_network_may_be_one_address() {
        assert_eq!(network("10.0.0.1").map(|n| n.to_string()).as_deref(), Ok("10.0.0.1/32"));
        assert!(network("10.0.0.0/33").is_err());
    }
}

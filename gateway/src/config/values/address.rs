//! Where something answers: addresses to bind, of nodes, of their management.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::{Parsed, fault};
use crate::config::model::{ManagementUrl, NodeAddress};

const HOST_NAME_BYTES: usize = 253;
const LABEL_BYTES: usize = 63;

/// An IP address and a port to bind or send to.
pub(in crate::config) fn socket_address(text: &str) -> Parsed<SocketAddr> {
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

/// An IP address to send to, and a port if it is not `usual`.
pub(in crate::config) fn server_address(text: &str, usual: u16) -> Parsed<SocketAddr> {
    let address = match text.parse() {
        Ok(ip) => SocketAddr::new(ip, usual),
        Err(_) => socket_address(text)?,
    };
    if address.port() == 0 || address.ip().is_unspecified() {
        return fault(
            format!("{text:?} is no server's address"),
            "write the address and port that the server is reached at, as in \"127.0.0.1:53\"",
        );
    }
    Ok(address)
}

/// A host (IP address or name) and the port of a node, or an SRV name.
pub(in crate::config) fn node_address(text: &str) -> Parsed<NodeAddress> {
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

/// `http://HOST:PORT`, with a path in front of `/api` if there is one.
pub(in crate::config) fn management_url(text: &str) -> Parsed<ManagementUrl> {
    let example = "as in \"http://192.168.1.10:15672\"";
    let Some((scheme, rest)) = text.split_once("://") else {
        return fault("this is not a URL", format!("write it {example}"));
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return fault(
            "a user has no place in this URL",
            format!("write it without, {example}; the health section has username and password"),
        );
    }
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => {
            let message = format!("{scheme:?} is neither http nor https");
            return fault(message, format!("write it {example}"));
        }
    };
    let path = path.trim_end_matches('/');
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '"' | '\\');
    if !path.chars().all(fits) {
        return fault(format!("{path:?} is not a path"), "write one without query and blanks");
    }
    if path == "api" || path.ends_with("/api") {
        return fault("the path ends with /api, which is added", "leave /api out");
    }
    let NodeAddress { host, port } = node_address(authority)?;
    let Some(port) = port else { return no_port(authority) };
    let prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
    Ok(ManagementUrl { tls, host: host.into(), port, prefix: prefix.into() })
}

/// A name that a certificate can bear: a host name or an IP address.
pub(in crate::config) fn server_name(text: &str) -> Parsed<&str> {
    if text.parse::<IpAddr>().is_ok() || is_host_name(text) {
        return Ok(text);
    }
    fault(
        format!("{text:?} is neither a host name nor an IP address"),
        "write the name alone, as in \"rabbit.internal\"",
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::message;

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
    fn a_server_has_its_usual_port_unless_another_is_named() {
        let read = |text: &str| server_address(text, 53).map(|address| address.to_string());
        assert_eq!(read("127.0.0.1").as_deref(), Ok("127.0.0.1:53"));
        assert_eq!(read("::1").as_deref(), Ok("[::1]:53"));
        assert_eq!(read("127.0.0.1:5353").as_deref(), Ok("127.0.0.1:5353"));
        assert!(message(read("0.0.0.0:53")).contains("no server's address"));
        assert!(message(read("127.0.0.1:0")).contains("no server's address"));
        assert!(message(read("dns.internal:53")).contains("not an IP address"));
    }

    #[test]
    fn a_management_address_is_a_plain_url_of_host_and_port() {
        let read = |text: &str| {
            management_url(text).map(|url| (url.host.to_string(), url.port, url.prefix.to_string()))
        };
        let good = |host: &str, port, prefix: &str| Ok((host.to_owned(), port, prefix.to_owned()));
        assert_eq!(read("http://10.0.0.1:15672"), good("10.0.0.1", 15672, ""));
        assert_eq!(read("HTTP://[fd00::1]:15672/"), good("fd00::1", 15672, ""));
        assert_eq!(read("http://r1:80/rabbit/one/"), good("r1", 80, "/rabbit/one"));
        assert!(management_url("https://r1:15671").is_ok_and(|url| url.tls));
        assert!(message(read("ftp://r1:15671")).ends_with("neither http nor https"));
        assert!(message(read("http://ops:secret@r1:1")).contains("a user has no place"));
        assert!(!message(read("http://ops:secret@r1:1")).contains("secret"));
        assert!(message(read("http://r1")).contains("has no port"));
        assert!(message(read("http://_a._b.c")).contains("has no port"));
        assert!(message(read("http://r1:15672/api")).contains("/api"));
        for bad in ["", "r1:15672", "amqp://r1:1", "http://", "http://r1:1/a?b", "http://r1:1/a b"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}

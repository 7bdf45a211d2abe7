//! What is changed in the headers of a request and of a response on their way. Pure.
//!
//! What concerns one connection alone ends here (RFC 9110 section 7.6.1), and the node is told who asks and how: in the
//! headers that proxies have in common. All else passes unchanged, the host that the client asked for included.

use std::net::IpAddr;

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, Entry, FORWARDED, HOST, HeaderMap, HeaderName,
    HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// The login of the gateway's own console. Browsers send cookies of a host to all of its ports.
const CONSOLE_COOKIE: &str = "amqp_gateway_session";

/// Who asks, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    /// The client's address.
    pub(super) address: IpAddr,
    /// The port that it came to.
    pub(super) port: u16,
    /// Does it speak TLS?
    pub(super) tls: bool,
    /// Is it a proxy whose word on its own clients counts?
    pub(super) trusted: bool,
}

/// What a request asks its connection to be turned into, such as `websocket`.
///
/// Not to another version of HTTP and not to TLS: what the gateway does to requests would end with the first of them.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let wanted = headers.get(UPGRADE).filter(|_| lists(headers, "upgrade"))?;
    let kept = |name: &str| {
        let name = name.trim().to_ascii_lowercase();
        !name.is_empty() && !["h2c", "http", "tls"].iter().any(|other| name.starts_with(other))
    };
    wanted.to_str().ok()?.split(',').all(kept).then(|| wanted.clone())
}

/// Makes the headers of a client's request those of the request to the node. `host` is what the client asks for, `via`
/// the gateway's name.
pub(super) fn to_node(
    headers: &mut HeaderMap,
    asker: &Asker,
    host: &HeaderValue,
    via: &HeaderValue,
    upgrade: Option<&HeaderValue>,
) {
    if headers.contains_key(TRANSFER_ENCODING) {
        // With both the length says nothing: RFC 9112 section 6.3.
        headers.remove(CONTENT_LENGTH);
    }
    end_of_connection(headers, upgrade);
    // The gateway itself says that the body may come.
    headers.remove(EXPECT);
    headers.remove(HTTP2_SETTINGS);
    without_console_cookie(headers);
    headers.insert(HOST, host.clone());
    if !asker.trusted {
        for spoof in
            [FORWARDED_FOR, FORWARDED_PROTO, FORWARDED_HOST, FORWARDED_PORT, REAL_IP, FORWARDED]
        {
            headers.remove(spoof);
        }
    }
    let mut chain = joined(headers, &FORWARDED_FOR);
    if !chain.is_empty() {
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(asker.address.to_canonical().to_string().as_bytes());
    if let Ok(chain) = HeaderValue::from_bytes(&chain) {
        headers.insert(FORWARDED_FOR, chain);
    }
    let scheme = HeaderValue::from_static(if asker.tls { "https" } else { "http" });
    let told = [
        (FORWARDED_PROTO, scheme),
        (FORWARDED_HOST, host.clone()),
        (FORWARDED_PORT, asker.port.into()),
    ];
    for (name, value) in told {
        if let Entry::Vacant(vacant) = headers.entry(name) {
            vacant.insert(value);
        }
    }
    headers.append(VIA, via.clone());
}

/// Takes out the cookie that no node has any business with.
fn without_console_cookie(headers: &mut HeaderMap) {
    let is_it = |pair: &&[u8]| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        name.trim_ascii() == CONSOLE_COOKIE.as_bytes()
    };
    let lines: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    if !lines.iter().any(|line| line.as_bytes().split(|byte| *byte == b';').any(|p| is_it(&p))) {
        return;
    }
    headers.remove(COOKIE);
    for line in lines {
        let pairs = line.as_bytes().split(|byte| *byte == b';').filter(|pair| !is_it(pair));
        let kept = pairs.collect::<Vec<_>>().join(&b';');
        if !kept.trim_ascii().is_empty()
            && let Ok(kept) = HeaderValue::from_bytes(kept.trim_ascii())
        {
            headers.append(COOKIE, kept);
        }
    }
}

/// Makes the headers of a node's response those of the response to the client.
pub(super) fn to_client(headers: &mut HeaderMap, upgrade: Option<&HeaderValue>) {
    end_of_connection(headers, upgrade);
    headers.append(VIA, HeaderValue::from_static("1.1 amqp-gateway"));
}

/// Takes out what concerns one connection alone, and puts back that it is turned into `upgrade`.
fn end_of_connection(headers: &mut HeaderMap, upgrade: Option<&HeaderValue>) {
    let listed = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let listed = listed.flat_map(|value| value.split(','));
    let listed: Vec<HeaderName> = listed.filter_map(|name| name.trim().parse().ok()).collect();
    let proxy = headers.keys().filter(|name| name.as_str().starts_with("proxy-")).cloned();
    let gone: Vec<HeaderName> = proxy.chain(listed).collect();
    let always = [CONNECTION, KEEP_ALIVE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    for name in always.into_iter().chain(gone) {
        headers.remove(name);
    }
    if let Some(upgrade) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, upgrade.clone());
    }
}

/// Has a request come through the gateway of this name before?
pub(super) fn is_loop(headers: &HeaderMap, via: &HeaderValue) -> bool {
    let Ok(own) = via.to_str() else { return false };
    let before = headers.get_all(VIA).iter().filter_map(|value| value.to_str().ok());
    before.flat_map(|value| value.split(',')).any(|hop| hop.trim() == own)
}

/// The gateway as it names itself in `Via`.
pub(super) fn via(gateway: &str) -> HeaderValue {
    let token = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let name: String = gateway.chars().map(|c| if token(c) { c } else { '-' }).collect();
    let text = format!("1.1 amqp-gateway-{name}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("1.1 amqp-gateway"))
}

fn lists(headers: &HeaderMap, token: &str) -> bool {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case(token))
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    let values: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    values.join(&b", "[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: Asker = Asker {
        address: IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7)),
        port: 15672,
        tls: false,
        trusted: false,
    };

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .collect()
    }

    /// All of one name, as one list.
    fn list(headers: &HeaderMap, name: &str) -> String {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|v| v.to_str().expect("text")).collect();
        values.join(", ")
    }

    fn sent(lines: &[(&'static str, &'static str)], asker: Asker) -> HeaderMap {
        let mut headers = headers(lines);
        let wanted = upgrade(&headers);
        let host = HeaderValue::from_static("rabbit.example.com:15672");
        to_node(&mut headers, &asker, &host, &via("gw 1"), wanted.as_ref());
        headers
    }

    #[test]
    fn what_concerns_the_clients_connection_alone_ends_at_the_gateway() {
        let gone = [
            ("connection", "close, X-Custom"),
            ("x-custom", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("content-length", "7"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA"),
            ("proxy-authorization", "Basic Zm9v"),
            ("proxy-connection", "keep-alive"),
            ("expect", "100-continue"),
        ];
        let sent = sent(&gone, STRANGER);
        assert_eq!(gone.iter().find(|(name, _)| sent.contains_key(*name)), None);
        let kept =
            [("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q="), ("cookie", "a=b"), ("accept", "*/*")];
        let sent = super::tests::sent(&kept, STRANGER);
        assert!(kept.iter().all(|(name, value)| list(&sent, name) == *value));
        assert_eq!(list(&sent, "host"), "rabbit.example.com:15672");
    }

    #[test]
    fn the_login_of_the_console_is_not_for_the_nodes() {
        for (sent_cookie, kept) in [
            ("amqp_gateway_session=s3cret", ""),
            ("a=b; amqp_gateway_session=s3cret; c=d", "a=b; c=d"),
            ("amqp_gateway_session=s3cret;c=d", "c=d"),
            ("a=amqp_gateway_session", "a=amqp_gateway_session"),
            ("amqp_gateway_sessions=3; amqp_gateway_session = s3cret", "amqp_gateway_sessions=3"),
        ] {
            let headers = sent(&[("cookie", sent_cookie)], STRANGER);
            assert_eq!(list(&headers, "cookie"), kept, "{sent_cookie}");
        }
    }

    #[test]
    fn the_node_is_told_who_asks_and_a_stranger_cannot_pretend_to_be_another() {
        let forged = [
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-port", "1"),
            ("x-real-ip", "1.2.3.4"),
            ("forwarded", "for=1.2.3.4"),
        ];
        let sent = sent(&forged, STRANGER);
        let told = ["for", "proto", "host", "port"]
            .map(|what| list(&sent, &format!("x-forwarded-{what}")));
        assert_eq!(told, ["10.0.0.7", "http", "rabbit.example.com:15672", "15672"]);
        assert!(!sent.contains_key("x-real-ip") && !sent.contains_key("forwarded"));
        assert_eq!(list(&sent, "via"), "1.1 amqp-gateway-gw-1");
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_named_after_its_client() {
        let asker = Asker { trusted: true, tls: true, ..STRANGER };
        let told = [
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-for", "5.6.7.8"),
            ("x-forwarded-proto", "http"),
        ];
        let mut lines = headers(&[]);
        told.iter().for_each(|(n, v)| {
            lines.append(*n, HeaderValue::from_static(v));
        });
        to_node(&mut lines, &asker, &HeaderValue::from_static("h"), &via("gw"), None);
        assert_eq!(list(&lines, "x-forwarded-for"), "1.2.3.4, 5.6.7.8, 10.0.0.7");
        assert_eq!(list(&lines, "x-forwarded-proto"), "http");
        assert_eq!(list(&lines, "x-forwarded-port"), "15672", "it did not say");
        assert_eq!(list(&sent(&[], asker), "x-forwarded-proto"), "https");
    }

    #[test]
    fn an_ipv4_client_of_an_ipv6_socket_is_named_by_its_ipv4_address() {
        let mapped = "::ffff:10.0.0.9".parse().expect("an address");
        let sent = sent(&[], Asker { address: mapped, ..STRANGER });
        assert_eq!(list(&sent, "x-forwarded-for"), "10.0.0.9");
    }

    #[test]
    fn a_websocket_passes_and_another_version_of_http_does_not() {
        let asks =
            |upgrade, connection| headers(&[("upgrade", upgrade), ("connection", connection)]);
        assert!(upgrade(&asks("websocket", "keep-alive, Upgrade")).is_some());
        assert_eq!(upgrade(&asks("websocket", "keep-alive")), None);
        for other in ["h2c", "websocket, h2c", "HTTP/2.0", "TLS/1.0", "", "websocket,"] {
            assert_eq!(upgrade(&asks(other, "upgrade")), None, "{other}");
        }
        let sent = sent(&[("upgrade", "websocket"), ("connection", "Upgrade")], STRANGER);
        assert_eq!(
            (list(&sent, "connection"), list(&sent, "upgrade")),
            ("upgrade".into(), "websocket".into())
        );
    }

    #[test]
    fn a_response_loses_what_concerns_the_nodes_connection() {
        let mut answer = headers(&[
            ("connection", "close"),
            ("keep-alive", "1"),
            ("content-length", "5"),
            ("server", "Cowboy"),
        ]);
        to_client(&mut answer, None);
        assert!(!answer.contains_key("connection") && !answer.contains_key("keep-alive"));
        assert_eq!(
            (list(&answer, "content-length"), list(&answer, "server")),
            ("5".into(), "Cowboy".into())
        );
        assert_eq!(list(&answer, "via"), "1.1 amqp-gateway");
    }

    #[test]
    fn a_request_that_was_here_before_is_known_by_its_via() {
        let own = via("gw");
        assert!(!is_loop(&headers(&[("via", "1.1 other, 1.1 amqp-gateway-gw2")]), &own));
        assert!(is_loop(&headers(&[("via", "1.0 first, 1.1 amqp-gateway-gw")]), &own));
    }
}

//! Which pages may have a browser send requests here.
//!
//! Web pages in an operator's browser can have it send requests to any address, with its cookies and passwords. So a request
//! that changes something has to say `Content-Type: application/json`, which a page of another origin cannot without
//! asking first, and its `Origin`, if it has one, has to be this address. Where nobody has to log in, a request has to name the address
//! by number or as `localhost`, besides: a name that an attacker has pointed here is neither.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, StatusCode};

use crate::admin::problem::Problem;

/// Is the address named by number?
///
/// # Errors
/// The answer, if it is not.
pub(super) fn names_the_address(headers: &HeaderMap) -> Result<(), Problem> {
    let host = text(headers, HOST).unwrap_or_default();
    if is_address(host) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        format!(
            "The request names the host \"{host}\". Name it by its address, such as 127.0.0.1, or as localhost: other \
             names may have been pointed here by somebody else."
        ),
    ))
}

/// Can no page of others have sent it?
///
/// # Errors
/// The answer, if one can.
pub(super) fn is_our_own(headers: &HeaderMap) -> Result<(), Problem> {
    let host = text(headers, HOST).unwrap_or_default();
    if let Some(origin) = text(headers, ORIGIN) {
        // A proxy in front may have ended TLS.
        let schemes = ["http://", "https://"].into_iter();
        let named = schemes.filter_map(|scheme| origin.strip_prefix(scheme)).next();
        if named.is_none_or(|named| !named.eq_ignore_ascii_case(host)) {
            let detail = format!("The request comes from a page of {origin}, not of {host}.");
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
    }
    let kind = text(headers, CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let detail = "Send the header Content-Type: application/json, even with an empty body.";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    Ok(())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// Is it an IP address or `localhost`, with or without a port?
fn is_address(host: &str) -> bool {
    let is_ip = |text: &str| text.parse::<IpAddr>().is_ok();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let in_brackets = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    host.parse::<SocketAddr>().is_ok()
        || is_ip(name)
        || in_brackets.is_some_and(is_ip)
        || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn addresses_are_told_from_names() {
        for host in
            ["127.0.0.1", "127.0.0.1:15680", "[::1]", "[::1]:15680", "localhost:1", "LocalHost"]
        {
            assert!(is_address(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:15680",
            "127.0.0.1.evil.example",
            "localhost.evil",
            "[x]",
        ] {
            assert!(!is_address(host), "{host}");
        }
    }

    #[test]
    fn a_page_of_another_origin_changes_nothing() {
        let check = |origin: Option<&str>, kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("gw.company.com:15680"));
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(kind).expect("a value"));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_str(origin).expect("a value"));
            }
            is_our_own(&headers).is_ok()
        };
        let json = "application/json; charset=utf-8";
        assert!(check(None, json) && check(Some("https://GW.company.com:15680"), json));
        for origin in
            ["https://gw.company.com", "http://evil", "null", "https://evil/gw.company.com:15680"]
        {
            assert!(!check(Some(origin), json), "{origin}");
        }
        assert!(!check(None, "text/plain") && !check(None, ""));
    }
}

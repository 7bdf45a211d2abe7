//! Who may change something.
//!
//! There are no logins in this build, so the admin address has to be one that only this host reaches. That alone does
//! not keep out web pages in a browser of this host: they can have it send requests to any address. So a request that
//! changes something has to say `Content-Type: application/json`, which a page of another origin cannot without asking
//! first, and has to name the address by number or as `localhost`: a name that an attacker has pointed here is neither.

use std::net::{IpAddr, SocketAddr};

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::caller::Caller;
use super::line::Line;
use super::problem::Problem;

/// Lets reading requests pass, and those that change something if nothing speaks against them. `bound` = the address
/// that the admin server is bound to.
pub(super) async fn guard(
    State(bound): State<SocketAddr>,
    Extension(line): Extension<Line>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(Caller::local(line.peer.to_string()));
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    match if reads { Ok(()) } else { may_change(bound, request.headers()) } {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn may_change(bound: SocketAddr, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let forbidden = |detail: String| Err(Problem::new(StatusCode::FORBIDDEN, detail));
    if !bound.ip().is_loopback() {
        return forbidden(format!(
            "Nothing can be changed over {bound}: this build has no logins, so that is possible only where admin.bind \
             is an address of this host alone, such as 127.0.0.1:15680."
        ));
    }
    let host = text(HOST).unwrap_or_default();
    if !is_address(host) {
        return forbidden(format!(
            "The request names the host \"{host}\". Name it by its address, such as 127.0.0.1, or as localhost: other \
             names may have been pointed here by somebody else."
        ));
    }
    if let Some(origin) = text(ORIGIN)
        && origin.strip_prefix("http://") != Some(host)
    {
        return forbidden(format!("The request comes from a page of {origin}."));
    }
    let kind = text(CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let detail = "Send the header Content-Type: application/json, even with an empty body.";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    Ok(())
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
}

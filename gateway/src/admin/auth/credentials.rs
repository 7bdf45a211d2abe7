//! What a request shows of who sends it.

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The cookie of the console.
pub(in crate::admin) const COOKIE_NAME: &str = "amqp_gateway_session";

/// What a request shows. The first there is counts, whether or not it is any good: a header before a cookie.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// `Authorization: Bearer`
    Bearer(String),
    /// `Authorization: Basic`
    Basic(String, String),
    /// The cookie.
    Cookie(String),
    /// Something that cannot be read.
    Unreadable,
    /// Nothing.
    None,
}

/// Takes them out of the head of a request.
pub(super) fn credentials(headers: &HeaderMap) -> Credentials {
    let mut headers_of_login = headers.get_all(AUTHORIZATION).iter();
    match (headers_of_login.next(), headers_of_login.next()) {
        (None, _) => cookie(headers).map_or(Credentials::None, Credentials::Cookie),
        (Some(header), None) => {
            header.to_str().ok().and_then(of_header).unwrap_or(Credentials::Unreadable)
        }
        (Some(_), Some(_)) => Credentials::Unreadable,
    }
}

fn of_header(header: &str) -> Option<Credentials> {
    let (scheme, value) = header.trim().split_once(' ')?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Credentials::Bearer(value.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some(Credentials::Basic(name.to_owned(), password.to_owned()))
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim() == COOKIE_NAME)?;
    Some(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(lines: &[(&'static str, &str)]) -> Credentials {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        credentials(&headers)
    }

    fn is(found: &Credentials, expected: &Credentials) {
        assert!(found == expected);
    }

    #[test]
    fn a_header_counts_before_the_cookie_even_if_it_is_no_good() {
        let cookie = ("cookie", "a=b; amqp_gateway_session=tok; c=d");
        is(&of(&[]), &Credentials::None);
        is(&of(&[cookie]), &Credentials::Cookie("tok".into()));
        is(&of(&[cookie, ("authorization", "bearer xyz")]), &Credentials::Bearer("xyz".into()));
        let basic = Credentials::Basic("ops".into(), "a:b".into());
        is(&of(&[cookie, ("authorization", "Basic b3BzOmE6Yg==")]), &basic);
        for bad in ["Digest x", "Basic !", "Basic b3Bz", "Bearer", ""] {
            is(&of(&[cookie, ("authorization", bad)]), &Credentials::Unreadable);
        }
        let two = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
        is(&of(&two), &Credentials::Unreadable);
    }

    #[test]
    fn other_cookies_are_none_of_ours() {
        is(&of(&[("cookie", "xamqp_gateway_session=1")]), &Credentials::None);
        is(&of(&[("cookie", "garbage")]), &Credentials::None);
    }
}

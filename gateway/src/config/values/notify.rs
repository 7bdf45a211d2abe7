//! Where news goes: URLs that are posted to, mail servers, mail addresses.

use std::sync::Arc;

use super::address::node_address;
use super::{Fault, Parsed, fault};

/// Longest part of a mail address before the @ (RFC 5321, section 4.5.3.1.1).
const LOCAL_PART_BYTES: usize = 64;

/// An http or https URL.
pub(in crate::config) fn web_url(text: &str) -> Parsed<&str> {
    let example = "write it as in \"https://ops.internal/hook\"";
    let Some((scheme, rest)) = text.split_once("://") else {
        return fault("this is not a URL", example);
    };
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return fault(format!("{scheme:?} is neither http nor https"), example);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.contains('@') {
        let advice = "leave it out; a secret may stand in the path";
        return fault("a user has no place in this URL", advice);
    }
    if !text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '<' | '>')) {
        let advice = "write blanks and the like as %20";
        return fault("this URL has characters that no URL has", advice);
    }
    if rest.contains('#') {
        return fault("a URL that is posted to has no fragment", "leave out # and what follows");
    }
    let port = if has_port(authority) { "" } else { ":80" };
    node_address(&format!("{authority}{port}")).map_err(|fault| Fault {
        message: format!("{authority:?} is not a host, nor a host and a port"),
        advice: format!("{example}; {}", fault.advice),
    })?;
    Ok(text)
}

fn has_port(authority: &str) -> bool {
    authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'))
}

/// Host and port of a mail server.
pub(in crate::config) fn mail_server(text: &str) -> Parsed<(Arc<str>, u16)> {
    let advice = "write host and port, as in \"127.0.0.1:25\" or \"mail.company.com:587\"";
    match node_address(text) {
        Ok(address) => match address.port {
            Some(port) => Ok((address.host.into(), port)),
            None => fault(format!("{text:?} is not a mail server"), advice),
        },
        Err(Fault { message, .. }) if message.starts_with("a node") => {
            fault("a mail server cannot have port 0", advice)
        }
        Err(Fault { message, .. }) => fault(message, advice),
    }
}

/// The address of a person, without their name.
pub(in crate::config) fn mail_address(text: &str) -> Parsed<&str> {
    let good = text.rsplit_once('@').is_some_and(|(local, domain)| {
        let dots = local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom));
        let host = node_address(&format!("{domain}:25")).is_ok() && !domain.contains('_');
        dots && local.len() <= LOCAL_PART_BYTES && host && !domain.ends_with('.')
    });
    if good {
        return Ok(text);
    }
    fault(
        format!("{text:?} is not a mail address"),
        "write the address alone, as in \"admin@company.com\"",
    )
}

/// What an unquoted part of a mail address is made of (RFC 5321, section 4.1.2).
fn is_atom(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::message;

    #[test]
    fn what_is_posted_to_is_a_url() {
        for good in [
            "http://a",
            "https://ops.internal/hook",
            "HTTPS://10.0.0.1:8443/a/b?c=d",
            "http://[fd00::1]/x",
            "http://[fd00::1]:8080",
            "https://a/@me",
        ] {
            assert_eq!(web_url(good), Ok(good));
        }
        assert!(message(web_url("ops.internal/hook")).contains("not a URL"));
        assert!(message(web_url("ftp://a")).contains("neither http nor https"));
        assert!(message(web_url("http://u:secret@a")).contains("a user has no place"));
        assert!(message(web_url("http://a b")).contains("characters"));
        assert!(message(web_url("http://a#b")).contains("fragment"));
        for bad in ["http://", "http://:80", "http://a:x", "http://a:0", "http://fd00::1/"] {
            assert!(message(web_url(bad)).contains("not a host"), "{bad}");
        }
    }

    #[test]
    fn a_mail_server_has_a_port() {
        assert_eq!(mail_server("mail:25"), Ok(("mail".into(), 25)));
        assert_eq!(mail_server("[fd00::1]:465"), Ok(("fd00::1".into(), 465)));
        assert!(message(mail_server("mail")).contains("has no port"));
        assert!(message(mail_server("mail:0")).contains("port 0"));
        assert!(message(mail_server("_smtp._tcp.a")).contains("not a mail server"));
    }

    #[test]
    fn a_mail_address_has_two_parts() {
        for good in ["a@b", "amqp-gateway@company.com", "o'neil+x.y@mail-1.b.c"] {
            assert_eq!(mail_address(good), Ok(good));
        }
        for bad in ["", "a", "@b", "a@", "a b@c", "a@b@c", "A <a@b>", "a..b@c", "a@b_c", "a@b."] {
            assert!(message(mail_address(bad)).contains("not a mail address"), "{bad}");
        }
    }
}

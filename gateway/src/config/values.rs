//! Texts of the file -> values of the model: addresses, networks, durations, names, patterns.

mod account;
mod address;
mod notify;
mod vrrp;

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;

use super::defaults::text as duration_text;
use super::model::CIPHER_SUITES;
use super::pattern::Pattern;
pub(super) use account::{account_name, is_cheap, password_hash, token_hash};
pub(super) use address::{
    management_url, node_address, server_address, server_name, socket_address,
};
pub(super) use notify::{mail_address, mail_server, web_url};
pub(super) use vrrp::{host_address, interface, virtual_address};

/// Longest short string of AMQP: vhosts and reply texts.
const SHORT_STRING_BYTES: usize = 255;
const NAME_BYTES: usize = 64;

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

/// A cipher suite, as the IANA registry names it.
pub(super) fn cipher_suite(text: &str) -> Parsed<&str> {
    let names = CIPHER_SUITES.map(|suite| suite.name);
    if names.contains(&text) {
        return Ok(text);
    }
    let all = names.join(", ");
    let advice = match similar(text, names.into_iter()) {
        Some(name) => format!("did you mean {name:?}? All that there are: {all}"),
        None => format!("write some of: {all}"),
    };
    fault(format!("there is no cipher suite {text:?}, or it is not safe"), advice)
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

/// An argument of a command, which may be empty.
pub(super) fn argument(text: &str) -> Parsed<&str> {
    if text.contains('\0') {
        return fault("this argument has a NUL character", "write printable characters only");
    }
    Ok(text)
}

/// The name of a queue that the gateway may declare.
pub(super) fn queue_name(text: &str) -> Parsed<&str> {
    if text.starts_with("amq.") {
        return fault(
            format!("{text:?} is a name that brokers keep for themselves"),
            "write one that does not begin with \"amq.\"",
        );
    }
    short_string(text)
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
fn message<T: std::fmt::Debug>(parsed: Parsed<T>) -> String {
    parsed.expect_err("a fault").message
}

#[cfg(test)]
mod tests {
    use super::*;

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

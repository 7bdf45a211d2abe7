//! Logins that a node must not be told of, for it would take the client for somebody else.
//!
//! A node judges some of them by the connection, which is the gateway's: by the address it comes
//! from (users of the node's own host, ANONYMOUS) and by the certificate shown there (EXTERNAL).

use std::sync::Arc;

use crate::frame::HEADER;
use crate::guard;

/// The mechanism that needs no name: the node takes its user for a local one.
const ANONYMOUS: &str = "ANONYMOUS";

/// The mechanism by which whoever has shown a certificate is its owner (RFC 4422 appendix A).
pub const EXTERNAL: &str = "EXTERNAL";

/// What a node would mistake a client for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginGuard {
    /// Somebody on its own host, where these users may log in.
    pub local_only: Option<LocalOnly>,
    /// The owner of the certificate that the gateway shows of itself.
    pub shows_certificate: bool,
}

impl LoginGuard {
    /// Is there anything that the node could mistake a client for?
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.local_only.is_some() || self.shows_certificate
    }

    /// Why the node must not be told of a login so, if it must not. `user` is what the SASL response
    /// says in clear.
    #[must_use]
    pub fn objection(&self, mechanism: &str, user: Option<&str>) -> Option<String> {
        if is(EXTERNAL, mechanism.as_bytes()) {
            return Some(
                "mechanism 'EXTERNAL' would log in the gateway, whose connection the node sees, and \
                 not the client"
                    .to_owned(),
            );
        }
        self.local_only.as_ref()?.objection(mechanism, user)
    }

    /// Why the node must not be told of a login that cannot be read, if it must not.
    #[must_use]
    pub fn objection_to_unreadable(&self) -> Option<String> {
        let cause = "a start-ok that cannot be read does not say who logs in";
        self.is_needed().then(|| cause.to_owned())
    }
}

/// The users that a node lets in from its own host alone, for a client that is elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalOnly {
    users: Vec<Arc<str>>,
}

impl LocalOnly {
    /// These users.
    #[must_use]
    pub fn new(users: Vec<Arc<str>>) -> Self {
        Self { users }
    }

    fn objection(&self, mechanism: &str, user: Option<&str>) -> Option<String> {
        match user {
            _ if is(ANONYMOUS, mechanism.as_bytes()) => {
                Some("anonymous logins are taken from the node's own host only".to_owned())
            }
            Some(user) if self.users.iter().any(|only| **only == *user) => {
                Some(format!("user '{user}' may log in from the node's own host only"))
            }
            Some(_) => None,
            None => Some(format!(
                "login by mechanism '{mechanism}' does not say who it is, and the node would take \
                 it for one from its own host: use PLAIN or AMQPLAIN"
            )),
        }
    }
}

fn is(name: &str, mechanism: &[u8]) -> bool {
    mechanism.eq_ignore_ascii_case(name.as_bytes())
}

/// The frame of a connection.start without the mechanisms that go by the connection, which no
/// client is offered: the node means whom it sees there. `None` if they are not in there, or the
/// frame cannot be read.
pub(crate) fn without_mistakable(frame: &[u8]) -> Option<Vec<u8>> {
    // Behind class, method and version stand the table and the mechanisms.
    const TABLE: usize = HEADER + 6;
    let (table, rest) = guard::split_long_string(frame.get(TABLE..)?).ok()?;
    let (mechanisms, rest) = guard::split_long_string(rest).ok()?;
    let all = mechanisms.split(|&byte| byte == b' ');
    let kept: Vec<_> = all.filter(|one| !is(ANONYMOUS, one) && !is(EXTERNAL, one)).collect();
    let kept = kept.join(&b' ');
    if kept.len() == mechanisms.len() {
        return None;
    }
    let size = u32::from_be_bytes(*frame.get(3..)?.first_chunk()?);
    let size = size.checked_sub((mechanisms.len() - kept.len()) as u32)?;
    let mut bytes = Vec::with_capacity(frame.len());
    bytes.extend_from_slice(&frame[..3]);
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(&frame[HEADER..TABLE + 4 + table.len()]);
    bytes.extend_from_slice(&(kept.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&kept);
    bytes.extend_from_slice(rest);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::bridge::{Stage, Step};
    use crate::handshake::client::Greeting;
    use crate::handshake::pair::{Client, End, Node, Pair};
    use crate::handshake::script::*;
    use crate::reply::ReplyCode;
    use crate::wire::{self, ConnectionMethod, LongString};

    fn guests() -> LoginGuard {
        let users = vec!["guest".into(), "ops".into()];
        LoginGuard { local_only: Some(LocalOnly::new(users)), shows_certificate: false }
    }

    fn offers(mechanisms: &str) -> Vec<u8> {
        let start = Greeting::new(start("RabbitMQ")).read().expect("a start");
        let mechanisms = LongString::from(mechanisms);
        wire::encode(ConnectionMethod::Start(wire::Start { mechanisms, ..start }))
    }

    /// A handshake at a guarded node that offers all sorts of mechanisms.
    fn pair(stage: Stage, start_ok: Vec<u8>, guard: LoginGuard) -> Pair {
        let node = Node::new(&[offers("PLAIN ANONYMOUS AMQPLAIN"), wire::tune(OFFER), open_ok()]);
        let mut owner = owner(stage);
        owner.guard = guard;
        owner.mechanisms.extend(["ANONYMOUS", "X"].map(str::to_owned));
        let parts = [header(), start_ok, tune_ok_open(ANSWER)];
        Pair::new(owner, Client::in_turns(&parts), vec![node])
    }

    #[test]
    fn whom_a_node_takes_from_its_own_host_only_is_never_told_to_it() {
        let users = ["guest", "ops"].map(|user| ("PLAIN", user));
        for (mechanism, user) in users.into_iter().chain([("ANONYMOUS", "app"), ("X", "app")]) {
            for stage in STAGES {
                for told in [true, false] {
                    let mut pair = pair(stage, start_ok_of(mechanism, user, told), guests());
                    let End::Step(Step::Forbidden { reason, told: was_told }) = pair.run([]) else {
                        panic!("{mechanism} {user} {stage:?}");
                    };
                    assert_eq!((reason.code, was_told), (ReplyCode::ACCESS_REFUSED, told));
                    assert_eq!(pair.node.heard, header(), "no word of the login");
                    let close = wire::close(&reason);
                    assert_eq!(pair.client.heard.ends_with(&close), told, "{stage:?}");
                }
            }
        }
    }

    #[test]
    fn everybody_else_hears_what_the_node_says_but_for_anonymous() {
        for stage in STAGES {
            let mut pair = pair(stage, start_ok("PLAIN", &[]), guests());
            assert_eq!(pair.run([]), End::Step(Step::Opened));
            let expected = match stage {
                Stage::Header => [offers("PLAIN AMQPLAIN"), wire::tune(OFFER), open_ok()].concat(),
                _ => heard(stage),
            };
            assert_eq!(pair.client.heard, expected);
            assert_eq!(pair.node.heard, told_node());
            let learned = pair.bridge.learned().greeting.as_ref().expect("a greeting");
            assert_eq!(learned.frame(), offers("PLAIN ANONYMOUS AMQPLAIN"), "as the node said it");
        }
    }

    #[test]
    fn a_login_that_cannot_be_read_is_refused() {
        let mut odd = start_ok("PLAIN", &[]);
        let at = odd.windows(4).position(|w| w == b"pika").expect("the product") - 5;
        odd[at] = b'?';
        let end = pair(Stage::Header, odd, guests()).run([]);
        assert!(matches!(end, End::Step(Step::Forbidden { told: false, .. })), "{end:?}");
    }

    #[test]
    fn what_goes_by_the_connection_is_taken_out_wherever_it_stands_and_nothing_else() {
        for (before, after) in [
            ("ANONYMOUS", ""),
            ("ANONYMOUS PLAIN", "PLAIN"),
            ("PLAIN anonymous", "PLAIN"),
            ("A ANONYMOUS B", "A B"),
            ("PLAIN EXTERNAL", "PLAIN"),
            ("External A ANONYMOUS", "A"),
        ] {
            assert_eq!(without_mistakable(&offers(before)), Some(offers(after)), "{before}");
        }
        assert_eq!(without_mistakable(&offers("PLAIN ANONYMOUSLY")), None);
        let whole = offers("PLAIN ANONYMOUS");
        for end in 0..whole.len() - 20 {
            assert_eq!(without_mistakable(&whole[..end]), None, "cut at {end}");
        }
    }
}

//! Logins that a node takes from its own host alone.
//!
//! A node judges by the address it sees, which is the gateway's. Where that is a loopback address,
//! the gateway has to keep out whom the node would have kept out.

use std::sync::Arc;

use crate::frame::HEADER;
use crate::guard;

/// The mechanism that needs no name: the node takes its user for a local one.
const ANONYMOUS: &[u8] = b"ANONYMOUS";

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

    /// Why a client from elsewhere may not log in so, if it may not. `user` is what the SASL
    /// response says in clear.
    #[must_use]
    pub fn objection(&self, mechanism: &str, user: Option<&str>) -> Option<String> {
        match user {
            _ if mechanism.as_bytes().eq_ignore_ascii_case(ANONYMOUS) => {
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

/// The frame of a connection.start without ANONYMOUS, which no client is offered: whom the node
/// takes for such a client is seldom meant to come by a gateway. `None` if it is not in there, or
/// the frame cannot be read.
pub(crate) fn without_anonymous(frame: &[u8]) -> Option<Vec<u8>> {
    // Behind class, method and version stand the table and the mechanisms.
    const TABLE: usize = HEADER + 6;
    let (table, rest) = guard::split_long_string(frame.get(TABLE..)?).ok()?;
    let (mechanisms, rest) = guard::split_long_string(rest).ok()?;
    let all = mechanisms.split(|&byte| byte == b' ');
    let kept: Vec<_> = all.filter(|one| !one.eq_ignore_ascii_case(ANONYMOUS)).collect();
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

    fn guests() -> LocalOnly {
        LocalOnly::new(vec!["guest".into(), "ops".into()])
    }

    fn offers(mechanisms: &str) -> Vec<u8> {
        let start = Greeting::new(start("RabbitMQ")).read().expect("a start");
        let mechanisms = LongString::from(mechanisms);
        wire::encode(ConnectionMethod::Start(wire::Start { mechanisms, ..start }))
    }

    /// A handshake at a guarded node that offers all sorts of mechanisms.
    fn pair(stage: Stage, start_ok: Vec<u8>, local_only: LocalOnly) -> Pair {
        let node = Node::new(&[offers("PLAIN ANONYMOUS AMQPLAIN"), wire::tune(OFFER), open_ok()]);
        let mut owner = owner(stage);
        owner.local_only = Some(local_only);
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
    fn anonymous_is_taken_out_wherever_it_stands_and_nothing_else() {
        for (before, after) in [
            ("ANONYMOUS", ""),
            ("ANONYMOUS PLAIN", "PLAIN"),
            ("PLAIN anonymous", "PLAIN"),
            ("A ANONYMOUS B", "A B"),
        ] {
            assert_eq!(without_anonymous(&offers(before)), Some(offers(after)), "{before}");
        }
        assert_eq!(without_anonymous(&offers("PLAIN ANONYMOUSLY")), None);
        let whole = offers("PLAIN ANONYMOUS");
        for end in 0..whole.len() - 20 {
            assert_eq!(without_anonymous(&whole[..end]), None, "cut at {end}");
        }
    }
}

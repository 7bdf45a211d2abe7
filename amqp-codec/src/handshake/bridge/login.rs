//! Who logs in to the node: the client as it says, somebody whom its certificate stands for, or nobody.

use super::super::leg::StartOk;
use super::super::server::Hello;
use super::{Bridge, Step};
use crate::login_guard::{EXTERNAL, LoginGuard};
use crate::reply::{CloseReason, ReplyCode};
use crate::wire;

/// The mechanism of a mapped login.
const PLAIN: &str = "PLAIN";

impl Bridge {
    /// Who logs in to the node, if the mechanism names the user in clear.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.said.login()?.hello.as_ref()?.user.as_deref()
    }

    /// The present node may take the client for somebody else: such a login is refused, and never
    /// told to it. That of EXTERNAL never is, to no node: what counts there is the certificate of
    /// the connection, which is the gateway's.
    pub fn guard(&mut self, guard: LoginGuard) {
        if let Some(leg) = &mut self.leg {
            leg.guard = guard;
        }
    }

    /// Has the client chosen EXTERNAL, so that nodes have to be told another login?
    #[must_use]
    pub fn wants_mapping(&self) -> bool {
        self.hello().is_some_and(|hello| hello.mechanism == EXTERNAL)
    }

    /// Nodes are told, from now on, that this user logs in, by PLAIN (RFC 4616), in place of what the
    /// client said.
    pub fn log_in_as(&mut self, user: &str, password: &str) {
        let Some(StartOk { raw, hello: Some(hello) }) = &self.said.start_ok else { return };
        let response = format!("\0{user}\0{password}");
        let hello = Hello {
            mechanism: PLAIN.to_owned(),
            user: Some(user.to_owned()),
            properties: hello.properties.clone(),
        };
        self.said.mapped = wire::with_login(raw, PLAIN, response.as_bytes())
            .map(|raw| StartOk { raw, hello: Some(hello) });
    }

    /// Refuses the login as RabbitMQ does: with a close, if the client understands that, or with none.
    /// What the handshake has come to.
    pub fn forbid(&mut self, cause: &str) -> Step {
        let reason = CloseReason::new(ReplyCode::ACCESS_REFUSED, cause);
        self.ended = true;
        let understands = |h: &Hello| h.properties.has_capability("authentication_failure_close");
        let told = self.hello().is_some_and(understands);
        if told {
            self.refuse(&reason);
        }
        Step::Forbidden { reason, told }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{Fault, Stage};
    use super::*;
    use crate::handshake::HandshakeError;
    use crate::handshake::pair::{Client, End, Owner, Pair};
    use crate::handshake::script::*;
    use crate::login_guard::LocalOnly;
    use crate::table::Table;

    /// One who has a login for the client's certificate, and has offered EXTERNAL.
    fn owner_of_identity(decides_at: Stage) -> Owner {
        let mut owner = owner(decides_at);
        owner.mechanisms.insert(0, EXTERNAL.to_owned());
        owner.identity = Some(("billing".to_owned(), "s3cret".to_owned()));
        owner
    }

    fn parts(start_ok: Vec<u8>) -> [Vec<u8>; 3] {
        [header(), start_ok, tune_ok_open(ANSWER)]
    }

    fn told_billing() -> Vec<u8> {
        let plain = start_ok_with("PLAIN", "\0billing\0s3cret");
        let entries = [("gateway", "gw1")];
        let told = wire::annotate_start_ok(&plain, &Table::default(), &entries, 4096);
        parts(told).concat()
    }

    #[test]
    fn who_chooses_external_is_told_to_nodes_as_the_user_of_the_certificate() {
        for stage in [Stage::StartOk, Stage::Open] {
            for response in ["", "somebody"] {
                let parts = parts(start_ok_with(EXTERNAL, response));
                let client = Client::in_turns(&parts);
                let mut pair = Pair::new(owner_of_identity(stage), client, vec![node()]);
                assert_eq!(pair.run([]), End::Step(Step::Opened));
                assert_eq!(pair.client.heard, heard(stage));
                assert_eq!(pair.node.heard, told_billing());
                assert_eq!(pair.bridge.user(), Some("billing"));
                let said = pair.bridge.hello().unwrap();
                assert_eq!((said.mechanism.as_str(), &said.user), (EXTERNAL, &None));
            }
        }
    }

    #[test]
    fn each_further_node_is_told_the_same_user() {
        let answers = heard(Stage::Header).len();
        for stage in [Stage::StartOk, Stage::Open] {
            for lost_after in 0..answers {
                let parts = parts(start_ok_with(EXTERNAL, ""));
                let client = Client::in_turns(&parts);
                let nodes = vec![lost(lost_after), absent(), lost(lost_after), node()];
                let mut pair = Pair::new(owner_of_identity(stage), client, nodes);
                assert_eq!(pair.run([]), End::Step(Step::Opened));
                assert_eq!(pair.client.heard, heard(stage), "{stage:?} {lost_after}");
                assert_eq!(pair.node.heard, told_billing(), "{stage:?} {lost_after}");
            }
        }
    }

    #[test]
    fn who_has_a_certificate_and_chooses_plain_logs_in_as_before() {
        let client = Client::in_turns(&client_parts());
        let mut pair = Pair::new(owner_of_identity(Stage::StartOk), client, vec![node()]);
        assert_eq!(pair.run([]), End::Step(Step::Opened));
        assert_eq!(pair.node.heard, told_node());
        assert_eq!(pair.bridge.user(), Some("app"));
    }

    #[test]
    fn external_without_a_login_for_it_is_told_to_no_node() {
        for told in [true, false] {
            let parts = parts(start_ok_of(EXTERNAL, "", told));
            let client = Client::in_turns(&parts);
            let mut pair = Pair::new(owner(Stage::Header), client, vec![node()]);
            let End::Step(Step::Forbidden { reason, told: was_told }) = pair.run([]) else {
                panic!("not refused")
            };
            assert_eq!((reason.code, was_told), (ReplyCode::ACCESS_REFUSED, told));
            assert_eq!(pair.node.heard, header(), "no word of the login");
        }
        let parts = parts(start_ok_with(EXTERNAL, ""));
        let mut pair = Pair::new(owner(Stage::Open), Client::in_turns(&parts), vec![node()]);
        let fault = Fault::Client(HandshakeError::Mechanism(EXTERNAL.to_owned()));
        assert_eq!(pair.run([]), End::Fault(fault), "it was not offered");
    }

    #[test]
    fn a_login_that_cannot_be_read_does_not_reach_a_node_that_sees_our_certificate() {
        let mut odd = start_ok(EXTERNAL, &[]);
        let at = odd.windows(4).position(|w| w == b"pika").unwrap() - 5;
        odd[at] = b'?';
        let mut owner = owner(Stage::Header);
        owner.guard = LoginGuard { local_only: None, shows_certificate: true };
        let mut pair = Pair::new(owner, Client::in_turns(&parts(odd)), vec![node()]);
        assert!(matches!(pair.run([]), End::Step(Step::Forbidden { .. })));
        assert_eq!(pair.node.heard, header());
    }

    #[test]
    fn a_user_of_a_certificate_is_judged_as_any_other() {
        let parts = parts(start_ok_of(EXTERNAL, "", true));
        let mut owner = owner_of_identity(Stage::StartOk);
        let local_only = Some(LocalOnly::new(vec!["billing".into()]));
        owner.guard = LoginGuard { local_only, shows_certificate: false };
        let mut pair = Pair::new(owner, Client::in_turns(&parts), vec![node()]);
        let End::Step(Step::Forbidden { reason, .. }) = pair.run([]) else { panic!("let in") };
        assert!(reason.text().contains("user 'billing'"), "{reason}");
    }

    #[test]
    fn no_debug_output_shows_a_password() {
        let client = Client::in_turns(&parts(start_ok_with(EXTERNAL, "")));
        let mut pair = Pair::new(owner_of_identity(Stage::StartOk), client, vec![node()]);
        assert_eq!(pair.run([]), End::Step(Step::Opened));
        let Bridge { said, .. } = &pair.bridge;
        let shown = format!("{:?} {said:?}", pair.bridge);
        let as_bytes = format!("{:?}", b"s3cret").replace(['[', ']'], "");
        assert!(!shown.contains("s3cret") && !shown.contains(&as_bytes), "{shown}");
        assert!(shown.contains("billing"));
    }
}

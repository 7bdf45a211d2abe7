//! One attempt with one node: what it has answered, what it has been told, and what it can be told
//! next.

use std::fmt;

use super::client::ClientHandshake;
use super::server::Hello;
use crate::login_guard::LoginGuard;
use crate::reply::{CloseReason, ReplyCode};
use crate::tune::{Misfit, Tune};
use crate::wire;

/// Largest start-ok frame that every RabbitMQ reads: the limit before tune, up to 4.0.
const START_OK_LARGEST: usize = 4096;

/// How far a node has come in its handshake.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answered {
    /// It has said nothing.
    #[default]
    Nothing,
    /// connection.start
    Start,
    /// connection.tune
    Tune,
}

/// What the client has said so far.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) header: bool,
    pub(super) start_ok: Option<StartOk>,
    /// What nodes are told in place of start-ok.
    pub(super) mapped: Option<StartOk>,
    pub(super) tune_ok: Option<(Vec<u8>, Tune)>,
    pub(super) open: Option<(Vec<u8>, String)>,
}

/// A start-ok.
pub(super) struct StartOk {
    /// The frame, password included.
    pub(super) raw: Vec<u8>,
    /// What it says, if it can be read.
    pub(super) hello: Option<Hello>,
}

impl fmt::Debug for StartOk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartOk").field("hello", &self.hello).finish_non_exhaustive()
    }
}

impl Said {
    /// What nodes are told of who logs in.
    pub(super) fn login(&self) -> Option<&StartOk> {
        self.mapped.as_ref().or(self.start_ok.as_ref())
    }
}

/// What the client has been told so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    Start,
    Tune(Tune),
}

/// One attempt with one node. It has been told the protocol header.
#[derive(Debug, Default)]
pub(super) struct Leg {
    pub(super) node: ClientHandshake,
    pub(super) answered: Answered,
    /// What the node offered.
    pub(super) tune: Option<Tune>,
    /// Which logins it must not be told of.
    pub(super) guard: LoginGuard,
    start_ok_sent: bool,
    tune_ok_sent: bool,
    open_sent: bool,
    challenges: u32,
    challenges_met: u32,
}

impl Leg {
    /// Is it the node's turn to speak?
    pub(super) fn owes_an_answer(&self) -> bool {
        match self.answered {
            Answered::Nothing => true,
            Answered::Start => self.start_ok_sent && self.challenges == self.challenges_met,
            Answered::Tune => self.open_sent,
        }
    }

    /// The node said connection.secure.
    pub(super) fn challenge(&mut self) {
        self.challenges += 1;
    }

    /// Has the node said connection.secure, ever?
    pub(super) fn was_challenged(&self) -> bool {
        self.challenges > 0
    }

    /// The client said connection.secure-ok: does the node wait for it?
    pub(super) fn meet_challenge(&mut self) -> bool {
        let waits = self.challenges > self.challenges_met;
        self.challenges_met = self.challenges;
        waits
    }

    /// Why the client's login must not be told to the node that waits for it.
    pub(super) fn objection(&self, said: &Said) -> Option<String> {
        let StartOk { hello, .. } = said.login()?;
        if self.answered < Answered::Start || self.start_ok_sent {
            return None;
        }
        match hello {
            Some(hello) => self.guard.objection(&hello.mechanism, hello.user.as_deref()),
            None => self.guard.objection_to_unreadable(),
        }
    }

    /// Tells the node start-ok with our annotations, once it has said start.
    pub(super) fn tell_start_ok(
        &mut self,
        said: &Said,
        annotations: &[(&'static str, String)],
        to_node: &mut Vec<u8>,
    ) {
        let Some(StartOk { raw, hello }) = said.login() else {
            return;
        };
        if self.answered < Answered::Start || self.start_ok_sent {
            return;
        }
        self.start_ok_sent = true;
        let Some(hello) = hello else {
            to_node.extend_from_slice(raw);
            return;
        };
        let entries: Vec<_> = annotations.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let properties = &hello.properties;
        let frame = wire::annotate_start_ok(raw, properties, &entries, START_OK_LARGEST);
        to_node.extend_from_slice(&frame);
    }

    /// Tells the node tune-ok, once it has said tune.
    ///
    /// # Errors
    /// If what was negotiated with the client does not hold with this node: what to tell the
    /// client.
    pub(super) fn tell_tune_ok(
        &mut self,
        said: &Said,
        told: Told,
        to_node: &mut Vec<u8>,
    ) -> Result<(), CloseReason> {
        let (Some(offer), Some((raw, answer))) = (self.tune, &said.tune_ok) else {
            return Ok(());
        };
        if self.tune_ok_sent {
            return Ok(());
        }
        // Where the node's own offer was answered, it is the judge of the answer.
        let judged = if told == Told::Tune(offer) { Ok(()) } else { offer.admits(*answer) };
        match judged {
            Ok(()) => to_node.extend_from_slice(raw),
            Err(Misfit::ChannelMax) if offer.admits(fewer_channels(offer, *answer)).is_ok() => {
                let tune = fewer_channels(offer, *answer);
                to_node.extend_from_slice(&wire::tune_ok(tune));
            }
            Err(_) => return Err(misfit(offer, *answer)),
        }
        self.tune_ok_sent = true;
        Ok(())
    }

    /// Tells the node open, with another vhost if `rename` says so, once it has been told tune-ok.
    pub(super) fn tell_open(&mut self, said: &Said, rename: Option<&str>, to_node: &mut Vec<u8>) {
        let Some((raw, _)) = &said.open else {
            return;
        };
        if !self.tune_ok_sent || self.open_sent {
            return;
        }
        self.open_sent = true;
        match rename {
            Some(vhost) => to_node.extend_from_slice(&wire::open(vhost)),
            None => to_node.extend_from_slice(raw),
        }
    }
}

/// What the client negotiated, with no more channels than the node offers.
fn fewer_channels(offer: Tune, answer: Tune) -> Tune {
    Tune { channel_max: offer.channel_max, ..answer }
}

fn misfit(offer: Tune, answer: Tune) -> CloseReason {
    let cause = format!(
        "the node takes frames of at most {} bytes and {} were negotiated; the gateway knows it \
         now: please reconnect",
        offer.frame_max, answer.frame_max
    );
    CloseReason::new(ReplyCode::CONNECTION_FORCED, &cause)
}

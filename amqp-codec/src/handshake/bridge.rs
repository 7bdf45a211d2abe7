//! Joins a client's handshake to a node's, whenever the route is decided and however often the node
//! changes.
//!
//! The gateway plays the broker until the route is decided; then a node takes over. The node is
//! told, one thing at a time, what the client has said so far; of its answers the client hears
//! those it has not had yet. So the same mechanism serves a route decided at accept (the client
//! hears every word of the node), at start-ok (it has had our start), at open (it has had our start
//! and tune), and a second node after the first was lost: the client notices nothing.
//!
//! ```text
//! client          gateway                          node
//!   header  --->  route? no                                     |
//!           <---  our start                                     | decided
//!  start-ok --->  route? no                                     | at open
//!           <---  our tune                                      |
//!  tune-ok,open > route! connect              ---> header       |
//!                 swallowed                   <--- start        |
//!                                             ---> start-ok     | what the client
//!                 swallowed, tune compared    <--- tune         | has said already
//!                                             ---> tune-ok,open |
//!           <--- handed on                    <--- open-ok
//! ```
//! The machine has no clock and no sockets: its owner feeds bytes, asks [`Bridge::step`] what to
//! do, and sends what gathers in [`Bridge::to_client`] and [`Bridge::to_node`].

mod login;

use std::fmt;

use thiserror::Error;

use super::HandshakeError;
use super::client::{Greeting, NodeSaid};
use super::leg::{Leg, Said, StartOk, Told};
use super::server::{ClientSaid, Hello, ServerHandshake};
use crate::login_guard;
use crate::protocol_header::{self, Guess};
use crate::reply::{CloseReason, ReplyCode};
use crate::tune::Tune;
use crate::wire;

pub use super::leg::Answered;

/// When the route table is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The client wants AMQP 0-9-1.
    Header,
    /// User and client properties are known.
    StartOk,
    /// The vhost is known: there is no later moment.
    Open,
}

/// What the owner of a bridge has to do next.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Nothing, until more bytes arrive.
    Wait,
    /// Ask the route table, then call [`Bridge::decided`], [`Bridge::play_broker`] or
    /// [`Bridge::refuse`].
    Route(Stage),
    /// Connect to a node, then call [`Bridge::connected`].
    Connect,
    /// The client has been told open-ok: the session begins.
    Opened,
    /// The client wants AMQP 1.0, and nothing of it was answered.
    Amqp10 {
        /// 0 plain, 2 TLS, 3 SASL.
        protocol_id: u8,
    },
    /// The client speaks something else. It has been told what is spoken here.
    Foreign(Guess),
    /// The client has been told connection.close by the node, or by us.
    Refused {
        /// What it was told.
        reason: CloseReason,
        /// Did the node say it?
        by_node: bool,
    },
    /// No node may be told of the client's login: see [`Bridge::guard`] and [`Bridge::forbid`].
    Forbidden {
        /// Why it is refused.
        reason: CloseReason,
        /// Has it been told connection.close? Not if it did not announce that it understands one.
        told: bool,
    },
    /// The client said connection.close and has been told close-ok.
    Left(CloseReason),
}

/// What ends a handshake, or an attempt with one node, with an error.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Fault {
    /// The client broke the protocol.
    #[error("client: {0}")]
    Client(HandshakeError),
    /// The node broke the protocol; another may not.
    #[error("node: {0}")]
    Node(HandshakeError),
}

/// Both handshakes of one session.
pub struct Bridge {
    client: ServerHandshake,
    said: Said,
    told: Told,
    decided: bool,
    rename_vhost: Option<String>,
    ended: bool,
    leg: Option<Leg>,
    learned: Learned,
    annotations: Vec<(&'static str, String)>,
    /// Bytes for the client, in order. The owner sends and clears them.
    pub to_client: Vec<u8>,
    /// Bytes for the node, in order. The owner sends and clears them.
    pub to_node: Vec<u8>,
}

/// Without what is on its way, which holds passwords.
impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Bridge");
        shown.field("told", &self.told).field("decided", &self.decided);
        shown.field("answered", &self.answered()).field("ended", &self.ended);
        shown.finish_non_exhaustive()
    }
}

/// What a node told about itself.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Learned {
    /// From connection.start.
    pub greeting: Option<Greeting>,
    /// From connection.tune.
    pub tune: Option<Tune>,
}

/// What a session starts with.
#[derive(Debug, PartialEq)]
pub struct Opened {
    /// As the client confirmed it.
    pub tune: Tune,
    /// First bytes of the session from the client, already read.
    pub client_rest: Vec<u8>,
    /// First bytes of the session from the node, already read.
    pub node_rest: Vec<u8>,
}

impl Bridge {
    /// A bridge that adds `annotations` to the client properties that nodes see.
    #[must_use]
    pub fn new(annotations: Vec<(&'static str, String)>) -> Self {
        Self {
            client: ServerHandshake::default(),
            said: Said::default(),
            told: Told::Nothing,
            decided: false,
            rename_vhost: None,
            ended: false,
            leg: None,
            learned: Learned::default(),
            annotations,
            to_client: Vec::new(),
            to_node: Vec::new(),
        }
    }

    /// Adds what was read from the client.
    pub fn push_client(&mut self, bytes: &[u8]) {
        self.client.push(bytes);
    }

    /// May more be read from the client?
    #[must_use]
    pub fn wants_client_bytes(&self) -> bool {
        self.client.wants_bytes()
    }

    /// Adds what was read from the node.
    pub fn push_node(&mut self, bytes: &[u8]) {
        if let Some(leg) = &mut self.leg {
            leg.node.push(bytes);
        }
    }

    /// What to do next. To be called until it says [`Step::Wait`] or an end.
    ///
    /// # Errors
    /// If a peer broke the protocol. After [`Fault::Node`] the owner may call [`Bridge::node_lost`]
    /// and go on.
    pub fn step(&mut self) -> Result<Step, Fault> {
        loop {
            if self.ended {
                return Ok(Step::Wait);
            }
            let from_node = match &mut self.leg {
                Some(leg) => leg.node.next_said().map_err(Fault::Node)?,
                None => None,
            };
            if let Some(said) = from_node {
                match self.node_said(said)? {
                    None => continue,
                    Some(end) => return Ok(end),
                }
            }
            match self.client.next_said().map_err(Fault::Client)? {
                Some(said) => match self.client_said(said)? {
                    None => {}
                    Some(step) => return Ok(step),
                },
                None if self.decided && self.said.header && self.leg.is_none() => {
                    return Ok(Step::Connect);
                }
                None => return Ok(Step::Wait),
            }
        }
    }

    /// The route is decided: a node takes over.
    pub fn decided(&mut self, rename_vhost: Option<&str>) {
        self.decided = true;
        self.rename_vhost = rename_vhost.map(str::to_owned);
    }

    /// The route leads nowhere at the moment: the gateway plays the broker again, and asks again
    /// at open.
    pub fn undecided(&mut self) {
        self.decided = false;
    }

    /// The route is not decided yet: answers the client in a broker's place.
    ///
    /// # Errors
    /// If what the client said last is no answer to what it was offered.
    pub fn play_broker(
        &mut self,
        start: &[u8],
        mechanisms: &[String],
        tune: Tune,
    ) -> Result<(), Fault> {
        if self.told == Told::Nothing {
            self.to_client.extend_from_slice(start);
            self.told = Told::Start;
        }
        // A client that says all at once may have said start-ok while the route was still decided.
        if let (Told::Start, Some(StartOk { hello, .. })) = (self.told, &self.said.start_ok) {
            let offered = |hello: &&Hello| mechanisms.contains(&hello.mechanism);
            if hello.as_ref().filter(offered).is_none() {
                let mechanism = hello.as_ref().map_or("", |hello| &hello.mechanism);
                return Err(Fault::Client(HandshakeError::Mechanism(mechanism.to_owned())));
            }
            self.to_client.extend_from_slice(&wire::tune(tune));
            self.told = Told::Tune(tune);
        }
        Ok(())
    }

    /// Tells the client connection.close.
    pub fn refuse(&mut self, reason: &CloseReason) {
        self.ended = true;
        self.to_client.extend_from_slice(&wire::close(reason));
    }

    /// A node is connected: it is told what the client has said so far.
    pub fn connected(&mut self) {
        self.to_node.clear();
        self.to_node.extend_from_slice(&protocol_header::AMQP_0_9_1);
        self.learned = Learned::default();
        self.leg = Some(Leg::default());
    }

    /// The node is gone. May another one be tried?
    ///
    /// Not in the middle of a SASL conversation: its challenges are the first node's.
    pub fn node_lost(&mut self) -> bool {
        self.to_node.clear();
        self.leg.take().is_none_or(|leg| !leg.was_challenged())
    }

    /// How far the present node has come.
    #[must_use]
    pub fn answered(&self) -> Answered {
        self.leg.as_ref().map_or(Answered::Nothing, |leg| leg.answered)
    }

    /// Is it the node's turn to speak?
    #[must_use]
    pub fn awaits_node(&self) -> bool {
        self.leg.as_ref().is_some_and(Leg::owes_an_answer)
    }

    /// Takes what the client has sent and nobody has read.
    #[must_use]
    pub fn take_client_rest(&mut self) -> Vec<u8> {
        self.client.take_rest()
    }

    /// What the present node has told about itself.
    #[must_use]
    pub fn learned(&self) -> &Learned {
        &self.learned
    }

    /// Has the client asked for AMQP 0-9-1?
    #[must_use]
    pub fn said_header(&self) -> bool {
        self.said.header
    }

    /// What the client said in start-ok, if it could be read.
    #[must_use]
    pub fn hello(&self) -> Option<&Hello> {
        self.said.start_ok.as_ref()?.hello.as_ref()
    }

    /// The vhost that the client opens.
    #[must_use]
    pub fn vhost(&self) -> Option<&str> {
        self.said.open.as_ref().map(|(_, vhost)| vhost.as_str())
    }

    /// The vhost that the node is asked for, which the route may have renamed.
    #[must_use]
    pub fn vhost_at_node(&self) -> Option<&str> {
        self.vhost().map(|vhost| self.rename_vhost.as_deref().unwrap_or(vhost))
    }

    /// Has the client been told anything but a protocol header?
    #[must_use]
    pub fn in_conversation(&self) -> bool {
        self.told != Told::Nothing
    }

    /// The end of the handshake.
    #[must_use]
    pub fn into_opened(mut self) -> Opened {
        Opened {
            tune: self.said.tune_ok.map_or(Tune::RABBITMQ_DEFAULT, |(_, tune)| tune),
            client_rest: self.client.take_rest(),
            node_rest: self.leg.map(|mut leg| leg.node.take_rest()).unwrap_or_default(),
        }
    }

    fn client_said(&mut self, said: ClientSaid) -> Result<Option<Step>, Fault> {
        let stage = match said {
            ClientSaid::Amqp10 { protocol_id } => return Ok(Some(Step::Amqp10 { protocol_id })),
            ClientSaid::Foreign(guess) => {
                self.ended = true;
                self.to_client.extend_from_slice(&protocol_header::AMQP_0_9_1);
                return Ok(Some(Step::Foreign(guess)));
            }
            ClientSaid::Close(reason) => {
                self.ended = true;
                self.to_client.extend_from_slice(&wire::CLOSE_OK);
                return Ok(Some(Step::Left(reason)));
            }
            ClientSaid::Header => {
                self.said.header = true;
                Stage::Header
            }
            ClientSaid::StartOk { raw, hello } => {
                if let (Err(error), false) = (&hello, self.decided) {
                    return Err(Fault::Client(error.clone().into()));
                }
                self.said.start_ok = Some(StartOk { raw, hello: hello.ok() });
                Stage::StartOk
            }
            ClientSaid::SecureOk { raw } => {
                self.secure_ok(&raw)?;
                return Ok(None);
            }
            ClientSaid::TuneOk { raw, tune } => {
                if let Told::Tune(offer) = self.told
                    && !self.decided
                {
                    offer.admits(tune).map_err(|m| Fault::Client(HandshakeError::Tune(m)))?;
                }
                self.said.tune_ok = Some((raw, tune));
                return Ok(self.pump());
            }
            ClientSaid::Open { raw, vhost } => {
                self.said.open = Some((raw, vhost));
                Stage::Open
            }
        };
        if !self.decided {
            return Ok(Some(Step::Route(stage)));
        }
        Ok(self.pump())
    }

    fn secure_ok(&mut self, raw: &[u8]) -> Result<(), Fault> {
        if self.leg.as_mut().is_some_and(Leg::meet_challenge) {
            self.to_node.extend_from_slice(raw);
            return Ok(());
        }
        let (got, expected) = ("connection.secure-ok", "connection.tune-ok");
        Err(Fault::Client(HandshakeError::Unexpected { got, expected }))
    }

    fn node_said(&mut self, said: NodeSaid) -> Result<Option<Step>, Fault> {
        let Some(leg) = &mut self.leg else {
            return Ok(None);
        };
        if !leg.owes_an_answer() && !matches!(said, NodeSaid::Close { .. }) {
            let (got, expected) = ("an answer to nothing", "silence");
            return Err(Fault::Node(HandshakeError::Unexpected { got, expected }));
        }
        match said {
            NodeSaid::OtherProtocol(_) => {
                let (got, expected) = ("another protocol header", "connection.start");
                return Err(Fault::Node(HandshakeError::Unexpected { got, expected }));
            }
            NodeSaid::Start(greeting) => {
                leg.answered = Answered::Start;
                if self.told == Told::Nothing {
                    match login_guard::without_mistakable(greeting.frame()) {
                        Some(start) => self.to_client.extend(start),
                        None => self.to_client.extend_from_slice(greeting.frame()),
                    }
                    self.told = Told::Start;
                }
                self.learned.greeting = Some(greeting);
            }
            NodeSaid::Secure { raw } => {
                if matches!(self.told, Told::Tune(_)) {
                    return Ok(Some(self.refuse_conversation()));
                }
                leg.challenge();
                self.to_client.extend_from_slice(&raw);
            }
            NodeSaid::Tune { raw, tune } => {
                leg.answered = Answered::Tune;
                leg.tune = Some(tune);
                self.learned.tune = Some(tune);
                if !matches!(self.told, Told::Tune(_)) {
                    self.to_client.extend_from_slice(&raw);
                    self.told = Told::Tune(tune);
                }
            }
            NodeSaid::OpenOk { raw } => {
                self.to_client.extend_from_slice(&raw);
                self.ended = true;
                return Ok(Some(Step::Opened));
            }
            NodeSaid::Close { raw, reason } => return self.node_closes(&raw, reason).map(Some),
        }
        Ok(self.pump())
    }

    /// A refusal is the client's to hear. But a node that an operator is stopping says nothing
    /// about the client, and another node may take it.
    fn node_closes(&mut self, raw: &[u8], reason: CloseReason) -> Result<Step, Fault> {
        if reason.code == ReplyCode::CONNECTION_FORCED {
            return Err(Fault::Node(HandshakeError::Closed(reason)));
        }
        self.to_client.extend_from_slice(raw);
        self.ended = true;
        Ok(Step::Refused { reason, by_node: true })
    }

    /// Tells the node what it can be told now; refuses the client if that shows a promise that does
    /// not hold.
    fn pump(&mut self) -> Option<Step> {
        let leg = self.leg.as_mut()?;
        if let Some(cause) = leg.objection(&self.said) {
            return Some(self.forbid(&cause));
        }
        leg.tell_start_ok(&self.said, &self.annotations, &mut self.to_node);
        let told = leg.tell_tune_ok(&self.said, self.told, &mut self.to_node);
        if let Err(reason) = told {
            return Some(self.refused(reason));
        }
        let rename = self.rename_vhost.as_deref();
        leg.tell_open(&self.said, rename, &mut self.to_node);
        None
    }

    fn refuse_conversation(&mut self) -> Step {
        let mechanism = self.hello().map_or("?", |hello| hello.mechanism.as_str());
        let cause = format!(
            "mechanism {mechanism} needs a conversation with the node, but here the vhost decides \
             which node: use PLAIN or AMQPLAIN"
        );
        self.refused(CloseReason::new(ReplyCode::COMMAND_INVALID, &cause))
    }

    fn refused(&mut self, reason: CloseReason) -> Step {
        self.refuse(&reason);
        Step::Refused { reason, by_node: false }
    }
}

#[cfg(test)]
#[path = "bridge_tests.rs"]
mod tests;

//! For tests and fuzzers: a bridge between a scripted client and scripted nodes, with bytes in any
//! pieces.
//!
//! Also included by the tests outside this crate: so it names the crate like a stranger.

use std::collections::VecDeque;

use amqp_codec::frame::ENVELOPE;
use amqp_codec::handshake::bridge::{Bridge, Fault, Opened, Stage, Step};
use amqp_codec::login_guard::LoginGuard;
use amqp_codec::protocol_header::LENGTH;
use amqp_codec::tune::Tune;

/// Splits what stands at the head of `bytes`: a protocol header at the `first` place, else a frame.
fn unit(bytes: &[u8], first: bool) -> Option<&[u8]> {
    if first && bytes.first() == Some(&b'A') {
        return bytes.get(..LENGTH);
    }
    let size: [u8; 4] = bytes.get(3..7)?.try_into().ok()?;
    bytes.get(..ENVELOPE + u32::from_be_bytes(size) as usize)
}

/// A client that says each part once it has heard a number of frames.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// Frames to have heard, and what to say then.
    pub(crate) says: VecDeque<(usize, Vec<u8>)>,
    /// All it has heard.
    pub(crate) heard: Vec<u8>,
}

impl Client {
    /// A client that says one part after each frame it hears.
    pub(crate) fn in_turns(parts: &[Vec<u8>]) -> Self {
        Self { says: parts.iter().cloned().enumerate().collect(), heard: Vec::new() }
    }

    /// A client that says everything at once.
    pub(crate) fn pipelined(parts: &[Vec<u8>]) -> Self {
        Self { says: VecDeque::from([(0, parts.concat())]), heard: Vec::new() }
    }

    fn frames_heard(&self) -> usize {
        let (mut rest, mut frames) = (self.heard.as_slice(), 0);
        while let Some(frame) = unit(rest, frames == 0) {
            rest = &rest[frame.len()..];
            frames += 1;
        }
        frames
    }

    fn speak(&mut self, out: &mut Vec<u8>) {
        let frames = self.frames_heard();
        while self.says.front().is_some_and(|(after, _)| *after <= frames) {
            out.extend(self.says.pop_front().into_iter().flat_map(|(_, part)| part));
        }
    }
}

/// A node that answers protocol header, start-ok, each secure-ok and open with the next of its
/// answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    /// What it will say.
    pub(crate) answers: VecDeque<Vec<u8>>,
    /// After how many bytes of answers it is lost.
    pub(crate) lost_after: Option<usize>,
    /// Is nobody there when it is dialled?
    pub(crate) absent: bool,
    /// All it has heard.
    pub(crate) heard: Vec<u8>,
    read: usize,
    said: usize,
}

impl Node {
    /// A node with these answers that is never lost.
    pub(crate) fn new(answers: &[Vec<u8>]) -> Self {
        Self { answers: answers.iter().cloned().collect(), ..Self::default() }
    }

    fn hear(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        const TUNE_OK: [u8; 4] = [0, 10, 0, 31];
        self.heard.extend_from_slice(bytes);
        while let Some(frame) = unit(&self.heard[self.read..], self.read == 0) {
            if frame.get(7..11) != Some(&TUNE_OK) {
                out.extend(self.answers.pop_front().unwrap_or_default());
            }
            self.read += frame.len();
        }
    }
}

/// How a run ended.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    /// With this step.
    Step(Step),
    /// A peer's fault that ends the handshake.
    Fault(Fault),
    /// Everyone waits.
    Waits,
    /// The node was lost in a conversation that no other can go on with.
    Lost,
    /// Every node was lost.
    NoNodes,
}

/// What the owner of a bridge knows.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    /// When the route is decided.
    pub(crate) decides_at: Stage,
    /// As in the configuration.
    pub(crate) rename_vhost: Option<String>,
    /// Which logins nodes must not be told of.
    pub(crate) guard: LoginGuard,
    /// User and password that EXTERNAL stands for. It has to be among the mechanisms.
    pub(crate) identity: Option<(String, String)>,
    /// Our own connection.start.
    pub(crate) start: Vec<u8>,
    /// Mechanisms in it.
    pub(crate) mechanisms: Vec<String>,
    /// What we offer.
    pub(crate) tune: Tune,
    /// What nodes are told beyond the client's properties.
    pub(crate) annotations: Vec<(&'static str, String)>,
}

/// A handshake with all that take part.
pub(crate) struct Pair {
    /// What is tested.
    pub(crate) bridge: Bridge,
    /// The client.
    pub(crate) client: Client,
    /// The node in charge, or the last that was.
    pub(crate) node: Node,
    owner: Owner,
    nodes: VecDeque<Node>,
    from_client: Vec<u8>,
    from_node: Vec<u8>,
    connected: bool,
    /// No node was there: the client is led on to open.
    parked: bool,
}

impl Pair {
    /// Puts everyone in place; nodes are taken in order.
    pub(crate) fn new(owner: Owner, client: Client, nodes: Vec<Node>) -> Self {
        Self {
            bridge: Bridge::new(owner.annotations.clone()),
            client,
            node: Node::default(),
            owner,
            nodes: nodes.into(),
            from_client: Vec::new(),
            from_node: Vec::new(),
            connected: false,
            parked: false,
        }
    }

    /// Runs to the end. `pieces` says how many bytes a read gives, client and node in turn; once it
    /// is used up, a read gives all there is.
    pub(crate) fn run(&mut self, pieces: impl IntoIterator<Item = u16>) -> End {
        let mut pieces = pieces.into_iter();
        loop {
            let ended = self.steps();
            self.flush();
            if let Some(end) = ended {
                return end;
            }
            if self.connected && self.node.lost_after == Some(self.node.said) {
                if !self.lose_node() {
                    return End::Lost;
                }
                continue;
            }
            let mut moved = self.read_client(pieces.next());
            moved |= self.read_node(pieces.next());
            if !moved {
                return End::Waits;
            }
        }
    }

    /// The session's first bytes.
    pub(crate) fn into_opened(self) -> Opened {
        self.bridge.into_opened()
    }

    fn steps(&mut self) -> Option<End> {
        loop {
            match self.bridge.step() {
                Ok(Step::Wait) => return None,
                Ok(Step::Route(stage)) => {
                    self.parked &= stage != Stage::Open;
                    if self.parked || stage < self.owner.decides_at {
                        if let Err(fault) = self.play_broker() {
                            return Some(End::Fault(fault));
                        }
                    } else {
                        self.bridge.decided(self.owner.rename_vhost.as_deref());
                        if let (Some((user, password)), true) =
                            (&self.owner.identity, self.bridge.wants_mapping())
                        {
                            self.bridge.log_in_as(user, password);
                        }
                    }
                }
                Ok(Step::Connect) => match self.nodes.pop_front() {
                    None => return Some(End::NoNodes),
                    Some(node) if node.absent && self.bridge.vhost().is_none() => {
                        self.parked = true;
                        self.bridge.undecided();
                        if let Err(fault) = self.play_broker() {
                            return Some(End::Fault(fault));
                        }
                    }
                    Some(node) if node.absent => {}
                    Some(node) => {
                        self.node = node;
                        self.connected = true;
                        self.bridge.connected();
                        self.bridge.guard(self.owner.guard.clone());
                    }
                },
                Err(Fault::Node(_)) => {
                    if !self.lose_node() {
                        return Some(End::Lost);
                    }
                }
                Err(fault) => return Some(End::Fault(fault)),
                Ok(end) => return Some(End::Step(end)),
            }
        }
    }

    fn play_broker(&mut self) -> Result<(), Fault> {
        let Owner { start, mechanisms, tune, .. } = &self.owner;
        self.bridge.play_broker(start, mechanisms, *tune)
    }

    fn lose_node(&mut self) -> bool {
        self.connected = false;
        self.from_node.clear();
        self.bridge.node_lost()
    }

    fn flush(&mut self) {
        self.client.heard.append(&mut self.bridge.to_client);
        self.client.speak(&mut self.from_client);
        let told = std::mem::take(&mut self.bridge.to_node);
        if self.connected {
            self.node.hear(&told, &mut self.from_node);
        }
    }

    fn read_client(&mut self, piece: Option<u16>) -> bool {
        if !self.bridge.wants_client_bytes() {
            return false;
        }
        let read = take(&mut self.from_client, piece, usize::MAX);
        self.bridge.push_client(&read);
        !read.is_empty()
    }

    fn read_node(&mut self, piece: Option<u16>) -> bool {
        if !self.connected {
            return false;
        }
        let left = self.node.lost_after.map_or(usize::MAX, |n| n - self.node.said);
        let read = take(&mut self.from_node, piece, left);
        self.node.said += read.len();
        self.bridge.push_node(&read);
        !read.is_empty()
    }
}

fn take(bytes: &mut Vec<u8>, piece: Option<u16>, most: usize) -> Vec<u8> {
    let wanted = piece.map_or(usize::MAX, |n| usize::from(n).max(1));
    let count = bytes.len().min(wanted).min(most);
    bytes.drain(..count).collect()
}

//! For tests and fuzzers: what walking a stream must give, written naively from the specification,
//! and a relay in small that walks the stream in pieces.

use super::method::MethodId;
use super::walker::{HOLD, Observer, Stop, Walked, Walker};
use super::{END, ENVELOPE, FrameError};

/// What happened to a stream, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Method(MethodId, u16, Vec<u8>),
    ContentHeader(u16),
    ContentBody(u16),
    Heartbeat,
    /// A connection method, which passes or is dropped.
    Connection(MethodId, u16, usize),
}

/// All that a walk can tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<Event>,
    pub(crate) forwarded: Vec<u8>,
    pub(crate) error: Option<FrameError>,
    /// Does what was forwarded end with a frame's end?
    pub(crate) at_boundary: bool,
}

/// Connection methods with an odd number are dropped, the others pass.
fn passes(id: MethodId) -> bool {
    id.is_multiple_of(2)
}

/// What a whole stream must give: AMQP 0-9-1 section 4.2.3, frame by frame, with everything at
/// hand.
pub(crate) fn expected(stream: &[u8], limit: u32) -> Outcome {
    let mut outcome = Outcome { at_boundary: true, ..Outcome::default() };
    let mut rest = stream;
    while !rest.is_empty() && outcome.error.is_none() && outcome.at_boundary {
        let Some(next) = expected_frame(rest, limit, &mut outcome) else {
            break;
        };
        rest = next;
    }
    outcome
}

/// Reads one frame; returns what follows it, or nothing if the stream ends in it or at it.
fn expected_frame<'b>(rest: &'b [u8], limit: u32, outcome: &mut Outcome) -> Option<&'b [u8]> {
    let kind = rest[0];
    if ![1, 2, 3, 8].contains(&kind) {
        outcome.error = Some(FrameError::Kind(kind));
        return None;
    }
    if rest.len() < ENVELOPE {
        return None;
    }
    let channel = u16::from_be_bytes([rest[1], rest[2]]);
    let size = u32::from_be_bytes([rest[3], rest[4], rest[5], rest[6]]);
    outcome.error = match kind {
        8 if size > 0 => Some(FrameError::Heartbeat(size)),
        _ if size > limit => Some(FrameError::TooLarge { size, limit }),
        1 if size < 4 => Some(FrameError::TooSmall(size)),
        _ => None,
    };
    if outcome.error.is_some() {
        return None;
    }
    let whole = ENVELOPE + size as usize;
    let end = rest.get(whole - 1).copied();
    let wrong_end = end.filter(|&end| end != END).map(FrameError::End);
    let event = match kind {
        1 if rest.len() < whole.min(HOLD) => return None,
        1 if whole <= HOLD && wrong_end.is_some() => {
            outcome.error = wrong_end;
            return None;
        }
        1 => {
            let id = u32::from_be_bytes([rest[7], rest[8], rest[9], rest[10]]);
            if id >> 16 == 10 {
                Event::Connection(id, channel, whole)
            } else {
                Event::Method(id, channel, rest[11..HOLD.min(whole - 1)].to_vec())
            }
        }
        2 => Event::ContentHeader(channel),
        3 => Event::ContentBody(channel),
        _ => Event::Heartbeat,
    };
    // A relay that drops a connection method waits for all of it.
    if matches!(event, Event::Connection(id, ..) if !passes(id)) {
        let next = rest.get(whole..)?;
        outcome.events.push(event);
        return Some(next);
    }
    outcome.events.push(event);
    outcome.error = wrong_end;
    outcome.at_boundary = end == Some(END);
    let forwarded = match end {
        Some(END) => whole,
        Some(_) => whole - 1,
        None => rest.len(),
    };
    outcome.forwarded.extend_from_slice(&rest[..forwarded]);
    rest.get(whole..)
}

/// A relay in small: what a read gives is walked behind what was held back, and the rest is kept.
pub(crate) struct Relay {
    walker: Walker,
    held: Vec<u8>,
    pub(crate) outcome: Outcome,
}

impl Relay {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            walker: Walker::new(limit),
            held: Vec::new(),
            outcome: Outcome { at_boundary: true, ..Outcome::default() },
        }
    }

    /// Takes what one read gave. Nothing after an error.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        while self.outcome.error.is_none() && self.step() {}
        self.outcome.at_boundary = self.walker.at_boundary();
    }

    /// Walks once; is there more to walk?
    fn step(&mut self) -> bool {
        let mut seen = Seen(Vec::new());
        let Walked { len, stop } = self.walker.walk(&self.held, &mut seen);
        self.outcome.events.append(&mut seen.0);
        self.outcome.forwarded.extend(self.held.drain(..len));
        match stop {
            Stop::End => {
                assert!(self.held.len() < HOLD, "{} bytes held", self.held.len());
                false
            }
            Stop::Bad(error) => {
                self.outcome.error = Some(error);
                false
            }
            Stop::Connection { id, channel, size } => {
                assert!(self.walker.at_boundary());
                if passes(id) {
                    self.walker.enter(size as u32);
                } else if self.held.len() < size {
                    assert!(size > HOLD, "a short method is shown whole");
                    return false;
                } else {
                    self.held.drain(..size);
                }
                self.outcome.events.push(Event::Connection(id, channel, size));
                true
            }
        }
    }
}

struct Seen(Vec<Event>);

impl Observer for Seen {
    fn method(&mut self, id: MethodId, channel: u16, arguments: &[u8]) {
        self.0.push(Event::Method(id, channel, arguments.to_vec()));
    }

    fn content_header(&mut self, channel: u16) {
        self.0.push(Event::ContentHeader(channel));
    }

    fn content_body(&mut self, channel: u16) {
        self.0.push(Event::ContentBody(channel));
    }

    fn heartbeat(&mut self) {
        self.0.push(Event::Heartbeat);
    }
}

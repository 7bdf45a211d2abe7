//! Both handshake machines and the bridge between them.

use std::fmt::Debug;

use super::{Input, cut, smallest_cut};
use crate::frame::ENVELOPE;
use crate::frame::buffer::FrameBuffer;
use crate::handshake::HandshakeError;
use crate::handshake::bridge::{Stage, Step};
use crate::handshake::client::{self, ClientHandshake, Greeting};
use crate::handshake::pair::{Client, End, Node, Pair};
use crate::handshake::script::{
    absent, client_parts, conversation, heard, lost, node, owner, start_ok, told_node,
};
use crate::handshake::server::{self, ServerHandshake};

/// A client's bytes mean the same in any cut, and no more are kept than is stated.
pub fn server_handshake(data: &[u8]) {
    let mut input = Input(data);
    let pieces = input.pieces();
    let run = |pieces: &[u16]| {
        let mut handshake = ServerHandshake::default();
        let mut said = Vec::new();
        for read in cut(input.0, pieces) {
            if !handshake.wants_bytes() {
                break;
            }
            handshake.push(read);
            if !drain(&mut said, || handshake.next_said()) {
                return (said, Vec::new());
            }
        }
        let rest = handshake.take_rest();
        // A read that was let in may be as large as it likes; in pieces, little is kept.
        assert!(pieces.is_empty() || rest.len() < server::MAX_WAITING + 256);
        (said, rest)
    };
    let whole = run(&[]);
    for pieces in [pieces.as_slice(), smallest_cut(input.0)] {
        let (said, rest) = run(pieces);
        assert_eq!(said, whole.0);
        assert!(whole.1.starts_with(&rest));
    }
}

/// A node's bytes mean the same in any cut, and of a frame no more is kept than is stated.
pub fn client_handshake(data: &[u8]) {
    let mut input = Input(data);
    let pieces = input.pieces();
    let run = |pieces: &[u16]| {
        let mut handshake = ClientHandshake::default();
        let mut said = Vec::new();
        for read in cut(input.0, pieces) {
            handshake.push(read);
            if !drain(&mut said, || handshake.next_said()) {
                return (said, Vec::new());
            }
        }
        (said, handshake.take_rest())
    };
    let whole = run(&[]);
    assert_eq!(run(&pieces), whole);
    assert_eq!(run(smallest_cut(input.0)), whole);
    frame_buffer(input.0, &pieces);
    if let Some(start) = Greeting::new(input.0.to_vec()).read() {
        assert!(input.0.len() > start.mechanisms.len() + start.locales.len());
    }
}

/// Adds all that is said now; false at an error, which is added, too.
fn drain<T: Debug>(
    said: &mut Vec<String>,
    mut next: impl FnMut() -> Result<Option<T>, HandshakeError>,
) -> bool {
    loop {
        match next() {
            Ok(None) => return true,
            Ok(Some(one)) => said.push(format!("{one:?}")),
            Err(error) => {
                said.push(error.to_string());
                return false;
            }
        }
    }
}

/// Frames are taken in order and without a gap, and what waits is less than one frame.
fn frame_buffer(stream: &[u8], pieces: &[u16]) {
    let (mut buffer, mut taken, mut pushed) = (FrameBuffer::default(), Vec::new(), 0);
    for read in cut(stream, pieces) {
        buffer.push(read);
        pushed += read.len();
        loop {
            match buffer.take_frame(client::MAX_PAYLOAD) {
                Ok(Some(frame)) => taken.extend_from_slice(frame.raw),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        assert_eq!(taken, stream[..taken.len()]);
        assert_eq!(taken.len() + buffer.len(), pushed);
        assert!(buffer.len() < ENVELOPE + client::MAX_PAYLOAD as usize);
    }
}

/// Between peers that keep to the protocol, every cut and every loss of nodes sounds the same to
/// the client. Between peers that do not, nothing breaks, and a handshake that opens in two cuts
/// sounds the same in both.
pub fn bridge(data: &[u8]) {
    let mut input = Input(data);
    let choices = input.byte();
    let stage = [Stage::Header, Stage::StartOk, Stage::Open][usize::from(choices & 3).min(2)];
    let mapped = choices & 32 != 0 && stage != Stage::Header;
    let pipelined = choices & 4 != 0;
    let pieces = input.pieces();
    match (choices >> 3) & 3 {
        0 => losses(stage, (pipelined, mapped), &pieces, &mut input),
        1 => talk(stage, &pieces),
        _ => strangers(stage, pipelined, &pieces, &mut input),
    }
}

/// With `mapped` the client chooses EXTERNAL, and nodes are told of another login.
fn losses(stage: Stage, (pipelined, mapped): (bool, bool), pieces: &[u16], input: &mut Input<'_>) {
    let answers = heard(Stage::Header).len();
    let mut nodes = Vec::new();
    for _ in 0..input.byte() & 7 {
        let after = usize::from(input.short());
        nodes.push(if after < 0x8000 { lost(after % answers) } else { absent() });
    }
    nodes.push(node());
    let parked = nodes.iter().any(|node| node.absent);
    let (mut owner, mut parts) = (owner(stage), client_parts());
    if mapped {
        parts[1] = start_ok("EXTERNAL", &[]);
        owner.mechanisms.push("EXTERNAL".to_owned());
        owner.identity = Some(("app".to_owned(), "secret".to_owned()));
    }
    let mut pair = Pair::new(owner, script(&parts, pipelined), nodes);
    assert_eq!(pair.run(cycled(pieces)), End::Step(Step::Opened));
    // While no node is there, the gateway plays the broker: then start may be its own.
    assert!(pair.client.heard == heard(stage) || parked && pair.client.heard == heard(Stage::Open));
    assert_eq!(pair.node.heard, told_node());
}

fn talk(stage: Stage, pieces: &[u16]) {
    let run = |pieces: &[u16]| {
        let (client, node) = conversation();
        let mut pair = Pair::new(owner(stage), client, vec![node]);
        let end = pair.run(cycled(pieces));
        (end, pair.client.heard, pair.node.heard)
    };
    let whole = run(&[]);
    assert_eq!(run(pieces), whole);
    assert_eq!(whole.0 == End::Step(Step::Opened), stage != Stage::Open);
}

/// Replaces some of what client and node say by bytes of the input.
fn strangers(stage: Stage, pipelined: bool, pieces: &[u16], input: &mut Input<'_>) {
    let mut said = client_parts().to_vec();
    let mut answers: Vec<Vec<u8>> = node().answers.into();
    let (replace_said, replace_answers) = (input.byte(), input.byte());
    for (parts, which) in [(&mut said, replace_said), (&mut answers, replace_answers)] {
        for (bit, part) in parts.iter_mut().enumerate() {
            if which & (1 << bit) != 0 {
                let length = input.short();
                *part = input.bytes(length.into()).to_vec();
            }
        }
    }
    let run = |pieces: &[u16]| {
        let nodes = vec![Node::new(&answers), Node::new(&answers)];
        let mut pair = Pair::new(owner(stage), script(&said, pipelined), nodes);
        let end = pair.run(cycled(pieces));
        (end, pair.client.heard, pair.node.heard)
    };
    let (whole, in_pieces) = (run(&[]), run(pieces));
    if whole.0 == End::Step(Step::Opened) && in_pieces.0 == End::Step(Step::Opened) {
        assert_eq!(whole, in_pieces);
    }
    let most = 2 * (said.concat().len() + answers.concat().len()) + 4096;
    for (_, client_heard, node_heard) in [&whole, &in_pieces] {
        assert!(client_heard.len() <= most && node_heard.len() <= most);
    }
}

fn script(parts: &[Vec<u8>], pipelined: bool) -> Client {
    if pipelined { Client::pipelined(parts) } else { Client::in_turns(parts) }
}

fn cycled(pieces: &[u16]) -> impl Iterator<Item = u16> {
    pieces.iter().copied().cycle()
}

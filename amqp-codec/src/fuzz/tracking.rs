//! The tracker against a model that remembers every tag.

use std::collections::{BTreeMap, BTreeSet};

use super::Input;
use crate::frame::method::{self, id};
use crate::frame::walker::Observer;
use crate::tracker::{Channels, FromClient, FromNode, Tally};

struct Counts([u64; method::COUNT]);

impl Tally for Counts {
    fn add(&mut self, index: usize, count: u32) {
        self.0[index] += u64::from(count);
    }
}

/// A channel's outstanding confirms, tag by tag.
#[derive(Default)]
struct Model {
    confirms: bool,
    published: u64,
    outstanding: BTreeSet<u64>,
    /// Has every confirm so far come in order? Then the tracker is exact.
    in_order: bool,
}

struct Session {
    counts: Counts,
    channels: Channels,
    model: BTreeMap<u16, Model>,
    honest: bool,
    published: u64,
    confirmed: u64,
}

/// Whatever is published, confirmed, acknowledged, opened and closed: sums stay within what was
/// published; from a node that keeps to the protocol they are never too low, and right once
/// everything is confirmed.
pub fn tracker(data: &[u8]) {
    let mut input = Input(data);
    let mut session = Session {
        counts: Counts([0; method::COUNT]),
        channels: Channels::default(),
        model: BTreeMap::new(),
        honest: input.byte() & 1 == 0,
        published: 0,
        confirmed: 0,
    };
    while !input.0.is_empty() {
        let (what, channel) = (input.byte(), u16::from(input.byte() & 3));
        session.turn(what, channel, &mut input);
        session.check();
    }
    session.end();
}

impl Session {
    fn turn(&mut self, what: u8, channel: u16, input: &mut Input<'_>) {
        match what % 8 {
            0 => self.node(id::CHANNEL_OPEN_OK, channel, &[]),
            1 => self.node(id::CONFIRM_SELECT_OK, channel, &[]),
            2 => self.node(id::CHANNEL_CLOSE_OK, channel, &[]),
            3 | 4 => self.client(id::BASIC_PUBLISH, channel, &[]),
            5 => self.confirm(channel, input),
            6 => self.client(id::BASIC_ACK, channel, input.bytes(9)),
            _ => {
                let other = [id::BASIC_NACK, id::BASIC_REJECT, id::CHANNEL_CLOSE_OK, 0];
                self.client(other[usize::from(input.byte() & 3)], channel, input.bytes(9));
            }
        }
    }

    fn node(&mut self, id: u32, channel: u16, arguments: &[u8]) {
        let mut node = FromNode::new(&mut self.counts, &mut self.channels);
        node.method(id, channel, arguments);
        node.finish();
        self.confirmed += node.confirmed;
        match id {
            id::CHANNEL_OPEN_OK => {
                self.model
                    .entry(channel)
                    .or_insert_with(|| Model { in_order: true, ..Model::default() });
            }
            id::CONFIRM_SELECT_OK => {
                if let Some(model) = self.model.get_mut(&channel) {
                    model.confirms = true;
                }
            }
            id::CHANNEL_CLOSE_OK => {
                self.model.remove(&channel);
            }
            _ => {}
        }
    }

    fn client(&mut self, id: u32, channel: u16, arguments: &[u8]) {
        let mut client = FromClient::new(&mut self.counts, &mut self.channels);
        client.method(id, channel, arguments);
        client.finish();
        match (id, self.model.get_mut(&channel)) {
            (id::BASIC_PUBLISH, Some(model)) if model.confirms => {
                model.published += 1;
                model.outstanding.insert(model.published);
                self.published += 1;
            }
            (id::CHANNEL_CLOSE_OK, _) => {
                self.model.remove(&channel);
            }
            _ => {}
        }
    }

    fn confirm(&mut self, channel: u16, input: &mut Input<'_>) {
        let (multiple, pick) = (input.byte() & 1, input.byte());
        let tag = if self.honest {
            let Some(model) = self.model.get_mut(&channel) else {
                return;
            };
            let waiting = model.outstanding.len().max(1);
            let Some(&tag) = model.outstanding.iter().nth(usize::from(pick) % waiting) else {
                return;
            };
            model.confirm(tag, multiple == 1);
            tag
        } else {
            input.long()
        };
        let arguments = [tag.to_be_bytes().as_slice(), &[multiple]].concat();
        self.node(id::BASIC_ACK, channel, &arguments);
    }

    fn check(&self) {
        let outstanding: usize = self.model.values().map(|m| m.outstanding.len()).sum();
        let published: u64 = self.model.values().map(|m| m.published).sum();
        assert!(self.channels.unconfirmed() <= published);
        assert_eq!(self.channels.len(), self.model.len());
        assert!(usize::from(self.channels.peak()) >= self.model.len());
        assert!(self.confirmed <= self.published);
        if self.honest {
            assert!(self.channels.unconfirmed() >= outstanding as u64);
            if self.model.values().all(|model| model.in_order) {
                assert_eq!(self.channels.unconfirmed(), outstanding as u64);
            }
        }
    }

    fn end(mut self) {
        for channel in 0..4 {
            let published = self.model.get(&channel).map_or(0, |model| model.published);
            let arguments = [published.to_be_bytes().as_slice(), &[1]].concat();
            self.node(id::BASIC_ACK, channel, &arguments);
        }
        assert_eq!(self.channels.unconfirmed(), 0, "all is confirmed");
        for channel in 0..4 {
            self.node(id::CHANNEL_CLOSE_OK, channel, &[]);
        }
        assert!(self.channels.is_empty() && self.channels.unconfirmed() == 0);
    }
}

impl Model {
    fn confirm(&mut self, tag: u64, multiple: bool) {
        if multiple {
            // Tags above that were confirmed singly before are forgotten for a while.
            let above = self.published - tag;
            let outstanding_above = self.outstanding.range(tag + 1..).count() as u64;
            self.in_order &= above == outstanding_above;
            self.outstanding.retain(|&waiting| waiting > tag);
        } else {
            self.outstanding.remove(&tag);
        }
    }
}

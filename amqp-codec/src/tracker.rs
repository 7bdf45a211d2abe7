//! What a session has seen: its channels and messages, from the methods that pass.
//!
//! Counting is exact but for two corners. `multiple` acknowledgements settle all tags up to one,
//! and are taken to cover all that was settled singly before: if some of that lies above, the count
//! is too low until a later `multiple` makes it good. And an acknowledgement of tag 0 ("everything
//! so far") counts as one, since deliveries are not counted by channel.

use crate::frame::method::{self, MethodId, id};
use crate::frame::walker::Observer;

/// Takes counts of frames by [`method::index`].
pub trait Tally {
    /// `count` more frames of this index.
    fn add(&mut self, index: usize, count: u32);
}

/// The open channels of a session.
#[derive(Debug, Default)]
pub struct Channels {
    open: Vec<Channel>,
    peak: u16,
    confirming: u16,
    unconfirmed: i64,
    /// Publishes, less content headers of the client.
    headless: i64,
}

#[derive(Debug)]
struct Channel {
    number: u16,
    confirms: bool,
    /// Publishes since confirm.select.
    published: u64,
    confirmed: Settled,
    acknowledged: Settled,
}

/// How many delivery tags of a channel are settled: never more than are, and all of them up to the
/// last `multiple`.
#[derive(Debug, Default)]
struct Settled(u64);

impl Settled {
    /// Settles a tag, or all up to it; returns how many are new.
    fn settle(&mut self, tag: u64, multiple: bool) -> u64 {
        let new = if multiple && tag != 0 { tag.saturating_sub(self.0) } else { 1 };
        self.0 = self.0.saturating_add(new);
        new
    }
}

impl Channels {
    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Is none open?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Most that were open at once.
    #[must_use]
    pub fn peak(&self) -> u16 {
        self.peak
    }

    /// Messages published on channels in confirm mode whose confirm has not come yet.
    #[must_use]
    pub fn unconfirmed(&self) -> u64 {
        self.unconfirmed.max(0).unsigned_abs()
    }

    /// Has the client published a message whose content header has not come yet?
    ///
    /// Bodies are not followed: their sizes are not looked at. A stream that stands between two
    /// frames of a body thus looks like one between two messages.
    #[must_use]
    pub fn awaits_header(&self) -> bool {
        self.headless > 0
    }

    fn find(&mut self, number: u16) -> Option<&mut Channel> {
        let at = self.open.binary_search_by_key(&number, |c| c.number).ok()?;
        self.open.get_mut(at)
    }

    fn opened(&mut self, number: u16) {
        let Err(at) = self.open.binary_search_by_key(&number, |c| c.number) else {
            return;
        };
        let channel = Channel {
            number,
            confirms: false,
            published: 0,
            confirmed: Settled::default(),
            acknowledged: Settled::default(),
        };
        self.open.insert(at, channel);
        self.peak = self.peak.max(self.open.len().try_into().unwrap_or(u16::MAX));
    }

    fn closed(&mut self, number: u16) {
        let Ok(at) = self.open.binary_search_by_key(&number, |c| c.number) else {
            return;
        };
        let channel = self.open.remove(at);
        if channel.confirms {
            self.confirming -= 1;
            self.unconfirmed -= outstanding(&channel);
        }
    }

    fn confirms(&mut self, number: u16) {
        let Some(channel) = self.find(number) else {
            return;
        };
        if !channel.confirms {
            channel.confirms = true;
            self.confirming += 1;
        }
    }

    #[inline]
    fn published(&mut self, number: u16) {
        if self.confirming == 0 {
            return;
        }
        let Some(channel) = self.find(number) else {
            return;
        };
        if channel.confirms {
            channel.published += 1;
            self.unconfirmed += 1;
        }
    }

    fn confirmed(&mut self, number: u16, arguments: &[u8]) -> u64 {
        let Some((tag, multiple)) = tag_and_multiple(arguments) else {
            return 0;
        };
        let Some(channel) = self.find(number) else {
            return 0;
        };
        // A node cannot confirm more than was published; one that claims to must not break the sum.
        if outstanding(channel) == 0 {
            return 0;
        }
        let tag = if tag == 0 { u64::MAX } else { tag };
        let before = outstanding(channel);
        let new = channel.confirmed.settle(tag.min(channel.published), multiple);
        self.unconfirmed += outstanding(channel) - before;
        new
    }

    fn settled(&mut self, number: u16, tag: u64, multiple: bool) -> u64 {
        self.find(number).map_or(0, |channel| channel.acknowledged.settle(tag, multiple))
    }
}

fn outstanding(channel: &Channel) -> i64 {
    channel.published.saturating_sub(channel.confirmed.0).try_into().unwrap_or(i64::MAX)
}

/// The arguments of ack and nack: a delivery tag and, in the lowest bit of the next octet,
/// `multiple`.
fn tag_and_multiple(arguments: &[u8]) -> Option<(u64, bool)> {
    let (tag, rest) = arguments.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*tag), rest.first()? & 1 == 1))
}

/// Counts what comes from the client in one walk.
pub struct FromClient<'a, T: Tally> {
    tally: &'a mut T,
    channels: &'a mut Channels,
    contents: Contents,
    /// Messages published.
    pub published: u32,
    /// Messages acknowledged (not those rejected).
    pub acknowledged: u64,
}

/// Counts what comes from the node in one walk.
pub struct FromNode<'a, T: Tally> {
    tally: &'a mut T,
    channels: &'a mut Channels,
    contents: Contents,
    /// Messages delivered, by basic.deliver or basic.get-ok.
    pub delivered: u32,
    /// Messages returned as unroutable.
    pub returned: u32,
    /// Messages confirmed.
    pub confirmed: u64,
}

/// Frames around a message, counted in registers and told to the tally once a walk.
#[derive(Default)]
struct Contents {
    headers: u32,
    bodies: u32,
}

impl Contents {
    fn finish(&self, tally: &mut impl Tally) {
        if self.headers > 0 {
            tally.add(method::CONTENT_HEADER, self.headers);
        }
        if self.bodies > 0 {
            tally.add(method::CONTENT_BODY, self.bodies);
        }
    }
}

impl<'a, T: Tally> FromClient<'a, T> {
    /// Starts a walk.
    pub fn new(tally: &'a mut T, channels: &'a mut Channels) -> Self {
        Self { tally, channels, contents: Contents::default(), published: 0, acknowledged: 0 }
    }

    /// Ends a walk: tells the tally what was counted.
    pub fn finish(&mut self) {
        self.contents.finish(self.tally);
        let headless = i64::from(self.published) - i64::from(self.contents.headers);
        // A header that nobody published is the node's affair; it must not hide the next publish.
        self.channels.headless = (self.channels.headless + headless).max(0);
        if self.published > 0 {
            self.tally.add(method::index(id::BASIC_PUBLISH), self.published);
        }
    }

    #[inline(never)]
    fn other(&mut self, id: MethodId, channel: u16, arguments: &[u8]) {
        self.tally.add(method::index(id), 1);
        match id {
            id::BASIC_ACK => {
                if let Some((tag, multiple)) = tag_and_multiple(arguments) {
                    self.acknowledged += self.channels.settled(channel, tag, multiple);
                }
            }
            id::BASIC_NACK => {
                if let Some((tag, multiple)) = tag_and_multiple(arguments) {
                    self.channels.settled(channel, tag, multiple);
                }
            }
            id::BASIC_REJECT => {
                self.channels.settled(channel, 0, false);
            }
            id::CHANNEL_CLOSE_OK => self.channels.closed(channel),
            _ => {}
        }
    }
}

impl<T: Tally> Observer for FromClient<'_, T> {
    #[inline]
    fn method(&mut self, id: MethodId, channel: u16, arguments: &[u8]) {
        if id == id::BASIC_PUBLISH {
            self.published += 1;
            self.channels.published(channel);
        } else {
            self.other(id, channel, arguments);
        }
    }

    #[inline]
    fn content_header(&mut self, _channel: u16) {
        self.contents.headers += 1;
    }

    #[inline]
    fn content_body(&mut self, _channel: u16) {
        self.contents.bodies += 1;
    }

    #[inline]
    fn heartbeat(&mut self) {
        self.tally.add(method::HEARTBEAT, 1);
    }
}

impl<'a, T: Tally> FromNode<'a, T> {
    /// Starts a walk.
    pub fn new(tally: &'a mut T, channels: &'a mut Channels) -> Self {
        let contents = Contents::default();
        Self { tally, channels, contents, delivered: 0, returned: 0, confirmed: 0 }
    }

    /// Ends a walk: tells the tally what was counted.
    pub fn finish(&mut self) {
        self.contents.finish(self.tally);
    }

    #[inline(never)]
    fn other(&mut self, id: MethodId, channel: u16, arguments: &[u8]) {
        match id {
            id::BASIC_GET_OK => self.delivered += 1,
            id::BASIC_RETURN => self.returned += 1,
            id::BASIC_ACK => self.confirmed += self.channels.confirmed(channel, arguments),
            id::BASIC_NACK => {
                self.channels.confirmed(channel, arguments);
            }
            id::CONFIRM_SELECT_OK => self.channels.confirms(channel),
            id::CHANNEL_OPEN_OK => self.channels.opened(channel),
            id::CHANNEL_CLOSE_OK => self.channels.closed(channel),
            _ => {}
        }
    }
}

impl<T: Tally> Observer for FromNode<'_, T> {
    #[inline]
    fn method(&mut self, id: MethodId, channel: u16, arguments: &[u8]) {
        self.tally.add(method::index(id), 1);
        if id == id::BASIC_DELIVER {
            self.delivered += 1;
        } else {
            self.other(id, channel, arguments);
        }
    }

    #[inline]
    fn content_header(&mut self, _channel: u16) {
        self.contents.headers += 1;
    }

    #[inline]
    fn content_body(&mut self, _channel: u16) {
        self.contents.bodies += 1;
    }

    #[inline]
    fn heartbeat(&mut self) {
        self.tally.add(method::HEARTBEAT, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counts([u32; method::COUNT]);

    impl Tally for Counts {
        fn add(&mut self, index: usize, count: u32) {
            self.0[index] += count;
        }
    }

    fn ack(tag: u64, multiple: bool) -> Vec<u8> {
        [tag.to_be_bytes().as_slice(), &[u8::from(multiple)]].concat()
    }

    #[test]
    fn multiple_acknowledgements_count_every_message_once() {
        let mut settled = Settled::default();
        let total: u64 = [(1, false), (2, false), (5, true), (6, false), (9, true), (9, true)]
            .map(|(tag, multiple)| settled.settle(tag, multiple))
            .iter()
            .sum();
        assert_eq!(total, 9);
    }

    #[test]
    fn single_acknowledgements_above_a_multiple_are_made_good_by_the_next() {
        let mut settled = Settled::default();
        let mut total = settled.settle(7, false);
        total += settled.settle(3, true);
        assert_eq!(total, 3, "one short of 1, 2, 3 and 7");
        for tag in [4, 5, 6, 8] {
            total += settled.settle(tag, false);
        }
        total += settled.settle(4, true);
        assert_eq!(total, 7);
        total += settled.settle(9, true);
        assert_eq!(total, 9);
    }

    #[test]
    fn confirms_are_followed_by_channel() {
        let (mut tally, mut channels) = (Counts([0; method::COUNT]), Channels::default());
        let mut node = FromNode::new(&mut tally, &mut channels);
        node.method(id::CHANNEL_OPEN_OK, 1, &[]);
        node.method(id::CHANNEL_OPEN_OK, 2, &[]);
        node.method(id::CONFIRM_SELECT_OK, 2, &[]);
        let mut client = FromClient::new(&mut tally, &mut channels);
        for channel in [1, 2, 2, 2] {
            client.method(id::BASIC_PUBLISH, channel, &[]);
        }
        client.finish();
        assert_eq!(client.published, 4);
        assert_eq!((channels.unconfirmed(), channels.peak()), (3, 2));
        let mut node = FromNode::new(&mut tally, &mut channels);
        node.method(id::BASIC_ACK, 2, &ack(2, true));
        assert_eq!(node.confirmed, 2);
        assert_eq!(channels.unconfirmed(), 1);
        let mut node = FromNode::new(&mut tally, &mut channels);
        node.method(id::CHANNEL_CLOSE_OK, 2, &[]);
        assert_eq!((channels.unconfirmed(), channels.len(), channels.peak()), (0, 1, 2));
        assert_eq!(tally.0[method::index(id::BASIC_PUBLISH)], 4);
    }

    #[test]
    fn a_node_that_confirms_what_was_not_published_breaks_nothing() {
        let (mut tally, mut channels) = (Counts([0; method::COUNT]), Channels::default());
        let mut node = FromNode::new(&mut tally, &mut channels);
        node.method(id::CHANNEL_OPEN_OK, 1, &[]);
        node.method(id::CONFIRM_SELECT_OK, 1, &[]);
        node.method(id::BASIC_ACK, 1, &ack(u64::MAX, true));
        node.method(id::BASIC_ACK, 1, &ack(u64::MAX, false));
        node.method(id::BASIC_ACK, 9, &ack(1, false));
        node.method(id::BASIC_ACK, 1, &[0]);
        assert_eq!((node.confirmed, channels.unconfirmed()), (0, 0));
        FromClient::new(&mut tally, &mut channels).method(id::BASIC_PUBLISH, 1, &[]);
        assert_eq!(channels.unconfirmed(), 1);
        let mut node = FromNode::new(&mut tally, &mut channels);
        node.method(id::BASIC_ACK, 1, &ack(1, false));
        node.method(id::BASIC_ACK, 1, &ack(1, false));
        assert_eq!((node.confirmed, channels.unconfirmed()), (1, 0));
    }

    #[test]
    fn a_confirm_of_everything_so_far_settles_all() {
        let (mut tally, mut channels) = (Counts([0; method::COUNT]), Channels::default());
        let mut node = FromNode::new(&mut tally, &mut channels);
        node.method(id::CHANNEL_OPEN_OK, 1, &[]);
        node.method(id::CONFIRM_SELECT_OK, 1, &[]);
        let mut client = FromClient::new(&mut tally, &mut channels);
        for _ in 0..3 {
            client.method(id::BASIC_PUBLISH, 1, &[]);
        }
        let mut node = FromNode::new(&mut tally, &mut channels);
        node.method(id::BASIC_ACK, 1, &ack(0, true));
        assert_eq!((node.confirmed, channels.unconfirmed()), (3, 0));
    }

    #[test]
    fn a_publish_waits_for_its_header_across_walks() {
        let (mut tally, mut channels) = (Counts([0; method::COUNT]), Channels::default());
        let mut client = FromClient::new(&mut tally, &mut channels);
        client.method(id::BASIC_PUBLISH, 1, &[]);
        client.content_header(1);
        client.content_body(1);
        client.method(id::BASIC_PUBLISH, 2, &[]);
        client.finish();
        assert!(channels.awaits_header());
        let mut client = FromClient::new(&mut tally, &mut channels);
        client.content_header(2);
        client.finish();
        assert!(!channels.awaits_header());
    }

    #[test]
    fn both_sides_closing_a_channel_at_once_close_it_once() {
        let (mut tally, mut channels) = (Counts([0; method::COUNT]), Channels::default());
        let mut node = FromNode::new(&mut tally, &mut channels);
        node.method(id::CHANNEL_OPEN_OK, 1, &[]);
        node.method(id::CHANNEL_CLOSE_OK, 1, &[]);
        FromClient::new(&mut tally, &mut channels).method(id::CHANNEL_CLOSE_OK, 1, &[]);
        assert!(channels.is_empty());
    }
}

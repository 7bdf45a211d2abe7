//! The relay: both directions of an open session, in one task on one thread.
//!
//! What is read goes into the thread's one buffer, is walked there, and is sent from there with one call. Only what the
//! peer's socket refused is copied and kept, and until that is gone its source is not read: this is the back-pressure,
//! and the bound on memory. An idle session owns no buffer at all.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use amqp_codec::frame::FrameError;
use amqp_codec::frame::method::{MethodId, id};
use amqp_codec::frame::walker::{HOLD, Observer, Stop as WalkStop, Walker};
use amqp_codec::reply::CloseReason;
use amqp_codec::tracker::{Channels, FromClient, FromNode};
use amqp_codec::wire;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::io::{READ_MOST, with_buffer};
use super::registry::{Order, Session};
use super::tap::{Direction, Following};
use crate::stream::Stream;
use crate::telemetry::counters::Counter;
use crate::worker::Worker;

/// Fewest bytes of one read: what a session whose peer is slow holds at least.
const READ_LEAST: u32 = 16 * 1024;
/// Reads of each direction before other sessions get their turn.
const ROUNDS: usize = 4;

/// An open session.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) client: Stream,
    pub(super) node: Stream,
    /// From the client to the node.
    pub(super) up: Flow,
    /// From the node to the client.
    pub(super) down: Flow,
    pub(super) watch: Watch,
    /// Has the client been told our connection.close?
    pub(super) told: bool,
}

/// What a relay sees of what passes.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) session: Arc<Session>,
    worker: Arc<Worker>,
    channels: Channels,
    /// Is it AMQP 0-9-1, whose frames are walked?
    framed: bool,
    /// Where somebody who watches stands.
    following: Option<Box<Following>>,
    /// The close handshake that is passing through.
    pub(super) closing: Option<Box<Closing>>,
}

/// A connection.close that passed through.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) by_node: bool,
    pub(super) reason: CloseReason,
    /// Has the other side answered close-ok?
    pub(super) answered: bool,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) walker: Walker,
    /// The head of a frame that is not all there yet.
    pub(super) held: Vec<u8>,
    /// What the destination has not taken yet.
    pub(super) backlog: Vec<u8>,
    /// How much of the backlog it has taken.
    taken: usize,
    /// Bytes of the next read.
    chunk: u32,
    /// The destination takes nothing any more.
    pub(super) dead: bool,
}

/// Why a relay stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// It was told to.
    Order(Order),
    /// The client's end of stream, or its reset.
    ClientGone,
    /// The node's.
    NodeGone,
    /// Bytes of the client that are no frame.
    BadClient(FrameError),
    /// Bytes of the node that are no frame.
    BadNode(FrameError),
}

impl Flow {
    /// A direction at a frame boundary.
    pub(super) fn new(frame_limit: u32) -> Self {
        Self {
            walker: Walker::new(frame_limit),
            held: Vec::new(),
            backlog: Vec::new(),
            taken: 0,
            chunk: READ_MOST / 4,
            dead: false,
        }
    }

    /// Sends what waits. An error of the destination makes the direction dead.
    pub(super) fn poll_flush(
        &mut self,
        destination: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        while !self.backlog.is_empty() && !self.dead {
            let waiting = &self.backlog[self.taken..];
            match ready!(Pin::new(&mut *destination).poll_write(cx, waiting)) {
                Ok(sent) if sent > 0 => self.taken += sent,
                Ok(_) | Err(_) => self.dead = true,
            }
            if self.taken == self.backlog.len() || self.dead {
                self.backlog = Vec::new();
                self.taken = 0;
            }
        }
        if destination.has_unsent() && !self.dead {
            self.dead = ready!(Pin::new(destination).poll_flush(cx)).is_err();
        }
        Poll::Ready(())
    }

    /// Is there anything that the destination has not taken yet?
    fn is_held(&self, destination: &Stream) -> bool {
        !self.backlog.is_empty() || destination.has_unsent()
    }

    /// Sends `bytes` as far as the destination takes them; the rest waits. Nothing else may be waiting.
    fn send(&mut self, destination: &mut Stream, bytes: &[u8], cx: &mut Context<'_>) {
        if bytes.is_empty() || self.dead {
            return;
        }
        let sent = match Pin::new(&mut *destination).poll_write(cx, bytes) {
            Poll::Ready(Ok(sent)) => sent,
            Poll::Ready(Err(_)) => {
                self.dead = true;
                return;
            }
            Poll::Pending => 0,
        };
        if sent < bytes.len() || destination.has_unsent() {
            self.backlog = bytes[sent..].to_vec();
            // A slow destination: keep less for it next time.
            self.chunk = (self.chunk / 2).max(READ_LEAST);
        } else if bytes.len() >= self.chunk as usize {
            self.chunk = (self.chunk * 2).min(READ_MOST);
        }
    }
}

impl Relay {
    /// Relays until something stops it.
    pub(super) async fn run(&mut self) -> Stop {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Passes on what was read before the relay began.
    pub(super) async fn begin(&mut self, from_client: Vec<u8>, from_node: Vec<u8>) -> Option<Stop> {
        let Self { client, node, up, down, watch, .. } = self;
        std::future::poll_fn(|cx| {
            let bad = up.pass(&from_client, node, cx, |walker, bytes| watch.walk_up(walker, bytes));
            if let Some(error) = bad {
                return Poll::Ready(Some(Stop::BadClient(error)));
            }
            let bad =
                down.pass(&from_node, client, cx, |walker, bytes| watch.walk_down(walker, bytes));
            Poll::Ready(bad.map(Stop::BadNode))
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        if let Some(order) = self.watch.session.poll_order(cx.waker()) {
            return Poll::Ready(Stop::Order(order));
        }
        with_buffer(|buffer| {
            for _ in 0..ROUNDS {
                let up = self.poll_up(cx, buffer);
                let down = self.poll_down(cx, buffer);
                match (up, down) {
                    (Poll::Pending, Poll::Pending) => return Poll::Pending,
                    (Poll::Ready(Err(stop)), _) | (_, Poll::Ready(Err(stop))) => {
                        return Poll::Ready(stop);
                    }
                    (Poll::Ready(Ok(())) | Poll::Pending, Poll::Ready(Ok(())) | Poll::Pending) => {}
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// One read of the node, passed on.
    pub(super) fn poll_one_down(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        with_buffer(|buffer| self.poll_down(cx, buffer))
    }

    fn poll_up(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<(), Stop>> {
        let Self { client, node, up, down, watch, .. } = self;
        if down.dead && up.is_held(node) {
            // The client is gone, and nobody would see it: it is not read while the node takes nothing.
            return Poll::Ready(Err(Stop::ClientGone));
        }
        if up.dead {
            // The node may still have something to say: its end will be seen from the other direction.
            return Poll::Pending;
        }
        let bytes = ready!(up.poll_read(client, node, cx, buffer, watch.counts_up()));
        let Some(bytes) = bytes else { return Poll::Ready(Err(Stop::ClientGone)) };
        let bad = up.pass(bytes, node, cx, |walker, bytes| watch.walk_up(walker, bytes));
        if up.is_held(node) {
            watch.session.heard.client_held.store(1, Ordering::Relaxed);
        }
        Poll::Ready(bad.map_or(Ok(()), |error| Err(Stop::BadClient(error))))
    }

    fn poll_down(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<(), Stop>> {
        let Self { client, node, down, watch, .. } = self;
        if down.dead {
            return Poll::Pending;
        }
        let bytes = ready!(down.poll_read(node, client, cx, buffer, watch.counts_down()));
        let Some(bytes) = bytes else { return Poll::Ready(Err(Stop::NodeGone)) };
        let bad = down.pass(bytes, client, cx, |walker, bytes| watch.walk_down(walker, bytes));
        if down.is_held(client) {
            watch.session.heard.node_held.store(1, Ordering::Relaxed);
        }
        Poll::Ready(bad.map_or(Ok(()), |error| Err(Stop::BadNode(error))))
    }
}

impl Watch {
    /// For a session at its beginning; `framed` = AMQP 0-9-1.
    pub(super) fn new(session: Arc<Session>, worker: Arc<Worker>, framed: bool) -> Self {
        Self {
            session,
            worker,
            channels: Channels::default(),
            framed,
            following: None,
            closing: None,
        }
    }

    /// Most channels open at once; `None` if frames were not walked.
    pub(super) fn channels_peak(&self) -> Option<u16> {
        self.framed.then(|| self.channels.peak())
    }

    /// Is it AMQP 0-9-1, where a close can be said?
    pub(super) fn framed(&self) -> bool {
        self.framed
    }

    fn counts_up(&self) -> Counts<'_> {
        Counts {
            session: &self.session.counters.bytes_from_client,
            worker: &self.worker.counters.from_client.bytes,
            heard: &self.session.heard.client,
            held: &self.session.heard.client_held,
            tick: self.worker.clock.now(),
        }
    }

    fn counts_down(&self) -> Counts<'_> {
        Counts {
            session: &self.session.counters.bytes_from_node,
            worker: &self.worker.counters.from_node.bytes,
            heard: &self.session.heard.node,
            held: &self.session.heard.node_held,
            tick: self.worker.clock.now(),
        }
    }

    fn walk_up(&mut self, walker: &mut Walker, bytes: &[u8]) -> Result<usize, (usize, FrameError)> {
        if !self.framed {
            return Ok(bytes.len());
        }
        let rest = walker.rest();
        let mut traffic = &self.worker.counters.from_client;
        let mut observer = FromClient::new(&mut traffic, &mut self.channels);
        let (closing, session) = (&mut self.closing, &self.session);
        let walked = walk(walker, bytes, &mut observer, |id, frame| {
            note(closing, session, id, frame, false);
        });
        observer.finish();
        let counters = &self.session.counters;
        counters.published.add(observer.published.into());
        counters.acknowledged.add(observer.acknowledged);
        counters.unconfirmed.set(self.channels.unconfirmed());
        let whole = walker.at_boundary() && !self.channels.awaits_header();
        let half_sent = !whole || walked.as_ref().is_ok_and(|&len| len < bytes.len());
        counters.half_sent.set(half_sent.into());
        self.show(Direction::FromClient, rest, bytes, &walked);
        walked
    }

    fn walk_down(
        &mut self,
        walker: &mut Walker,
        bytes: &[u8],
    ) -> Result<usize, (usize, FrameError)> {
        if !self.framed {
            return Ok(bytes.len());
        }
        let rest = walker.rest();
        let mut traffic = &self.worker.counters.from_node;
        let mut observer = FromNode::new(&mut traffic, &mut self.channels);
        let (closing, session) = (&mut self.closing, &self.session);
        let walked = walk(walker, bytes, &mut observer, |id, frame| {
            note(closing, session, id, frame, true);
        });
        observer.finish();
        let counters = &self.session.counters;
        counters.delivered.add(observer.delivered.into());
        counters.returned.add(observer.returned.into());
        counters.confirmed.add(observer.confirmed);
        counters.unconfirmed.set(self.channels.unconfirmed());
        counters.channels.set(self.channels.len() as u64);
        self.show(Direction::FromNode, rest, bytes, &walked);
        walked
    }

    /// Shows what was walked to whoever watches; `rest` bytes of a frame were to come before.
    #[inline]
    fn show(
        &mut self,
        direction: Direction,
        rest: u32,
        bytes: &[u8],
        walked: &Result<usize, (usize, FrameError)>,
    ) {
        if self.session.tapped.is_on() {
            let (Ok(len) | Err((len, _))) = *walked;
            self.show_now(direction, rest, &bytes[..len]);
        } else if self.following.is_some() {
            self.following = None;
        }
    }

    #[cold]
    fn show_now(&mut self, direction: Direction, rest: u32, bytes: &[u8]) {
        let following = self.following.get_or_insert_default();
        following.follow(&self.session, direction, rest, bytes, self.worker.clock.now());
    }
}

/// Where one direction's bytes and time are noted.
struct Counts<'a> {
    session: &'a Counter,
    worker: &'a Counter,
    heard: &'a AtomicU32,
    held: &'a AtomicU8,
    tick: u32,
}

impl Flow {
    /// Sends what waits, then reads: what was held back and what came, as one. `None` at the source's end.
    fn poll_read<'b>(
        &mut self,
        source: &mut Stream,
        destination: &mut Stream,
        cx: &mut Context<'_>,
        buffer: &'b mut [u8],
        counts: Counts<'_>,
    ) -> Poll<Option<&'b [u8]>> {
        if self.is_held(destination) {
            ready!(self.poll_flush(destination, cx));
            // In this order: what was not read while it was held is no silence.
            counts.heard.store(counts.tick, Ordering::Relaxed);
            counts.held.store(0, Ordering::Release);
        }
        let (head, room) = buffer.split_at_mut(HOLD);
        let mut read = ReadBuf::new(&mut room[..self.chunk as usize]);
        match ready!(Pin::new(source).poll_read(cx, &mut read)) {
            Ok(()) if !read.filled().is_empty() => {}
            Ok(()) | Err(_) => return Poll::Ready(None),
        }
        let count = read.filled().len();
        counts.session.add(count as u64);
        counts.worker.add(count as u64);
        counts.heard.store(counts.tick, Ordering::Relaxed);
        let start = HOLD - self.held.len();
        head[start..].copy_from_slice(&self.held);
        Poll::Ready(Some(&buffer[start..HOLD + count]))
    }

    /// Walks and sends; holds back what the walker holds back.
    fn pass(
        &mut self,
        bytes: &[u8],
        destination: &mut Stream,
        cx: &mut Context<'_>,
        walk: impl FnOnce(&mut Walker, &[u8]) -> Result<usize, (usize, FrameError)>,
    ) -> Option<FrameError> {
        let (forward, bad) = match walk(&mut self.walker, bytes) {
            Ok(forward) => (forward, None),
            Err((forward, error)) => (forward, Some(error)),
        };
        self.send(destination, &bytes[..forward], cx);
        if forward < bytes.len() && bad.is_none() {
            self.held.clear();
            self.held.extend_from_slice(&bytes[forward..]);
        } else if self.held.capacity() > 0 {
            self.held = Vec::new();
        }
        bad
    }

    /// Reads no more than to the end of the frame that is passing.
    pub(super) fn read_to_boundary(&mut self) {
        self.chunk = self.walker.rest().clamp(1, READ_MOST);
    }

    /// Takes what waits to be sent.
    pub(super) fn take_backlog(&mut self) -> Vec<u8> {
        let mut waiting = std::mem::take(&mut self.backlog);
        waiting.drain(..std::mem::take(&mut self.taken));
        waiting
    }
}

/// Walks all of `bytes`, passing methods of the connection class on after showing them to `connection`. Returns how many
/// may be forwarded.
fn walk<O: Observer>(
    walker: &mut Walker,
    bytes: &[u8],
    observer: &mut O,
    mut connection: impl FnMut(MethodId, &[u8]),
) -> Result<usize, (usize, FrameError)> {
    let mut at = 0;
    loop {
        let walked = walker.walk(&bytes[at..], observer);
        at += walked.len;
        match walked.stop {
            WalkStop::End => return Ok(at),
            WalkStop::Bad(error) => return Err((at, error)),
            WalkStop::Connection { id, size, .. } => {
                let frame = &bytes[at..];
                connection(id, &frame[..size.min(frame.len())]);
                observer.method(id, 0, &[]);
                walker.enter(size as u32);
            }
        }
    }
}

/// Notes a close handshake that passes through; a node that forces it may tell about itself.
#[cold]
fn note(
    closing: &mut Option<Box<Closing>>,
    session: &Session,
    id: MethodId,
    frame: &[u8],
    by_node: bool,
) {
    match (id, &mut *closing) {
        (id::CONNECTION_CLOSE, None) => {
            if let Some(reason) = wire::read_close(frame) {
                if let Some(facts) = session.facts().filter(|_| by_node) {
                    facts.node.closed(&reason, session.opened_at());
                }
                *closing = Some(Box::new(Closing { by_node, reason, answered: false }));
            }
        }
        (id::CONNECTION_CLOSE_OK, Some(closing)) if closing.by_node != by_node => {
            closing.answered = true;
        }
        _ => {}
    }
}

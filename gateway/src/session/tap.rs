//! Taps: what passes through chosen sessions, frame by frame, for somebody who watches.
//!
//! A session that nobody taps pays one relaxed load a read. One that is tapped copies the heads of its frames into a queue
//! that is bounded in lines, in bytes and in lines a second; what does not fit is left out and counted, and nothing waits.
//! Words are made of it elsewhere ([`amqp_codec::text`]). Secrets are not even copied.

mod bucket;
mod follow;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use amqp_codec::frame::{ENVELOPE, kind};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::registry::{Registry, Session, SessionId};
use bucket::Bucket;
use follow::{Follower, Head};

/// Taps at once.
pub const MOST_TAPS: usize = 8;
/// Octets of a body that can be asked for.
pub const MOST_OF_BODY: usize = 4096;
/// Octets that are kept of a method or content header.
const MOST_OF_FRAME: usize = 4096;
/// Lines that wait to be read, at most.
const MOST_LINES: usize = 1024;
/// Octets that wait to be read, at most.
const MOST_WAITING: usize = 1024 * 1024;

/// Which sessions are tapped; filters that are given all have to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// One session.
    pub session: Option<SessionId>,
    /// The exact vhost.
    pub vhost: Option<Box<str>>,
    /// The exact user.
    pub user: Option<Box<str>>,
    /// Octets of each body frame, at most [`MOST_OF_BODY`].
    pub bodies: usize,
}

impl Wanted {
    /// Is it an open session of AMQP 0-9-1 that all filters fit?
    fn fits(&self, session: &Session) -> bool {
        let Some(facts) = session.facts() else { return false };
        let Some(vhost) = facts.vhost.as_deref() else { return false };
        self.session.is_none_or(|id| id == session.id)
            && self.vhost.as_deref().is_none_or(|wanted| wanted == vhost)
            && self.user.as_deref().is_none_or(|wanted| Some(wanted) == facts.user.as_deref())
    }
}

/// Where a frame comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Direction {
    FromClient,
    FromNode,
}

/// A frame that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub at: SystemTime,
    /// In which session.
    pub session: SessionId,
    /// Where it comes from.
    pub direction: Direction,
    /// Its kind (see [`kind`]).
    pub kind: u8,
    /// Its channel.
    pub channel: u16,
    /// Its size, with envelope.
    pub size: usize,
    /// The beginning of its payload: of a secret the method's id, of a body what was asked for.
    pub payload: Box<[u8]>,
    /// Frames that were left out before it.
    pub dropped: u64,
}

/// All taps there are.
#[derive(Debug, Default)]
pub struct Taps {
    count: AtomicUsize,
    next: AtomicU64,
    list: Mutex<Vec<Arc<Tap>>>,
}

/// There are [`MOST_TAPS`] taps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Number of a tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapId(u64);

impl Taps {
    /// Begins to tap what fits, now and from now on.
    ///
    /// # Errors
    /// There are too many already.
    pub fn add(&self, wanted: Wanted, registry: &Registry) -> Result<(TapId, Lines), Full> {
        let id = TapId(self.next.fetch_add(1, Ordering::Relaxed));
        let (tap, lines) = Tap::new(id, wanted);
        let tap = Arc::new(tap);
        {
            let mut list = held(&self.list);
            if list.len() >= MOST_TAPS {
                return Err(Full);
            }
            list.push(tap.clone());
            self.count.store(list.len(), Ordering::Relaxed);
        }
        // Either a session that opens now sees the tap, or it is seen here to be open (see `opened`); twice does no harm.
        fence(Ordering::SeqCst);
        registry.each(|session| {
            if tap.wanted.fits(session) {
                session.tapped.attach(&tap);
            }
        });
        // One that left the registry before may not have seen its tap: then nobody else would ever end it.
        if tap.wanted.session.is_some_and(|session| registry.get(session).is_none()) {
            self.remove(id, registry);
        }
        Ok((id, lines))
    }

    /// Ends a tap.
    pub fn remove(&self, id: TapId, registry: &Registry) {
        self.retain(|tap| tap.id != id);
        registry.each(|session| {
            if session.tapped.is_on() {
                session.tapped.detach(id);
            }
        });
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A session has opened: is it to be tapped?
    pub(super) fn opened(&self, session: &Session) {
        fence(Ordering::SeqCst);
        if self.is_empty() {
            return;
        }
        // Held meanwhile: a tap that is being removed either is not in the list, or finds the session attached.
        for tap in held(&self.list).iter().filter(|tap| tap.wanted.fits(session)) {
            session.tapped.attach(tap);
        }
    }

    /// A session has ended; so does a tap of it alone.
    pub(super) fn ended(&self, session: &Session) {
        if !self.is_empty() {
            self.retain(|tap| tap.wanted.session != Some(session.id));
        }
        if session.tapped.is_on() {
            session.tapped.clear();
        }
    }

    fn retain(&self, keep: impl Fn(&Tap) -> bool) {
        let mut list = held(&self.list);
        list.retain(|tap| keep(tap));
        self.count.store(list.len(), Ordering::Relaxed);
    }
}

/// Who taps a session.
#[derive(Debug, Default)]
pub(super) struct Tapped {
    on: AtomicBool,
    by: Mutex<Vec<Arc<Tap>>>,
}

impl Tapped {
    /// Does anybody?
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    fn attach(&self, tap: &Arc<Tap>) {
        let mut by = held(&self.by);
        if by.iter().all(|other| other.id != tap.id) {
            by.push(tap.clone());
        }
        self.on.store(true, Ordering::Relaxed);
    }

    fn detach(&self, id: TapId) {
        let mut by = held(&self.by);
        by.retain(|tap| tap.id != id);
        by.shrink_to_fit();
        self.on.store(!by.is_empty(), Ordering::Relaxed);
    }

    fn clear(&self) {
        let mut by = held(&self.by);
        *by = Vec::new();
        self.on.store(false, Ordering::Relaxed);
    }
}

/// Where both directions of a tapped session stand.
#[derive(Debug, Default)]
pub(super) struct Following {
    up: Follower,
    down: Follower,
}

impl Following {
    /// Shows `bytes`, which were just walked and begin where `rest` bytes of a frame were still to come.
    pub(super) fn follow(
        &mut self,
        session: &Session,
        direction: Direction,
        rest: u32,
        bytes: &[u8],
        tick: u32,
    ) {
        let taps = held(&session.tapped.by);
        let bodies = taps.iter().map(|tap| tap.wanted.bodies).max().unwrap_or(0);
        let follower = match direction {
            Direction::FromClient => &mut self.up,
            Direction::FromNode => &mut self.down,
        };
        follower.follow(rest, bytes, bodies, |head, payload| {
            for tap in &*taps {
                tap.offer(session.id, direction, head, payload, tick);
            }
        });
    }
}

/// A tap, as sessions see it.
#[derive(Debug)]
struct Tap {
    id: TapId,
    wanted: Wanted,
    bucket: Bucket,
    dropped: AtomicU64,
    /// Octets in the queue.
    waiting: Arc<AtomicUsize>,
    queue: Sender<Seen>,
}

impl Tap {
    fn new(id: TapId, mut wanted: Wanted) -> (Self, Lines) {
        wanted.bodies = wanted.bodies.min(MOST_OF_BODY);
        let (queue, receiver) = mpsc::channel(MOST_LINES);
        let waiting = Arc::new(AtomicUsize::new(0));
        let lines = Lines { receiver, waiting: waiting.clone() };
        let (bucket, dropped) = (Bucket::default(), AtomicU64::new(0));
        (Self { id, wanted, bucket, dropped, waiting, queue }, lines)
    }

    fn offer(
        &self,
        session: SessionId,
        direction: Direction,
        head: Head,
        payload: &[u8],
        tick: u32,
    ) {
        let payload = match head.kind {
            kind::BODY => &payload[..payload.len().min(self.wanted.bodies)],
            _ => payload,
        };
        let room = MOST_WAITING.saturating_sub(self.waiting.load(Ordering::Relaxed));
        let place = (payload.len() <= room && self.bucket.take(tick))
            .then(|| self.queue.try_reserve().ok())
            .flatten();
        let Some(place) = place else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.waiting.fetch_add(payload.len(), Ordering::Relaxed);
        place.send(Seen {
            at: SystemTime::now(),
            session,
            direction,
            kind: head.kind,
            channel: head.channel,
            size: head.size as usize + ENVELOPE,
            payload: payload.into(),
            dropped: self.dropped.swap(0, Ordering::Relaxed),
        });
    }
}

/// What a tap has seen.
#[derive(Debug)]
pub struct Lines {
    receiver: Receiver<Seen>,
    waiting: Arc<AtomicUsize>,
}

impl Lines {
    /// The next frame; `None` when there will be none: the tap is removed, or its one session has ended.
    pub async fn next(&mut self) -> Option<Seen> {
        let seen = self.receiver.recv().await?;
        self.waiting.fetch_sub(seen.payload.len(), Ordering::Relaxed);
        Some(seen)
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

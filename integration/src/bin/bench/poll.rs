//! A small readiness loop over epoll (level-triggered), shared by broker and load generator.

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Watches file descriptors; each carries a token of the owner's choice.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

/// One descriptor that is ready.
#[derive(Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) token: usize,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(256) })
    }

    /// Watches `source` for input, and for room to write if `write`.
    pub(crate) fn add(&self, source: impl AsFd, token: usize, write: bool) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, source, EventData::new_u64(token as u64), flags(write))?)
    }

    /// Changes whether `source` is watched for room to write.
    pub(crate) fn modify(&self, source: impl AsFd, token: usize, write: bool) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, source, EventData::new_u64(token as u64), flags(write))?)
    }

    /// Stops watching `source`.
    pub(crate) fn remove(&self, source: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, source)?)
    }

    /// Waits until something is ready, at most `limit`.
    pub(crate) fn wait(&mut self, limit: Option<Duration>) -> io::Result<Vec<Ready>> {
        let limit = limit.and_then(|limit| limit.try_into().ok());
        self.events.clear();
        let room = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, room, limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.events.iter().map(ready).collect())
    }
}

fn flags(write: bool) -> EventFlags {
    if write { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN }
}

fn ready(event: &epoll::Event) -> Ready {
    let (flags, data) = (event.flags, event.data);
    let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
    Ready {
        token: usize::try_from(data.u64()).unwrap_or(usize::MAX),
        readable: broken || flags.contains(EventFlags::IN),
        writable: flags.contains(EventFlags::OUT),
    }
}

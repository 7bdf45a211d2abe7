//! A thread that waits at a socket until it is told to stop.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::setpriority_process;

/// The thread; told to stop and waited for when dropped.
#[derive(Debug)]
pub(super) struct Worker {
    bell: UnixStream,
    thread: Option<JoinHandle<()>>,
}

/// What a wait came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    Readable,
    TimedOut,
    Stopped,
}

/// The thread's end of the bell.
#[derive(Debug)]
pub(super) struct Stop(UnixStream);

impl Worker {
    /// Starts it.
    ///
    /// # Errors
    /// When the system has no thread or socket for it.
    pub(super) fn start(name: &str, work: impl FnOnce(Stop) + Send + 'static) -> Result<Self> {
        let (bell, ear) = UnixStream::pair()?;
        let body = move || {
            // What measures should not wait for what is measured. Not allowed for all: then it waits.
            let _ = setpriority_process(Some(rustix::thread::gettid()), -15);
            work(Stop(ear));
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        Ok(Self { bell, thread: Some(thread.context("cannot start a thread")?) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Fails when the thread has ended already.
        let _ = self.bell.write_all(b"x");
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Stop {
    /// Waits until there is something to read, for as long as given; a stop comes first.
    pub(super) fn wait(&self, socket: BorrowedFd<'_>, timeout: Option<Duration>) -> Wait {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut both = [
            PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(socket, PollFlags::IN),
        ];
        // Only a signal can interrupt it: as good as a time-out.
        let _ = poll(&mut both, timeout.as_ref());
        if !both[0].revents().is_empty() {
            return Wait::Stopped;
        }
        if both[1].revents().is_empty() { Wait::TimedOut } else { Wait::Readable }
    }
}

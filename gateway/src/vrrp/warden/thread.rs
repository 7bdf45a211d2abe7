//! The thread of VRRP, started before all others: it alone keeps the capabilities that VRRP takes.
//!
//! Capabilities are a thread's own, and are inherited by what it starts. So whoever makes this thread can give them up at
//! once, and no thread, script or command that is started later has them.

use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;

type Work = Box<dyn FnOnce() + Send>;

/// The thread, with nothing to do yet. It ends when this is dropped.
#[derive(Debug)]
pub struct Thread {
    works: mpsc::Sender<Work>,
    handle: JoinHandle<()>,
}

impl Thread {
    /// Starts it, with all that the calling thread may do.
    ///
    /// # Errors
    /// If the system has no room for it.
    pub fn start() -> io::Result<Self> {
        let (works, given) = mpsc::channel::<Work>();
        let thread = std::thread::Builder::new().name("vrrp".to_owned());
        let handle = thread.spawn(move || given.into_iter().for_each(|work| work()))?;
        Ok(Self { works, handle })
    }

    /// Has it do something, and waits for the outcome.
    ///
    /// # Errors
    /// If the thread has ended.
    pub fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (told, outcome) = mpsc::channel();
        self.give(move || drop(told.send(work())));
        outcome.recv().map_err(|_| io::Error::other("the thread of VRRP has ended"))
    }

    /// Has it do this as the last thing.
    pub(super) fn run(self, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        self.give(work);
        self.handle
    }

    fn give(&self, work: impl FnOnce() + Send + 'static) {
        // One that has ended drops it, which is noticed by whoever waits for it.
        let _ = self.works.send(Box::new(work));
    }
}

//! The loop of the thread: beats out, words in, and what is due.

mod change;
mod lost;
mod start;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::oneshot;
use tracing::error;

use super::child::{Launcher, Process};
use super::parting::Parting;
use super::slot::Slots;
use super::timing::{Restarts, Times, Vigil};
use super::wire::Wire;
use super::{Burden, Closer, Wish, utter};
use crate::vrrp::board::Board;
use crate::vrrp::talk::{Order, State, Word};

/// For the VRRP process to hand all addresses over.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// For another process to give up what the one that was to do so has left.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked whether a process that was told to end has.
const LOOK: Duration = Duration::from_millis(5);
/// Longest sleep.
const LONGEST: Duration = Duration::from_secs(1);

/// What the thread is given.
pub(super) struct Setup {
    pub(super) board: Arc<Board>,
    pub(super) burdens: Vec<Burden>,
    pub(super) closer: Closer,
    pub(super) launcher: Box<dyn Launcher>,
    /// Is the thread let run at once?
    pub(super) real_time: bool,
    /// Moves while the control runtime lives.
    pub(super) life: Arc<AtomicU64>,
}

/// A VRRP process that runs.
struct Child {
    wire: Wire,
    process: Box<dyn Process>,
    started: Instant,
    ready: bool,
    /// The next beat.
    beat: Instant,
    beats: u64,
}

/// The addresses are being handed over.
struct Stopping {
    /// Until when that is waited for.
    until: Instant,
    /// Has a process been lost over it? Then it is the last attempt.
    last: bool,
    /// Tells by its drop that it is over.
    _told: Option<oneshot::Sender<()>>,
}

/// Who watches over the VRRP process.
pub(super) struct Guard {
    setup: Setup,
    told: Option<oneshot::Sender<Result<(), String>>>,
    child: Option<Child>,
    /// Processes whose end has not been seen yet.
    dying: Vec<Box<dyn Process>>,
    /// When the next one is started, if none runs.
    restart: Instant,
    restarts: Restarts,
    vigil: Vigil,
    times: Times,
    slots: Slots,
    /// Has the present process not been told of the latest change?
    outdated: bool,
    /// Addresses that are on their interfaces and to be given up: by the present process until it is set up, then by the
    /// next one.
    orphaned: Vec<usize>,
    /// Addresses that the next process goes on with, at once; and those that the present one is to go on with, until it
    /// is set up.
    resumed: Vec<usize>,
    resuming: Vec<usize>,
    /// Settings of the kernel that are to be put back in the end, by whichever process is the last.
    changed: BTreeMap<PathBuf, String>,
    partings: Vec<Parting>,
    stopping: Option<Stopping>,
    /// Nothing is handed over any more: it ends once no address is left on its interface.
    leaving: bool,
    over: bool,
}

impl Guard {
    pub(super) fn new(setup: Setup, told: oneshot::Sender<Result<(), String>>) -> Self {
        let (now, mut setup, mut slots) = (Instant::now(), setup, Slots::default());
        let burdens = std::mem::take(&mut setup.burdens).into_iter();
        let burdens = burdens.chain(std::iter::repeat_with(Burden::default));
        let routers = setup.board.routers();
        let times = Times::of(routers.iter().map(|router| &**router), setup.real_time);
        slots.change(routers.into_iter().zip(burdens).collect());
        Self {
            setup,
            told: Some(told),
            child: None,
            dying: Vec::new(),
            restart: now,
            restarts: Restarts::default(),
            vigil: Vigil::new(now),
            times,
            slots,
            outdated: false,
            orphaned: Vec::new(),
            resumed: Vec::new(),
            resuming: Vec::new(),
            changed: BTreeMap::new(),
            partings: Vec::new(),
            stopping: None,
            leaving: false,
            over: false,
        }
    }

    /// Runs until it is told to stop. Then no process is left that holds an address.
    pub(super) fn run(mut self, wishes: &Receiver<Wish>, bell: &OwnedFd) {
        while !self.over {
            let now = Instant::now();
            let counter = self.setup.life.load(Ordering::Relaxed);
            // First what was said: after a standstill it waits there.
            self.listen(now);
            let lives = self.vigil.lives(counter, now, self.times);
            while let Ok(wish) = wishes.try_recv() {
                self.grant(wish, now);
            }
            self.watch(now, lives);
            self.close(now);
            self.sum_up(now);
            self.bury();
            if !self.over {
                self.sleep(bell, lives);
            }
        }
        self.end();
    }

    /// Starts a process where there is none; sends the beat; ends one that says nothing.
    fn watch(&mut self, now: Instant, lives: bool) {
        if let Some(stopping) = &mut self.stopping
            && now >= stopping.until
        {
            if std::mem::replace(&mut stopping.last, true) {
                error!(
                    "VRRP: addresses may be left on their interfaces: the VRRP process does not stop"
                );
                self.over = true;
                return;
            }
            stopping.until = now + LAST_PATIENCE;
            self.lost("it does not hand the addresses over", false, now);
        }
        match &mut self.child {
            None if now >= self.restart && lives && !self.over => self.launch(now),
            None => {}
            Some(_) if now >= self.vigil.until() => self.lost("it says nothing", false, now),
            Some(child) if child.ready && lives && now >= child.beat => {
                child.beat = now + self.times.beat;
                child.beats += 1;
                let beat = Order::Beat(child.beats);
                // One that does not read needs no further beats.
                if !child.wire.has_unsent() {
                    self.say(&beat, now);
                }
            }
            Some(_) => {}
        }
    }

    fn say_burden(&mut self, router: usize, now: Instant) {
        let Some(slot) = self.slots.get(router).filter(|slot| !slot.leaving) else { return };
        let Burden { penalty, fault } = slot.burden.clone();
        self.say(&Order::Track { router, penalty, fault }, now);
    }

    /// Says it to a process that listens; one that gets ready will be told everything.
    fn say(&mut self, order: &Order, now: Instant) {
        let Some(child) = &mut self.child else { return };
        if !child.ready && !matches!(order, Order::Start(_)) {
            return;
        }
        if let Err(error) = child.wire.say(order) {
            self.lost(&error.to_string(), true, now);
        }
    }

    fn grant(&mut self, wish: Wish, now: Instant) {
        match wish {
            Wish::Bear(router, burden) => {
                if let Some(slot) = self.slots.named(&router) {
                    slot.burden = burden;
                    let router = slot.id;
                    self.say_burden(router, now);
                }
            }
            Wish::Release(name) => self.release(&name, true, now),
            Wish::Reclaim(name) => self.release(&name, false, now),
            // Whoever waits is told by the drop.
            Wish::Change(routers, _told) => self.change(routers, now),
            Wish::Stop(told) => self.stop(told, now),
            Wish::Leave => self.leave(now),
        }
    }

    fn release(&mut self, name: &str, released: bool, now: Instant) {
        let Some(slot) = self.slots.named(name) else { return };
        slot.releases.wish(released);
        let router = slot.id;
        match released {
            true => self.say(&Order::Release { router }, now),
            false => self.say(&Order::Reclaim { router }, now),
        }
    }

    /// Takes all that the process has said.
    fn listen(&mut self, now: Instant) {
        let Some(child) = &mut self.child else { return };
        child.wire.flush();
        let mut words = Vec::new();
        let more = child.wire.hear(&mut words);
        if !words.is_empty() {
            self.vigil.heard(now, self.times);
        }
        for word in words {
            self.hear(&word, now);
        }
        match more {
            Ok(true) => {}
            Ok(false) => self.lost("it has closed its socket", true, now),
            Err(error) => self.lost(&error.to_string(), true, now),
        }
    }

    fn hear(&mut self, word: &Word, now: Instant) {
        let board = self.setup.board.clone();
        let tells = match word {
            Word::Transition { router, .. } => {
                self.slots.get_mut(*router).is_none_or(|slot| slot.pace.tells(now))
            }
            _ => true,
        };
        if tells {
            utter::log(word, |router| self.slots.name(router));
        }
        match word {
            Word::Ready => self.begin(now),
            Word::Broken(text) => self.broken(text),
            Word::Transition { router, to, .. } => {
                if let Some(slot) = self.slots.get_mut(*router) {
                    slot.state = *to;
                    if *to == State::Active {
                        let back = slot.addresses();
                        self.are_back(&back);
                    }
                }
            }
            Word::Gone { router } => self.gone(*router),
            Word::Leaving { router, linger } => self.part(*router, *linger, true, now),
            Word::Changed { setting, before } => {
                // What an earlier process said came first, and is true.
                self.changed.entry(setting.clone()).or_insert_with(|| before.clone());
            }
            Word::Restored { setting } => {
                self.changed.remove(setting);
            }
            // Its end follows.
            Word::Stopped => self.over = self.stopping.is_some(),
            Word::Status(statuses) => {
                for status in statuses {
                    let slot = self.slots.get_mut(status.router);
                    slot.into_iter().for_each(|slot| slot.releases.hear(status.released));
                }
            }
            Word::Beat(_) | Word::Log { .. } | Word::Alarm { .. } => {}
        }
        board.note(word, SystemTime::now(), tells);
    }

    /// Sums up the transitions that were too many to be told one by one.
    fn sum_up(&mut self, now: Instant) {
        for slot in &mut self.slots.all {
            if let Some(more) = slot.pace.more(now) {
                utter::more(&slot.router.name, more, slot.state);
                self.setup.board.tell_last(slot.id);
            }
        }
    }

    /// The process cannot work. At the start of the gateway that ends it, later it is tried again.
    fn broken(&mut self, text: &str) {
        match self.told.take() {
            Some(told) => {
                let _ = told.send(Err(text.to_owned()));
                self.over = true;
            }
            None => error!("VRRP: {text}"),
        }
    }

    fn sleep(&self, bell: &OwnedFd, lives: bool) {
        let now = Instant::now();
        let mut until = now + LONGEST;
        match &self.child {
            Some(child) if lives && child.ready => {
                until = until.min(child.beat).min(self.vigil.until());
            }
            // It must be noticed soon that it lives again.
            Some(_) => until = until.min(self.vigil.until()).min(now + self.times.beat),
            None if lives => until = until.min(self.restart),
            None => until = until.min(now + self.times.beat),
        }
        until = self.partings.iter().map(|parting| parting.next(now)).fold(until, Instant::min);
        until = self.slots.all.iter().filter_map(|slot| slot.pace.due()).fold(until, Instant::min);
        until = self.stopping.iter().map(|stopping| stopping.until).fold(until, Instant::min);
        if !self.dying.is_empty() {
            until = until.min(now + LOOK);
        }
        let mut watched = vec![PollFd::new(bell, PollFlags::IN)];
        if let Some(child) = &self.child {
            let out = if child.wire.has_unsent() { PollFlags::OUT } else { PollFlags::empty() };
            watched.push(PollFd::from_borrowed_fd(child.wire.fd(), PollFlags::IN | out));
        }
        let rest = Timespec::try_from(until.saturating_duration_since(now)).ok();
        // Interrupted or not: everything is looked at again.
        let _ = poll(&mut watched, rest.as_ref());
        let mut rung = [0; 8];
        let _ = rustix::io::read(bell.as_fd(), &mut rung);
    }
}

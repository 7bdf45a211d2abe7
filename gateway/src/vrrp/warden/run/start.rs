//! How a VRRP process is started and set up.

use std::time::{Duration, Instant};

use tracing::debug;

use super::{Child, Guard};
use crate::vrrp::talk::{self, Order};
use crate::vrrp::warden::wire::Wire;

impl Guard {
    /// Starts a process, and tells it everything.
    pub(super) fn launch(&mut self, now: Instant) {
        let launched = self.setup.launcher.launch();
        let launched = launched.and_then(|(socket, process)| Ok((Wire::new(socket)?, process)));
        let (wire, process) = match launched {
            Ok(launched) => launched,
            Err(error) => {
                let text = format!("the VRRP process cannot be started: {error}");
                self.resuming = std::mem::take(&mut self.resumed);
                self.abandon(now);
                let held = !self.orphaned.is_empty();
                self.restart = now + self.restarts.pause(Duration::ZERO, held);
                return self.broken(&text);
            }
        };
        let orphaned = self.orphaned.clone();
        let resumed = std::mem::take(&mut self.resumed);
        self.resuming.clone_from(&resumed);
        let started = now;
        self.child = Some(Child { wire, process, started, ready: false, beat: now, beats: 0 });
        self.vigil.started(now);
        self.forget_those_that_left();
        let (routers, standings) = self.set_up(true);
        let patience = self.times.patience;
        let changed = self.changed.clone();
        let setup = talk::Setup { routers, patience, orphaned, resumed, changed, standings };
        self.say(&Order::Start(setup), now);
    }

    /// The process is set up: from now on it listens.
    pub(super) fn begin(&mut self, now: Instant) {
        debug!("the VRRP process is ready");
        self.orphaned.clear();
        self.resuming.clear();
        if let Some(child) = &mut self.child {
            child.ready = true;
            child.beat = now;
        }
        self.told.take().into_iter().for_each(|told| drop(told.send(Ok(()))));
        if self.leaving {
            self.over = true;
            return;
        }
        if self.outdated {
            self.say_change(now);
        }
        let all: Vec<_> = self.slots.all.iter().map(|s| (s.id, s.releases.since_setup())).collect();
        for (router, released) in all {
            self.say_burden(router, now);
            match released {
                Some(true) => self.say(&Order::Release { router }, now),
                Some(false) => self.say(&Order::Reclaim { router }, now),
                None => {}
            }
        }
        if self.stopping.is_some() {
            self.say(&Order::Stop, now);
        }
    }
}

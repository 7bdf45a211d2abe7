//! How a VRRP process is started and set up.

use std::time::{Duration, Instant};

use tracing::debug;

use super::{Child, Guard};
use crate::vrrp::talk::{self, Order};
use crate::vrrp::warden::Burden;
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
        let routers = self.setup.board.routers().iter().map(|router| (&**router).into()).collect();
        let patience = self.setup.times.patience;
        let changed = self.changed.clone();
        let burdens = self.setup.burdens.iter().cloned().zip(self.releases.set_up());
        let standings = burdens.map(|(Burden { penalty, fault }, &released)| talk::Standing {
            penalty,
            fault,
            released,
        });
        let standings = standings.collect();
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
        for router in 0..self.states.len() {
            self.say_burden(router, now);
            match self.releases.since_setup(router) {
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

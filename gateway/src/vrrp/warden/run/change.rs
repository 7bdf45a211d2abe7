//! Follows the configuration.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tracing::{debug, info};

use super::Guard;
use crate::config::model::VirtualRouter;
use crate::vrrp::talk::{self, Order, Standing, Word};
use crate::vrrp::warden::Burden;
use crate::vrrp::warden::timing::Times;

impl Guard {
    /// These are the virtual routers from now on.
    pub(super) fn change(&mut self, routers: Vec<(Arc<VirtualRouter>, Burden)>, now: Instant) {
        if self.stopping.is_some() {
            return;
        }
        let left: Vec<_> = self.slots.all.iter().filter(|s| s.leaving).map(|s| s.id).collect();
        let moved = self.slots.change(routers);
        for slot in self.slots.all.iter().filter(|s| s.leaving && !left.contains(&s.id)) {
            info!("({}) hands over: its configuration is another, or gone", slot.router.name);
        }
        let configured: Vec<_> = self.slots.configured().collect();
        let all = configured.iter().map(|(_, router)| &**router);
        self.times = Times::of(all, self.setup.real_time);
        self.setup.board.change(configured);
        self.forget_the_unheard_of();
        self.outdated = true;
        self.say_change(now);
        if !moved.back.is_empty() {
            self.are_back(&moved.back);
        }
        for (router, addresses) in moved.lost {
            self.part_with(router, addresses, true, false, now);
        }
    }

    /// Tells the process of all virtual routers, if it listens.
    pub(super) fn say_change(&mut self, now: Instant) {
        if !self.child.as_ref().is_some_and(|child| child.ready) {
            return;
        }
        self.outdated = false;
        let (routers, standings) = self.set_up(false);
        let patience = self.times.patience;
        self.say(&Order::Change(talk::Change { routers, patience, standings }), now);
    }

    /// One that has left the configuration has handed its addresses over.
    pub(super) fn gone(&mut self, router: usize) {
        debug!(router, "a virtual router is gone");
        self.slots.remove(router);
    }

    /// Of one that left before any process was told of it, none will say that it is gone.
    fn forget_the_unheard_of(&mut self) {
        let unheard_of = self.slots.all.iter().filter(|slot| slot.leaving && !slot.told);
        self.forget(unheard_of.map(|slot| slot.id).collect());
    }

    /// Where no process runs, those that hold no address are gone already.
    pub(super) fn forget_those_that_left(&mut self) {
        let orphaned = &self.orphaned;
        let left = self.slots.all.iter().filter(|s| s.leaving && !orphaned.contains(&s.id));
        self.forget(left.map(|slot| slot.id).collect());
        // The others are to be given up, and then to go.
        self.outdated = self.slots.all.iter().any(|slot| slot.leaving);
    }

    fn forget(&mut self, routers: Vec<usize>) {
        for router in routers {
            self.gone(router);
            self.setup.board.hear(&Word::Gone { router }, SystemTime::now());
        }
    }

    /// The virtual routers as the process is told of them: all that are there for its start, and for a change those of the
    /// configuration alone.
    pub(super) fn set_up(&mut self, starts: bool) -> (Vec<talk::Router>, Vec<Standing>) {
        let slots = self.slots.all.iter_mut().filter(|slot| starts || !slot.leaving);
        let all = slots.map(|slot| {
            let Burden { penalty, mut fault } = slot.burden.clone();
            if slot.leaving {
                fault = Some("it has left the configuration".to_owned());
            }
            slot.told = true;
            let released = if starts { slot.releases.set_up() } else { slot.releases.is() };
            let standing = Standing { penalty, fault, released };
            (talk::Router::new(slot.id, &slot.router), standing)
        });
        all.unzip()
    }
}

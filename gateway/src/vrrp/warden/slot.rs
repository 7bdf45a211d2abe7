//! What is known of each virtual router, across the lives of VRRP processes and across changes of the configuration.

use std::net::IpAddr;
use std::sync::Arc;

use super::Burden;
use super::pace::Pace;
use super::release::Releases;
use crate::config::model::VirtualRouter;
use crate::vrrp::talk::{self, State};

/// A virtual router.
#[derive(Debug)]
pub(super) struct Slot {
    /// What it is called between the two processes. None is given twice.
    pub(super) id: usize,
    pub(super) router: Arc<VirtualRouter>,
    pub(super) burden: Burden,
    pub(super) state: State,
    pub(super) releases: Releases,
    pub(super) pace: Pace,
    /// Has it left the configuration? Then it hands over, or another one with its name begins after it.
    pub(super) leaving: bool,
    /// Has any process been told of it? Else none can tell that it is gone.
    pub(super) told: bool,
}

impl Slot {
    fn new(id: usize, router: Arc<VirtualRouter>, burden: Burden, released: bool) -> Self {
        let (state, releases, pace) = (State::Initialize, Releases::new(released), Pace::default());
        Self { id, router, burden, state, releases, pace, leaving: false, told: false }
    }

    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        self.router.addresses.iter().map(|own| own.address).collect()
    }
}

/// Addresses that come and go while their virtual routers stay.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// Those that are lost, each with the id of its virtual router.
    pub(super) lost: Vec<(usize, Vec<IpAddr>)>,
    /// Those that active virtual routers have from now on: no transition will tell of them.
    pub(super) back: Vec<IpAddr>,
}

/// All of them: first those of the configuration, in its order.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) all: Vec<Slot>,
    next: usize,
}

impl Slots {
    pub(super) fn get(&self, id: usize) -> Option<&Slot> {
        self.all.iter().find(|slot| slot.id == id)
    }

    pub(super) fn get_mut(&mut self, id: usize) -> Option<&mut Slot> {
        self.all.iter_mut().find(|slot| slot.id == id)
    }

    /// How it is called in lines of the log.
    pub(super) fn name(&self, id: usize) -> String {
        self.get(id).map_or_else(|| "?".to_owned(), |slot| slot.router.name.to_string())
    }

    /// The one of the configuration with this name.
    pub(super) fn named(&mut self, name: &str) -> Option<&mut Slot> {
        self.all.iter_mut().find(|slot| !slot.leaving && *slot.router.name == *name)
    }

    /// Those of the configuration, for the board.
    pub(super) fn configured(&self) -> impl Iterator<Item = (usize, Arc<VirtualRouter>)> {
        let configured = self.all.iter().filter(|slot| !slot.leaving);
        configured.map(|slot| (slot.id, slot.router.clone()))
    }

    /// Takes another configuration on. Tells which addresses that moves for virtual routers that are changed in their place.
    pub(super) fn change(&mut self, routers: Vec<(Arc<VirtualRouter>, Burden)>) -> Moved {
        let mut before = std::mem::take(&mut self.all);
        let owners: Vec<(usize, IpAddr)> = before
            .iter()
            .flat_map(|slot| slot.addresses().into_iter().map(|address| (slot.id, address)))
            .collect();
        let mut moved = Moved::default();
        for (router, burden) in routers {
            let known =
                before.iter().position(|slot| !slot.leaving && slot.router.name == router.name);
            let Some(known) = known else {
                self.add(router, burden, false);
                continue;
            };
            let slot = &mut before[known];
            // An address that another one has, too, has to be off before it is put on again.
            let own = slot.addresses();
            let from_another = router.addresses.iter().any(|new| {
                !own.contains(&new.address) && owners.iter().any(|(_, of)| *of == new.address)
            });
            let new = talk::Router::new(slot.id, &router);
            let stays = talk::Router::new(slot.id, &slot.router).becomes(&new) && !from_another;
            if !stays {
                slot.leaving = true;
                let released = slot.releases.is();
                self.add(router, burden, released);
                continue;
            }
            let (mut slot, mut gone) = (before.remove(known), own);
            (slot.router, slot.burden) = (router, burden);
            let stay = slot.addresses();
            if slot.state == State::Active {
                moved.back.extend(stay.iter().filter(|address| !gone.contains(address)));
            }
            gone.retain(|address| !stay.contains(address));
            if !gone.is_empty() {
                moved.lost.push((slot.id, gone));
            }
            self.all.push(slot);
        }
        self.all.extend(before.into_iter().map(|slot| Slot { leaving: true, ..slot }));
        moved
    }

    fn add(&mut self, router: Arc<VirtualRouter>, burden: Burden, released: bool) {
        self.all.push(Slot::new(self.next, router, burden, released));
        self.next += 1;
    }

    /// Forgets one.
    pub(super) fn remove(&mut self, id: usize) {
        self.all.retain(|slot| slot.id != id);
    }
}

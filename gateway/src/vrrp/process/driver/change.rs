//! Follows the configuration: virtual routers that change in their place, that end, and that begin.

use std::time::Duration;

use super::Driver;
use super::act::LAST_WORDS;
use crate::vrrp::machine::{Event, State};
use crate::vrrp::process::station::Station;
use crate::vrrp::talk::{Change, Level, Router, Standing, Word};

impl Driver {
    /// The position of the virtual router that the gateway calls so.
    pub(super) fn index_of(&self, id: usize) -> Option<usize> {
        self.stations.iter().position(|station| station.config.id == id)
    }

    /// The gateway has another configuration.
    pub(super) fn change(&mut self, change: Change, now: Duration) {
        if self.stopping {
            return;
        }
        self.patience = change.patience;
        let ids: Vec<_> = change.routers.iter().map(|router| router.id).collect();
        let (mut changed, mut beginning) = (false, Vec::new());
        let standings =
            change.standings.into_iter().chain(std::iter::repeat_with(Standing::default));
        for (router, standing) in change.routers.into_iter().zip(standings) {
            match self.index_of(router.id) {
                Some(index) => changed |= self.alter(index, router, now),
                None => beginning.push((router, standing)),
            }
        }
        for router in self.beginning.change(beginning) {
            self.pipe.say(&Word::Gone { router });
        }
        self.dismiss_others(&ids, now);
        if changed {
            // Its place may be another, and it may track other interfaces.
            self.look_around();
            self.judge_all(now);
        }
        self.news = true;
    }

    /// Those that are not among these hand over: to the peer, unless the rest of their sync group stays here.
    fn dismiss_others(&mut self, ids: &[usize], now: Duration) {
        let leaves = |station: &Station| !ids.contains(&station.config.id) && !station.dismissed;
        let leaving: Vec<_> =
            (0..self.stations.len()).filter(|index| leaves(&self.stations[*index])).collect();
        for index in &leaving {
            self.stations[*index].dismissed = true;
        }
        for index in leaving {
            if self.group_stays(index) {
                let mut actions = std::mem::take(&mut self.actions);
                self.routers.stop_apart(index, now, &mut actions);
                self.act(actions, now);
            } else {
                self.step(index, Event::Stop, now);
            }
        }
    }

    /// Does the configuration still have an active member of its sync group?
    fn group_stays(&self, index: usize) -> bool {
        let group = &self.stations[index].config.sync_group;
        let mut all = self.stations.iter().zip(self.routers.iter());
        group.is_some()
            && all.any(|(station, router)| {
                let is_member = !station.dismissed && station.config.sync_group == *group;
                is_member && router.state() == State::Active
            })
    }

    /// Changes one in its place. Has anything changed?
    fn alter(&mut self, index: usize, router: Router, now: Duration) -> bool {
        let station = &mut self.stations[index];
        if station.config == router {
            return false;
        }
        let group =
            (station.config.sync_group != router.sync_group).then(|| router.sync_group.clone());
        let has_new = station.change(router, LAST_WORDS, now);
        let settings = station.settings();
        if has_new {
            self.claim(index, now);
        }
        self.step(index, Event::Change(settings), now);
        if let Some(group) = group {
            self.regroup(index, group, now);
        }
        true
    }

    fn regroup(&mut self, index: usize, group: Option<String>, now: Duration) {
        let mut actions = std::mem::take(&mut self.actions);
        self.routers.regroup(index, group, now, &mut actions);
        self.act(actions, now);
    }

    /// Lets those go that have handed everything over. When all have, the others begin.
    pub(super) fn change_over(&mut self, now: Duration) {
        let mut index = 0;
        let mut gone = false;
        while index < self.stations.len() {
            let station = &self.stations[index];
            let stopped = self.routers.get(index).is_none_or(|r| r.state() == State::Initialize);
            if station.dismissed && stopped && station.parts().is_none() {
                self.dismiss(index);
                gone = true;
            } else {
                index += 1;
            }
        }
        let is_free = |station: &Station| !station.dismissed && station.departing.is_empty();
        if !self.beginning.is_empty() && self.stations.iter().all(is_free) {
            self.begin_others(now);
        } else if gone {
            self.look_around();
        }
    }

    fn dismiss(&mut self, index: usize) {
        let station = &mut self.stations[index];
        let (router, alarms) = (station.config.id, station.alarms.clear());
        for alarm in alarms {
            self.pipe.say(&Word::Alarm { router, alarm, text: None });
        }
        self.remove_macvlan(index);
        // Its fault is not its group's any more.
        self.regroup(index, None, super::now());
        self.stations.remove(index);
        self.routers.remove(index);
        self.pipe.say(&Word::Gone { router });
        self.news = true;
    }

    fn remove_macvlan(&mut self, index: usize) {
        let station = &self.stations[index];
        let Some(link) = self.interfaces.link(&station.config.interface) else { return };
        let macvlan = station.macvlan(link);
        if !self.macvlans.has(&macvlan) {
            return;
        }
        let (removed, restored) =
            self.macvlans.remove(&mut self.netlink, &self.interfaces, &macvlan);
        for setting in restored {
            self.pipe.say(&Word::Restored { setting });
        }
        if let Err(error) = removed {
            let text = format!("the macvlan {macvlan} cannot be removed: {error}");
            self.log_of(index, Level::Error, text);
        }
    }

    /// As at the start of the process: with clean interfaces, and with all that speaks against it known.
    fn begin_others(&mut self, now: Duration) {
        let first = self.stations.len();
        let mut released = Vec::new();
        for (router, standing) in self.beginning.take() {
            let name = router.name.clone();
            let Some(mut station) = Station::new(router) else {
                let text = "it has no address, or VRID 0".to_owned();
                self.log(Level::Error, Some(name), text);
                continue;
            };
            station.gateway_penalty = standing.penalty;
            station.gateway_fault = standing.fault;
            released.push(standing.released);
            self.routers.add(station.settings(), station.config.sync_group.clone());
            self.stations.push(station);
        }
        self.look_around();
        for (index, released) in (first..self.stations.len()).zip(released) {
            self.remove_stale_of(index);
            if released {
                self.step(index, Event::Release, now);
            }
        }
        self.judge_all(now);
        for index in first..self.stations.len() {
            self.step(index, Event::Start, now);
        }
        self.news = true;
    }
}

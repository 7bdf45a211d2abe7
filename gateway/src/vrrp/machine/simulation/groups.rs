//! Sync groups: the members stay together whatever happens, and two gateways agree on one of them for all.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::group::Routers;
use super::super::tests::{INTERVAL, advert, ms, settings};
use super::super::{Action, Event, Heard, Now, Settings, State};
use super::world::address;

/// Routers of one gateway; all but the last are a group.
struct Gateway {
    routers: Routers,
    states: Vec<State>,
    claimed: Vec<bool>,
    transitions: u32,
}

impl Gateway {
    fn new(settings: &Settings) -> Self {
        let group = Some("edge".to_owned());
        let routers = [group.clone(), group.clone(), None].map(|group| (settings.clone(), group));
        let routers = Routers::new(routers.into());
        let states = vec![State::Initialize; 3];
        Self { routers, states, claimed: vec![false; 3], transitions: 0 }
    }

    /// Does it, checks that it makes sense, and gives what is to be sent.
    fn step(&mut self, index: usize, event: Event, now: Now) -> Vec<(usize, u8)> {
        let mut out = Vec::new();
        self.routers.step(index, event, now, &mut out);
        self.act(out)
    }

    fn tick(&mut self, now: Now) -> Vec<(usize, u8)> {
        let mut out = Vec::new();
        self.routers.tick(now, &mut out);
        assert!(self.routers.due().is_none_or(|due| due > now), "what is over is still due");
        self.act(out)
    }

    fn act(&mut self, out: Vec<(usize, Action)>) -> Vec<(usize, u8)> {
        let mut sent = Vec::new();
        for (at, action) in out {
            match action {
                Action::Advertise { priority } => sent.push((at, priority)),
                Action::Claim => assert!(!std::mem::replace(&mut self.claimed[at], true)),
                Action::Withdraw { .. } => assert!(std::mem::take(&mut self.claimed[at])),
                Action::Transition { from, to, .. } => {
                    assert_eq!(std::mem::replace(&mut self.states[at], to), from);
                    self.transitions += 1;
                }
                Action::Ask | Action::Announce | Action::Notice(_) => {}
            }
        }
        let states: Vec<_> = self.routers.iter().map(|router| router.state()).collect();
        assert_eq!(states, self.states);
        // One that is not started yet, or was stopped, is no part of it.
        let mut group = states[..2].iter().filter(|&&state| state != State::Initialize);
        let first = group.next();
        assert!(group.all(|state| Some(state) == first), "the group is apart: {states:?}");
        sent
    }
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Start),
        (1u8..4, prop::sample::select(vec![0u8, 1, 90, 100, 200]))
            .prop_map(|(last, priority)| advert(last, priority)),
        Just(Event::Timer),
        any::<u8>().prop_map(Event::Penalty),
        any::<bool>().prop_map(Event::Fault),
        Just(Event::Paused),
        prop::sample::select(vec![Event::Release, Event::Reclaim]),
        Just(Event::Change(settings(90))),
        Just(Event::Stop),
    ]
}

/// Two gateways; each virtual router has a network of its own between them.
struct Two {
    gateways: [Gateway; 2],
    under_way: BTreeMap<(Now, u64), (usize, usize, Heard)>,
    cut: Vec<usize>,
    now: Now,
    sent: u64,
}

impl Two {
    const DELAY: Duration = ms(1);

    fn settled(priorities: [u8; 2]) -> Self {
        let gateway =
            |at: usize| Gateway::new(&Settings { own: address(at), ..settings(priorities[at]) });
        let gateways = [gateway(0), gateway(1)];
        let mut two =
            Self { gateways, under_way: BTreeMap::new(), cut: Vec::new(), now: ms(1), sent: 0 };
        for at in 0..2 {
            for index in 0..3 {
                two.tell(at, index, Event::Start);
                two.run(ms(3));
            }
        }
        two.run(INTERVAL * 10);
        two.gateways.iter_mut().for_each(|gateway| gateway.transitions = 0);
        two
    }

    fn tell(&mut self, at: usize, index: usize, event: Event) {
        let sent = self.gateways[at].step(index, event, self.now);
        self.send(at, sent);
    }

    fn send(&mut self, from: usize, sent: Vec<(usize, u8)>) {
        for (index, priority) in sent {
            let heard = Heard { source: address(from), priority, interval: INTERVAL };
            if !self.cut.contains(&index) {
                let at = (self.now + Self::DELAY, self.sent);
                self.under_way.insert(at, (1 - from, index, heard));
                self.sent += 1;
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let packet = self.under_way.keys().next().map(|key| key.0);
            let due = self.gateways.iter().filter_map(|gateway| gateway.routers.due());
            let Some(next) = due.chain(packet).min().filter(|&next| next <= end) else { break };
            self.now = next.max(self.now);
            while let Some(entry) = self.under_way.first_entry().filter(|e| e.key().0 <= self.now) {
                let (to, index, heard) = entry.remove();
                self.tell(to, index, Event::Advertisement(heard));
            }
            for at in 0..2 {
                let sent = self.gateways[at].tick(self.now);
                self.send(at, sent);
            }
        }
        self.now = end;
    }

    fn serve(&self, at: usize) -> bool {
        self.gateways[at].claimed.iter().all(|&claimed| claimed)
            && !self.gateways[1 - at].claimed.contains(&true)
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_group_is_never_apart(story in vec((0u64..200, 0usize..3, events()), 0..60)) {
        let mut gateway = Gateway::new(&settings(100));
        let mut now = ms(1);
        for (time, index, event) in story {
            let end = now + ms(time);
            while let Some(due) = gateway.routers.due().filter(|&due| due <= end) {
                now = now.max(due);
                gateway.tick(now);
            }
            now = end;
            gateway.step(index, event, now);
        }
    }

    /// With one of two networks cut, the group stays where it is, and once one gateway is gone all moves.
    #[test]
    fn a_group_with_a_cut_network_does_not_move_to_and_fro(
        cut in 0usize..2, time in 0u64..3000, phase in 0u64..100,
    ) {
        let mut two = Two::settled([100, 90]);
        prop_assert!(two.serve(0));
        two.run(ms(phase));
        two.cut = vec![cut];
        two.run(ms(time));
        let moves = two.gateways.each_ref().map(|gateway| gateway.transitions);
        prop_assert_eq!(moves, [0, 0]);
        // The one in fault says goodbye on the network that is left.
        two.tell(0, 0, Event::Fault(true));
        two.tell(0, 2, Event::Fault(true));
        two.run(INTERVAL * 5);
        prop_assert!(two.serve(1));
        two.cut.clear();
        two.tell(0, 0, Event::Fault(false));
        two.tell(0, 2, Event::Fault(false));
        two.run(INTERVAL * 10);
        prop_assert!(two.serve(0));
    }

    /// A release of the whole gateway moves all of it, with nobody missing for any address.
    #[test]
    fn a_released_group_moves_whole(phase in 0u64..100, gap in 1u8..99) {
        let mut two = Two::settled([100, 100 - gap]);
        two.run(ms(phase));
        two.tell(0, 0, Event::Release);
        two.tell(0, 2, Event::Release);
        two.run(INTERVAL / 5);
        prop_assert!(two.serve(1));
        let moves = two.gateways.each_ref().map(|gateway| gateway.transitions);
        prop_assert_eq!(moves, [3, 3]);
    }

    /// One member leaves the configuration of one gateway, and another begins in its place: nothing else moves.
    #[test]
    fn a_member_that_is_replaced_moves_no_other(phase in 0u64..100, pause in 0u64..3000) {
        let mut two = Two::settled([100, 90]);
        two.run(ms(phase));
        let (now, mut out) = (two.now, Vec::new());
        two.gateways[0].routers.stop_apart(0, now, &mut out);
        let sent = two.gateways[0].act(out);
        two.send(0, sent);
        two.run(ms(pause));
        let own = Settings { own: address(0), ..settings(100) };
        two.gateways[0].routers.add(own, Some("edge".to_owned()));
        two.gateways[0].states.push(State::Initialize);
        two.gateways[0].claimed.push(false);
        // The peer does not know it yet.
        two.cut = vec![3];
        two.tell(0, 3, Event::Start);
        prop_assert_eq!(&two.gateways[0].claimed[..], [false, true, true, true]);
        two.run(INTERVAL * 10);
        prop_assert_eq!(&two.gateways[0].claimed[..], [false, true, true, true]);
        prop_assert_eq!(two.gateways[1].transitions, 0);
    }
}

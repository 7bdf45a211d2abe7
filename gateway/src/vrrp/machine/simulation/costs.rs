//! What each single mishap costs at worst, on a network that delays, doubles and reorders but loses nothing else. No older
//! packet is under way when it happens: one that overtook a goodbye would undo it, which costs as much as losing it.
//!
//! I is the interval, D the longest delay. "None" is the time in which no machine has the address, "dual" the time in
//! which two have it. Machine 0 is the better one and serves before the mishap, at any moment between two
//! advertisements; machine 1 is its backup.

use std::time::Duration;

use proptest::prelude::*;

use super::super::tests::{ms, us};
use super::super::{Event, Heard, Settings};
use super::world::{Account, World, address};

/// A pair of gateways, and when the mishap comes.
#[derive(Debug, Clone)]
struct Pair {
    better: u8,
    lesser: u8,
    interval: Duration,
    preempt: bool,
    delay: Duration,
    /// Of a thousand parts of an interval, how many have passed since the last advertisement.
    phase: u32,
    chance: u64,
}

prop_compose! {
    fn pairs()(
        better in 3u8..=254,
        gap in any::<prop::sample::Index>(),
        interval in prop::sample::select(vec![ms(10), ms(20), ms(100), ms(1000)]),
        preempt in any::<bool>(),
        // Less than the skew times of two neighbours in priority may differ by, and more.
        delay in 0u32..=50,
        phase in 0u32..1000,
        chance in any::<u64>(),
    ) -> Pair {
        let lesser = 2 + u8::try_from(gap.index(usize::from(better) - 2)).unwrap();
        Pair { better, lesser, interval, preempt, delay: interval * delay / 1000, phase, chance }
    }
}

impl Pair {
    /// The pair as it has been for a while, with nothing on its account.
    fn settled(&self) -> World {
        self.settled_with(self.preempt)
    }

    fn settled_with(&self, preempt: bool) -> World {
        self.settle([self.settings(self.better, preempt), self.settings(self.lesser, preempt)])
    }

    /// As it has been for a while, and each asks the other.
    fn settled_asking(&self) -> World {
        let asking = |priority| Settings { fast: true, ..self.settings(priority, self.preempt) };
        self.settle([asking(self.better), asking(self.lesser)])
    }

    fn settle(&self, both: [Settings; 2]) -> World {
        let mut world = World::new(&both, self.delay, self.chance);
        world.network.doubled = 20;
        world.tell(0, Event::Start);
        world.run(self.interval * 5);
        world.tell(1, Event::Start);
        world.run(self.interval * 5 + self.interval * self.phase / 1000);
        world.calm();
        assert!(world.only(0));
        world.account = Account::default();
        world
    }

    fn settings(&self, priority: u8, preempt: bool) -> Settings {
        let interval = self.interval;
        let own = address(0);
        let preempt_delay = Duration::ZERO;
        Settings {
            priority,
            interval,
            preempt,
            preempt_delay,
            own,
            longest_learned: 10,
            fast: false,
        }
    }

    fn skew(&self, priority: u8) -> Duration {
        self.interval * (256 - u32::from(priority)) / 256
    }

    fn down(&self, priority: u8) -> Duration {
        self.interval * 3 + self.skew(priority)
    }

    /// Longer than anything here takes.
    fn ages(&self) -> Duration {
        self.interval * 20
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// The last advertisement left up to I before the crash and came up to D after it; from then on the backup waits for
    /// its down interval. So none is 2 I + skew to 3 I + skew + D. Dual is 0: the dead have no address.
    #[test]
    fn a_crash_costs_the_down_interval(pair in pairs()) {
        let mut world = pair.settled();
        world.crash(0);
        world.until(pair.ages(), |world| world.only(1)).unwrap();
        prop_assert!(world.account.none <= pair.down(pair.lesser) + pair.delay);
        prop_assert!(world.account.none >= pair.down(pair.lesser) - pair.interval);
        prop_assert_eq!(world.account.dual, Duration::ZERO);
    }

    /// The first question goes out a quarter of I or 10 ms after the advertisement was due, which is up to I and that after
    /// the crash (and D, by which the last one was late). Three answers are waited for, each I/4 or 5 ms, and a tenth of
    /// the skew time. Where that is longer than the down time, the down time counts.
    #[test]
    fn a_crash_is_found_out_by_asking(pair in pairs()) {
        prop_assume!(pair.lesser > 1);
        let mut world = Pair::settled_asking(&pair);
        world.crash(0);
        world.until(pair.ages(), |world| world.only(1)).unwrap();
        let overdue = pair.interval + (pair.interval / 4).max(ms(10));
        let answers = (pair.interval / 4).max(ms(5)) * 3 + pair.skew(pair.lesser) / 10;
        let found = (overdue + answers).min(pair.down(pair.lesser));
        prop_assert!(world.account.none <= pair.delay + found);
        prop_assert_eq!(world.account.dual, Duration::ZERO);
    }

    /// Priority 0 takes up to D, then the backup waits for its skew time. None is skew + D at most, dual 0.
    #[test]
    fn a_goodbye_costs_the_skew_time(pair in pairs()) {
        let mut world = pair.settled();
        world.tell(0, Event::Fault(true));
        world.until(pair.ages(), |world| world.only(1)).unwrap();
        prop_assert!(world.account.none <= pair.skew(pair.lesser) + pair.delay);
        prop_assert_eq!(world.account.dual, Duration::ZERO);
    }

    /// A goodbye that is lost, or undone by an older advertisement that it overtook, leaves the down timer.
    #[test]
    fn a_goodbye_that_is_lost_costs_the_down_interval(pair in pairs()) {
        let mut world = pair.settled();
        world.network.loss = 100;
        world.tell(0, Event::Fault(true));
        world.network.loss = 0;
        world.until(pair.ages(), |world| world.only(1)).unwrap();
        prop_assert!(world.account.none <= pair.down(pair.lesser) + pair.delay);
        prop_assert_eq!(world.account.dual, Duration::ZERO);
    }

    /// The successor serves before the old one leaves: none is 0. The old one leaves when it hears the new one: dual is
    /// D at most. The low priority takes up to D, the backup waits for a tenth of its skew time, and its advertisement
    /// takes up to D.
    #[test]
    fn a_release_and_a_stop_cost_nothing(pair in pairs(), stop in any::<bool>()) {
        let mut world = pair.settled();
        world.tell(0, if stop { Event::Stop } else { Event::Release });
        let took = world.until(pair.ages(), |world| world.only(1)).unwrap();
        world.run(pair.ages());
        prop_assert!(world.only(1));
        prop_assert!(took <= pair.skew(pair.lesser) / 10 + pair.delay * 2);
        prop_assert_eq!(world.account.none, Duration::ZERO);
        prop_assert!(world.account.dual <= pair.delay);
    }

    /// As a release.
    #[test]
    fn a_priority_that_falls_costs_nothing(pair in pairs()) {
        let mut world = pair.settled_with(true);
        world.tell(0, Event::Penalty(pair.better - pair.lesser + 1));
        let took = world.until(pair.ages(), |world| world.only(1)).unwrap();
        world.run(pair.ages());
        prop_assert!(world.only(1));
        prop_assert!(took <= pair.skew(pair.lesser) / 10 + pair.delay * 2);
        prop_assert_eq!(world.account.none, Duration::ZERO);
        prop_assert!(world.account.dual <= pair.delay);
    }

    /// The better one takes over after its down interval, by an advertisement that takes up to D: none is 0, dual is D
    /// at most. Its last word makes the new one announce itself.
    #[test]
    fn preempting_costs_nothing(pair in pairs()) {
        let mut world = pair.settled_with(true);
        world.crash(0);
        world.until(pair.ages(), |world| world.only(1)).unwrap();
        world.run(pair.interval * 2);
        world.account = Account::default();
        world.tell(0, Event::Start);
        let took = world.until(pair.ages(), |world| world.only(0)).unwrap();
        world.run(pair.ages());
        prop_assert!(world.only(0));
        prop_assert!(took <= pair.down(pair.better) + pair.delay);
        prop_assert_eq!(world.account.none, Duration::ZERO);
        prop_assert!(world.account.dual <= pair.delay);
        prop_assert!(world.machines[0].announced > 0);
    }

    /// While they do not hear each other both serve: that is what a backup is for. From then on the next advertisement
    /// of the better one ends it: dual is I + D at most, and none is 0. If the other one's comes first it is answered,
    /// which is no later. In both cases the winner has heard the other and announces itself (one last word, D more).
    /// Equal priorities are decided by the address.
    #[test]
    fn a_partition_costs_an_interval_once_it_is_over(
        pair in pairs(), equal in any::<bool>(), one_way in any::<bool>(), long in 4u32..20,
    ) {
        let mut world = pair.settled();
        let (mut winner, mut loser) = (0, 1);
        if equal {
            (winner, loser) = (1, 0);
            world.tell(1, Event::Change(Settings {
                own: address(1), ..pair.settings(pair.better, pair.preempt)
            }));
        }
        world.network.cut = if one_way { vec![(0, 1)] } else { vec![(0, 1), (1, 0)] };
        let heard = equal && one_way;
        world.run(pair.interval * long + pair.interval * pair.phase / 1000);
        // With one way left open, the better one has taken over already where it is the one that is heard.
        prop_assert!(heard || world.holders().len() == 2);
        world.heal();
        world.account = Account::default();
        world.machines[winner].announced = 0;
        world.run(pair.interval + pair.delay * 2);
        prop_assert!(world.only(winner) && !world.holders().contains(&loser));
        prop_assert!(world.account.dual <= pair.interval + pair.delay);
        prop_assert_eq!(world.account.none, Duration::ZERO);
        prop_assert!(heard || world.machines[winner].announced > 0);
        world.run(pair.ages());
        prop_assert!(world.only(winner));
    }

    /// The backup waits for three intervals and a skew time: as long as D is less than its skew time, any two
    /// advertisements may be lost.
    #[test]
    fn two_lost_advertisements_cost_nothing(pair in pairs()) {
        let pair = Pair { delay: pair.delay.min(pair.skew(pair.lesser) / 2), ..pair };
        let mut world = pair.settled();
        world.network.cut = vec![(0, 1), (1, 0)];
        world.run(pair.interval * 2 - us(1));
        world.network.cut.clear();
        world.run(pair.ages());
        prop_assert!(world.only(0));
        prop_assert_eq!(world.account.dual + world.account.none, Duration::ZERO);
    }

    /// A machine that stands still keeps its address: nobody can take it away. But once it runs again, either the gap
    /// since its last advertisement is less than its down interval, and so less than that of its backup, or it
    /// withdraws before anything else. So two never serve when both run, but for the D of a preemption later on.
    /// If it withdraws just before its backup takes over, none is the difference of their skew times + D at most.
    #[test]
    fn a_pause_costs_no_second_active_router_once_it_is_over(pair in pairs(), time in 1u32..100) {
        let mut world = pair.settled();
        world.pause(0, pair.interval * time / 10);
        world.run(pair.interval * time / 10);
        world.account = Account::default();
        world.run(pair.ages());
        prop_assert_eq!(world.holders().len(), 1);
        let skews = pair.skew(pair.lesser) - pair.skew(pair.better);
        prop_assert!(world.account.none <= skews + pair.delay);
        prop_assert!(world.account.dual <= pair.delay);
    }

    /// A jump that looks like a pause: an active router withdraws and waits for its own down interval, unless its backup
    /// is quicker. A lesser jump makes a backup take over at once; the active one answers: dual is 2 D at most.
    #[test]
    fn a_clock_that_jumps_costs_the_down_interval(
        pair in pairs(), at in 0usize..2, jump in 1u32..100,
    ) {
        let mut world = pair.settled();
        world.jump(at, pair.interval * jump / 10);
        world.run(pair.ages());
        prop_assert_eq!(world.holders().len(), 1);
        prop_assert!(world.account.none <= pair.down(pair.better));
        prop_assert!(world.account.dual <= pair.delay * 2);
    }

    /// Whatever a single forged advertisement says, and whoever gets it: an active router that believes it waits for no
    /// more than its own down interval; a backup that takes over for it is answered: dual is 2 D at most.
    #[test]
    fn a_forged_advertisement_costs_the_down_interval(
        pair in pairs(), priority in any::<u8>(), interval in 0u64..=4095, source in 0usize..4, to in 1u8..4,
    ) {
        let mut world = pair.settled_with(true);
        let heard = Heard { source: address(source), priority, interval: ms(interval * 10) };
        for at in 0..2 {
            if to & (1 << at) > 0 {
                world.forge(at, heard);
            }
        }
        world.run(pair.ages());
        prop_assert!(world.only(0));
        prop_assert!(world.account.none <= pair.down(pair.better));
        prop_assert!(world.account.dual <= pair.delay * 2);
    }

    /// Both start at once: the better one has the shorter skew time, but where they differ by less than D both come up.
    /// None is the better one's down interval at most, dual is D.
    #[test]
    fn a_start_together_costs_the_down_interval(pair in pairs()) {
        let both = [pair.better, pair.lesser].map(|priority| pair.settings(priority, pair.preempt));
        let mut world = World::new(&both, pair.delay, pair.chance);
        world.tell(0, Event::Start);
        world.tell(1, Event::Start);
        world.run(pair.ages());
        prop_assert!(world.only(0));
        prop_assert!(world.account.none <= pair.down(pair.better));
        prop_assert!(world.account.dual <= pair.delay);
    }
}

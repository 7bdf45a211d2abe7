//! Whatever happens: when it is over, the right router serves, and only that one.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::tests::ms;
use super::super::{Event, Settings};
use super::world::{Account, World, address};

/// Something that happens to the routers.
#[derive(Debug, Clone)]
enum Mishap {
    Cut(usize, usize),
    Mend,
    Loss(u8),
    Pause(usize, Duration),
    Jump(usize, Duration),
    Crash(usize),
    Start(usize),
    Tell(usize, Event),
}

/// A few gateways, and what happens to them and when.
#[derive(Debug, Clone)]
struct Story {
    settings: Vec<Settings>,
    delay: Duration,
    doubled: u8,
    mishaps: Vec<(Duration, Mishap)>,
    chance: u64,
}

fn settings() -> impl Strategy<Value = Settings> {
    // Few priorities, so that equal ones are frequent.
    let priority = prop::sample::select(vec![1u8, 50, 100, 100, 101, 254, 255]);
    let delay = prop::sample::select(vec![0u64, 0, 0, 700]);
    (priority, any::<bool>(), delay).prop_map(|(priority, preempt, delay)| Settings {
        priority,
        interval: ms(100),
        preempt,
        preempt_delay: ms(delay),
        own: address(0),
        longest_learned: 10,
    })
}

fn mishaps(machines: usize) -> impl Strategy<Value = Mishap> {
    let at = 0..machines;
    let time = (1u64..1500).prop_map(ms);
    let event = prop_oneof![
        (0u8..=255).prop_map(Event::Penalty),
        any::<bool>().prop_map(Event::Fault),
        Just(Event::Paused),
        Just(Event::Release),
        Just(Event::Reclaim),
        Just(Event::Stop),
        Just(Event::Timer),
    ];
    prop_oneof![
        1 => (at.clone(), at.clone()).prop_map(|(from, to)| Mishap::Cut(from, to)),
        1 => Just(Mishap::Mend),
        1 => (0u8..=80).prop_map(Mishap::Loss),
        1 => (at.clone(), time.clone()).prop_map(|(at, time)| Mishap::Pause(at, time)),
        1 => (at.clone(), time).prop_map(|(at, time)| Mishap::Jump(at, time)),
        1 => at.clone().prop_map(Mishap::Crash),
        1 => at.clone().prop_map(Mishap::Start),
        4 => (at, event).prop_map(|(at, event)| Mishap::Tell(at, event)),
    ]
}

fn stories(other: &'static [u64]) -> impl Strategy<Value = Story> {
    (vec(settings(), 2..=3), 0usize..3, prop::sample::select(other)).prop_flat_map(
        |(mut settings, at, interval)| {
            let last = settings.len() - 1;
            settings[at.min(last)].interval = ms(interval);
            let happens = ((0u64..500).prop_map(ms), mishaps(settings.len()));
            (Just(settings), 0u64..20, 0u8..30, vec(happens, 0..16), any::<u64>()).prop_map(
                |(settings, delay, doubled, mishaps, chance)| Story {
                    settings,
                    delay: ms(delay),
                    doubled,
                    mishaps,
                    chance,
                },
            )
        },
    )
}

impl Story {
    /// The world when all of it has happened and everything is well again.
    fn told(&self) -> World {
        let mut world = World::new(&self.settings, self.delay, self.chance);
        world.network.doubled = self.doubled;
        for at in 0..self.settings.len() {
            world.tell(at, Event::Start);
        }
        for (pause, mishap) in &self.mishaps {
            world.run(*pause);
            match mishap.clone() {
                Mishap::Cut(from, to) => world.network.cut.push((from, to)),
                Mishap::Mend => world.network.cut.clear(),
                Mishap::Loss(percent) => world.network.loss = percent,
                Mishap::Pause(at, time) => world.pause(at, time),
                Mishap::Jump(at, by) => world.jump(at, by),
                Mishap::Crash(at) => world.crash(at),
                Mishap::Start(at) => world.tell(at, Event::Start),
                Mishap::Tell(at, event) => world.tell(at, event),
            }
        }
        world.heal();
        world.account = Account::default();
        world
    }

    fn longest_interval(&self) -> Duration {
        self.settings.iter().map(|settings| settings.interval).max().unwrap()
    }

    fn longest_delay(&self) -> Duration {
        self.settings.iter().map(|settings| settings.preempt_delay).max().unwrap()
    }
}

/// Is there nobody who would have to take over from the one that serves?
fn is_right(world: &World, settings: &[Settings]) -> bool {
    let &[active] = world.holders().as_slice() else { return false };
    let priority = |at: usize| world.machines[at].router.effective_priority();
    (0..settings.len()).filter(|&at| at != active).all(|at| {
        let released = world.machines[at].router.is_released();
        !settings[at].preempt || released || priority(at) <= priority(active)
    })
}

fn settles(story: &Story, bound: Duration) -> World {
    let mut world = story.told();
    world.run(bound);
    let (once, account) = (world.holders(), world.account);
    assert!(is_right(&world, &story.settings), "{once:?} serves, in the end");
    world.account = Account::default();
    world.run(bound);
    assert_eq!(world.holders(), once, "and stays");
    assert_eq!(world.account.none + world.account.dual, Duration::ZERO, "all the time");
    world.account = account;
    world
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_right_router_serves_in_the_end(story in stories(&[100])) {
        let bound = story.longest_interval() * 20 + story.longest_delay() + story.delay * 10;
        let world = settles(&story, bound);
        let (none, dual) = (world.account.none, world.account.dual);
        println!("SAME none {} dual {} D {}", none.as_micros(), dual.as_micros(), story.delay.as_micros());
    }

    #[test]
    fn the_right_router_serves_in_the_end_among_different_intervals(story in stories(&[20, 300, 1000])) {
        let bound = story.longest_interval() * 20 + story.longest_delay() + story.delay * 10;
        let world = settles(&story, bound);
        let (none, dual) = (world.account.none, world.account.dual);
        println!("OTHER none {} dual {} D {} I {}", none.as_micros(), dual.as_micros(), story.delay.as_micros(), story.longest_interval().as_millis());
    }
}

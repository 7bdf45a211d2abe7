//! Whatever happens: when it is over, the right router serves, and only that one.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::tests::ms;
use super::super::{Event, Settings};
use super::world::{Account, World, address};

/// The longest preempt delay, in milliseconds.
const PATIENCE: u64 = 700;

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
    let delay = prop::sample::select(vec![0, 0, 0, PATIENCE]);
    let delay = delay.prop_map(ms);
    (priority, any::<[bool; 2]>(), delay).prop_map(|(priority, [preempt, fast], delay)| Settings {
        priority,
        interval: ms(100),
        preempt,
        preempt_delay: delay,
        own: address(0),
        longest_learned: 10,
        fast,
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
        settings().prop_map(Event::Change),
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
}

/// Is there nobody who would have to take over from the one that serves?
fn is_right(world: &World) -> bool {
    let &[active] = world.holders().as_slice() else { return false };
    let priority = world.machines[active].router.effective_priority();
    world.machines.iter().all(|machine| {
        let preempts = machine.settings.preempt && !machine.router.is_released();
        !preempts || machine.router.effective_priority() <= priority
    })
}

/// The bounds hang on the longest interval I, the longest preempt delay P and the longest delay of a packet D:
///
/// - None is 4 I + D at most: the last advertisement of one that is no longer active comes up to D after all is well,
///   and then the slowest down timer runs, three intervals and a skew time below the fourth.
/// - Dual is I + 5 D at most: the best of the active routers is heard by all others within I + D. From then on two serve
///   only while one takes over and the other has not heard it, or, if it took over by mistake, has not answered: 2 D. That
///   happens once by an old priority 0 and once by a better router that preempts.
/// - All is settled after 12 I + P + 10 D: one that was leaving takes 4 I, who follows it then takes 4 I to notice, and
///   who is better than that P or another 4 I; each step is told with D or two.
fn settles(story: &Story) {
    let Story { settings, delay, .. } = story;
    let interval = settings.iter().map(|settings| settings.interval).max().unwrap();
    let bound = interval * 12 + ms(PATIENCE) + *delay * 10;
    let mut world = story.told();
    world.run(bound);
    let once = world.holders();
    assert!(is_right(&world), "{once:?} serves");
    assert!(world.account.none <= interval * 4 + *delay, "{:?} without", world.account.none);
    assert!(world.account.dual <= interval + *delay * 5, "{:?} with two", world.account.dual);
    world.account = Account::default();
    world.run(bound);
    assert_eq!(world.holders(), once, "who serves stays");
    assert_eq!(world.account.none + world.account.dual, Duration::ZERO, "all the time");
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_right_router_serves_in_the_end(story in stories(&[100])) {
        settles(&story);
    }

    #[test]
    fn the_right_router_serves_in_the_end_among_different_intervals(
        story in stories(&[20, 300, 1000]),
    ) {
        settles(&story);
    }
}

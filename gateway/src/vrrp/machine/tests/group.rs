//! How the members of a sync group move together.

use std::time::Duration;

use super::super::group::Routers;
use super::super::{Action, Event, Now, Reason, Settings, State};
use super::{INTERVAL, advert, ms, settings, short};

/// Two members of a group, and one router that belongs to none.
struct Bench {
    routers: Routers,
    now: Now,
}

impl Bench {
    fn new() -> Self {
        let group = Some("edge".to_owned());
        let routers =
            vec![(settings(100), group.clone()), (settings(100), None), (settings(100), group)];
        Self { routers: Routers::new(routers), now: ms(1_000_000) }
    }

    fn backups() -> Self {
        let mut bench = Self::new();
        for index in 0..3 {
            bench.tell(index, Event::Start);
        }
        bench
    }

    fn actives() -> Self {
        let mut bench = Self::backups();
        bench.run_out();
        assert_eq!(bench.states(), [State::Active; 3]);
        bench
    }

    fn step(&mut self, index: usize, event: Event) -> Vec<(usize, Action)> {
        let mut out = Vec::new();
        self.routers.step(index, event, self.now, &mut out);
        out
    }

    fn tell(&mut self, index: usize, event: Event) -> Vec<String> {
        words(&self.step(index, event))
    }

    fn run_out(&mut self) -> Vec<String> {
        self.now = self.routers.due().unwrap();
        let mut out = Vec::new();
        self.routers.tick(self.now, &mut out);
        words(&out)
    }

    fn states(&self) -> Vec<State> {
        self.routers.iter().map(|router| router.state()).collect()
    }

    fn left(&self, index: usize) -> Option<Duration> {
        self.routers.get(index).unwrap().due().map(|due| due - self.now)
    }
}

fn words(actions: &[(usize, Action)]) -> Vec<String> {
    let words = actions.iter().filter_map(|(at, action)| Some(format!("{at} {}", short(action)?)));
    words.collect()
}

const DOWN: Duration = Duration::from_nanos(360_937_500);

#[test]
fn one_member_in_fault_puts_all_there_and_they_recover_when_all_are_well() {
    use State::{Active, Backup, Fault};
    let mut bench = Bench::actives();
    let done = bench.step(2, Event::Fault(true));
    let expected = [
        "2 advertise 0",
        "2 withdraw",
        "2 active to fault",
        "0 advertise 0",
        "0 withdraw",
        "0 active to fault",
    ];
    assert_eq!(words(&done), expected);
    let (from, to) = (Active, Fault);
    assert!(done.contains(&(2, Action::Transition { from, to, reason: Reason::Fault })));
    assert!(done.contains(&(0, Action::Transition { from, to, reason: Reason::Group })));
    assert_eq!(bench.states(), [Fault, Active, Fault]);
    bench.tell(0, Event::Fault(true));
    bench.tell(2, Event::Fault(false));
    assert_eq!(bench.states(), [Fault, Active, Fault], "one of them is still unwell");
    bench.tell(0, Event::Fault(false));
    assert_eq!(bench.states(), [Backup, Active, Backup]);
}

#[test]
fn one_member_that_becomes_a_backup_takes_all_with_it() {
    let mut bench = Bench::actives();
    let expected = [
        "0 advertise 100",
        "0 withdraw",
        "0 active to backup",
        "2 advertise 100",
        "2 advertise 0",
        "2 withdraw",
        "2 active to backup",
    ];
    assert_eq!(bench.tell(0, advert(9, 200)), expected);
}

#[test]
fn one_member_that_is_told_to_take_over_takes_all_along() {
    let mut bench = Bench::backups();
    bench.tell(0, advert(9, 200));
    bench.tell(2, advert(9, 200));
    bench.tell(2, advert(9, 0));
    let expected = [
        "2 advertise 100",
        "2 claim",
        "2 backup to active",
        "0 advertise 100",
        "0 claim",
        "0 backup to active",
    ];
    assert_eq!(bench.run_out(), expected);
}

#[test]
fn a_member_that_hears_nobody_waits_for_the_others_to_hear_nobody() {
    let mut bench = Bench::backups();
    for _ in 0..100 {
        bench.now += INTERVAL;
        bench.tell(0, advert(9, 200));
        let mut out = Vec::new();
        bench.routers.tick(bench.now, &mut out);
    }
    assert_eq!(bench.states(), [State::Backup, State::Active, State::Backup]);
    assert_eq!(bench.left(2), None);
    assert_eq!(bench.left(0), Some(DOWN));
    bench.now += DOWN;
    let expected = [
        "0 advertise 100",
        "0 claim",
        "0 backup to active",
        "2 advertise 100",
        "2 claim",
        "2 backup to active",
    ];
    assert_eq!(bench.tell(0, Event::Timer), expected);
}

#[test]
fn a_member_that_waits_for_the_others_follows_an_active_router_that_comes_back() {
    let mut bench = Bench::backups();
    bench.now += ms(200);
    bench.tell(0, advert(9, 200));
    bench.now += ms(200);
    bench.tell(2, Event::Timer);
    assert_eq!(bench.left(2), None);
    bench.tell(2, advert(9, 200));
    assert_eq!(bench.left(2), Some(DOWN));
}

#[test]
fn a_member_that_waits_for_the_others_waits_no_longer_than_a_goodbye_allows() {
    let mut bench = Bench::backups();
    bench.now += ms(200);
    bench.tell(0, advert(9, 200));
    bench.now += ms(200);
    bench.tell(2, Event::Timer);
    bench.tell(2, advert(9, 0));
    assert_eq!(bench.left(2), Some(Duration::from_nanos(60_937_500)));
    bench.now += ms(61);
    bench.tell(2, Event::Timer);
    assert_eq!((bench.states()[0], bench.states()[2]), (State::Active, State::Active));
}

#[test]
fn members_that_waited_for_one_that_was_stopped_wait_no_longer() {
    let mut bench = Bench::backups();
    bench.now += ms(200);
    bench.tell(0, advert(9, 200));
    bench.now += ms(200);
    assert_eq!(bench.tell(2, Event::Timer), [""; 0]);
    let expected = ["0 backup to initialize", "2 advertise 100", "2 claim", "2 backup to active"];
    assert_eq!(bench.tell(0, Event::Stop), expected);
}

#[test]
fn a_member_that_starts_late_joins_an_active_group() {
    let mut bench = Bench::new();
    bench.tell(0, Event::Start);
    bench.run_out();
    assert_eq!(bench.states()[0], State::Active);
    let expected = ["2 initialize to backup", "2 advertise 100", "2 claim", "2 backup to active"];
    assert_eq!(bench.tell(2, Event::Start), expected);
}

#[test]
fn releases_and_pauses_concern_the_whole_group() {
    let mut bench = Bench::actives();
    assert_eq!(bench.tell(0, Event::Release), ["0 advertise 1", "2 advertise 1"]);
    assert_eq!(bench.tell(2, Event::Reclaim), ["2 advertise 100", "0 advertise 100"]);
    let expected =
        ["2 withdraw at once", "2 active to backup", "0 withdraw at once", "0 active to backup"];
    assert_eq!(bench.tell(2, Event::Paused), expected);
}

#[test]
fn a_released_group_that_nobody_succeeds_leaves_together() {
    let mut bench = Bench::actives();
    bench.tell(0, Event::Release);
    for _ in 0..4 {
        bench.run_out();
    }
    assert_eq!(bench.states(), [State::Backup, State::Active, State::Backup]);
    for _ in 0..3 {
        assert_eq!(bench.run_out(), ["1 advertise 100"]);
    }
    bench.run_out();
    assert_eq!(bench.states(), [State::Active; 3], "nobody else has come");
}

#[test]
fn stopping_one_member_leaves_the_others_where_they_are() {
    let mut bench = Bench::actives();
    bench.tell(0, Event::Stop);
    bench.tell(0, advert(9, 200));
    assert_eq!(bench.states(), [State::Initialize, State::Active, State::Active]);
}

#[test]
fn a_member_that_stops_apart_from_an_active_group_says_nothing() {
    let mut bench = Bench::actives();
    let mut out = Vec::new();
    bench.routers.stop_apart(0, bench.now, &mut out);
    assert_eq!(words(&out), ["0 withdraw", "0 active to initialize"]);
    assert_eq!(bench.states(), [State::Initialize, State::Active, State::Active]);
    assert_eq!(bench.tell(0, Event::Start), [""; 0], "it is stopped for good");
}

#[test]
fn a_backup_that_stops_apart_stops_as_ever() {
    let mut bench = Bench::backups();
    let mut out = Vec::new();
    bench.routers.stop_apart(0, bench.now, &mut out);
    assert_eq!(words(&out), ["0 backup to initialize"]);
}

#[test]
fn a_router_that_joins_later_has_the_next_index_and_no_index_is_out_of_range() {
    let mut bench = Bench::new();
    let alone = Settings { interval: ms(20), ..settings(50) };
    assert_eq!(bench.routers.add(alone, None), 3);
    assert_eq!(bench.routers.len(), 4);
    assert_eq!(bench.tell(4, Event::Start), [""; 0]);
    assert!(bench.routers.get(4).is_none());
}

#[test]
fn a_member_that_is_added_to_a_group_in_fault_takes_over_nothing_before_all_are_well() {
    use State::{Active, Backup, Fault};
    let mut bench = Bench::actives();
    bench.tell(2, Event::Fault(true));
    assert_eq!(bench.routers.add(settings(100), Some("edge".to_owned())), 3);
    assert_eq!(bench.tell(3, Event::Start), ["3 initialize to fault"]);
    bench.now += DOWN * 2;
    let mut out = Vec::new();
    bench.routers.tick(bench.now, &mut out);
    assert_eq!(bench.states(), [Fault, Active, Fault, Fault]);
    bench.tell(2, Event::Fault(false));
    assert_eq!(bench.states(), [Backup, Active, Backup, Backup]);
    assert_eq!(bench.routers.add(settings(100), Some("other".to_owned())), 4);
    bench.tell(0, Event::Fault(true));
    bench.tell(4, Event::Start);
    assert_eq!(bench.states()[4], Backup, "the fault of another group is none of its own");
}

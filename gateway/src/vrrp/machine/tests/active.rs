//! How an active router serves, and against whom it stays.

use std::time::Duration;

use super::super::{Action, Event, Notice, Reason, Settings, State};
use super::{Bench, INTERVAL, advert, ip, ms, settings, slow, us};

const STANDS_DOWN: &str = "advertise 100, withdraw, active to backup";

#[test]
fn advertisements_do_not_drift_when_the_timer_is_late() {
    let mut bench = Bench::active(settings(100));
    let begun = bench.now;
    for nth in 1..=10 {
        bench.now = begun + INTERVAL * nth + us(1500);
        assert_eq!(bench.tell(Event::Timer), "advertise 100");
        assert_eq!(bench.router.due(), Some(begun + INTERVAL * (nth + 1)));
    }
}

#[test]
fn advertisements_that_were_missed_are_not_made_up_for() {
    let mut bench = Bench::active(settings(100));
    assert_eq!(bench.later(ms(350), Event::Timer), "advertise 100");
    assert_eq!(bench.left(), Some(INTERVAL));
}

#[test]
fn the_loser_says_a_last_word_before_it_withdraws() {
    let mut bench = Bench::active(settings(100));
    assert_eq!(bench.tell(advert(9, 101)), STANDS_DOWN);
}

#[test]
fn of_two_active_routers_of_one_priority_the_higher_address_stays() {
    assert_eq!(Bench::active(settings(100)).tell(advert(11, 100)), STANDS_DOWN);
    assert_eq!(Bench::active(settings(100)).tell(advert(9, 100)), "advertise 100, announce");
    let lower = Notice::LowerAddress { source: ip(9), priority: 100 };
    assert_eq!(Bench::active(settings(100)).notices(advert(9, 100)), [lower]);
}

#[test]
fn two_owners_are_noticed_and_the_higher_address_stays() {
    let mut bench = Bench::new(settings(255));
    bench.tell(Event::Start);
    assert!(bench.notices(advert(9, 255)).contains(&Notice::TwoOwners { source: ip(9) }));
    assert_eq!(bench.router.state(), State::Active);
    assert!(bench.notices(advert(11, 255)).contains(&Notice::TwoOwners { source: ip(11) }));
    assert_eq!(bench.router.state(), State::Backup);
    assert!(bench.notices(advert(11, 255)).contains(&Notice::TwoOwners { source: ip(11) }));
}

#[test]
fn a_lower_active_router_is_answered_at_once_and_the_addresses_announced_again() {
    let mut bench = Bench::active(settings(100));
    assert_eq!(bench.later(ms(10), advert(9, 90)), "advertise 100, announce");
    let lower = Notice::LowerPriority { source: ip(9), priority: 90, ours: 100 };
    assert_eq!(bench.notices(advert(9, 90)), [lower]);
}

#[test]
fn a_flood_of_advertisements_is_answered_ten_times_an_interval_at_most() {
    for priority in [0, 90] {
        let mut bench = Bench::active(settings(100));
        let answers =
            (0..1000).filter(|_| bench.later(us(100), advert(9, priority)).contains("advertise"));
        assert_eq!(answers.count(), 10, "in an interval");
    }
}

#[test]
fn a_lower_router_that_never_stops_does_not_hear_us_which_is_noticed_once() {
    let mut bench = Bench::active(settings(100));
    let mut noticed = Vec::new();
    for nth in 1..=100 {
        bench.now += INTERVAL;
        if bench.notices(advert(9, 90)).contains(&Notice::NotHeard { source: ip(9) }) {
            noticed.push(nth);
        }
    }
    assert_eq!(noticed, [10]);
}

#[test]
fn lower_routers_that_are_silent_in_between_do_hear_us() {
    let mut bench = Bench::active(settings(100));
    for _ in 0..100 {
        bench.now += ms(401);
        assert!(!bench.notices(advert(9, 90)).contains(&Notice::NotHeard { source: ip(9) }));
    }
}

#[test]
fn an_active_router_ignores_what_comes_from_its_own_address() {
    let mut bench = Bench::active(settings(100));
    assert_eq!(bench.notices(advert(10, 200)), [Notice::OwnAddress { source: ip(10) }]);
    assert_eq!(bench.tell(advert(10, 0)), "");
    assert_eq!(bench.router.state(), State::Active);
    assert_eq!(bench.router.peer(), None);
}

#[test]
fn a_single_forged_advertisement_costs_no_more_than_the_own_down_interval() {
    let mut bench = Bench::active(settings(100));
    assert_eq!(bench.tell(slow(66, 255, ms(40_950))), STANDS_DOWN);
    assert_eq!(bench.left(), Some(Duration::from_nanos(360_937_500)));
    assert_eq!(bench.run_out(), "advertise 100, claim, backup to active");
}

#[test]
fn a_second_advertisement_that_says_the_same_is_believed() {
    let mut bench = Bench::active(settings(100));
    bench.tell(slow(66, 200, ms(500)));
    bench.later(ms(300), slow(66, 200, ms(500)));
    assert_eq!(bench.router.interval(), ms(500));

    let mut bench = Bench::active(settings(100));
    bench.tell(slow(66, 200, ms(500)));
    bench.run_out();
    assert_eq!(bench.tell(slow(66, 200, ms(500))), STANDS_DOWN, "its answer to us");
    assert_eq!(bench.router.interval(), ms(500));
    assert_eq!(bench.left(), Some(bench.router.down_interval()));
}

#[test]
fn a_penalty_is_advertised_at_once_and_the_router_serves_on() {
    let mut bench = Bench::active(settings(100));
    assert_eq!(bench.later(ms(10), Event::Penalty(30)), "advertise 70");
    assert_eq!(bench.tell(Event::Penalty(30)), "");
    assert_eq!(bench.tell(Event::Penalty(200)), "advertise 1");
    assert_eq!(bench.tell(Event::Penalty(0)), "advertise 100");
    assert_eq!(bench.left(), Some(ms(90)), "and the next one comes when it would have");
}

#[test]
fn a_penalty_makes_way_for_a_better_router() {
    let mut bench = Bench::active(settings(100));
    bench.tell(Event::Penalty(30));
    assert_eq!(bench.tell(advert(9, 90)), "advertise 70, withdraw, active to backup");
}

#[test]
fn a_reload_flaps_nothing_and_says_a_new_priority_at_once() {
    let mut bench = Bench::active(settings(100));
    assert_eq!(bench.tell(Event::Change(settings(100))), "");
    assert_eq!(bench.tell(Event::Change(settings(80))), "advertise 80");
    let faster = Settings { interval: ms(20), ..settings(80) };
    assert_eq!(bench.tell(Event::Change(faster)), "");
    assert_eq!(bench.left(), Some(ms(20)));
}

#[test]
fn after_a_pause_the_addresses_go_before_anything_is_said() {
    let mut bench = Bench::active(settings(100));
    bench.now += ms(5000);
    assert_eq!(bench.tell(Event::Paused), "withdraw at once, active to backup");
    assert_eq!(bench.tell(Event::Timer), "");
    assert_eq!(bench.left(), Some(bench.router.down_interval()));
    assert_eq!(bench.tell(advert(9, 90)), "");
}

#[test]
fn a_fault_is_told_and_the_addresses_go_at_once() {
    let mut bench = Bench::active(settings(100));
    let mut out = Vec::new();
    bench.router.step(Event::Fault(true), bench.now, &mut out);
    let (from, to, reason) = (State::Active, State::Fault, Reason::Fault);
    let expected = [
        Action::Advertise { priority: 0 },
        Action::Withdraw { linger: true },
        Action::Transition { from, to, reason },
        Action::Notice(Notice::SentZero),
    ];
    assert_eq!(out, expected);
    assert_eq!(bench.later(ms(10), Event::Fault(false)), "fault to backup");
}

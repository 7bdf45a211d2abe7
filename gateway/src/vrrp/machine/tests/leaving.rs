//! How a router leaves so that nobody misses it.

use super::super::{Event, Settings, State};
use super::{Bench, INTERVAL, advert, ms, settings};

#[test]
fn a_released_router_serves_on_until_another_has_taken_over() {
    let mut bench = Bench::active(settings(100));
    assert_eq!(bench.later(ms(30), Event::Release), "advertise 1");
    assert!(bench.router.is_released());
    assert_eq!(bench.router.effective_priority(), 100);
    assert_eq!(bench.run_out(), "advertise 1");
    assert_eq!(bench.tell(advert(9, 2)), "advertise 1, withdraw, active to backup");
    assert!(bench.router.is_released());
}

#[test]
fn a_released_router_that_nobody_succeeds_says_goodbye_after_the_slowest_down_time() {
    let mut bench = Bench::active(settings(100));
    let released = bench.now;
    bench.tell(Event::Release);
    for _ in 0..3 {
        assert_eq!(bench.run_out(), "advertise 1");
    }
    assert_eq!(bench.run_out(), "advertise 0, withdraw, active to backup");
    assert_eq!(bench.now - released, INTERVAL * 4);
}

#[test]
fn a_second_release_changes_nothing() {
    let mut bench = Bench::active(settings(100));
    bench.tell(Event::Release);
    let until = bench.now + INTERVAL * 4;
    assert_eq!(bench.later(ms(50), Event::Release), "");
    while bench.router.state() == State::Active {
        bench.run_out();
    }
    assert_eq!(bench.now, until);
}

#[test]
fn a_released_backup_preempts_nobody_and_is_the_last_to_take_over() {
    let mut bench = Bench::backup(settings(100));
    bench.tell(advert(9, 90));
    bench.tell(Event::Release);
    for _ in 0..100 {
        assert_eq!(bench.later(INTERVAL, advert(9, 2)), "");
        assert_eq!(bench.left(), Some(ms(300) + ms(100) * 255 / 256));
    }
}

#[test]
fn a_released_router_that_is_alone_serves_again_and_is_no_longer_released() {
    let mut bench = Bench::backup(settings(100));
    bench.tell(Event::Release);
    assert_eq!(bench.run_out(), "advertise 100, claim, backup to active");
    assert!(!bench.router.is_released());
}

#[test]
fn a_reclaimed_router_stays() {
    let mut bench = Bench::active(settings(100));
    bench.tell(Event::Release);
    assert_eq!(bench.later(ms(50), Event::Reclaim), "advertise 100");
    assert!(!bench.router.is_released());
    for _ in 0..10 {
        assert_eq!(bench.run_out(), "advertise 100");
    }
}

#[test]
fn a_reclaimed_backup_takes_over_when_its_down_timer_ends() {
    let mut bench = Bench::backup(settings(100));
    bench.tell(Event::Release);
    bench.tell(advert(9, 90));
    bench.later(ms(50), Event::Reclaim);
    bench.later(ms(50), advert(9, 90));
    assert_eq!(bench.left(), Some(bench.router.down_interval() - ms(100)));
}

#[test]
fn a_router_in_fault_or_not_started_keeps_in_mind_that_it_is_released() {
    for mut bench in [Bench::fault(settings(100)), Bench::new(settings(100))] {
        bench.tell(Event::Release);
        assert!(bench.router.is_released());
        bench.tell(Event::Reclaim);
        assert!(!bench.router.is_released());
    }
}

#[test]
fn a_router_that_is_stopped_leaves_to_its_successor_for_good() {
    let mut bench = Bench::active(settings(100));
    assert_eq!(bench.tell(Event::Stop), "advertise 1");
    assert_eq!(bench.tell(advert(9, 90)), "advertise 1, withdraw, active to initialize");
    assert_eq!(bench.router.due(), None);
    assert_eq!(bench.tell(Event::Start), "");
    assert_eq!(bench.router.state(), State::Initialize);
}

#[test]
fn a_router_that_is_stopped_waits_four_intervals_but_no_longer_than_a_second() {
    for (interval, wait) in [(ms(10), ms(40)), (ms(100), ms(400)), (ms(1000), ms(1000))] {
        let mut bench = Bench::active(Settings { interval, ..settings(100) });
        let stopped = bench.now;
        bench.tell(Event::Stop);
        let mut last = String::new();
        while bench.router.state() == State::Active {
            last = bench.run_out();
        }
        assert_eq!(last, "advertise 0, withdraw, active to initialize");
        assert_eq!(bench.now - stopped, wait);
    }
}

#[test]
fn a_released_router_can_be_stopped_and_then_not_be_reclaimed() {
    let mut bench = Bench::active(settings(100));
    bench.tell(Event::Release);
    assert_eq!(bench.later(ms(350), Event::Stop), "");
    assert_eq!(bench.tell(Event::Reclaim), "");
    assert_eq!(bench.tell(Event::Stop), "");
    assert_eq!(bench.later(ms(50), Event::Timer), "advertise 0, withdraw, active to initialize");
}

#[test]
fn a_router_that_is_being_stopped_stops_at_once_when_it_fails_or_was_paused() {
    let mut bench = Bench::active(settings(100));
    bench.tell(Event::Stop);
    assert_eq!(bench.tell(Event::Fault(true)), "advertise 0, withdraw, active to initialize");
    let mut bench = Bench::active(settings(100));
    bench.tell(Event::Stop);
    assert_eq!(bench.tell(Event::Paused), "withdraw at once, active to initialize");
}

#[test]
fn a_lower_active_router_that_leaves_is_succeeded_at_once_by_one_that_would_not_preempt_it() {
    let delayed = Settings { preempt_delay: ms(60_000), ..settings(100) };
    for settings in [Settings { preempt: false, ..settings(100) }, delayed] {
        let mut bench = Bench::backup(settings);
        bench.tell(advert(9, 90));
        bench.later(INTERVAL, advert(9, 1));
        assert_eq!(bench.left(), Some(ms(100) * 156 / 256 / 10));
        assert_eq!(bench.run_out(), "advertise 100, claim, backup to active");
    }
}

#[test]
fn a_router_whose_priority_is_the_lowest_does_not_leave() {
    let mut bench = Bench::backup(Settings { preempt: false, ..settings(100) });
    for _ in 0..10 {
        bench.later(INTERVAL, advert(9, 1));
        assert_eq!(bench.left(), Some(bench.router.down_interval()));
    }
}

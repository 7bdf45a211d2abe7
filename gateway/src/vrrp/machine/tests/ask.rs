//! A backup asks an active router whose advertisement is overdue.

use std::time::Duration;

use super::super::{Event, Settings, State};
use super::{Bench, advert, ms, settings, us};

const TAKES_OVER: &str = "advertise 100, claim, backup to active";

/// A backup that follows 10.0.0.9 of priority 200, and has not asked it yet.
fn strange() -> Bench {
    let mut bench = Bench::backup(Settings { fast: true, ..settings(100) });
    bench.tell(advert(9, 200));
    bench
}

/// One that has been answered, just now.
fn following() -> Bench {
    let mut bench = strange();
    assert_eq!(bench.left(), Some(ms(40)));
    assert_eq!(bench.later(ms(40), Event::Timer), "ask");
    bench.later(ms(1), advert(9, 200));
    bench
}

#[test]
fn a_router_that_does_not_answer_a_trial_is_waited_for_as_the_rfc_has_it() {
    let mut bench = strange();
    for trial in 1..=3 {
        assert_eq!(bench.later(ms(40), Event::Timer), "ask", "trial {trial}");
        assert_eq!(bench.left(), Some(bench.router.down_interval() - ms(40)));
        bench.later(ms(60), advert(9, 200));
    }
    assert_eq!(bench.left(), Some(bench.router.down_interval()), "it is left in peace");
    let down = bench.router.down_interval();
    assert_eq!(bench.later(down, Event::Timer), TAKES_OVER);
}

#[test]
fn a_trial_that_comes_late_is_not_made() {
    let mut bench = strange();
    assert_eq!(bench.later(ms(80), Event::Timer), "");
    bench.later(ms(20), advert(9, 200));
    assert_eq!(bench.left(), Some(ms(40)));
}

#[test]
fn who_was_taken_for_dead_has_to_answer_again() {
    let mut bench = following();
    for wait in [ms(125), ms(25), ms(25), ms(32)] {
        bench.later(wait, Event::Timer);
    }
    assert!(bench.router.state() == State::Active);
    bench.later(ms(1), advert(9, 200));
    assert_eq!(bench.left(), Some(bench.router.down_interval()), "the first time it is not asked");
    bench.later(ms(100), advert(9, 200));
    assert_eq!(bench.left(), Some(ms(40)), "then whether it answers");
}

#[test]
fn an_active_router_that_does_not_answer_three_questions_is_followed_no_longer() {
    let mut bench = following();
    assert_eq!(bench.left(), Some(ms(125)));
    assert_eq!(bench.later(ms(125), Event::Timer), "ask");
    assert_eq!(bench.later(ms(25), Event::Timer), "ask");
    assert_eq!(bench.later(ms(25), Event::Timer), "ask");
    // A tenth of the skew time is for a backup of a higher priority.
    assert_eq!(bench.left(), Some(ms(25) + Duration::from_nanos(6_093_750)));
    assert_eq!(bench.later(ms(25), Event::Timer), "");
    assert_eq!(bench.later(us(6094), Event::Timer), TAKES_OVER);
    assert!(bench.router.state() == State::Active);
}

#[test]
fn an_answer_ends_the_questions_until_the_next_advertisement_is_overdue() {
    let mut bench = following();
    bench.later(ms(125), Event::Timer);
    bench.later(ms(25), Event::Timer);
    assert_eq!(bench.later(ms(1), advert(9, 200)), "");
    assert_eq!(bench.left(), Some(ms(125)));
    assert_eq!(bench.later(ms(125), Event::Timer), "ask");
}

#[test]
fn nobody_is_asked_before_an_active_router_was_heard() {
    let bench = Bench::backup(Settings { fast: true, ..settings(100) });
    assert_eq!(bench.left(), Some(bench.router.down_interval()));
}

#[test]
fn nobody_is_asked_who_could_take_the_question_for_a_better_router() {
    let mut bench = Bench::backup(Settings { fast: true, preempt: false, ..settings(100) });
    bench.tell(advert(9, 1));
    assert_eq!(bench.left(), Some(bench.router.down_interval()));
    // And a router of priority 1 has no lower one to ask with.
    let mut bench = Bench::backup(Settings { fast: true, ..settings(1) });
    bench.tell(advert(9, 200));
    assert_eq!(bench.left(), Some(bench.router.down_interval()));
}

#[test]
fn the_question_of_another_backup_changes_nothing() {
    for ask in [true, false] {
        let mut bench = Bench::backup(Settings { fast: ask, preempt: false, ..settings(100) });
        bench.tell(advert(9, 200));
        bench.now += ms(60);
        let left = bench.left();
        assert_eq!(bench.tell(advert(8, 1)), "");
        assert_eq!(bench.left(), left);
        assert_eq!(bench.router.peer().map(|peer| peer.priority), Some(200));
    }
}

#[test]
fn an_active_router_answers_a_question_at_once() {
    let mut bench = Bench::active(settings(100));
    assert_eq!(bench.later(ms(50), advert(9, 1)), "advertise 100, announce");
}

#[test]
fn a_released_backup_does_not_ask() {
    let mut bench = Bench::backup(Settings { fast: true, ..settings(100) });
    bench.tell(Event::Release);
    bench.tell(advert(9, 200));
    assert_eq!(bench.left(), Some(bench.router.down_interval()));
}

#[test]
fn questions_take_five_milliseconds_at_least() {
    let interval = ms(10);
    let mut bench = Bench::backup(Settings { fast: true, interval, ..settings(254) });
    bench.tell(super::slow(9, 255, interval));
    assert_eq!(bench.later(ms(4), Event::Timer), "ask");
    bench.later(ms(1), super::slow(9, 255, interval));
    assert_eq!(bench.later(ms(20), Event::Timer), "ask");
    assert_eq!(bench.left(), Some(ms(5)));
}

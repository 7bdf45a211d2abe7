//! A backup asks an active router whose advertisement is overdue.

use std::time::Duration;

use super::super::{Event, Settings, State};
use super::{Bench, advert, ms, settings, us};

const TAKES_OVER: &str = "advertise 100, claim, backup to active";

/// A backup that follows 10.0.0.9 of priority 200.
fn following() -> Bench {
    let mut bench = Bench::backup(Settings { fast: true, ..settings(100) });
    bench.tell(advert(9, 200));
    bench
}

#[test]
fn an_active_router_that_does_not_answer_three_questions_is_followed_no_longer() {
    let mut bench = following();
    assert_eq!(bench.left(), Some(ms(125)));
    assert_eq!(bench.later(ms(125), Event::Timer), "advertise 1");
    assert_eq!(bench.later(ms(20), Event::Timer), "advertise 1");
    assert_eq!(bench.later(ms(20), Event::Timer), "advertise 1");
    // A tenth of the skew time is for a backup of a higher priority.
    assert_eq!(bench.left(), Some(ms(20) + Duration::from_nanos(6_093_750)));
    assert_eq!(bench.later(ms(20), Event::Timer), "");
    assert_eq!(bench.later(us(6094), Event::Timer), TAKES_OVER);
    assert!(bench.router.state() == State::Active);
}

#[test]
fn an_answer_ends_the_questions_until_the_next_advertisement_is_overdue() {
    let mut bench = following();
    bench.later(ms(125), Event::Timer);
    bench.later(ms(20), Event::Timer);
    assert_eq!(bench.later(ms(1), advert(9, 200)), "");
    assert_eq!(bench.left(), Some(ms(125)));
    assert_eq!(bench.later(ms(125), Event::Timer), "advertise 1");
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
    assert_eq!(bench.later(us(12_500), Event::Timer), "advertise 1");
    assert_eq!(bench.left(), Some(ms(5)));
}

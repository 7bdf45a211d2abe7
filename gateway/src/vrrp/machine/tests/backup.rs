//! How a backup follows, and when it takes over.

use std::time::Duration;

use super::super::{Event, Notice, Reason, Settings, State};
use super::{Bench, INTERVAL, advert, ip, ms, settings, slow, us};

const TAKES_OVER: &str = "advertise 100, claim, backup to active";

fn left(bench: &Bench) -> Duration {
    bench.left().unwrap()
}

#[test]
fn the_down_interval_is_three_intervals_and_a_skew_by_the_priority() {
    let down = |priority, interval| {
        Bench::backup(Settings { interval, ..settings(priority) }).router.down_interval()
    };
    assert_eq!(down(100, ms(100)), Duration::from_nanos(360_937_500));
    assert_eq!(down(90, ms(100)), Duration::from_nanos(364_843_750));
    assert_eq!(down(254, ms(100)), Duration::from_nanos(300_781_250));
    assert_eq!(down(90, ms(1000)), Duration::from_nanos(3_648_437_500));
    assert_eq!(down(90, ms(10)), Duration::from_nanos(36_484_375));
    assert!(down(254, ms(10)) < down(253, ms(10)), "priorities differ at 10 ms, too");
}

#[test]
fn an_owner_is_active_at_once_and_nobody_else() {
    let mut owner = Bench::new(settings(255));
    assert_eq!(owner.tell(Event::Start), "advertise 255, claim, initialize to active");
    let mut other = Bench::new(settings(254));
    assert_eq!(other.tell(Event::Start), "initialize to backup");
}

#[test]
fn an_owner_that_is_penalised_or_released_waits_as_others_do() {
    let mut bench = Bench::new(settings(255));
    bench.tell(Event::Penalty(1));
    assert_eq!(bench.tell(Event::Start), "initialize to backup");
    let mut bench = Bench::new(settings(255));
    bench.tell(Event::Release);
    assert_eq!(bench.tell(Event::Start), "initialize to backup");
}

#[test]
fn a_router_that_has_failed_before_its_start_starts_in_fault() {
    let mut bench = Bench::new(settings(255));
    bench.tell(Event::Fault(true));
    assert_eq!(bench.tell(Event::Start), "initialize to fault");
    assert_eq!(bench.tell(Event::Fault(false)), "advertise 255, claim, fault to active");
}

#[test]
fn a_backup_takes_over_when_the_down_timer_ends_and_not_before() {
    let mut bench = Bench::backup(settings(100));
    bench.later(ms(50), advert(9, 200));
    let down = bench.router.down_interval();
    assert_eq!(bench.later(down - us(1), Event::Timer), "");
    assert_eq!(bench.later(us(1), Event::Timer), TAKES_OVER);
}

#[test]
fn a_goodbye_leaves_the_skew_time_and_never_makes_a_wait_longer() {
    let mut bench = Bench::backup(settings(100));
    bench.tell(advert(9, 200));
    bench.later(ms(10), advert(9, 0));
    assert_eq!(left(&bench), Duration::from_nanos(60_937_500));
    bench.later(ms(20), advert(9, 0));
    assert_eq!(left(&bench), Duration::from_nanos(40_937_500));
    assert_eq!(bench.run_out(), TAKES_OVER);
}

#[test]
fn equal_priority_does_not_preempt() {
    let mut bench = Bench::backup(settings(100));
    for _ in 0..100 {
        assert_eq!(bench.later(INTERVAL, advert(9, 100)), "");
        assert_eq!(left(&bench), bench.router.down_interval());
    }
}

#[test]
fn a_lower_active_router_does_not_reset_the_down_timer() {
    let mut bench = Bench::backup(settings(100));
    bench.tell(advert(9, 200));
    bench.later(ms(300), advert(8, 90));
    assert_eq!(left(&bench), bench.router.down_interval() - ms(300));
}

#[test]
fn a_backup_takes_over_after_a_tenth_of_the_skew_when_its_active_router_falls_below_it() {
    let mut bench = Bench::backup(settings(100));
    bench.tell(advert(9, 200));
    bench.later(ms(100), advert(9, 90));
    assert_eq!(left(&bench), Duration::from_nanos(6_093_750));
    bench.later(ms(5), advert(9, 90));
    assert_eq!(left(&bench), Duration::from_nanos(1_093_750), "a second one changes nothing");
    assert_eq!(bench.run_out(), TAKES_OVER);
}

#[test]
fn another_lower_router_is_not_one_that_fell() {
    let mut bench = Bench::backup(settings(100));
    bench.tell(advert(9, 200));
    bench.later(ms(10), advert(8, 90));
    assert_eq!(left(&bench), bench.router.down_interval() - ms(10));
}

#[test]
fn a_router_that_rose_above_its_active_router_waits_for_its_down_timer() {
    let mut bench = Bench::backup(settings(100));
    bench.tell(Event::Penalty(50));
    bench.tell(advert(9, 90));
    bench.later(ms(10), Event::Penalty(0));
    bench.later(ms(10), advert(9, 90));
    assert_eq!(left(&bench), bench.router.down_interval() - ms(20));
}

#[test]
fn without_preempt_a_lower_active_router_is_left_alone() {
    let mut bench = Bench::backup(Settings { preempt: false, ..settings(100) });
    for priority in [200, 90, 80, 90, 2] {
        bench.later(INTERVAL, advert(9, priority));
        assert_eq!(left(&bench), bench.router.down_interval());
    }
    assert_eq!(bench.run_out(), TAKES_OVER, "but not a lost one");
}

#[test]
fn one_that_leaves_is_succeeded_even_without_preempt_and_within_the_delay() {
    let delayed = Settings { preempt_delay: ms(60_000), ..settings(100) };
    for settings in [Settings { preempt: false, ..settings(100) }, delayed] {
        let mut bench = Bench::backup(settings);
        bench.tell(advert(9, 200));
        bench.tell(advert(9, 1));
        assert_eq!(left(&bench), Duration::from_nanos(6_093_750));
        bench.later(ms(1), advert(9, 1));
        assert_eq!(left(&bench), Duration::from_nanos(5_093_750), "which it may say twice");
        bench.tell(advert(9, 90));
        assert!(left(&bench) > ms(300), "or take back");
    }
}

fn delayed() -> Settings {
    Settings { preempt_delay: ms(2000), ..settings(100) }
}

#[test]
fn the_preempt_delay_runs_from_the_start_and_ends_with_a_takeover_at_once() {
    let mut bench = Bench::backup(delayed());
    let start = bench.now;
    for _ in 0..19 {
        assert_eq!(bench.later(INTERVAL, advert(9, 90)), "");
    }
    assert_eq!(bench.run_out(), TAKES_OVER);
    assert_eq!(bench.now - start, ms(2000));
}

#[test]
fn the_preempt_delay_begins_again_with_the_first_lower_advertisement_after_a_higher_one() {
    let mut bench = Bench::backup(delayed());
    for _ in 0..50 {
        bench.later(INTERVAL, advert(9, 200));
    }
    let fell = bench.now + INTERVAL;
    for _ in 0..20 {
        assert_eq!(bench.later(INTERVAL, advert(9, 90)), "");
    }
    assert_eq!(bench.run_out(), TAKES_OVER);
    assert_eq!(bench.now - fell, ms(2000));
}

#[test]
fn the_preempt_delay_is_cut_short_by_silence_and_by_a_goodbye() {
    let mut bench = Bench::backup(delayed());
    bench.later(INTERVAL, advert(9, 90));
    assert_eq!(left(&bench), bench.router.down_interval());
    bench.later(INTERVAL, advert(9, 0));
    assert_eq!(left(&bench), Duration::from_nanos(60_937_500));
    assert_eq!(bench.run_out(), TAKES_OVER);
}

#[test]
fn a_preempt_delay_that_ends_with_nobody_to_preempt_changes_nothing_and_is_over() {
    let mut bench = Bench::backup(Settings { preempt_delay: ms(100), ..settings(100) });
    assert_eq!(left(&bench), ms(100));
    assert_eq!(bench.run_out(), "");
    assert_eq!(left(&bench), bench.router.down_interval() - ms(100));
    assert_eq!(bench.later(ms(10), advert(9, 90)), TAKES_OVER);
}

#[test]
fn a_slower_active_router_is_waited_for() {
    let mut bench = Bench::backup(settings(100));
    bench.tell(slow(9, 200, ms(400)));
    assert_eq!(left(&bench), ms(1200) + ms(400) * 156 / 256);
    bench.run_out();
    assert_eq!(left(&bench), INTERVAL, "an active router goes by its own interval");
    assert_eq!(bench.router.down_interval(), Duration::from_nanos(360_937_500));
}

#[test]
fn a_learned_interval_has_bounds() {
    let learned = |interval| {
        let mut bench = Bench::backup(settings(100));
        bench.tell(slow(9, 200, interval));
        bench.router.interval()
    };
    assert_eq!(learned(ms(40_950)), ms(1000));
    assert_eq!(learned(Duration::ZERO), ms(10));
    assert_eq!(learned(ms(10)), ms(10));
}

#[test]
fn a_strangers_interval_is_learned_from_its_second_advertisement() {
    let mut bench = Bench::backup(settings(100));
    bench.tell(advert(9, 200));
    bench.tell(slow(8, 200, ms(1000)));
    assert_eq!(left(&bench), Duration::from_nanos(360_937_500));
    bench.tell(advert(9, 200));
    bench.tell(slow(8, 200, ms(1000)));
    assert_eq!(bench.router.interval(), INTERVAL, "not the second in a row");
    bench.tell(slow(8, 200, ms(1000)));
    assert_eq!(bench.router.interval(), ms(1000));
}

#[test]
fn an_interval_that_the_active_router_changes_is_followed_at_once() {
    let mut bench = Bench::backup(settings(100));
    bench.tell(advert(9, 200));
    bench.tell(slow(9, 200, ms(500)));
    assert_eq!(bench.router.interval(), ms(500));
    bench.tell(advert(9, 200));
    assert_eq!(bench.router.interval(), INTERVAL);
}

#[test]
fn another_interval_and_the_own_address_are_noticed() {
    let mut bench = Bench::backup(settings(100));
    let interval = ms(1000);
    let expected = Notice::OtherInterval { source: ip(9), interval, ours: INTERVAL };
    assert_eq!(bench.notices(slow(9, 200, interval)), [expected]);
    assert_eq!(bench.notices(advert(9, 200)), []);
    assert_eq!(bench.notices(advert(10, 200)), [Notice::OwnAddress { source: ip(10) }]);
    assert_eq!(bench.router.peer().unwrap().source, ip(9), "which is otherwise ignored");
}

#[test]
fn a_reload_does_not_make_a_wait_longer_that_is_over() {
    let mut bench = Bench::backup(settings(100));
    bench.now += ms(361);
    bench.tell(Event::Change(Settings { priority: 10, interval: ms(1000), ..settings(100) }));
    assert_eq!(bench.tell(Event::Timer), "advertise 10, claim, backup to active");
}

#[test]
fn a_reload_fits_the_wait_to_the_new_settings_from_where_it_began() {
    let mut bench = Bench::backup(settings(100));
    bench.tell(advert(9, 200));
    bench.now += ms(100);
    // The interval is learned: the own one does not count while another is active.
    bench.tell(Event::Change(Settings { interval: ms(50), ..settings(254) }));
    assert_eq!(left(&bench), Duration::from_nanos(200_781_250));
}

#[test]
fn a_penalty_makes_a_backup_slower_but_leaves_it_in_the_race() {
    let mut bench = Bench::backup(settings(100));
    bench.tell(Event::Penalty(255));
    assert_eq!(bench.router.effective_priority(), 1);
    assert_eq!(left(&bench), ms(300) + ms(100) * 255 / 256);
    assert_eq!(bench.run_out(), "advertise 1, claim, backup to active");
}

#[test]
fn a_pause_gives_a_backup_time_to_read_what_has_come_meanwhile() {
    let mut bench = Bench::backup(settings(100));
    bench.now += ms(5000);
    assert_eq!(bench.tell(Event::Paused), "");
    assert_eq!(bench.tell(Event::Timer), "");
    assert_eq!(left(&bench), bench.router.down_interval());
}

#[test]
fn the_peer_is_the_router_last_heard_as_active() {
    let mut bench = Bench::backup(settings(100));
    assert_eq!(bench.router.peer(), None);
    bench.tell(slow(9, 200, ms(200)));
    let peer = *bench.router.peer().unwrap();
    assert_eq!((peer.source, peer.priority, peer.interval), (ip(9), 200, ms(200)));
    assert_eq!(peer.heard, bench.now);
    bench.tell(advert(8, 0));
    assert!(bench.router.peer().is_some(), "another one has left");
    bench.tell(advert(9, 0));
    assert_eq!(bench.router.peer(), None);
}

#[test]
fn reasons_and_notices_have_the_words_of_keepalived() {
    let (source, priority, ours) = (ip(9), 90, 100);
    let higher = Reason::HigherPriority { source, priority: 200, ours };
    let lower = Notice::LowerPriority { source, priority, ours };
    let words = [
        (Reason::DownTimer.to_string(), "Receive advertisement timeout"),
        (Reason::PriorityZero.to_string(), "Backup received priority 0 advertisement"),
        (
            higher.to_string(),
            "Master received advert from 10.0.0.9 with higher priority 200, ours 100",
        ),
        (
            lower.to_string(),
            "Received advert from 10.0.0.9 with lower priority 90, ours 100, forcing new election",
        ),
        (Notice::SentZero.to_string(), "sent 0 priority"),
        (State::Active.keepalived().to_owned(), "MASTER"),
    ];
    for (said, expected) in words {
        assert_eq!(said, expected);
    }
}

#[test]
fn a_router_that_recovers_has_forgotten_the_interval_that_it_learned() {
    let mut bench = Bench::backup(settings(100));
    bench.tell(slow(9, 200, ms(1000)));
    bench.tell(Event::Fault(true));
    bench.later(ms(60_000), Event::Fault(false));
    assert_eq!(left(&bench), Duration::from_nanos(360_937_500));
}

//! Every event in every state.

use std::collections::HashSet;
use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use super::super::{Event, Settings, State};
use super::{Bench, advert, ms, settings, us};

/// The down interval of a router of priority 100 at 100 ms.
const DOWN: Duration = us(360_937);
/// The same for a released one.
const SLOWEST: Duration = us(399_609);

fn other() -> Settings {
    Settings { priority: 120, ..settings(100) }
}

/// State, event, what is done, and how long until the router is due after it; it is 10 ms after it came there.
#[rustfmt::skip]
fn table() -> Vec<(State, Event, &'static str, Option<Duration>)> {
    use State::{Active, Backup, Fault, Initialize};
    let left = |of: Duration| Some(of - ms(10));
    vec![
        (Initialize, Event::Start, "initialize to backup", Some(DOWN)),
        (Initialize, Event::Resume, "advertise 100, claim, initialize to active", Some(ms(100))),
        (Initialize, advert(9, 200), "", None),
        (Initialize, Event::Timer, "", None),
        (Initialize, Event::Penalty(10), "", None),
        (Initialize, Event::Fault(true), "", None),
        (Initialize, Event::Fault(false), "", None),
        (Initialize, Event::Paused, "", None),
        (Initialize, Event::Release, "", None),
        (Initialize, Event::Reclaim, "", None),
        (Initialize, Event::Stop, "", None),
        (Initialize, Event::Change(other()), "", None),

        (Backup, Event::Start, "", left(DOWN)),
        (Backup, Event::Resume, "", left(DOWN)),
        (Backup, advert(9, 200), "", Some(DOWN)),
        (Backup, advert(9, 100), "", Some(DOWN)),
        (Backup, advert(9, 90), "", left(DOWN)),
        (Backup, advert(9, 0), "", Some(DOWN - ms(300))),
        (Backup, advert(10, 200), "", left(DOWN)),
        (Backup, Event::Timer, "", left(DOWN)),
        (Backup, Event::Penalty(99), "", left(SLOWEST)),
        (Backup, Event::Fault(true), "backup to fault", None),
        (Backup, Event::Fault(false), "", left(DOWN)),
        (Backup, Event::Paused, "", Some(DOWN)),
        (Backup, Event::Release, "", left(SLOWEST)),
        (Backup, Event::Reclaim, "", left(DOWN)),
        (Backup, Event::Stop, "backup to initialize", None),
        (Backup, Event::Change(other()), "", Some(us(353_125) - ms(10))),

        (Active, Event::Start, "", left(ms(100))),
        (Active, Event::Resume, "", left(ms(100))),
        (Active, advert(9, 200), "advertise 100, withdraw, active to backup", Some(DOWN)),
        (Active, advert(11, 100), "advertise 100, withdraw, active to backup", Some(DOWN)),
        (Active, advert(9, 100), "advertise 100, announce", left(ms(100))),
        (Active, advert(11, 90), "advertise 100, announce", left(ms(100))),
        (Active, advert(9, 0), "advertise 100", left(ms(100))),
        (Active, advert(10, 200), "", left(ms(100))),
        (Active, Event::Timer, "", left(ms(100))),
        (Active, Event::Penalty(30), "advertise 70", left(ms(100))),
        (Active, Event::Fault(true), "advertise 0, withdraw, active to fault", None),
        (Active, Event::Fault(false), "", left(ms(100))),
        (Active, Event::Paused, "withdraw at once, active to backup", Some(DOWN)),
        (Active, Event::Release, "advertise 1", Some(ms(100))),
        (Active, Event::Reclaim, "", left(ms(100))),
        (Active, Event::Stop, "advertise 1", Some(ms(100))),
        (Active, Event::Change(other()), "advertise 120", left(ms(100))),

        (Fault, Event::Start, "", None),
        (Fault, Event::Resume, "", None),
        (Fault, advert(9, 90), "", None),
        (Fault, Event::Timer, "", None),
        (Fault, Event::Penalty(10), "", None),
        (Fault, Event::Fault(true), "", None),
        (Fault, Event::Fault(false), "fault to backup", Some(DOWN)),
        (Fault, Event::Paused, "", None),
        (Fault, Event::Release, "", None),
        (Fault, Event::Reclaim, "", None),
        (Fault, Event::Stop, "fault to initialize", None),
        (Fault, Event::Change(other()), "", None),
    ]
}

#[test]
fn every_event_in_every_state_does_what_the_table_says() {
    for (state, event, expected, due) in table() {
        let mut bench = match state {
            State::Initialize => Bench::new(settings(100)),
            State::Backup => Bench::backup(settings(100)),
            State::Active => Bench::active(settings(100)),
            State::Fault => Bench::fault(settings(100)),
        };
        let done = bench.later(ms(10), event.clone());
        assert_eq!(done, expected, "{event:?} in {state}");
        // The table is exact to the microsecond, the timers are beyond.
        let left = bench.left().map(|left| us(u64::try_from(left.as_micros()).unwrap()));
        assert_eq!(left, due, "{event:?} in {state}");
    }
}

#[test]
fn the_table_has_every_event_in_every_state() {
    let pairs: HashSet<(State, Discriminant<Event>)> =
        table().into_iter().map(|(state, event, ..)| (state, discriminant(&event))).collect();
    assert_eq!(pairs.len(), 4 * 11);
}

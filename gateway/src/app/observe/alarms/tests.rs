use std::time::Duration;

use super::*;
use crate::app::observe::samples;
use crate::cluster::condition::{AdminState, BrokerSays};
use crate::config::model::ClusterName;
use crate::telemetry::events::{self, EventLog, Kind, What};
use crate::tls::{Leaf, Tls};

fn told(alarms: &[Alarm]) -> Vec<(Severity, &str, &str)> {
    alarms.iter().map(|alarm| (alarm.severity, &*alarm.kind, &*alarm.subject)).collect()
}

#[test]
fn nodes_and_clusters_that_do_not_work_are_told_the_worst_first() {
    let snapshot = Snapshot::new(&samples::model(), &Tls::default(), 1);
    let nodes = snapshot.clusters[&ClusterName("main".into())].nodes();
    let alarms = || sorted(of_clusters(&snapshot));
    assert_eq!(alarms(), []);
    nodes[0].condition.set_verdict(Verdict::Down);
    assert_eq!(told(&alarms()), [(Severity::Warning, "node", "main/r1")]);
    nodes[1].condition.set_admin(AdminState::Disabled);
    let says = BrokerSays { maintenance: true, memory_alarm: true, ..BrokerSays::default() };
    nodes[1].condition.set_says(says);
    let expected = [
        (Severity::Critical, "cluster", "main"),
        (Severity::Critical, "node", "main/r2"),
        (Severity::Warning, "node", "main/r1"),
        (Severity::Info, "node", "main/r2"),
    ];
    assert_eq!(told(&alarms()), expected);
}

#[test]
fn certificates_are_told_of_before_they_end() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(3_000_000_000);
    let day = Duration::from_secs(24 * 3600);
    let told = |not_after: SystemTime, refused: Option<&str>| {
        let leaf = Leaf::sample("www", not_after);
        let refused = refused.map(str::to_owned);
        let alarms =
            of_certificate(&InUse { used_by: "listener", of: "amqps".into(), leaf, refused }, now);
        alarms.iter().map(|alarm| alarm.severity).collect::<Vec<_>>()
    };
    assert_eq!(told(now + 15 * day, None), []);
    assert_eq!(told(now + 14 * day, None), [Severity::Warning]);
    assert_eq!(told(now + 3 * day, None), [Severity::Critical]);
    assert_eq!(told(now - day, None), [Severity::Critical]);
    assert_eq!(told(now + 99 * day, Some("broken")), [Severity::Warning]);
}

#[test]
fn what_is_wrong_with_the_configuration_is_told_until_a_reload_finds_nothing_and_is_true() {
    let events = EventLog::default();
    let config = |outcome: Outcome, text: &str| {
        let mut event = What::new(Kind::Config, events::Severity::Info, "gateway.toml", text);
        event.details.insert("outcome".to_owned(), outcome.name().to_owned());
        events.add(event);
        of_config(&events.since(0)).map(|alarm| alarm.text)
    };
    assert!(of_config(&events.since(0)).is_none());
    let told = config(Outcome::Refused, "refused: 2 problems").expect("it");
    assert!(told.starts_with("refused: 2 problems. What was in force before still is. "));
    assert_eq!(config(Outcome::Unchanged, "valid again"), None, "the file was put back");
    let told = config(Outcome::Incomplete, "revision 7 in force; but vrrp: why").expect("it");
    assert!(told.contains("but vrrp: why. All else of it is in force"), "{told}");
    assert_eq!(config(Outcome::Applied, "revision 8 in force"), None);
}

#[test]
fn a_process_short_of_files_and_a_log_that_drops_lines_are_told_of() {
    let usage = |open_files| Usage { open_files, max_open_files: 1000, ..Usage::default() };
    assert_eq!(of_process("gw", &usage(900), false), []);
    assert_eq!(of_process("gw", &usage(901), true).len(), 2);
    assert_eq!(of_process("gw", &Usage::default(), false), []);
}

#[test]
fn a_listener_that_accepts_is_not_told_of_and_one_of_a_stopping_gateway_is_no_alarm() {
    let doors = samples::doors(&samples::model());
    assert_eq!(of_listeners(&doors, false, Instant::now()), []);
    let stopping = of_listeners(&doors, true, Instant::now());
    assert_eq!(told(&stopping)[0], (Severity::Info, "listener", "amqp"));
}

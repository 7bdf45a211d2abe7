//! What an operator finds in the log.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use tracing::{debug, error, info, info_span, trace, warn};

use super::*;
use crate::config::model::{Log, LogOutput};
use crate::telemetry::sink::Sink;

/// Runs `events` under a subscriber of its own and returns the lines they left.
fn logged(
    format: LogFormat,
    level: LogLevel,
    override_: Option<&str>,
    events: impl FnOnce(),
) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let sink = Sink::open(&log_to(&path, format, level)).unwrap();
    let (dispatch, _) = build(level, override_.map(str::to_owned), sink.handle()).unwrap();
    tracing::dispatcher::with_default(&dispatch, events);
    drop(sink);
    std::fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect()
}

fn log_to(path: &Path, format: LogFormat, level: LogLevel) -> Log {
    Log { level, format, output: LogOutput::File(path.to_owned()), access: true }
}

/// The line without its time, which must be one.
fn without_time(line: &str) -> &str {
    let (time, rest) = line.split_once(' ').unwrap();
    humantime::parse_rfc3339(time).unwrap();
    assert_eq!(time.len(), "2026-11-20T12:00:00.000Z".len());
    rest
}

#[test]
fn a_text_line_has_time_level_message_and_fields() {
    let lines = logged(LogFormat::Text, LogLevel::Info, None, || {
        info!(listener = "amqp", address = %"127.0.0.1:5672", "listening");
        error!(error = "no such file", "cannot read the configuration");
    });
    assert_eq!(without_time(&lines[0]), "INFO  listening listener=amqp address=127.0.0.1:5672");
    assert_eq!(
        without_time(&lines[1]),
        "ERROR cannot read the configuration error=\"no such file\""
    );
}

#[test]
fn a_json_line_has_the_same_flat() {
    let lines = logged(LogFormat::Json, LogLevel::Info, None, || {
        warn!(node = "rabbit1", attempt = 3, share = f64::NAN, "node \"refused\"");
    });
    let value: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    humantime::parse_rfc3339(value["time"].as_str().unwrap()).unwrap();
    assert_eq!(value["level"], "warn");
    assert_eq!(value["message"], "node \"refused\"");
    assert_eq!(value["node"], "rabbit1");
    assert_eq!(value["attempt"], 3);
    assert_eq!(value["share"], "NaN");
}

#[test]
fn nobody_forges_a_line_through_a_message_or_a_field() {
    for format in [LogFormat::Text, LogFormat::Json] {
        let lines = logged(format, LogLevel::Info, None, || {
            let evil = "x\n2026-11-20T12:00:00.000Z ERROR forged\r\n\x1b[2J\u{2028}";
            info!(vhost = evil, user = ?evil, "vhost {evil}");
        });
        assert_eq!(lines.len(), 1);
        assert!(!lines[0].contains(['\x1b', '\r', '\u{2028}']), "{}", lines[0]);
    }
}

#[test]
fn fields_of_spans_follow_those_of_the_event_and_the_nearest_wins() {
    let lines = logged(LogFormat::Text, LogLevel::Info, None, || {
        let outer = info_span!("session", session = 7, cluster = "main", node = "none");
        let _outer = outer.enter();
        let inner = info_span!("connect", node = tracing::field::Empty);
        inner.record("node", "rabbit2");
        let _inner = inner.enter();
        info!(cluster = "blue", "connected");
    });
    assert_eq!(without_time(&lines[0]), "INFO  connected cluster=blue node=rabbit2 session=7");
}

#[test]
fn the_level_is_the_configured_one_unless_the_environment_overrides_it() {
    let events = || {
        warn!("w");
        info!("i");
        debug!("d");
        debug!(target: "hyper::proto", "chatter");
        trace!("t");
    };
    let count = |level, override_| logged(LogFormat::Text, level, override_, events).len();
    assert_eq!(count(LogLevel::Error, None), 0);
    assert_eq!(count(LogLevel::Warn, None), 1);
    assert_eq!(count(LogLevel::Info, None), 2);
    assert_eq!(count(LogLevel::Debug, None), 3);
    assert_eq!(count(LogLevel::Trace, None), 4);
    assert_eq!(count(LogLevel::Trace, Some("warn")), 1);
    assert_eq!(count(LogLevel::Error, Some("amqp_gateway=info")), 2);
    assert_eq!(count(LogLevel::Warn, Some("  ")), 1);
}

#[test]
fn a_filter_that_cannot_be_read_is_an_error_that_names_the_variable() {
    let directory = tempfile::tempdir().unwrap();
    let log = log_to(&directory.path().join("log"), LogFormat::Text, LogLevel::Info);
    let sink = Sink::open(&log).unwrap();
    let result = build(LogLevel::Info, Some("a=b=c".to_owned()), sink.handle());
    let error = result.err().unwrap().to_string();
    assert!(error.starts_with("environment variable AMQP_GATEWAY_LOG = \"a=b=c\""), "{error}");
    assert!(error.contains("right would be"), "{error}");
}

#[test]
fn two_gateways_in_one_process_do_not_mix_their_logs() {
    let mut seen = Vec::new();
    let outer = logged(LogFormat::Text, LogLevel::Info, None, || {
        info!("outer");
        seen = logged(LogFormat::Text, LogLevel::Debug, None, || debug!("inner"));
    });
    assert_eq!((outer.len(), seen.len()), (1, 1));
    assert_eq!(without_time(&outer[0]), "INFO  outer");
    assert_eq!(without_time(&seen[0]), "DEBUG inner");
}

#[test]
fn colour_and_stamp_depend_on_the_style_alone() {
    let style = Style { format: LogFormat::Text, stamp: true, colour: true };
    let line = |style| line(style, SystemTime::UNIX_EPOCH, LogLevel::Warn, "hot", &[]);
    assert_eq!(line(style), b"1970-01-01T00:00:00.000Z \x1b[33mWARN \x1b[0m hot");
    assert_eq!(line(Style { stamp: false, ..style }), b"hot");
}

#[test]
fn the_level_of_a_running_gateway_can_change_unless_the_environment_has_set_it() {
    for (override_, lines_then) in [(None, 1), (Some("info"), 0)] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let sink = Sink::open(&log_to(&path, LogFormat::Text, LogLevel::Info)).unwrap();
        let overridden = override_.map(str::to_owned);
        let (dispatch, level) = build(LogLevel::Info, overridden, sink.handle()).unwrap();
        tracing::dispatcher::with_default(&dispatch, || {
            let work = || debug!("work");
            work();
            assert_eq!(level.set(LogLevel::Debug), override_.is_none());
            work();
            let _ = level.set(LogLevel::Info);
            work();
        });
        drop(sink);
        let logged = std::fs::read_to_string(&path).unwrap();
        assert_eq!(logged.lines().count(), lines_then, "{logged}");
    }
}

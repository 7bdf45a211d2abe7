//! What a scrape shows.

use std::sync::Arc;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// The value of a line such as `name{label="x"} 3`.
fn value(page: &str, series: &str) -> Option<f64> {
    let prefix = format!("{series} ");
    page.lines().find_map(|line| line.strip_prefix(&prefix)?.parse().ok())
}

#[test]
fn the_end_of_a_session_is_counted_by_listener_and_reason() {
    let metrics = Metrics::new();
    for _ in 0..3 {
        metrics.session_ended("amqp", "client-closed", SECOND);
    }
    metrics.session_ended("amqp", "node-lost", SECOND);
    metrics.session_ended("other", "node-lost", 100 * SECOND);
    metrics.handshake_failed("amqp", "no-route");
    metrics.accept_error("amqp", "fd-limit");
    metrics.node_connect_failed("main", "rabbit1", "refused");
    metrics.node_connect_failed("main", "rabbit1", "refused");
    let page = metrics.render();
    let value = |series: &str| value(&page, series);
    let sessions = "amqp_gateway_sessions_total";
    let at = |labels: &str| value(&format!("{sessions}{{{labels}}}"));
    assert_eq!(at(r#"listener="amqp",reason="client-closed""#), Some(3.0));
    assert_eq!(at(r#"listener="amqp",reason="node-lost""#), Some(1.0));
    assert_eq!(at(r#"listener="other",reason="node-lost""#), Some(1.0));
    let duration = "amqp_gateway_session_duration_seconds";
    assert_eq!(value(&format!("{duration}_bucket{{le=\"1\"}}")), Some(4.0));
    assert_eq!(value(&format!("{duration}_bucket{{le=\"300\"}}")), Some(5.0));
    assert_eq!(value(&format!("{duration}_sum")), Some(104.0));
    let failures = r#"amqp_gateway_handshake_failures_total{listener="amqp",reason="no-route"}"#;
    assert_eq!(value(failures), Some(1.0));
    let accept = r#"amqp_gateway_accept_errors_total{listener="amqp",reason="fd-limit"}"#;
    assert_eq!(value(accept), Some(1.0));
    let connect = "amqp_gateway_node_connect_failures_total\
        {cluster=\"main\",node=\"rabbit1\",reason=\"refused\"}";
    assert_eq!(value(connect), Some(2.0));
}

#[test]
fn each_stage_of_the_handshake_is_a_histogram() {
    let metrics = Metrics::new();
    metrics.handshake(Stage::Client, Duration::from_millis(2));
    metrics.handshake(Stage::Upstream, Duration::from_millis(3));
    metrics.handshake(Stage::Total, Duration::from_millis(500));
    let page = metrics.render();
    for (stage, bound) in [("client", "0.0025"), ("upstream", "0.005"), ("total", "0.5")] {
        let count = format!("amqp_gateway_handshake_seconds_count{{stage=\"{stage}\"}}");
        assert_eq!(value(&page, &count), Some(1.0), "{page}");
        let bucket =
            format!("amqp_gateway_handshake_seconds_bucket{{stage=\"{stage}\",le=\"{bound}\"}}");
        assert_eq!(value(&page, &bucket), Some(1.0), "{page}");
    }
}

#[test]
fn counters_of_several_threads_add_up_and_grow_from_scrape_to_scrape() {
    let metrics = Metrics::new();
    let total = Arc::new(AtomicU32::new(10));
    for _ in 0..2 {
        let total = Arc::clone(&total);
        metrics.add_collector(move |scrape| {
            let bytes = total.load(Ordering::Relaxed).into();
            scrape.counter(&names::BYTES_TOTAL, &["from_client"], bytes);
            scrape.gauge(&names::CHANNELS, &[], 2.0);
        });
    }
    let bytes = r#"amqp_gateway_bytes_total{direction="from_client"}"#;
    assert_eq!(value(&metrics.render(), bytes), Some(20.0));
    total.store(25, Ordering::Relaxed);
    let page = metrics.render();
    assert_eq!(value(&page, bytes), Some(50.0));
    assert_eq!(value(&page, "amqp_gateway_channels"), Some(4.0));
}

#[test]
fn vhosts_beyond_the_limit_count_together_as_other() {
    let metrics = Metrics::new();
    metrics.add_collector(|scrape| {
        for n in 0..VHOST_LIMIT + 50 {
            let vhost = format!("v{n}");
            scrape.counter(&names::MESSAGES_PUBLISHED_TOTAL, &[&vhost, "main"], 2);
            scrape.gauge(&names::MESSAGES_UNCONFIRMED, &[&vhost, "main"], 1.0);
        }
    });
    for _ in 0..2 {
        let page = metrics.render();
        let published = |vhost| {
            let series = "amqp_gateway_messages_published_total";
            value(&page, &format!("{series}{{vhost=\"{vhost}\",cluster=\"main\"}}"))
        };
        assert_eq!(published("v0"), Some(2.0));
        assert_eq!(published("v199"), Some(2.0));
        assert_eq!(published("v200"), None);
        assert_eq!(published("other"), Some(100.0));
        let unconfirmed = r#"amqp_gateway_messages_unconfirmed{vhost="other",cluster="main"}"#;
        assert_eq!(value(&page, unconfirmed), Some(50.0));
        assert_eq!(page.matches("amqp_gateway_messages_unconfirmed{").count(), VHOST_LIMIT + 1);
    }
}

#[test]
fn names_that_peers_choose_cannot_break_the_page() {
    let metrics = Metrics::new();
    metrics.add_collector(|scrape| {
        let vhost = "a\"} 1\nforged_total 9\\";
        scrape.counter(&names::MESSAGES_PUBLISHED_TOTAL, &[vhost, "main"], 7);
    });
    let page = metrics.render();
    assert!(!page.lines().any(|line| line.starts_with("forged_total")), "{page}");
    assert!(page.contains(r#"{vhost="a\"} 1\nforged_total 9\\",cluster="main"} 7"#), "{page}");
}

#[test]
fn every_series_has_the_help_text_and_type_of_the_table() {
    let metrics = Metrics::new();
    metrics.session_ended("amqp", "drained", SECOND);
    metrics.handshake(Stage::Total, SECOND);
    metrics.admission("main", SECOND);
    metrics.http_request(["x", "x", "x", "x"], SECOND);
    metrics.add_collector(|scrape| {
        for metric in names::ALL.iter().filter(|metric| metric.name.starts_with("amqp_")) {
            let labels = vec!["x"; metric.labels.len()];
            match metric.kind {
                Kind::Counter => scrape.counter(metric, &labels, 1),
                Kind::Gauge => scrape.gauge(metric, &labels, 1.0),
                Kind::Histogram => {}
            }
        }
    });
    let page = metrics.render();
    for Metric { name, kind, help, .. } in names::ALL {
        assert!(page.contains(&format!("# HELP {name} {help}\n")), "{name}: {page}");
        assert!(page.contains(&format!("# TYPE {name} {}\n", kind.as_str())), "{name}: {page}");
    }
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("amqp_gateway_build_info{{version=\"{version}\"}}");
    assert_eq!(value(&page, &build), Some(1.0));
}

#[test]
fn a_gauge_that_nothing_reports_any_more_vanishes_and_others_stay() {
    let metrics = Metrics::with_gauge_lifetime(Duration::ZERO);
    let removed = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&removed);
    metrics.session_ended("amqp", "drained", SECOND);
    metrics.add_collector(move |scrape| {
        scrape.gauge(&names::NODE_SESSIONS, &["main", "kept"], 3.0);
        if seen.load(Ordering::Relaxed) == 0 {
            scrape.gauge(&names::NODE_SESSIONS, &["main", "removed"], 3.0);
        }
    });
    let node = |page: &str, node| {
        value(page, &format!("amqp_gateway_node_sessions{{cluster=\"main\",node=\"{node}\"}}"))
    };
    assert_eq!(node(&metrics.render(), "removed"), Some(3.0));
    removed.store(1, Ordering::Relaxed);
    let page = metrics.render();
    assert_eq!(node(&page, "removed"), None);
    assert_eq!(node(&page, "kept"), Some(3.0));
    assert!(page.contains("amqp_gateway_sessions_total{"), "{page}");
}

#[test]
fn observations_are_folded_without_any_scrape() {
    let metrics = Metrics::new();
    let count = 3 * OBSERVATION_LIMIT + 7;
    for _ in 0..count {
        metrics.session_ended("amqp", "client-closed", SECOND);
        assert!(metrics.observed.load(Ordering::Relaxed) < OBSERVATION_LIMIT);
    }
    let page = metrics.render();
    let series = "amqp_gateway_session_duration_seconds_count";
    assert_eq!(value(&page, series), Some(f64::from(count)));
}

//! Every client library passes through the gateway exactly what it passes directly.

use futures_util::future::join_all;
use integration::suites::{Suite, run_idle, run_suite};

use crate::shared;

/// Against the broker, a listener that is decided at accept, and one decided at open.
async fn passes_everywhere(suite: Suite) {
    let shared = shared::setup().await;
    let places = shared.places();
    let runs = places.iter().map(|(_, address)| run_suite(suite, *address));
    for ((place, _), report) in places.iter().zip(join_all(runs).await) {
        let report = report.unwrap();
        assert_eq!(report.failures(), Vec::<String>::new(), "{suite:?} {place}");
        assert_eq!(report.len(), suite.checks(), "{suite:?} {place}: a check is missing");
    }
}

#[tokio::test]
async fn lapin_passes_what_it_passes_directly() {
    passes_everywhere(Suite::Lapin).await;
}

#[tokio::test]
async fn pika_passes_what_it_passes_directly() {
    passes_everywhere(Suite::Pika).await;
}

#[tokio::test]
async fn amqplib_passes_what_it_passes_directly() {
    passes_everywhere(Suite::Amqplib).await;
}

#[tokio::test]
async fn amqp_tools_pass_what_they_pass_directly() {
    passes_everywhere(Suite::AmqpTools).await;
}

#[tokio::test]
async fn proton_passes_what_it_passes_directly() {
    passes_everywhere(Suite::Proton).await;
}

#[tokio::test]
async fn rhea_passes_what_it_passes_directly() {
    passes_everywhere(Suite::Rhea).await;
}

#[tokio::test]
async fn idle_connections_are_never_cut() {
    let shared = shared::setup().await;
    let places = shared.places();
    let runs = places.iter().map(|(_, address)| run_idle(*address, 65));
    let reports = join_all(runs).await;
    for ((place, _), report) in places.iter().zip(reports) {
        let report = report.unwrap();
        assert_eq!(report.failures(), Vec::<String>::new(), "{place}");
        assert_eq!(report.len(), 13, "{place}: a check is missing");
    }
}

//! What the harness says of RabbitMQ's further protocols and of PROXY headers is true of RabbitMQ.

use integration::RabbitCluster;
use integration::rabbit::Protocol;
use integration::suites::{Suite, run_suite};

#[tokio::test]
async fn nodes_speak_the_protocols_they_are_told_to() {
    let node = RabbitCluster::builder("many").protocol(Protocol::Mqtt).protocol(Protocol::Stomp);
    let node = node.protocol(Protocol::Stream).start().await.unwrap();
    for (suite, protocol) in [
        (Suite::Paho, Protocol::Mqtt),
        (Suite::StompPy, Protocol::Stomp),
        (Suite::Rstream, Protocol::Stream),
    ] {
        let report = run_suite(suite, node.addr(protocol, 1)).await.unwrap();
        assert_eq!(report.failures(), Vec::<String>::new(), "{suite:?}");
        assert_eq!(report.len(), suite.checks(), "{suite:?}: a check is missing");
    }
}

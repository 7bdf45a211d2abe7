//! Against a scripted API whose answers are those of RabbitMQ 3.10 in the same state.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::cluster::report::Outcome;
use crate::config::model::ManagementUrl;

const OK: (u16, &str) = (200, r#"{"status":"ok"}"#);
/// It takes the question, and never answers.
const HANGS: (u16, &str) = (0, "");
const NOT_OFFERED: (u16, &str) = (404, "");
/// For a round.
const LIMIT: Duration = Duration::from_secs(20);

/// A management API: its answers by path, 404 for all others, and what it was asked.
struct Broker {
    url: ManagementUrl,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Clone)]
struct Script {
    answers: Arc<HashMap<&'static str, (u16, &'static str)>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Broker {
    async fn start(answers: &[(&'static str, (u16, &'static str))]) -> Self {
        let overview = r#"{"node":"r1@h","rabbitmq_version":"3.10.8"}"#;
        let mut all = HashMap::from([
            ("overview", (200, overview)),
            ("health/checks/local-alarms", OK),
            ("health/checks/virtual-hosts", OK),
            ("health/checks/protocol-listener/amqp", OK),
        ]);
        all.extend(answers.iter().copied());
        let asked = Arc::default();
        let script = Script { answers: Arc::new(all), asked: Arc::clone(&asked) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let router = Router::new().fallback(answer).with_state(script);
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        let url =
            ManagementUrl { tls: false, host: "127.0.0.1".into(), port, prefix: "/rabbit".into() };
        Self { url, asked, _serving: AbortOnDropHandle::new(serving) }
    }

    fn check(&self, password: &str) -> ManagementCheck {
        let login = Login { username: "health".into(), password: password.into() };
        ManagementCheck::new(Site { url: self.url.clone(), tls: None }, Some(&login))
    }

    fn was_asked(&self, question: &str) -> usize {
        self.asked.lock().expect("asked").iter().filter(|path| path.ends_with(question)).count()
    }
}

async fn answer(State(script): State<Script>, request: Request) -> impl IntoResponse {
    // health:right
    if request.headers().get(header::AUTHORIZATION).is_none_or(|h| h != "Basic aGVhbHRoOnJpZ2h0") {
        return (StatusCode::UNAUTHORIZED, r#"{"error":"not_authorized"}"#);
    }
    let path = request.uri().path().to_owned();
    script.asked.lock().expect("asked").push(path.clone());
    let known = path.strip_prefix("/rabbit/api/").and_then(|path| script.answers.get(path));
    let (status, body) = known.copied().unwrap_or((404, r#"{"error":"Object Not Found"}"#));
    if (status, body) == HANGS {
        std::future::pending::<()>().await;
    }
    (StatusCode::from_u16(status).expect("a status"), body)
}

#[tokio::test]
async fn a_healthy_node_passes_and_tells_who_it_is_without_what_it_does_not_offer() {
    let broker = Broker::start(&[]).await;
    let mut check = broker.check("right");
    for _ in 0..3 {
        let findings = check.check(LIMIT).await.expect("healthy");
        assert_eq!(findings.broker.as_deref(), Some("r1@h"));
        assert_eq!(findings.version.as_deref(), Some("3.10.8"));
        assert_eq!((findings.alarms, findings.maintenance), (Some((false, false)), None));
    }
    assert_eq!(broker.was_asked("overview"), 1, "who it is stays the same over a connection");
    assert_eq!(broker.was_asked("is-in-service"), 1, "404 is remembered");
    assert_eq!(check.api.connections, 1, "the connection is kept");
}

#[tokio::test]
async fn an_overview_that_waits_for_a_hung_member_takes_no_healthy_node_down() {
    let broker = Broker::start(&[("overview", HANGS)]).await;
    let mut check = broker.check("right");
    let limit = Duration::from_secs(4);
    for _ in 0..3 {
        let asking = tokio::time::timeout(limit, check.check(limit));
        let findings = asking.await.expect("in time").expect("it says itself that it is healthy");
        assert_eq!((findings.alarms, findings.broker), (Some((false, false)), None));
    }
    assert_eq!(broker.was_asked("overview"), 1, "it is left in peace for a while");
    assert_eq!(broker.was_asked("virtual-hosts"), 3);
}

#[tokio::test]
async fn a_broker_without_checks_of_its_own_is_judged_by_its_overview() {
    let without = [
        ("health/checks/local-alarms", NOT_OFFERED),
        ("health/checks/virtual-hosts", NOT_OFFERED),
        ("health/checks/protocol-listener/amqp", NOT_OFFERED),
    ];
    let broker = Broker::start(&without).await;
    let mut check = broker.check("right");
    for _ in 0..2 {
        let findings = check.check(LIMIT).await.expect("healthy");
        assert_eq!((findings.broker.as_deref(), findings.alarms), (Some("r1@h"), None));
    }
    assert_eq!(broker.was_asked("overview"), 2);
    let broker = Broker::start(&[&without[..], &[("overview", (500, ""))]].concat()).await;
    let wrong = broker.check("right").check(LIMIT).await.expect_err("500");
    assert_eq!((wrong.reason, wrong.silent), ("status", true));
}

#[tokio::test]
async fn an_alarm_is_told_and_is_no_fault() {
    let memory = r#"{"alarms":[{"node":"r1@h","resource":"memory"}],
        "reason":"There are alarms in effect on the node","status":"failed"}"#;
    let broker = Broker::start(&[("health/checks/local-alarms", (503, memory))]).await;
    let findings = broker.check("right").check(LIMIT).await.expect("no fault");
    assert_eq!(findings.alarms, Some((true, false)));
    let disk = r#"{"alarms":[{"node":"r1@h","resource":"disk"}],"status":"failed"}"#;
    let broker = Broker::start(&[("health/checks/local-alarms", (503, disk))]).await;
    let findings = broker.check("right").check(LIMIT).await.expect("no fault");
    assert_eq!(findings.alarms, Some((false, true)));
}

#[tokio::test]
async fn a_vhost_that_is_down_and_a_missing_listener_are_faults() {
    let down =
        r#"{"status":"failed","reason":"Some virtual hosts are down","virtual-hosts":["orders"]}"#;
    let broker = Broker::start(&[("health/checks/virtual-hosts", (503, down))]).await;
    let wrong = broker.check("right").check(LIMIT).await.expect_err("a vhost is down");
    assert_eq!((wrong.reason, wrong.outcome, wrong.silent), ("vhost-down", Outcome::Failed, false));
    assert!(wrong.text.ends_with("Some virtual hosts are down: orders"), "{}", wrong.text);
    let missing = r#"{"status":"failed","reason":"No active listener","missing":"amqp"}"#;
    let broker = Broker::start(&[("health/checks/protocol-listener/amqp", (503, missing))]).await;
    let wrong = broker.check("right").check(LIMIT).await.expect_err("no listener");
    assert_eq!(wrong.reason, "no-listener");
}

#[tokio::test]
async fn a_node_out_of_service_is_in_maintenance() {
    let broker =
        Broker::start(&[("health/checks/is-in-service", (503, r#"{"status":"failed"}"#))]).await;
    let findings = broker.check("right").check(LIMIT).await.expect("no fault");
    assert_eq!(findings.maintenance, Some(true));
    let broker = Broker::start(&[("health/checks/is-in-service", OK)]).await;
    let findings = broker.check("right").check(LIMIT).await.expect("healthy");
    assert_eq!(findings.maintenance, Some(false));
}

#[tokio::test]
async fn a_wrong_password_is_a_fault_of_the_configuration_and_is_not_shown() {
    let broker = Broker::start(&[]).await;
    let wrong = broker.check("s3cret").check(LIMIT).await.expect_err("a wrong password");
    assert_eq!((wrong.reason, wrong.outcome), ("login", Outcome::Misconfigured));
    assert!(!wrong.text.contains("s3cret") && wrong.text.contains("password"), "{}", wrong.text);
}

#[tokio::test]
async fn an_api_that_does_not_answer_or_breaks_is_silent() {
    let broker = Broker::start(&[("health/checks/local-alarms", (500, ""))]).await;
    let wrong = broker.check("right").check(LIMIT).await.expect_err("500");
    assert_eq!((wrong.reason, wrong.silent), ("status", true));
    let url = broker.url.clone();
    drop(broker);
    let closed = async || {
        ManagementCheck::new(Site { url: url.clone(), tls: None }, None).check(LIMIT).await
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match closed().await.expect_err("nobody answers as whom we ask for") {
            wrong if wrong.reason == "refused" => {
                assert!(
                    wrong.silent && wrong.text.contains("connect to http://127.0.0.1"),
                    "{wrong:?}"
                );
                return;
            }
            wrong => assert!(Instant::now() < deadline, "{wrong:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_too_large_is_not_read_to_its_end() {
    let large: &'static str = Box::leak("x".repeat(2 * 1024 * 1024).into_boxed_str());
    let broker = Broker::start(&[("health/checks/local-alarms", (200, large))]).await;
    let wrong = broker.check("right").check(LIMIT).await.expect_err("too large");
    assert_eq!(wrong.reason, "protocol");
}

//! What counts as an answer.

use axum::Router;
use axum::routing::get;

use super::*;
use crate::config::model::ManagementUrl;

/// A check of a management that answers with this status.
async fn answered(status: StatusCode, login: bool) -> Result<Option<Wrong>, Wrong> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let router = Router::new().route("/prefix/api/overview", get(async move || (status, "{}")));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let host = "127.0.0.1".into();
    let url = ManagementUrl { tls: false, host, port, prefix: "/prefix".into() };
    let login = login.then(|| Login { username: "health".into(), password: "wrong".into() });
    let result = OverviewCheck::new(Site { url, tls: None }, login.as_ref()).check().await;
    serving.abort();
    result
}

#[tokio::test]
async fn whoever_asks_for_a_login_answers_and_a_wrong_password_is_remarked() {
    assert_eq!(answered(StatusCode::OK, true).await, Ok(None));
    assert_eq!(answered(StatusCode::UNAUTHORIZED, false).await, Ok(None));
    let remark = answered(StatusCode::UNAUTHORIZED, true).await.expect("it answers");
    assert_eq!(remark.expect("a remark").reason, "login");
}

#[tokio::test]
async fn an_error_or_another_page_is_no_answer() {
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::NOT_FOUND, StatusCode::FOUND] {
        let wrong = answered(status, false).await.expect_err("no management");
        assert_eq!((wrong.reason, wrong.outcome), ("status", Outcome::Failed));
    }
}

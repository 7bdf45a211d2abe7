//! What each path of the admin address answers. No route reads a body.

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::header::{X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::Sources;

const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn router(sources: Sources) -> Router {
    Router::new()
        .route("/", get(async || Html(admin_ui::INDEX)))
        .route("/metrics", get(metrics))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(map_response(harden))
        .with_state(sources)
}

async fn metrics(State(sources): State<Sources>) -> Response {
    ([(CONTENT_TYPE, PROMETHEUS_TEXT)], (sources.metrics)()).into_response()
}

async fn live() -> Response {
    axum::Json(json!({ "status": "live" })).into_response()
}

async fn ready(State(sources): State<Sources>) -> Response {
    let reasons = (sources.not_ready)();
    if reasons.is_empty() {
        return axum::Json(json!({ "status": "ready" })).into_response();
    }
    let detail = reasons.join("; ");
    let status = StatusCode::SERVICE_UNAVAILABLE;
    problem(status, "Not ready", &detail, Some(reasons))
}

async fn not_found(uri: Uri) -> Response {
    let detail = format!("There is nothing at {}.", uri.path());
    problem(StatusCode::NOT_FOUND, "Not found", &detail, None)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let detail = format!("{} does not take {method}.", uri.path());
    problem(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", &detail, None)
}

/// An error as RFC 9457 wants it.
fn problem(
    status: StatusCode,
    title: &str,
    detail: &str,
    reasons: Option<Vec<String>>,
) -> Response {
    let mut body = json!({
        "type": "about:blank",
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
    });
    if let Some(reasons) = reasons {
        body["reasons"] = reasons.into();
    }
    (status, [(CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

/// What is served here is never cached, framed, guessed at, or a source of scripts.
async fn harden(mut response: Response) -> Response {
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

//! What each path of the admin address answers.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::header::{HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::auth::{Gate, guard};
use super::problem::{Problem, complete};
use super::{Sources, api, console};

const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Nothing here needs any of what a browser could lend a page.
const PERMISSIONS: &str =
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";

/// Everything that the admin server bound to `bound` answers.
pub(super) fn router(sources: Sources, bound: SocketAddr) -> Router {
    let gate = Arc::new(Gate { auth: sources.auth.clone(), bound });
    let api = api::router(&sources);
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(sources)
        .merge(api)
        .merge(console::router())
        .fallback(file_or_nothing)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(gate, guard))
        .layer(from_fn(complete))
        .layer(map_response(harden))
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
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with_reasons(reasons).into_response()
}

async fn file_or_nothing(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let file = [Method::GET, Method::HEAD].contains(&method).then(|| console::file(path, &headers));
    let nothing = || Problem::unknown(format!("There is nothing at /{path}.")).into_response();
    file.flatten().unwrap_or_else(nothing)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}.", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// What is served here is never cached, framed, guessed at, or a source of scripts, unless it says otherwise itself.
async fn harden(mut response: Response) -> Response {
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    ] {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

//! The files of the web console. They are for everybody: what they show comes from the API.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use axum::http::header::{HeaderMap, IF_NONE_MATCH};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;

use super::problem::Problem;

/// What the pages may do: run and show what comes from here, and ask the API.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const FOR_EVER: &str = "public, max-age=31536000, immutable";

pub(super) fn router() -> Router {
    Router::new()
        .route("/", get(first_page))
        .route("/ui/", get(first_page))
        .route("/ui", get(async || Redirect::permanent("/ui/")))
        .route("/ui/{*path}", get(page))
}

/// A file, or the first page: it finds its way from there.
async fn page(Path(path): Path<String>, headers: HeaderMap) -> Response {
    file(&path, &headers).unwrap_or_else(|| Redirect::temporary("/ui/").into_response())
}

async fn first_page(headers: HeaderMap) -> Response {
    let nothing = || Problem::unknown("This binary has no console.").into_response();
    file("", &headers).unwrap_or_else(nothing)
}

/// The answer to a request for a file of the console, if there is one at `path`.
pub(super) fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
    let asset = admin_ui::asset(path)?;
    let cache = if asset.immutable { FOR_EVER } else { "no-store" };
    let mut answer = match headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()) {
        Some(known) if names(known, &asset.etag) => StatusCode::NOT_MODIFIED.into_response(),
        _ => ([(CONTENT_TYPE, asset.content_type)], asset.bytes.into_owned()).into_response(),
    };
    let head = [(CACHE_CONTROL, cache), (CONTENT_SECURITY_POLICY, POLICY), (ETAG, &asset.etag)];
    for (name, value) in head {
        answer.headers_mut().extend(value.parse().map(|value| (name, value)));
    }
    Some(answer)
}

/// Is `etag` one of those that the client knows?
fn names(known: &str, etag: &str) -> bool {
    known.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == etag)
}

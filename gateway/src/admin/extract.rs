//! What handlers take out of a request. What cannot be read is a problem like any other.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Longest body of a request, in bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// The names in the path.
pub(super) struct Path<T>(pub(super) T);

/// What stands behind the question mark.
pub(super) struct Query<T>(pub(super) T);

/// The body, which is JSON.
pub(super) struct Body<T>(pub(super) T);

/// A body that is empty, or an empty object: nothing can be chosen.
pub(super) struct Nothing;

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        let wrong = |status, text| Problem::new(status, format!("The path: {text}."));
        path.map(|path| Self(path.0)).map_err(|error| wrong(error.status(), error.body_text()))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        let wrong = |status, text| Problem::new(status, format!("The query: {text}."));
        query.map(|query| Self(query.0)).map_err(|error| wrong(error.status(), error.body_text()))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = whole(request, state).await?;
        let wrong = |error| Problem::new(StatusCode::BAD_REQUEST, format!("The body: {error}."));
        serde_json::from_slice(&body).map(Self).map_err(wrong)
    }
}

impl<S: Send + Sync> FromRequest<S> for Nothing {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = whole(request, state).await?;
        let said = body.iter().filter(|byte| !byte.is_ascii_whitespace()).copied();
        match said.collect::<Vec<_>>().as_slice() {
            b"" | b"{}" => Ok(Self),
            _ => {
                let detail = "The body has to be empty: nothing can be chosen here.";
                Err(Problem::new(StatusCode::BAD_REQUEST, detail))
            }
        }
    }
}

/// Refuses a query where nothing can be asked for by one: those of the paths `queried` are looked at elsewhere.
pub(super) async fn no_query(
    State(queried): State<Arc<HashSet<String>>>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    match request.uri().query() {
        Some(query) if !query.is_empty() && !queried.contains(path.as_str()) => {
            let detail = "The query: nothing can be chosen here; leave out the question mark and what follows.";
            Problem::new(StatusCode::BAD_REQUEST, detail).into_response()
        }
        _ => next.run(request).await,
    }
}

async fn whole<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|error| {
        let text = error.body_text();
        let detail = format!("The body: {text}; it may have at most {MAX_BODY} bytes.");
        Problem::new(error.status(), detail)
    })
}

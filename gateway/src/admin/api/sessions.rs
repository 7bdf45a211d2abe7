//! `/api/v1/sessions`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use crate::admin::extract::{Nothing, Path, Query};
use crate::admin::operator::observe::Observer;
use crate::admin::problem::Problem;
use crate::admin::view::session::{Closing, Session, SessionHistory, SessionQuery, Sessions};

type Desk = State<Arc<dyn Observer>>;

/// Longest page: it is made on the admin thread, where others wait.
const MAX_PAGE: usize = 500;

pub(super) fn router() -> OpenApiRouter<Arc<dyn Observer>> {
    OpenApiRouter::new()
        .routes(routes!(sessions, close_sessions))
        .routes(routes!(session, close_session))
        .routes(routes!(session_history))
}

/// A page of the sessions that fit all filters
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "sessions", params(SessionQuery),
    responses((status = 200, body = Sessions), (status = 422, description = "`source` is no address and no network")),
)]
async fn sessions(State(desk): Desk, Query(query): Query<SessionQuery>) -> Answer<Sessions> {
    within_bounds(&query)?;
    Ok(Json(desk.sessions(&query)?))
}

/// One session
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}", tag = "sessions", params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = Session), (status = 404, description = "There is no such session any more")),
)]
async fn session(State(desk): Desk, Path(id): Path<u64>) -> Answer<Session> {
    desk.session(id).map(Json).ok_or_else(|| gone(id))
}

/// What a session did lately
///
/// From then on it is watched for a while.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/history", tag = "sessions",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = SessionHistory), (status = 404, description = "There is no such session any more")),
)]
async fn session_history(State(desk): Desk, Path(id): Path<u64>) -> Answer<SessionHistory> {
    desk.session_history(id).map(Json).ok_or_else(|| gone(id))
}

/// Close a session with 320
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", tag = "sessions", params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = Closing), (status = 404, description = "There is no such session any more")),
)]
async fn close_session(State(desk): Desk, Path(id): Path<u64>, _: Nothing) -> Answer<Closing> {
    Ok(Json(desk.close(id)?))
}

/// Close all sessions that fit all filters with 320, at a pace
///
/// At least one filter has to be given. Pages and order do not matter.
#[utoipa::path(
    delete, path = "/api/v1/sessions", tag = "sessions", params(SessionQuery),
    responses(
        (status = 200, body = Closing),
        (status = 422, description = "No filter is given, or `source` is no address and no network"),
    ),
)]
async fn close_sessions(
    State(desk): Desk,
    Query(query): Query<SessionQuery>,
    _: Nothing,
) -> Answer<Closing> {
    within_bounds(&query)?;
    Ok(Json(desk.close_all(&query)?))
}

fn gone(id: u64) -> Problem {
    Problem::unknown(format!("There is no session {id}, or none any more."))
}

fn within_bounds(query: &SessionQuery) -> Result<(), Problem> {
    let wrong = |detail: String| Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    if query.page == Some(0) {
        return wrong("The query: page counts from 1.".to_owned());
    }
    match query.page_size {
        Some(size) if !(1..=MAX_PAGE).contains(&size) => {
            wrong(format!("The query: page_size is {size}; give 1 to {MAX_PAGE}."))
        }
        _ => Ok(()),
    }
}

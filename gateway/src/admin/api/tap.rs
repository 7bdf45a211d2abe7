//! `/api/v1/tap`: methods of chosen sessions as they pass.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, StreamExt as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::events::KEEP_ALIVE;
use crate::admin::accept::{EVENT_STREAM, choose};
use crate::admin::caller::Caller;
use crate::admin::extract::Query;
use crate::admin::line::Line;
use crate::admin::operator::tapping::Tapping;
use crate::admin::problem::Problem;
use crate::admin::view::login::Role;
use crate::admin::view::session::{TapLine, TapQuery};

/// Most octets of a body that are shown.
const MAX_BODIES: usize = 4096;

pub(super) fn router() -> OpenApiRouter<Arc<dyn Tapping>> {
    OpenApiRouter::new().routes(routes!(tap))
}

/// Methods of chosen sessions, decoded, as they pass
///
/// As Server-Sent Events without a name: `data` is a TapLine as JSON. Credentials are never shown.
#[utoipa::path(
    get, path = "/api/v1/tap", tag = "tap", params(TapQuery),
    responses(
        (status = 200, body = TapLine, content_type = "text/event-stream"),
        (status = 404, description = "There is no such session any more"),
        (status = 409, description = "There are as many taps as there may be"),
        (status = 422, description = "The query chooses what cannot be tapped"),
        (status = 503, description = "There are as many streams as there may be"),
    ),
)]
async fn tap(
    State(desk): State<Arc<dyn Tapping>>,
    Extension(line): Extension<Line>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Query(query): Query<TapQuery>,
) -> Result<Response, Problem> {
    may_see(&query, caller.role)?;
    choose(&headers, &[EVENT_STREAM])?;
    let place = line.place()?;
    let lines = desk.tap(&query)?.map(|line| told(&line));
    let hello = stream::iter([Event::default().comment("tap")]);
    let stream = place.hold(hello.chain(lines), caller).map(Ok::<_, Infallible>);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn may_see(query: &TapQuery, role: Role) -> Result<(), Problem> {
    let octets = query.bodies.unwrap_or(0);
    if octets > MAX_BODIES {
        let detail = format!("The query: bodies is {octets}; give at most {MAX_BODIES} octets.");
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    if octets > 0 && role < Role::Admin {
        let detail = "Bodies of messages are shown to the role admin alone; leave out bodies.";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(())
}

fn told(line: &TapLine) -> Event {
    Event::default().data(serde_json::to_string(line).unwrap_or_default())
}

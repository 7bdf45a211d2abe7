//! `/api/v1/config`

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use crate::admin::caller::Caller;
use crate::admin::extract::{Body, Nothing, Path};
use crate::admin::operator::configure::Configurator;
use crate::admin::view::config::{Checked, Config, Diff, Reloaded, RevisionText, Rollback};

type Desk = State<Arc<dyn Configurator>>;

pub(super) fn router() -> OpenApiRouter<Arc<dyn Configurator>> {
    OpenApiRouter::new()
        .routes(routes!(config))
        .routes(routes!(revision))
        .routes(routes!(check))
        .routes(routes!(diff))
        .routes(routes!(reload))
        .routes(routes!(rollback))
}

/// The configuration in force, and those before it
#[utoipa::path(get, path = "/api/v1/config", tag = "config", responses((status = 200, body = Config)))]
async fn config(State(desk): Desk) -> Json<Config> {
    Json(desk.config().await)
}

/// The text of a revision, secrets starred out
#[utoipa::path(
    get, path = "/api/v1/config/revisions/{revision}", tag = "config",
    params(("revision" = u64, Path, description = "Its number")),
    responses((status = 200, body = RevisionText), (status = 404, description = "It is not known any more")),
)]
async fn revision(State(desk): Desk, Path(revision): Path<u64>) -> Answer<RevisionText> {
    Ok(Json(desk.revision(revision)?))
}

/// Is what is in the file valid?
#[utoipa::path(post, path = "/api/v1/config/check", tag = "config", responses((status = 200, body = Checked)))]
async fn check(State(desk): Desk, _: Nothing) -> Json<Checked> {
    Json(desk.check().await)
}

/// What would a reload change?
#[utoipa::path(post, path = "/api/v1/config/diff", tag = "config", responses((status = 200, body = Diff)))]
async fn diff(State(desk): Desk, _: Nothing) -> Json<Diff> {
    Json(desk.diff().await)
}

/// Put in force what is in the file
#[utoipa::path(
    post, path = "/api/v1/config/reload", tag = "config",
    responses(
        (status = 200, body = Reloaded),
        (status = 409, description = "It is not possible as things are; nothing has changed"),
        (status = 422, description = "The file is not valid, `reasons` says why; nothing has changed"),
    ),
)]
async fn reload(
    State(desk): Desk,
    Extension(caller): Extension<Caller>,
    _: Nothing,
) -> Answer<Reloaded> {
    Ok(Json(desk.reload(caller.actor).await?))
}

/// Put an earlier revision in force again
///
/// The file stays as it is.
#[utoipa::path(
    post, path = "/api/v1/config/rollback", tag = "config", request_body = Rollback,
    responses(
        (status = 200, body = Reloaded),
        (status = 404, description = "That revision is not known any more"),
        (status = 409, description = "It is not possible as things are; nothing has changed"),
        (status = 422, description = "It is not valid any more, `reasons` says why; nothing has changed"),
    ),
)]
async fn rollback(
    State(desk): Desk,
    Extension(caller): Extension<Caller>,
    Body(order): Body<Rollback>,
) -> Answer<Reloaded> {
    Ok(Json(desk.rollback(order.revision, caller.actor).await?))
}

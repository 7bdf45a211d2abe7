//! `/api/v1/status`, `/history` and `/topology`: the gateway as a whole.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::operator::observe::Observer;
use crate::admin::view::status::{History, Status, Topology};

type Desk = State<Arc<dyn Observer>>;

pub(super) fn router() -> OpenApiRouter<Arc<dyn Observer>> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(history)).routes(routes!(topology))
}

/// The gateway as a whole, and what is wrong now
#[utoipa::path(get, path = "/api/v1/status", tag = "gateway", responses((status = 200, body = Status)))]
async fn status(State(desk): Desk) -> Json<Status> {
    Json(desk.status())
}

/// The last hour
#[utoipa::path(get, path = "/api/v1/history", tag = "gateway", responses((status = 200, body = History)))]
async fn history(State(desk): Desk) -> Json<History> {
    Json(desk.history())
}

/// The way of sessions from listeners to nodes, and what passes there
#[utoipa::path(get, path = "/api/v1/topology", tag = "gateway", responses((status = 200, body = Topology)))]
async fn topology(State(desk): Desk) -> Json<Topology> {
    Json(desk.topology())
}

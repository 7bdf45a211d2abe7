//! `/api/v1/virtual-routers`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use crate::admin::extract::{Nothing, Path};
use crate::admin::operator::Operator;
use crate::admin::problem::Problem;
use crate::admin::view::vrrp::{VirtualRouter, VirtualRouters};

type Desk = State<Arc<dyn Operator>>;

pub(super) fn router() -> OpenApiRouter<Arc<dyn Operator>> {
    OpenApiRouter::new()
        .routes(routes!(virtual_routers))
        .routes(routes!(virtual_router))
        .routes(routes!(release))
        .routes(routes!(reclaim))
}

/// All virtual routers
#[utoipa::path(
    get, path = "/api/v1/virtual-routers", tag = "virtual-routers", responses((status = 200, body = VirtualRouters)),
)]
async fn virtual_routers(State(desk): Desk) -> Json<VirtualRouters> {
    Json(VirtualRouters { virtual_routers: desk.virtual_routers() })
}

/// One virtual router
#[utoipa::path(
    get, path = "/api/v1/virtual-routers/{name}", tag = "virtual-routers",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, body = VirtualRouter), (status = 404, description = "There is no such virtual router")),
)]
async fn virtual_router(State(desk): Desk, Path(name): Path<String>) -> Answer<VirtualRouter> {
    let found = desk.virtual_routers().into_iter().find(|v| v.virtual_router == name);
    found.map(Json).ok_or_else(|| Problem::unknown(format!("There is no virtual router {name}.")))
}

/// Give the addresses of a virtual router to another gateway
///
/// Until they are reclaimed. The answer is how it is at that moment.
#[utoipa::path(
    post, path = "/api/v1/virtual-routers/{name}/release", tag = "virtual-routers",
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 200, body = VirtualRouter),
        (status = 404, description = "There is no such virtual router"),
        (status = 409, description = "VRRP does not run"),
    ),
)]
async fn release(State(desk): Desk, Path(name): Path<String>, _: Nothing) -> Answer<VirtualRouter> {
    Ok(Json(desk.release(&name)?))
}

/// Let a virtual router have its addresses again, if its priority says so
#[utoipa::path(
    post, path = "/api/v1/virtual-routers/{name}/reclaim", tag = "virtual-routers",
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 200, body = VirtualRouter),
        (status = 404, description = "There is no such virtual router"),
        (status = 409, description = "VRRP does not run"),
    ),
)]
async fn reclaim(State(desk): Desk, Path(name): Path<String>, _: Nothing) -> Answer<VirtualRouter> {
    Ok(Json(desk.reclaim(&name)?))
}

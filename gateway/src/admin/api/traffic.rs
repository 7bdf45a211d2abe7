//! `/api/v1/listeners`, `/routes`, `/vhosts`, `/users` and `/certificates`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use crate::admin::extract::Path;
use crate::admin::operator::observe::Observer;
use crate::admin::problem::Problem;
use crate::admin::view::traffic::{Certificates, Listener, Listeners, Route, Routes};
use crate::admin::view::traffic::{User, Users, Vhost, Vhosts};

type Desk = State<Arc<dyn Observer>>;

pub(super) fn router() -> OpenApiRouter<Arc<dyn Observer>> {
    OpenApiRouter::new()
        .routes(routes!(listeners))
        .routes(routes!(listener))
        .routes(routes!(all_routes))
        .routes(routes!(route))
        .routes(routes!(vhosts))
        .routes(routes!(vhost))
        .routes(routes!(users))
        .routes(routes!(user))
        .routes(routes!(certificates))
}

/// All listeners
#[utoipa::path(get, path = "/api/v1/listeners", tag = "traffic", responses((status = 200, body = Listeners)))]
async fn listeners(State(desk): Desk) -> Json<Listeners> {
    Json(Listeners { listeners: desk.listeners() })
}

/// One listener
#[utoipa::path(
    get, path = "/api/v1/listeners/{name}", tag = "traffic",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, body = Listener), (status = 404, description = "There is no such listener")),
)]
async fn listener(State(desk): Desk, Path(name): Path<String>) -> Answer<Listener> {
    let found = desk.listeners().into_iter().find(|l| l.listener == name);
    found.map(Json).ok_or_else(|| Problem::unknown(format!("There is no listener {name}.")))
}

/// All routes, in the order in which they are asked
#[utoipa::path(
    get, path = "/api/v1/routes", operation_id = "routes", tag = "traffic", responses((status = 200, body = Routes)),
)]
async fn all_routes(State(desk): Desk) -> Json<Routes> {
    Json(Routes { routes: desk.routes() })
}

/// One route
#[utoipa::path(
    get, path = "/api/v1/routes/{position}", tag = "traffic",
    params(("position" = usize, Path, description = "Its position, from 1", minimum = 1)),
    responses((status = 200, body = Route), (status = 404, description = "There is no such route")),
)]
async fn route(State(desk): Desk, Path(position): Path<usize>) -> Answer<Route> {
    let found = desk.routes().into_iter().find(|r| r.position == position);
    let unknown = || Problem::unknown(format!("There is no route at position {position}."));
    found.map(Json).ok_or_else(unknown)
}

/// Vhosts that were used since the start of the process
#[utoipa::path(get, path = "/api/v1/vhosts", tag = "traffic", responses((status = 200, body = Vhosts)))]
async fn vhosts(State(desk): Desk) -> Json<Vhosts> {
    Json(Vhosts { vhosts: desk.vhosts() })
}

/// One vhost
#[utoipa::path(
    get, path = "/api/v1/vhosts/{name}", tag = "traffic",
    params(("name" = String, Path, description = "Its name, encoded: `%2F` for `/`")),
    responses((status = 200, body = Vhost), (status = 404, description = "It was not used since the start")),
)]
async fn vhost(State(desk): Desk, Path(name): Path<String>) -> Answer<Vhost> {
    let found = desk.vhosts().into_iter().find(|v| v.vhost == name);
    let unknown = || Problem::unknown(format!("Nobody has used a vhost \"{name}\" so far."));
    found.map(Json).ok_or_else(unknown)
}

/// Users of AMQP that were seen since the start of the process
#[utoipa::path(get, path = "/api/v1/users", tag = "traffic", responses((status = 200, body = Users)))]
async fn users(State(desk): Desk) -> Json<Users> {
    Json(Users { users: desk.users() })
}

/// One user of AMQP
#[utoipa::path(
    get, path = "/api/v1/users/{name}", tag = "traffic",
    params(("name" = String, Path, description = "Their name")),
    responses((status = 200, body = User), (status = 404, description = "They were not seen since the start")),
)]
async fn user(State(desk): Desk, Path(name): Path<String>) -> Answer<User> {
    let found = desk.users().into_iter().find(|u| u.user == name);
    let unknown = || Problem::unknown(format!("No user \"{name}\" has been seen so far."));
    found.map(Json).ok_or_else(unknown)
}

/// Certificates in use
#[utoipa::path(
    get, path = "/api/v1/certificates", tag = "traffic", responses((status = 200, body = Certificates)),
)]
async fn certificates(State(desk): Desk) -> Json<Certificates> {
    Json(Certificates { certificates: desk.certificates() })
}

//! `/api/v1`: nodes, clusters and virtual routers, and what an operator can do with them.

pub(super) mod login;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::operator::Operator;
use super::problem::Problem;
use super::view::vrrp::{VirtualRouter, VirtualRouters};
use super::view::{Cluster, Clusters, Node, NodeChange, Nodes};

/// Longest body of a request, in bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;

type Desk = Arc<dyn Operator>;
type Answer<T> = Result<Json<T>, Problem>;

/// The API.
pub(super) fn router(operator: Desk) -> Router {
    Router::new()
        .route("/api/v1/nodes", get(nodes))
        .route("/api/v1/nodes/{cluster}/{node}", get(node).patch(change_node))
        .route("/api/v1/clusters", get(clusters))
        .route("/api/v1/clusters/{cluster}", get(cluster))
        .route("/api/v1/clusters/{cluster}/rebalance", post(rebalance).delete(stop_rebalance))
        .route("/api/v1/virtual-routers", get(virtual_routers))
        .route("/api/v1/virtual-routers/{name}", get(virtual_router))
        .route("/api/v1/virtual-routers/{name}/release", post(release))
        .route("/api/v1/virtual-routers/{name}/reclaim", post(reclaim))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(operator)
}

async fn nodes(State(desk): State<Desk>) -> Json<Nodes> {
    Json(Nodes { nodes: desk.nodes() })
}

async fn node(State(desk): State<Desk>, path: PathOf<(String, String)>) -> Answer<Node> {
    let (cluster, node) = path_of(path)?;
    let found = desk.nodes().into_iter().find(|n| n.cluster == cluster && n.node == node);
    let known =
        || Problem::new(StatusCode::NOT_FOUND, format!("There is no node {cluster}/{node}."));
    found.map(Json).ok_or_else(known)
}

async fn change_node(
    State(desk): State<Desk>,
    path: PathOf<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Answer<Node> {
    let (cluster, node) = path_of(path)?;
    let change: NodeChange = read(body)?;
    if change == NodeChange::default() {
        let detail =
            "Nothing to change: give admin_state (enabled, draining or disabled), weight, or both.";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    Ok(Json(desk.change(&cluster, &node, change)?))
}

async fn clusters(State(desk): State<Desk>) -> Json<Clusters> {
    Json(Clusters { clusters: desk.clusters() })
}

async fn cluster(State(desk): State<Desk>, path: PathOf<String>) -> Answer<Cluster> {
    let name = path_of(path)?;
    let found = desk.clusters().into_iter().find(|c| c.cluster == name);
    let known = || Problem::new(StatusCode::NOT_FOUND, format!("There is no cluster {name}."));
    found.map(Json).ok_or_else(known)
}

async fn rebalance(State(desk): State<Desk>, path: PathOf<String>, body: BodyOf) -> Response {
    answer(nothing(body).and_then(|()| Ok(desk.rebalance(&path_of(path)?)?)))
}

async fn stop_rebalance(State(desk): State<Desk>, path: PathOf<String>, body: BodyOf) -> Response {
    answer(nothing(body).and_then(|()| Ok(desk.stop_rebalance(&path_of(path)?)?)))
}

async fn virtual_routers(State(desk): State<Desk>) -> Json<VirtualRouters> {
    Json(VirtualRouters { virtual_routers: desk.virtual_routers() })
}

async fn virtual_router(State(desk): State<Desk>, path: PathOf<String>) -> Answer<VirtualRouter> {
    let name = path_of(path)?;
    let found = desk.virtual_routers().into_iter().find(|v| v.virtual_router == name);
    let known =
        || Problem::new(StatusCode::NOT_FOUND, format!("There is no virtual router {name}."));
    found.map(Json).ok_or_else(known)
}

async fn release(State(desk): State<Desk>, path: PathOf<String>, body: BodyOf) -> Response {
    answer(nothing(body).and_then(|()| Ok(desk.release(&path_of(path)?)?)))
}

async fn reclaim(State(desk): State<Desk>, path: PathOf<String>, body: BodyOf) -> Response {
    answer(nothing(body).and_then(|()| Ok(desk.reclaim(&path_of(path)?)?)))
}

type PathOf<T> = Result<Path<T>, PathRejection>;
type BodyOf = Result<Bytes, BytesRejection>;

fn answer(result: Result<impl Serialize, Problem>) -> Response {
    result.map(Json).into_response()
}

fn path_of<T>(path: PathOf<T>) -> Result<T, Problem> {
    let wrong = |error: PathRejection| Problem::new(error.status(), error.body_text());
    path.map(|Path(names)| names).map_err(wrong)
}

/// Reads the body of a request.
fn read<T: DeserializeOwned>(body: BodyOf) -> Result<T, Problem> {
    let body = whole(body)?;
    serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("The body: {error}.")))
}

/// The request has no body, or an empty object.
fn nothing(body: BodyOf) -> Result<(), Problem> {
    let body = whole(body)?;
    let empty = body.iter().filter(|byte| !byte.is_ascii_whitespace()).copied();
    match empty.collect::<Vec<_>>().as_slice() {
        b"" | b"{}" => Ok(()),
        _ => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "The body has to be empty: nothing can be chosen here.",
        )),
    }
}

fn whole(body: BodyOf) -> Result<Bytes, Problem> {
    body.map_err(|error| {
        let detail =
            format!("The body: {}; it may have at most {MAX_BODY} bytes.", error.body_text());
        Problem::new(error.status(), detail)
    })
}

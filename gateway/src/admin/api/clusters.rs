//! `/api/v1/clusters`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use crate::admin::extract::{Nothing, Path};
use crate::admin::operator::Operator;
use crate::admin::problem::Problem;
use crate::admin::view::{Cluster, Clusters, Rebalance, RebalancePlan};

type Desk = State<Arc<dyn Operator>>;

pub(super) fn router() -> OpenApiRouter<Arc<dyn Operator>> {
    OpenApiRouter::new().routes(routes!(clusters)).routes(routes!(cluster)).routes(routes!(
        rebalance_plan,
        rebalance,
        stop_rebalance
    ))
}

/// All clusters
#[utoipa::path(get, path = "/api/v1/clusters", tag = "clusters", responses((status = 200, body = Clusters)))]
async fn clusters(State(desk): Desk) -> Json<Clusters> {
    Json(Clusters { clusters: desk.clusters() })
}

/// One cluster
#[utoipa::path(
    get, path = "/api/v1/clusters/{cluster}", tag = "clusters",
    params(("cluster" = String, Path, description = "Its name")),
    responses((status = 200, body = Cluster), (status = 404, description = "There is no such cluster")),
)]
async fn cluster(State(desk): Desk, Path(name): Path<String>) -> Answer<Cluster> {
    let found = desk.clusters().into_iter().find(|c| c.cluster == name);
    found.map(Json).ok_or_else(|| Problem::unknown(format!("There is no cluster {name}.")))
}

/// What a rebalance of a cluster would move
///
/// As things are now; nothing is begun. While one is under way, it is what is still to be moved.
#[utoipa::path(
    get, path = "/api/v1/clusters/{cluster}/rebalance", tag = "clusters",
    params(("cluster" = String, Path, description = "Its name")),
    responses(
        (status = 200, body = RebalancePlan),
        (status = 404, description = "There is no such cluster"),
        (status = 409, description = "Its strategy sends each client back to where it was"),
    ),
)]
async fn rebalance_plan(State(desk): Desk, Path(name): Path<String>) -> Answer<RebalancePlan> {
    Ok(Json(desk.rebalance_plan(&name)?))
}

/// Begin to rebalance a cluster
///
/// Sessions that are too many on their nodes are closed with 320, at a pace, for their clients to come back elsewhere.
/// If it is under way already, it goes on. The answer says how much there is to do.
#[utoipa::path(
    post, path = "/api/v1/clusters/{cluster}/rebalance", tag = "clusters",
    params(("cluster" = String, Path, description = "Its name")),
    responses(
        (status = 200, body = Rebalance),
        (status = 404, description = "There is no such cluster"),
        (status = 409, description = "It cannot be rebalanced as things are"),
    ),
)]
async fn rebalance(State(desk): Desk, Path(name): Path<String>, _: Nothing) -> Answer<Rebalance> {
    Ok(Json(desk.rebalance(&name)?))
}

/// End the rebalance of a cluster
#[utoipa::path(
    delete, path = "/api/v1/clusters/{cluster}/rebalance", tag = "clusters",
    params(("cluster" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "What was done", body = Rebalance),
        (status = 404, description = "There is no such cluster"),
        (status = 409, description = "It is not being rebalanced"),
    ),
)]
async fn stop_rebalance(
    State(desk): Desk,
    Path(name): Path<String>,
    _: Nothing,
) -> Answer<Rebalance> {
    Ok(Json(desk.stop_rebalance(&name)?))
}

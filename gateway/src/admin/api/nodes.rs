//! `/api/v1/nodes`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use crate::admin::extract::{Body, Path};
use crate::admin::operator::Operator;
use crate::admin::problem::Problem;
use crate::admin::view::{Node, NodeChange, Nodes};

type Desk = State<Arc<dyn Operator>>;

pub(super) fn router() -> OpenApiRouter<Arc<dyn Operator>> {
    OpenApiRouter::new().routes(routes!(nodes)).routes(routes!(node, change_node))
}

/// All nodes
#[utoipa::path(get, path = "/api/v1/nodes", tag = "nodes", responses((status = 200, body = Nodes)))]
async fn nodes(State(desk): Desk) -> Json<Nodes> {
    let mut nodes = desk.nodes();
    // For many nodes that would be long, and nobody looks at all of them.
    nodes.iter_mut().flat_map(|node| &mut node.checks).for_each(|check| check.past.clear());
    Json(Nodes { nodes })
}

/// One node
#[utoipa::path(
    get, path = "/api/v1/nodes/{cluster}/{node}", tag = "nodes",
    params(("cluster" = String, Path, description = "Its cluster"), ("node" = String, Path, description = "Its name")),
    responses((status = 200, body = Node), (status = 404, description = "There is no such node")),
)]
async fn node(State(desk): Desk, Path((cluster, node)): Path<(String, String)>) -> Answer<Node> {
    let found = desk.nodes().into_iter().find(|n| n.cluster == cluster && n.node == node);
    let unknown = || Problem::unknown(format!("There is no node {cluster}/{node}."));
    found.map(Json).ok_or_else(unknown)
}

/// Enable, drain or disable a node, or change its weight
///
/// Give one of both or both. The answer is the node as it is then. It holds until the gateway stops.
#[utoipa::path(
    patch, path = "/api/v1/nodes/{cluster}/{node}", tag = "nodes",
    params(("cluster" = String, Path, description = "Its cluster"), ("node" = String, Path, description = "Its name")),
    request_body = NodeChange,
    responses((status = 200, body = Node), (status = 404, description = "There is no such node")),
)]
async fn change_node(
    State(desk): Desk,
    Path((cluster, node)): Path<(String, String)>,
    Body(change): Body<NodeChange>,
) -> Answer<Node> {
    if change == NodeChange::default() {
        let detail =
            "Nothing to change: give admin_state (enabled, draining or disabled), weight, or both.";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    Ok(Json(desk.change(&cluster, &node, change)?))
}

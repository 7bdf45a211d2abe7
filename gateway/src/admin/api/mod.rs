//! `/api`: what the gateway shows, and what an operator can do with it. One resource a file.

mod clusters;
mod config;
mod document;
mod events;
mod login;
mod nodes;
mod sessions;
mod status;
mod tap;
mod traffic;
mod virtual_routers;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::Sources;
use super::accept::{JSON, json_only};
use super::extract::{MAX_BODY, no_query};
use super::problem::Problem;

type Answer<T> = Result<Json<T>, Problem>;

/// The API.
pub(super) fn router(sources: &Sources) -> Router {
    let operator = &sources.operator;
    let logins = login::Desk { auth: sources.auth.clone(), gateway: sources.name.clone() };
    let mut json = Router::new()
        .merge(plain(nodes::router()).with_state(operator.clone()))
        .merge(plain(clusters::router()).with_state(operator.clone()))
        .merge(plain(virtual_routers::router()).with_state(operator.clone()))
        .merge(plain(config::router()).with_state(sources.configurator.clone()))
        .merge(plain(login::router()).with_state(logins));
    if let Some(observer) = &sources.observer {
        json = json
            .merge(plain(status::router()).with_state(observer.clone()))
            .merge(plain(traffic::router()).with_state(observer.clone()))
            .merge(plain(sessions::router()).with_state(observer.clone()));
    }
    let streams = plain(events::router())
        .with_state(sources.events.clone())
        .merge(plain(tap::router()).with_state(sources.tapping.clone()));
    let document = document();
    let queried = Arc::new(document::queried(&document));
    let text = text_of(&document);
    let document = async move || ([(CONTENT_TYPE, JSON)], text.clone());
    json.route_layer(from_fn(json_only))
        .merge(streams)
        .route_layer(from_fn_with_state(queried, no_query))
        .route("/api/openapi.json", get(document))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

/// What is at `/api/openapi.json`, and kept in `docs`, too.
fn text_of(document: &OpenApi) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default() + "\n"
}

/// The same, for tests.
#[cfg(test)]
pub(super) fn text() -> String {
    text_of(&document())
}

fn document() -> OpenApi {
    let mut document = document::base();
    for part in [
        status::router().into_openapi(),
        traffic::router().into_openapi(),
        clusters::router().into_openapi(),
        nodes::router().into_openapi(),
        sessions::router().into_openapi(),
        tap::router().into_openapi(),
        virtual_routers::router().into_openapi(),
        config::router().into_openapi(),
        events::router().into_openapi(),
        login::router().into_openapi(),
    ] {
        document.merge(part);
    }
    document::complete(&mut document);
    document
}

/// The router without its part of the document.
fn plain<S: Clone + Send + Sync + 'static>(router: OpenApiRouter<S>) -> Router<S> {
    router.split_for_parts().0
}

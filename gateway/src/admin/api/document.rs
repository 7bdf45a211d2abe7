//! What the API says of itself, as OpenAPI 3.1. Paths and shapes come from the handlers; what holds for all of them is
//! added here.

use std::collections::HashSet;

use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder};
use utoipa::openapi::security::{SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, HttpMethod, ObjectBuilder, PathItem, Ref, RefOr, Required, Response, Schema,
};

use crate::admin::problem::PROBLEM_JSON;
use crate::admin::view::session::SortKey;
use crate::admin::view::{Problem, login};

/// Changes by whoever shows the cookie need this header.
const COOKIE: &str = "Set by `POST /api/v1/login`, for browsers. Changes need the header `X-CSRF-Token`, too, with \
                      what the login or `GET /api/v1/whoami` said.";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "amqp-gateway",
        description = "The admin API of amqp-gateway. Errors are problems as RFC 9457 has them. Times are RFC 3339. \
                       Changes need the header `Content-Type: application/json`, even without a body.",
    ),
    components(schemas(Problem, SortKey, login::Role)),
    tags(
        (name = "gateway", description = "The gateway as a whole"),
        (name = "traffic", description = "Listeners, routes, vhosts, users, certificates"),
        (name = "clusters", description = "Clusters, and how they are rebalanced"),
        (name = "nodes", description = "Nodes, and what an operator wants of them"),
        (name = "sessions", description = "Sessions: look, and close"),
        (name = "tap", description = "What sessions say"),
        (name = "virtual-routers", description = "Addresses shared with other gateways"),
        (name = "config", description = "The configuration: look, check, reload, roll back"),
        (name = "events", description = "What happened"),
        (name = "login", description = "Who may do what"),
    ),
)]
struct Base;

/// The document before any path is in it.
pub(super) fn base() -> utoipa::openapi::OpenApi {
    Base::openapi()
}

/// Adds to the document what holds for all operations.
pub(super) fn complete(document: &mut utoipa::openapi::OpenApi) {
    let schemes = &mut document.components.get_or_insert_default().security_schemes;
    let http = |scheme| SecurityScheme::Http(HttpBuilder::new().scheme(scheme).build());
    let cookie = ApiKeyValue::with_description("amqp_gateway_session", COOKIE);
    schemes.insert("bearer".to_owned(), RefOr::T(http(HttpAuthScheme::Bearer)));
    schemes.insert("basic".to_owned(), RefOr::T(http(HttpAuthScheme::Basic)));
    schemes.insert("cookie".to_owned(), RefOr::T(SecurityScheme::ApiKey(ApiKey::Cookie(cookie))));
    // The last one: none is needed where the configuration names no users.
    let ways = ["bearer", "basic", "cookie"].map(|name| SecurityRequirement::new(name, [""; 0]));
    document.security = Some(ways.into_iter().chain([SecurityRequirement::default()]).collect());
    for item in document.paths.paths.values_mut() {
        for (method, operation) in operations(item) {
            refusals(&method, operation);
            if method == HttpMethod::Post && operation.request_body.is_none() {
                operation.request_body = Some(RefOr::T(empty_body()));
            }
        }
    }
}

/// Of changes that leave nothing to choose.
fn empty_body() -> RequestBody {
    let object =
        ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(false)));
    let content = Content::new(Some(RefOr::T(Schema::Object(object.build()))));
    RequestBodyBuilder::new()
        .description(Some("None, or an empty object"))
        .content("application/json", content)
        .required(Some(Required::False))
        .build()
}

/// The problems that any operation may answer with, and the body of all of them.
fn refusals(method: &HttpMethod, operation: &mut Operation) {
    let changes = *method != HttpMethod::Get;
    let everywhere = [
        ("400", "The path, the query or the body cannot be read, or is out of bounds"),
        ("401", "Log in first"),
        ("403", "The role does not allow it, or the request comes from a foreign page"),
        ("429", "Too many attempts to log in have failed; `Retry-After` says how long to wait"),
        ("406", "The header Accept does not take what is answered"),
    ];
    let with_body = [
        ("413", "The body is over 64 KiB"),
        ("415", "The header `Content-Type: application/json` is missing"),
    ];
    let responses = &mut operation.responses.responses;
    for (status, description) in everywhere.into_iter().chain(with_body) {
        if changes || !with_body.iter().any(|(only, _)| *only == status) {
            let response = || RefOr::T(Response::new(description));
            responses.entry(status.to_owned()).or_insert_with(response);
        }
    }
    for (status, response) in responses.iter_mut() {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            response.description = "Done".to_owned();
        }
        if status.as_str() >= "400" {
            let problem = Content::new(Some(Ref::from_schema_name("Problem")));
            response.content.entry(PROBLEM_JSON.to_owned()).or_insert(RefOr::T(problem));
        }
    }
}

/// The paths that take a query.
pub(super) fn queried(document: &utoipa::openapi::OpenApi) -> HashSet<String> {
    let takes = |operation: &Operation| {
        let mut given = operation.parameters.iter().flatten();
        given.any(
            |given| matches!(given, RefOr::T(given) if given.parameter_in == ParameterIn::Query),
        )
    };
    let mut paths = HashSet::new();
    for (path, item) in &document.paths.paths {
        let all = [&item.get, &item.post, &item.put, &item.patch, &item.delete];
        if all.into_iter().flatten().any(takes) {
            paths.insert(path.clone());
        }
    }
    paths
}

fn operations(item: &mut PathItem) -> Vec<(HttpMethod, &mut Operation)> {
    let all = [
        (HttpMethod::Get, item.get.as_mut()),
        (HttpMethod::Post, item.post.as_mut()),
        (HttpMethod::Put, item.put.as_mut()),
        (HttpMethod::Patch, item.patch.as_mut()),
        (HttpMethod::Delete, item.delete.as_mut()),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation?))).collect()
}

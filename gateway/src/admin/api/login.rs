//! `/api/v1/login` and what belongs to it: logins, users and tokens.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, http};
use serde::de::DeserializeOwned;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::auth::{Auth, COOKIE_NAME, Denied, Refused, Who, denied, rfc3339, secret};
use crate::admin::extract::Path;
use crate::admin::line::Line;
use crate::admin::problem::Problem;
use crate::admin::view::login::{AdminUsers, LoggedIn, Login, MadeToken, NewToken, WhoAmI};

/// Longest name of a token.
const NAME_BYTES: usize = 64;

/// What the handlers here need.
#[derive(Debug, Clone)]
pub(in crate::admin) struct Desk {
    pub(in crate::admin) auth: Arc<Auth>,
    /// Name of the gateway.
    pub(in crate::admin) gateway: Arc<str>,
}

pub(in crate::admin) fn router() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(login))
        .routes(routes!(logout))
        .routes(routes!(whoami))
        .routes(routes!(users))
        .routes(routes!(end))
        .routes(routes!(make_token))
}

/// Log in
///
/// The answer has a token for programs, and sets the cookie of the console. A login ends after 12 hours, and after one
/// hour in which it is not used. After four wrong passwords each attempt has to wait longer: 429 with Retry-After.
#[utoipa::path(
    post, path = "/api/v1/login", tag = "login", request_body = Login, security(()),
    responses(
        (status = 200, body = LoggedIn),
        (status = 409, description = "Nobody has to log in here"),
        (status = 429, description = "Too many attempts have failed"),
    ),
)]
async fn login(
    State(desk): State<Desk>,
    Extension(line): Extension<Line>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let asked: Login = read(&body)?;
    if desk.auth.is_open() {
        let detail = "Nobody has to log in here: the configuration has no [[admin.user]] and no [[admin.token]].";
        return Err(Problem::new(StatusCode::CONFLICT, detail).into());
    }
    let begun = desk.auth.login(&asked.username, &asked.password, line.from()).await;
    let begun = begun.map_err(denied)?;
    let cookie = cookie(&begun.token, is_secure(&line, &headers))?;
    let answer = LoggedIn {
        token: begun.token,
        role: begun.role,
        expires_at: rfc3339(begun.expires_at),
        csrf_token: begun.csrf_token,
    };
    Ok(([(SET_COOKIE, cookie)], Json(answer)).into_response())
}

/// Log out
///
/// Ends the login that asks, if it is one, and takes the cookie away.
#[utoipa::path(post, path = "/api/v1/logout", tag = "login", responses((status = 204, description = "It has ended")))]
async fn logout(
    State(desk): State<Desk>,
    Extension(line): Extension<Line>,
    headers: HeaderMap,
    Extension(who): Extension<Who>,
) -> Result<Response, Refused> {
    if let Some(id) = who.login {
        desk.auth.end(id);
    }
    let gone = format!("{}; Max-Age=0", cookie_text("", is_secure(&line, &headers)));
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, header(&gone)?)]).into_response())
}

/// Who asks
#[utoipa::path(get, path = "/api/v1/whoami", tag = "login", responses((status = 200, body = WhoAmI)))]
async fn whoami(State(desk): State<Desk>, Extension(who): Extension<Who>) -> Json<WhoAmI> {
    Json(WhoAmI {
        name: who.name.to_string(),
        role: who.role,
        by: who.by.to_owned(),
        expires_at: who.expires.map(rfc3339),
        csrf_token: who.csrf_token,
        gateway: desk.gateway.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Who may log in, and who has
#[utoipa::path(
    get, path = "/api/v1/admin/users", operation_id = "admin_users", tag = "login",
    responses((status = 200, body = AdminUsers)),
)]
async fn users(State(desk): State<Desk>, Extension(who): Extension<Who>) -> Json<AdminUsers> {
    Json(desk.auth.users(who.login))
}

/// End a login
#[utoipa::path(
    delete, path = "/api/v1/admin/logins/{id}", operation_id = "end_login", tag = "login",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 204, description = "It has ended"), (status = 404, description = "There is no such login")),
)]
async fn end(State(desk): State<Desk>, Path(id): Path<u64>) -> Result<StatusCode, Problem> {
    let ended = desk.auth.end(id);
    let unknown = || Problem::new(StatusCode::NOT_FOUND, format!("There is no login {id}."));
    ended.map(|_| StatusCode::NO_CONTENT).ok_or_else(unknown)
}

/// Make a token for a program
///
/// It works once the section in the answer is in the configuration, and that is reloaded. Nothing of it is kept.
#[utoipa::path(
    post, path = "/api/v1/admin/tokens", tag = "login", request_body = NewToken,
    responses((status = 200, body = MadeToken), (status = 403, description = "The role is higher than one's own")),
)]
async fn make_token(
    Extension(who): Extension<Who>,
    body: Bytes,
) -> Result<Json<MadeToken>, Refused> {
    let NewToken { name, role } = read(&body)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if !(1..=NAME_BYTES).contains(&name.len()) || !name.chars().all(fits) {
        let detail =
            "The name: use 1 to 64 of the characters A-Z, a-z, 0-9, \"_\", \".\" and \"-\".";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail).into());
    }
    if role > who.role {
        let detail = format!("{} has the role {}, which is less.", who.name, who.role.name());
        return Err(Problem::new(StatusCode::FORBIDDEN, detail).into());
    }
    let token = secret::program_token().map_err(|error| denied(Denied::System(error)))?;
    let section = secret::section(&name, &token, role.name());
    Ok(Json(MadeToken { token, section }))
}

/// Does the browser keep the cookie for TLS? A proxy in front may have ended it; who says so without one only keeps their
/// own cookie from themselves.
fn is_secure(line: &Line, headers: &HeaderMap) -> bool {
    let said = headers.get("x-forwarded-proto").map(HeaderValue::as_bytes);
    line.secure || said.is_some_and(|said| said.eq_ignore_ascii_case(b"https"))
}

fn cookie_text(token: &str, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={token}; HttpOnly; SameSite=Strict; Path=/{secure}")
}

fn cookie(token: &str, secure: bool) -> Result<HeaderValue, Problem> {
    header(&cookie_text(token, secure))
}

fn header(text: &str) -> Result<HeaderValue, Problem> {
    let wrong = |error: http::header::InvalidHeaderValue| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    };
    let mut value = HeaderValue::from_str(text).map_err(wrong)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The body of a request. What is wrong with it is told without any of it: it may hold a password.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let detail =
            format!("The body is not what is asked for here: line {line}, column {column}.");
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })
}

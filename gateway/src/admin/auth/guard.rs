//! Stands before everything that the admin address answers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::audit::Change;
use super::credentials::{Credentials, credentials};
use super::roles::{Access, Asked, access};
use super::{Auth, Denied, Who, page, secret};
use crate::admin::extract::MAX_BODY;
use crate::admin::line::Line;
use crate::admin::problem::Problem;
use crate::admin::view::login::Role;
use crate::telemetry::events::Actor;

/// What changes need that come with the cookie.
const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
/// Browsers show a window of their own for other schemes than this one.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"amqp-gateway\"");

/// What the guard goes by.
#[derive(Debug)]
pub(in crate::admin) struct Gate {
    pub(in crate::admin) auth: Arc<Auth>,
    /// The address that the admin server is bound to.
    pub(in crate::admin) bound: SocketAddr,
}

/// Lets requests pass whose sender may do what they ask for, and keeps what they change.
pub(in crate::admin) async fn guard(
    State(gate): State<Arc<Gate>>,
    Extension(line): Extension<Line>,
    request: Request,
    next: Next,
) -> Response {
    let (mut head, body) = request.into_parts();
    let from = line.from();
    let who = match gate.admit(&head, from).await {
        Ok(Some(who)) => who,
        Ok(None) => return next.run(Request::from_parts(head, body)).await,
        Err((problem, by)) => {
            let answer = problem.into_response();
            if let Some(who) = by {
                Audit::of(&gate, change(&head, &[]), who, from).ended(answer.status());
            }
            return answer;
        }
    };
    head.extensions.insert(who.caller(from));
    head.extensions.insert(who.clone());
    if reads(&head.method) {
        return next.run(Request::from_parts(head, body)).await;
    }
    // It is read for what is kept, and put back for whoever acts on it.
    let body = match whole(body).await {
        Ok(body) => body,
        Err(problem) => {
            let answer = problem.into_response();
            Audit::of(&gate, change(&head, &[]), who, from).ended(answer.status());
            return answer;
        }
    };
    let audit = Audit::of(&gate, change(&head, &body), who, from);
    let answer = next.run(Request::from_parts(head, Body::from(body))).await;
    audit.ended(answer.status());
    answer
}

/// A change that is kept however it ends, even if its sender hangs up before the answer.
struct Audit<'g> {
    auth: &'g Auth,
    change: Option<(Change, Actor)>,
}

impl<'g> Audit<'g> {
    fn of(gate: &'g Gate, change: Change, who: Who, from: IpAddr) -> Self {
        Self { auth: &gate.auth, change: Some((change, who.actor(from))) }
    }

    fn ended(mut self, status: StatusCode) {
        self.keep(Some(status));
    }

    fn keep(&mut self, status: Option<StatusCode>) {
        if let Some((change, by)) = self.change.take() {
            self.auth.tell(change.ended(status, by));
        }
    }
}

impl Drop for Audit<'_> {
    fn drop(&mut self) {
        self.keep(None);
    }
}

/// Why a request does not pass; and who sent it, if that is known.
type Stopped = (Refused, Option<Who>);

/// The answer to a request that does not pass.
#[derive(Debug)]
pub(in crate::admin) struct Refused {
    problem: Problem,
    header: Option<(HeaderName, HeaderValue)>,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { problem, header: None }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = self.problem.into_response();
        response.headers_mut().extend(self.header);
        response
    }
}

impl Gate {
    /// Who sends the request; `None` where nobody has to log in for it.
    async fn admit(&self, request: &Parts, from: IpAddr) -> Result<Option<Who>, Stopped> {
        let unknown = |problem: Problem| (problem.into(), None);
        let route = request.extensions.get::<MatchedPath>();
        let asked = Asked {
            method: &request.method,
            path: request.uri.path(),
            route: route.map(MatchedPath::as_str),
            query: request.uri.query().unwrap_or_default(),
        };
        let (headers, reads) = (&request.headers, asked.reads());
        let is_open = self.auth.is_open();
        let role = match access(&asked, self.auth.accounts().metrics_auth && !is_open) {
            Access::Open if reads || !asked.in_api() => return Ok(None),
            Access::Open => {
                page::is_our_own(headers).map_err(unknown)?;
                return Ok(None);
            }
            Access::Takes(role) => role,
        };
        let who = if is_open {
            self.local(headers).map_err(unknown)?
        } else {
            self.who(headers, from).await.map_err(|refused| (refused, None))?
        };
        let passes = if reads { Ok(()) } else { self.may_change(headers, &who) };
        match passes.and_then(|()| has_role(&who, role)) {
            Ok(()) => Ok(Some(who)),
            Err(problem) => Err((problem.into(), (!reads).then_some(who))),
        }
    }

    /// Where nobody has to log in, everybody on this host may do everything.
    fn local(&self, headers: &HeaderMap) -> Result<Who, Problem> {
        if !self.bound.ip().to_canonical().is_loopback() {
            let detail = format!(
                "Nobody can log in at {}: add [[admin.user]] or [[admin.token]] to the configuration.",
                self.bound
            );
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        page::names_the_address(headers)?;
        Ok(Who::local())
    }

    async fn who(&self, headers: &HeaderMap, from: IpAddr) -> Result<Who, Refused> {
        let auth = &self.auth;
        match credentials(headers) {
            Credentials::Bearer(token) => {
                if let Some(login) = auth.of_login(&token) {
                    return Ok(Who::of_login(&login, "bearer", None));
                }
                let program = auth.of_token(&token);
                let program =
                    program.map(|of| Who::new(of.name.clone(), of.role, "token", of.ended.clone()));
                program.ok_or_else(|| unauthorized("The token is not valid, or not any more."))
            }
            Credentials::Cookie(token) => match auth.of_login(&token) {
                Some(login) => Ok(Who::of_login(&login, "cookie", Some(auth.csrf_token(&token)))),
                None => Err(unauthorized("The login has ended. Log in again.")),
            },
            Credentials::Basic(name, password) => {
                let user = auth.verify(&name, &password, from, "basic").await;
                let user = user.map_err(denied)?;
                Ok(Who::new(user.name.clone(), user.role, "basic", user.ended.clone()))
            }
            Credentials::Unreadable => {
                Err(unauthorized("The header Authorization takes Bearer TOKEN, or Basic."))
            }
            Credentials::None => Err(unauthorized(
                "Log in: POST /api/v1/login, or send the header Authorization with a token.",
            )),
        }
    }

    fn may_change(&self, headers: &HeaderMap, who: &Who) -> Result<(), Problem> {
        page::is_our_own(headers)?;
        let Some(expected) = &who.csrf_token else { return Ok(()) };
        let sent = headers.get(CSRF_HEADER).map(HeaderValue::as_bytes).unwrap_or_default();
        if secret::same(sent, expected.as_bytes()) {
            return Ok(());
        }
        let detail = "Changes with the cookie need the header X-CSRF-Token, with what GET /api/v1/whoami says.";
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }
}

/// The answer to somebody who may not log in.
pub(in crate::admin) fn denied(why: Denied) -> Refused {
    let later = |status, seconds: u64, detail: String| {
        let header = Some((RETRY_AFTER, HeaderValue::from(seconds)));
        Refused { problem: Problem::new(status, detail), header }
    };
    match why {
        Denied::Wrong => unauthorized("Name or password is wrong."),
        Denied::Wait(wait) => {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let detail = format!("Too many attempts have failed. Try again in {seconds} s.");
            later(StatusCode::TOO_MANY_REQUESTS, seconds, detail)
        }
        Denied::Busy => {
            let detail = "Too many want to log in at once. Try again in a moment.".to_owned();
            later(StatusCode::TOO_MANY_REQUESTS, 2, detail)
        }
        Denied::System(error) => {
            later(StatusCode::SERVICE_UNAVAILABLE, 5, format!("No login can be made: {error}."))
        }
    }
}

fn unauthorized(detail: &str) -> Refused {
    let problem = Problem::new(StatusCode::UNAUTHORIZED, detail);
    Refused { problem, header: Some((WWW_AUTHENTICATE, CHALLENGE)) }
}

fn has_role(who: &Who, role: Role) -> Result<(), Problem> {
    if who.role >= role {
        return Ok(());
    }
    let (name, has) = (&who.name, who.role.name());
    let detail = format!("This takes the role {}; {name} has the role {has}.", role.name());
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
}

fn reads(method: &Method) -> bool {
    [Method::GET, Method::HEAD].contains(method)
}

fn change(head: &Parts, body: &[u8]) -> Change {
    let query = head.uri.query().unwrap_or_default();
    Change::new(head.method.as_str(), head.uri.path(), query, body)
}

async fn whole(body: Body) -> Result<Bytes, Problem> {
    to_bytes(body, MAX_BODY).await.map_err(|error| {
        let detail = format!("The body: {error}; it may have at most {MAX_BODY} bytes.");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::auth::{Accounts, section};

    #[test]
    fn a_change_is_kept_once_even_if_nobody_waits_for_its_answer() {
        let accounts = Accounts::of(&section(&[], &[]));
        let auth = Arc::new(Auth::new(accounts, Arc::default()).expect("random bits"));
        let bound = "127.0.0.1:1".parse().expect("an address");
        let gate = Gate { auth: auth.clone(), bound };
        let from = IpAddr::from([127, 0, 0, 1]);
        let begun = || {
            let change = Change::new("POST", "/api/v1/config/reload", "", b"");
            Audit::of(&gate, change, Who::local(), from)
        };
        drop(begun());
        begun().ended(StatusCode::OK);
        begun().ended(StatusCode::CONFLICT);
        let kept = auth.events.since(0);
        let told: Vec<_> = kept.iter().map(|event| event.what.text.as_str()).collect();
        assert_eq!(
            told,
            [
                "local: POST config/reload (nobody waited for the answer)",
                "local: POST config/reload",
                "local: POST config/reload (refused)"
            ]
        );
        let outcomes: Vec<_> = kept.iter().map(|event| &*event.what.details["outcome"]).collect();
        assert_eq!(outcomes, ["unknown", "done", "refused"]);
    }
}

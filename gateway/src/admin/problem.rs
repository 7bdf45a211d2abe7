//! Errors, as RFC 9457 has them.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::operator::Refusal;
use super::view;

/// Of the answers that say what is wrong.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// An answer that says what is wrong.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    reasons: Vec<String>,
}

impl Problem {
    /// `detail` = what is wrong here, and what to do.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), reasons: Vec::new() }
    }

    /// There is no such thing.
    pub(super) fn unknown(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// Several causes, told one by one, too.
    pub(super) fn with_reasons(mut self, reasons: Vec<String>) -> Self {
        self.reasons = reasons;
        self
    }

    /// The answer to a request for `path`.
    fn answer(self, path: Option<&str>) -> Response {
        let body = view::Problem {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            instance: path.map(str::to_owned),
            reasons: self.reasons,
        };
        let kind = [(CONTENT_TYPE, PROBLEM_JSON)];
        (self.status, kind, axum::Json(body).into_response().into_body()).into_response()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown(detail) => Self::new(StatusCode::NOT_FOUND, detail),
            Refusal::Conflict(detail) => Self::new(StatusCode::CONFLICT, detail),
            Refusal::Invalid(detail, reasons) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with_reasons(reasons)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.clone().answer(None);
        response.extensions_mut().insert(self);
        response
    }
}

/// Says in every problem which request it is about, and makes problems of errors that are none yet.
pub(super) async fn complete(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    let status = response.status();
    let told = response.extensions_mut().remove::<Problem>();
    let foreign = || {
        let error = status.is_client_error() || status.is_server_error();
        error.then(|| Problem::new(status, "The request cannot be answered."))
    };
    let Some(problem) = told.or_else(foreign) else { return response };
    let (mut head, _) = response.into_parts();
    let (answer, body) = problem.answer(Some(&path)).into_parts();
    head.headers.remove(CONTENT_LENGTH);
    head.headers.extend(answer.headers);
    Response::from_parts(head, body)
}

//! What is kept of what operators do: who, what, from where, and how it ended. Never a secret.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::Value;
use tracing::{info, warn};

use crate::telemetry::events::{Actor, Kind, Severity, What};

/// Fields of bodies and queries that are kept: none of them is a secret.
const KEPT: [&str; 16] = [
    "admin_state",
    "weight",
    "revision",
    "name",
    "role",
    "listener",
    "vhost",
    "user",
    "cluster",
    "node",
    "client",
    "source",
    "search",
    "session",
    "bodies",
    "dry_run",
];
/// Longest value that is kept, in characters.
const LONGEST: usize = 128;

/// A change that somebody has asked for.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) details: BTreeMap<String, String>,
}

impl Change {
    /// `query` and `body` as they came.
    pub(super) fn new(method: &str, path: &str, query: &str, body: &[u8]) -> Self {
        let mut details = BTreeMap::new();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            keep(&mut details, name, value);
        }
        if let Ok(Value::Object(fields)) = serde_json::from_slice(body) {
            for (name, value) in &fields {
                match value {
                    Value::String(text) => keep(&mut details, name, text),
                    Value::Number(number) => keep(&mut details, name, &number.to_string()),
                    Value::Bool(yes) => keep(&mut details, name, &yes.to_string()),
                    _ => {}
                }
            }
        }
        Self { method: method.to_owned(), path: plain(path), details }
    }

    /// What is kept of it. Without a `status` nobody waited for the answer: it may be done or not.
    pub(super) fn ended(self, status: Option<StatusCode>, by: Actor) -> What {
        let Self { method, path, mut details } = self;
        let subject = path.strip_prefix("/api/v1/").unwrap_or(&path).to_owned();
        let (severity, outcome, remark) = match status {
            Some(status) if status.is_success() => (Severity::Info, "done", ""),
            Some(_) => (Severity::Warning, "refused", " (refused)"),
            None => (Severity::Info, "unknown", " (nobody waited for the answer)"),
        };
        let text = format!("{}: {method} {subject}{remark}", by.name);
        let kind = if path.starts_with("/api/v1/log") { Kind::Login } else { Kind::Operator };
        details.insert("method".to_owned(), method);
        details.insert("path".to_owned(), path);
        if let Some(status) = status {
            details.insert("status".to_owned(), status.as_u16().to_string());
        }
        details.insert("outcome".to_owned(), outcome.to_owned());
        let mut what = What::new(kind, severity, subject, text).by(by);
        what.details = details;
        what
    }
}

/// Writes it to the log, too.
pub(super) fn log(what: &What) {
    let actor = what.actor.as_ref();
    let name = actor.map(|actor| actor.name.as_str());
    let (by, from) = (actor.map(|actor| actor.by), actor.map(|actor| actor.from.as_str()));
    let detail = |name: &str| what.details.get(name).map(String::as_str);
    let more: Vec<_> = what
        .details
        .iter()
        .filter(|(name, _)| !["method", "path", "status", "outcome"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let (method, path, status, more) =
        (detail("method"), detail("path"), detail("status"), more.join(" "));
    let more = (!more.is_empty()).then_some(more);
    match what.severity {
        Severity::Info => info!(name, by, from, method, path, status, more, "{}", what.text),
        _ => warn!(name, by, from, method, path, status, more, "{}", what.text),
    }
}

fn keep(details: &mut BTreeMap<String, String>, name: &str, value: &str) {
    if KEPT.contains(&name) {
        details.insert(name.to_owned(), plain(value));
    }
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_that_are_no_secrets_are_kept() {
        let body = br#"{"admin_state": "draining", "weight": 2, "password": "s3cret", "token": {"role": "s3cret"}}"#;
        let change = Change::new("PATCH", "/api/v1/nodes/main/n1", "vhost=a&token=s3cret", body);
        let by = Actor { name: "ops".into(), by: "cookie", from: "10.0.0.1".into() };
        let what = change.ended(Some(StatusCode::OK), by);
        assert_eq!((what.kind, what.subject.as_str()), (Kind::Operator, "nodes/main/n1"));
        assert_eq!(what.details["admin_state"], "draining");
        assert_eq!((&*what.details["weight"], &*what.details["vhost"]), ("2", "a"));
        assert_eq!(what.details["outcome"], "done");
        assert!(!format!("{what:?}").contains("s3cret"), "{what:?}");
    }

    #[test]
    fn what_was_refused_is_kept_as_that_and_nothing_is_long() {
        let path = format!("/api/v1/nodes/{}", "x".repeat(500));
        let what = Change::new("PATCH", &path, "", b"no json").ended(
            Some(StatusCode::FORBIDDEN),
            Actor { name: "ops".into(), by: "cookie", from: "10.0.0.1".into() },
        );
        assert_eq!((what.severity, &*what.details["outcome"]), (Severity::Warning, "refused"));
        assert!(what.subject.len() < 150);
    }
}

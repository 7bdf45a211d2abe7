//! What the API says of the configuration, and of events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::status::Severity;

/// `GET /api/v1/config`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Config {
    /// The file.
    pub file: String,
    /// The revision in force.
    pub running: Revision,
    /// Its text, secrets starred out.
    pub text: String,
    /// Is there something else in the file now?
    pub file_differs: bool,
    /// Is the file taken over by itself when it changes (`gateway.reload_on_change`)?
    pub reload_on_change: bool,
    /// Earlier revisions and attempts, the latest first, at most 50.
    pub history: Vec<Revision>,
}

/// A configuration that was put in force, or was to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revision {
    /// Its number; 0 for one that was refused.
    pub revision: u64,
    /// When (RFC 3339).
    pub at: String,
    /// Who: `start`, `SIGHUP`, `file change`, or a user of the API.
    pub by: String,
    /// From where, if by the API.
    pub from: Option<String>,
    /// `applied` or `refused`.
    pub outcome: String,
    /// What changed, in words, or what was wrong.
    pub changes: Vec<String>,
    /// Can it be put in force again? The texts of the last 20 are kept.
    pub available: bool,
}

/// `GET /api/v1/config/revisions/{revision}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevisionText {
    /// What is known of it.
    pub revision: Revision,
    /// Its text, secrets starred out.
    pub text: String,
}

/// `POST /api/v1/config/check`: is what is in the file valid?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checked {
    /// Could it be put in force?
    pub valid: bool,
    /// All that is wrong with it, warnings included.
    pub problems: Vec<ConfigProblem>,
}

/// Something that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigProblem {
    /// The file.
    pub file: String,
    /// From 1; 0 = the file as a whole.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
    /// `error` or `warning`.
    pub severity: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub advice: String,
}

/// `POST /api/v1/config/diff`: what a reload would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Diff {
    /// Could it be put in force?
    pub valid: bool,
    /// What is wrong.
    pub problems: Vec<ConfigProblem>,
    /// What would change, section by section.
    pub changes: Vec<Change>,
    /// The two texts, as `diff -u` compares them, secrets starred out.
    pub text: String,
    /// Sessions that would be closed with 320.
    pub sessions_closed: usize,
}

/// What changes in a section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// The section: `cluster.main.node.rabbit1`.
    pub section: String,
    /// `added`, `removed` or `changed`.
    pub how: String,
    /// In words, key by key: `weight: 1 -> 2`.
    pub what: Vec<String>,
    /// Does it take a restart to come into force?
    pub needs_restart: bool,
}

/// `POST /api/v1/config/reload` and `/rollback`: what was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reloaded {
    /// The revision in force now.
    pub revision: u64,
    /// What changed.
    pub changes: Vec<Change>,
    /// Warnings.
    pub problems: Vec<ConfigProblem>,
    /// Sessions that are being closed with 320.
    pub sessions_closed: usize,
}

/// `POST /api/v1/config/rollback`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The revision to put in force again. The file stays as it is.
    pub revision: u64,
}

/// `GET /api/v1/events` with `Accept: application/json`: what happened, the latest last. With `Accept: text/event-stream`
/// each is one event of that stream, and those to come follow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Events {
    /// At most 1,000 are kept.
    pub events: Vec<Event>,
}

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Only those of this kind.
    pub kind: Option<EventKind>,
    /// Only those after this one.
    pub after: Option<u64>,
    /// At most so many, the latest; 200 by default.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A node: up, down, maintenance, alarm, drained.
    Node,
    /// A cluster: rebalanced.
    Cluster,
    /// A virtual router: transition, alarm.
    VirtualRouter,
    /// The configuration: reloaded, refused.
    Config,
    /// Somebody changed something by the API (audit).
    Operator,
    /// Somebody logged in, out, or failed to.
    Login,
    /// A certificate: renewed, refused, about to end.
    Certificate,
    /// The gateway itself: started, stopping.
    Gateway,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Grows by one with each.
    pub id: u64,
    /// When (RFC 3339).
    pub at: String,
    /// What it is about.
    pub kind: EventKind,
    /// How bad.
    pub severity: Severity,
    /// The name of what it is about: `main/rabbit1`.
    pub subject: String,
    /// What happened, in words.
    pub text: String,
    /// Who did it, if somebody did.
    pub actor: Option<Actor>,
    /// More of it, by name.
    pub details: BTreeMap<String, String>,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Actor {
    /// Name of the user or token; `local` without logins.
    pub name: String,
    /// `cookie`, `bearer`, `token`, `basic` or `local`.
    pub by: String,
    /// The address it came from.
    pub from: String,
}

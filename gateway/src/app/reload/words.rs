//! What the API is told of configurations.

use std::time::SystemTime;

use super::revisions::Revision;
use crate::admin::view::config::{self as view, ConfigProblem};
use crate::config::diagnostic::Problem;
use crate::config::diff::Change;

pub(super) fn problems(problems: &[Problem]) -> Vec<ConfigProblem> {
    let problem = |problem: &Problem| ConfigProblem {
        file: problem.file.clone(),
        line: problem.line,
        column: problem.column,
        severity: if problem.is_error() { "error" } else { "warning" }.to_owned(),
        message: problem.message.clone(),
        advice: problem.advice.clone(),
    };
    problems.iter().map(problem).collect()
}

/// Something that is wrong, but not with the text.
pub(super) fn problem(file: &str, message: String, advice: &str) -> ConfigProblem {
    let (severity, advice) = ("error".to_owned(), advice.to_owned());
    ConfigProblem { file: file.to_owned(), line: 0, column: 0, severity, message, advice }
}

/// Something that an operator should know.
pub(super) fn warning(file: &str, message: String) -> ConfigProblem {
    ConfigProblem { severity: "warning".to_owned(), ..problem(file, message, "") }
}

/// On one line.
pub(super) fn in_words(problem: &ConfigProblem) -> String {
    let ConfigProblem { file, line, column, message, advice, .. } = problem;
    let place = if *line == 0 { file.clone() } else { format!("{file}:{line}:{column}") };
    match advice.is_empty() {
        true => format!("{place}: {message}"),
        false => format!("{place}: {message}; {advice}"),
    }
}

pub(super) fn change(change: &Change) -> view::Change {
    view::Change {
        section: change.section.clone(),
        how: change.how.name().to_owned(),
        what: change.what.clone(),
        needs_restart: change.needs_restart,
    }
}

pub(super) fn revision(of: &Revision) -> view::Revision {
    view::Revision {
        revision: of.number,
        at: time(of.at),
        by: of.who.name().to_owned(),
        from: of.who.actor().map(|actor| actor.from.clone()),
        outcome: if of.number == 0 { "refused" } else { "applied" }.to_owned(),
        changes: of.words.clone(),
        available: of.text.is_some(),
    }
}

/// As RFC 3339 has it.
fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

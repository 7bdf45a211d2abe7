//! What is wrong with the files of TLS.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::diagnostic::{Elsewhere, Problem, Severity, found_beside, found_elsewhere};
use crate::config::model::Place;

/// What is wrong with a file, and what would be right. It never holds anything of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsProblem {
    /// Where the configuration names the file; `None` = nowhere, as with the system's authorities.
    pub place: Option<Place>,
    /// Does it keep the file from being used?
    pub fatal: bool,
    /// Key of the configuration, file, and what is wrong with it.
    pub message: String,
    /// What would be right.
    pub advice: String,
}

/// The same problems, with the lines of the configuration at `path` that they belong to.
#[must_use]
pub fn located(path: &Path, problems: &[TlsProblem]) -> Vec<Problem> {
    found_elsewhere(path, elsewhere(problems))
}

/// The same, with the lines of a text that is, or was, in that file.
#[must_use]
pub fn located_in(text: &str, path: &Path, problems: &[TlsProblem]) -> Vec<Problem> {
    found_beside(text, path, elsewhere(problems))
}

fn elsewhere(problems: &[TlsProblem]) -> Vec<Elsewhere> {
    let problems = problems.iter().map(|problem| Elsewhere {
        place: problem.place.unwrap_or(Place { line: 1, column: 1 }),
        severity: if problem.fatal { Severity::Error } else { Severity::Warning },
        message: problem.message.clone(),
        advice: problem.advice.clone(),
    });
    problems.collect()
}

/// What is wrong, before it is known where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) advice: String,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { message: message.into(), advice: advice.into() }
    }
}

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: Vec<TlsProblem>,
}

/// What a fault is about: a key of the configuration, and a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) key: &'a str,
    pub(super) file: Option<&'a Path>,
    pub(super) place: Option<Place>,
}

impl Findings {
    pub(super) fn error(&mut self, about: About<'_>, fault: Fault) {
        self.add(about, true, fault);
    }

    pub(super) fn warning(&mut self, about: About<'_>, fault: Fault) {
        self.add(about, false, fault);
    }

    /// All, in the order of the configuration.
    pub(super) fn into_problems(mut self) -> Vec<TlsProblem> {
        self.problems.sort_by_key(|problem| problem.place.map(|p| (p.line, p.column)));
        self.problems
    }

    fn add(&mut self, about: About<'_>, fatal: bool, fault: Fault) {
        let About { key, file, place } = about;
        let message = match file {
            Some(file) => format!("{key}: {}: {}", file.display(), fault.message),
            None => format!("{key}: {}", fault.message),
        };
        let problem = TlsProblem { place, fatal, message, advice: fault.advice };
        // Both halves of a bundle may have the same fault.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// Why what is in changed files is not in use, by the position of the certificate.
#[derive(Debug, Default)]
pub(super) struct Refused(Mutex<BTreeMap<usize, String>>);

impl Refused {
    pub(super) fn get(&self, position: usize) -> Option<String> {
        self.lock().get(&position).cloned()
    }

    pub(super) fn set(&self, position: usize, text: Option<String>) {
        match text {
            Some(text) => self.lock().insert(position, text),
            None => self.lock().remove(&position),
        };
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

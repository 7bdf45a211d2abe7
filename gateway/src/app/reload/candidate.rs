//! A configuration that is to be put in force: read and validated, with nothing changed yet.

use std::path::Path;
use std::sync::Arc;

use crate::admin::view::config::ConfigProblem;
use crate::config;
use crate::config::diagnostic::Problem;
use crate::config::diff::{self, Change};
use crate::config::model::Model;
use crate::tls::problem::located_in;
use crate::tls::{self, Tls};

use super::words;

/// A configuration that is valid.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) text: Arc<str>,
    pub(super) model: Model,
    /// `None` if certificates, keys or authorities cannot be used.
    pub(super) tls: Option<Tls>,
    /// Warnings, and what is wrong with files that it names.
    pub(super) problems: Vec<ConfigProblem>,
}

/// Reads the file, and what it names, but for files of TLS whose section is as it was `before`. To be called where nobody waits for it.
///
/// # Errors
/// All that is wrong with the text. What is wrong with files that it names is in [`Candidate::problems`].
pub(super) fn from_file(path: &Path, before: &Tls) -> Result<Candidate, Vec<ConfigProblem>> {
    let text = config::text_of(path).map_err(|wrong| words::problems(&wrong))?;
    from_text(text.into(), path, before)
}

/// As [`from_file`], with a text that was in the file once.
pub(super) fn from_text(
    text: Arc<str>,
    path: &Path,
    before: &Tls,
) -> Result<Candidate, Vec<ConfigProblem>> {
    let loaded = config::load_text(&text, path);
    let (model, warnings) = loaded.map_err(|wrong| words::problems(&wrong))?;
    let (tls, found) = match tls::prepare_after(before, &model) {
        Ok(mut tls) => {
            let warnings = std::mem::take(&mut tls.warnings);
            (Some(tls), warnings)
        }
        Err(wrong) => (None, wrong),
    };
    let mut problems: Vec<Problem> = warnings;
    problems.extend(located_in(&text, path, &found));
    problems.sort_by_key(|problem| (problem.line, problem.column));
    Ok(Candidate { text, model, tls, problems: words::problems(&problems) })
}

impl Candidate {
    /// What differs from what is in force.
    pub(super) fn changes(&self, in_force: &Model) -> Vec<Change> {
        diff::changes(in_force, &self.model)
    }
}

/// The configuration as it can be in force without a restart: what takes one stays as it is.
pub(super) fn without_restart(new: &Model, running: &Model) -> Model {
    let mut model = new.clone();
    let (to, from) = (&mut model.gateway, &running.gateway);
    to.name = from.name.clone();
    to.workers = from.workers;
    to.user = from.user.clone();
    to.group = from.group.clone();
    model
}

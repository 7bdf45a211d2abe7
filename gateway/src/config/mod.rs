//! Configuration: file -> shape check -> file types -> model, all problems at once.

pub mod admin;
mod at;
pub mod defaults;
pub mod diagnostic;
pub mod diff;
mod environment;
pub mod file;
mod keepalived;
mod later;
mod mask;
pub mod model;
pub mod pattern;
pub mod schema;
mod shape;
mod validate;
mod values;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;
use toml::de::DeTable;

use self::diagnostic::{Problem, Report};
pub use self::environment::Environment;
use self::model::Model;

/// A usable model with its warnings, or everything that is wrong (warnings included).
pub type Outcome = Result<(Model, Vec<Problem>), Vec<Problem>>;

/// Larger than any sensible file; keeps `/dev/zero` and the like from filling the memory.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Reads and validates the file at `path`, with the variables and host name of this process.
///
/// # Errors
/// Every problem of the file; one that cannot be read is a problem of its own.
pub fn load(path: &Path) -> Outcome {
    load_text(&text_of(path)?, path)
}

/// The text of the file at `path`.
///
/// # Errors
/// It cannot be read, or is no text.
pub fn text_of(path: &Path) -> Result<String, Vec<Problem>> {
    let file_name = path.display().to_string();
    let bytes = read(path).map_err(|error| {
        vec![Problem::of_file(
            &file_name,
            format!("cannot read the configuration: {error}"),
            "name an existing file that this user may read: --config FILE".to_owned(),
        )]
    })?;
    decode(bytes, &file_name)
}

/// Validates a text that is, or was, in the file at `path`, with the variables and host name of this process.
///
/// # Errors
/// Every problem found, in the order of the text.
pub fn load_text(text: &str, path: &Path) -> Outcome {
    parse(text, &path.display().to_string(), &Environment::of_process())
}

/// A configuration's text as it may be shown: a star for each character of a secret.
#[must_use]
pub fn shown(text: &str) -> String {
    mask::masked(text)
}

/// Validates a configuration text; `file_name` is what its problems are reported under.
///
/// Resolves nothing and touches nothing: the same arguments always give the same outcome.
///
/// # Errors
/// Every problem found, in the order of the text.
pub fn parse(text: &str, file_name: &str, environment: &Environment<'_>) -> Outcome {
    let mut report = Report::new(file_name, text);
    let model = build(text, environment, &mut report);
    let problems = report.into_problems();
    match model {
        Some(model) if !problems.iter().any(Problem::is_error) => Ok((model, problems)),
        _ => Err(problems),
    }
}

fn build(text: &str, environment: &Environment<'_>, report: &mut Report<'_>) -> Option<Model> {
    let (mut root, syntax_errors) = DeTable::parse_recoverable(text);
    if !syntax_errors.is_empty() {
        // What a recovering parser made of the rest would only lead to misleading problems.
        for error in syntax_errors {
            report.syntax_error(&error);
        }
        return None;
    }
    let dropped = shape::check(&mut root, environment, report);
    match file::File::deserialize(toml::Deserializer::from(root)) {
        Ok(file) => Some(validate::model(file, dropped, environment, report)),
        Err(error) => {
            report.syntax_error(&error);
            None
        }
    }
}

fn decode(bytes: Vec<u8>, file_name: &str) -> Result<String, Vec<Problem>> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let good = String::from_utf8_lossy(&error.as_bytes()[..valid]);
        let mut report = Report::new(file_name, &good);
        report.error(
            good.len()..good.len(),
            "the file is not UTF-8 text from here on".to_owned(),
            "save it as UTF-8".to_owned(),
        );
        report.into_problems()
    })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB"));
    }
    Ok(bytes)
}

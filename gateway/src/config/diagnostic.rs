//! Problems of a configuration: where, what is wrong, what would be right; for people and programs.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde::Serialize;

use super::mask::masked;
use super::model::Place;

/// Widest part of a source line that is shown, in characters.
const EXCERPT_CHARS: usize = 120;
/// How much of a long line is shown left of the place.
const EXCERPT_BEFORE: usize = 50;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but hardly as meant.
    Warning,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file as it was named by the user.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
    /// Does it make the configuration unusable?
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub advice: String,
    #[serde(skip)]
    excerpt: Option<Excerpt>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    line: String,
    caret_from: usize,
    caret_width: usize,
}

impl Problem {
    /// An error of the file as a whole.
    #[must_use]
    pub fn of_file(file: &str, message: String, advice: String) -> Self {
        let (file, severity) = (file.to_owned(), Severity::Error);
        Self { file, line: 1, column: 1, severity, message, advice, excerpt: None }
    }

    /// A problem that only shows outside of the text; without a place, one of the file as a whole.
    #[must_use]
    pub fn at(
        file: &str,
        place: Option<Place>,
        fatal: bool,
        message: String,
        advice: String,
    ) -> Self {
        let Place { line, column } = place.unwrap_or(Place { line: 1, column: 1 });
        let severity = if fatal { Severity::Error } else { Severity::Warning };
        Self { file: file.to_owned(), line, column, severity, message, advice, excerpt: None }
    }

    /// Does it make the configuration unusable?
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// A problem of what the configuration names, such as a file.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// Where it is named.
    pub place: Place,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub advice: String,
}

/// Problems of what the configuration at `path` names, as those of the configuration itself. Its text is read again, for
/// the lines that are shown.
#[must_use]
pub fn found_elsewhere(path: &Path, found: Vec<Elsewhere>) -> Vec<Problem> {
    let text = super::read(path).unwrap_or_default();
    found_beside(&String::from_utf8_lossy(&text), path, found)
}

/// The same of a text that is, or was, in that file.
#[must_use]
pub fn found_beside(text: &str, path: &Path, found: Vec<Elsewhere>) -> Vec<Problem> {
    let file = path.display().to_string();
    let mut report = Report::new(&file, text);
    for Elsewhere { place, severity, message, advice } in found {
        let span = report.value_at(place);
        report.add(severity, span, message, advice);
    }
    report.into_problems()
}

/// For a terminal: place and message, the source line with the place marked, the advice.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message, .. } = self;
        let severity = if self.is_error() { "error" } else { "warning" };
        writeln!(f, "{file}:{line}:{column}: {severity}: {message}")?;
        if let Some(excerpt) = &self.excerpt {
            let gutter = line.to_string().len();
            let carets = "^".repeat(excerpt.caret_width);
            writeln!(f, " {line} | {}", excerpt.line)?;
            writeln!(f, " {:gutter$} | {:from$}{carets}", "", "", from = excerpt.caret_from)?;
        }
        writeln!(f, "   help: {}", self.advice)
    }
}

/// The answer of `check --format json`.
#[must_use]
pub fn to_json(valid: bool, problems: &[Problem]) -> String {
    format!("{:#}", serde_json::json!({ "valid": valid, "problems": problems }))
}

/// Collects the problems of one text.
pub(super) struct Report<'a> {
    file: &'a str,
    text: &'a str,
    /// The text as it may be shown: same lines, same characters but for secrets.
    masked: String,
    line_starts: Vec<usize>,
    problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_newlines).collect();
        Self { file, text, masked: masked(text), line_starts, problems: Vec::new() }
    }

    /// `span`: bytes of the text; one out of its bounds or inside a character is moved in.
    pub(super) fn error(&mut self, span: Range<usize>, message: String, advice: String) {
        self.add(Severity::Error, span, message, advice);
    }

    pub(super) fn warning(&mut self, span: Range<usize>, message: String, advice: String) {
        self.add(Severity::Warning, span, message, advice);
    }

    /// Line of a place, from 1, for messages that point at a second place.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// Where a byte of the text stands.
    pub(super) fn place_of(&self, offset: usize) -> Place {
        let line = self.line_of(offset).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        Place { line, column: before.chars().count() + 1 }
    }

    /// The value that begins at a place: a text, a table in one line, or the rest of the line.
    fn value_at(&self, Place { line, column }: Place) -> Range<usize> {
        let source = self.source_line(line);
        let before = source.char_indices().nth(column.saturating_sub(1));
        let before = before.map_or(source.len(), |(at, _)| at);
        let value = &source[before..];
        let end = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].find(quote).map(|end| end + 2),
            Some('{') => value.find('}').map(|end| end + 1),
            _ => None,
        };
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(0) + before;
        start..start + end.unwrap_or(value.len())
    }

    /// An error of the TOML parser. After the first one of a line the others only repeat it.
    pub(super) fn syntax_error(&mut self, error: &toml::de::Error) {
        let span = error.span().unwrap_or(0..0);
        let line = self.line_of(span.start);
        if self.problems.iter().any(|problem| problem.line == line) {
            return;
        }
        let message = error.message().lines().map(str::trim).collect::<Vec<_>>().join(", ");
        let advice = syntax_advice(&message, self.source_line(line));
        self.error(span, message, advice.to_owned());
    }

    /// All of them, in the order of the text.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        self.problems
    }

    fn add(&mut self, severity: Severity, span: Range<usize>, message: String, advice: String) {
        let start = char_boundary(self.text, span.start);
        let line = self.line_of(start);
        let source = self.source_line(line);
        let line_start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(line_start..start).unwrap_or(source).chars().count();
        let end = char_boundary(self.text, span.end.max(start));
        let width = self.text.get(start..end).unwrap_or("").lines().next().unwrap_or("");
        let shown = self.masked.lines().nth(line - 1).unwrap_or("");
        let excerpt = Some(excerpt(shown, before, width.chars().count()));
        let (file, column) = (self.file.to_owned(), before + 1);
        let (message, advice) = (printable(&masked(&message)), printable(&masked(&advice)));
        self.problems.push(Problem { file, line, column, severity, message, advice, excerpt });
    }

    fn source_line(&self, line: usize) -> &'a str {
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or("")
    }
}

/// The nearest character boundary at or before `at`.
fn char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Values of the file end up in messages: keeps their control characters from the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Cuts a long line around the place; a tab is shown as one blank, to keep the caret in place.
fn excerpt(source: &str, before: usize, width: usize) -> Excerpt {
    let skipped = if before < EXCERPT_CHARS - EXCERPT_BEFORE { 0 } else { before - EXCERPT_BEFORE };
    let line =
        source.replace('\t', " ").chars().skip(skipped).take(EXCERPT_CHARS).collect::<String>();
    let line = printable(&line);
    let caret_from = before - skipped;
    let room = line.chars().count().saturating_sub(caret_from);
    Excerpt { line, caret_from, caret_width: width.min(room).max(1) }
}

fn syntax_advice(message: &str, source: &str) -> &'static str {
    let value = source.split_once('=').map_or("", |(_, value)| value.trim());
    if message.contains("duplicate key") {
        "keep one of the two; a section, too, may be opened only once"
    } else if value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') {
        "put the text in double quotes: key = \"text\""
    } else if value.starts_with(|c: char| c.is_ascii_digit()) {
        "write a bare number, or put the text in double quotes: key = \"10s\""
    } else if source.trim_start().starts_with('[') {
        "a section is opened by its name in brackets: [cluster.main], or [[route]] for a route"
    } else {
        "a line is `key = value`, `[section]`, `[[route]]` or a `# comment` (TOML, https://toml.io)"
    }
}

//! Text patterns of routes: exact, glob (`team-*`, `{orders,audit}`) or regular expression (`/^eu-[0-9]+$/`).

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

/// A pattern over a vhost, user or client property. Matching takes time linear in the text.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    matcher: Matcher,
}

#[derive(Clone)]
enum Matcher {
    Exact,
    Glob(GlobMatcher),
    Regex(Regex),
}

impl Pattern {
    /// Reads a pattern as written in the configuration.
    ///
    /// A text between two slashes (and longer than the vhost "/") is a regular expression; one with any of
    /// `* ? [ {` is a glob that must match the whole text; any other matches itself only.
    ///
    /// # Errors
    /// The library's sentence about a malformed glob or regular expression.
    pub fn parse(source: &str) -> Result<Self, String> {
        let matcher = match source.strip_prefix('/').and_then(|s| s.strip_suffix('/')) {
            Some(expression) if !expression.is_empty() => {
                Matcher::Regex(Regex::new(expression).map_err(|e| e.to_string())?)
            }
            _ if source.contains(['*', '?', '[', '{']) => Matcher::Glob(
                GlobBuilder::new(source)
                    .literal_separator(false)
                    .backslash_escape(true)
                    .build()
                    .map_err(|e| e.to_string())?
                    .compile_matcher(),
            ),
            _ => Matcher::Exact,
        };
        Ok(Self {
            source: source.to_owned(),
            matcher,
        })
    }

    /// Does `text` match?
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match &self.matcher {
            Matcher::Exact => self.source == text,
            Matcher::Glob(glob) => glob.is_match(text),
            Matcher::Regex(regex) => regex.is_match(text),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern).expect("pattern").matches(text)
    }

    #[test]
    fn a_plain_text_matches_only_itself() {
        assert!(matches("billing", "billing"));
        assert!(!matches("billing", "billing-v2"));
        assert!(matches("/", "/"));
    }

    #[test]
    fn a_glob_matches_the_whole_text_including_slashes() {
        assert!(matches("team-*", "team-a/b"));
        assert!(!matches("team-*", "my-team-a"));
        assert!(matches("{orders,audit}", "audit"));
        assert!(matches("*", ""));
    }

    #[test]
    fn a_regular_expression_stands_between_slashes() {
        assert!(matches("/^eu-[0-9]+$/", "eu-12"));
        assert!(!matches("/^eu-[0-9]+$/", "eu-x"));
        assert!(matches("/orders/", "my-orders"));
    }

    #[test]
    fn a_malformed_pattern_is_an_error_not_a_panic() {
        assert!(Pattern::parse("/(/").is_err());
        assert!(Pattern::parse("{a").is_err());
    }
}

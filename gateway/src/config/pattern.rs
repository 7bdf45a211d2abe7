//! Text patterns of routes: exact, glob (`team-*`, `{orders,audit}`) or regular expression
//! (`/^eu-[0-9]+$/`).

use std::fmt;

use globset::GlobBuilder;
use regex::{Regex, bytes};

/// Longest pattern; what it is held against has at most 255 bytes.
const MAX_BYTES: usize = 1000;

/// A pattern over a vhost, user or client property. Matching takes time linear in the text.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    matcher: Matcher,
}

#[derive(Clone)]
enum Matcher {
    Exact,
    Glob(bytes::Regex),
    Regex(Regex),
}

impl Pattern {
    /// Reads a pattern as written in the configuration.
    ///
    /// A text between two slashes (and longer than the vhost "/") is a regular expression; one
    /// with any of `* ? [ {` is a glob that must match the whole text; any other matches itself
    /// only.
    ///
    /// # Errors
    /// What is wrong with a malformed or too large glob or regular expression.
    pub fn parse(source: &str) -> Result<Self, String> {
        if source.len() > MAX_BYTES {
            return Err(format!("it has {} bytes, at most {MAX_BYTES} are allowed", source.len()));
        }
        let matcher = match source.strip_prefix('/').and_then(|s| s.strip_suffix('/')) {
            Some(expression) if !expression.is_empty() => {
                Matcher::Regex(Regex::new(expression).map_err(|e| e.to_string())?)
            }
            _ if source.contains(['*', '?', '[', '{']) => Matcher::Glob(glob(source)?),
            _ => Matcher::Exact,
        };
        Ok(Self { source: source.to_owned(), matcher })
    }

    /// Does `text` match?
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match &self.matcher {
            Matcher::Exact => self.source == text,
            Matcher::Glob(glob) => glob.is_match(text.as_bytes()),
            Matcher::Regex(regex) => regex.is_match(text),
        }
    }
}

/// globset's own matcher panics on a glob that parses but is too much for a regular expression
/// (braces hundreds deep), so only its translation is used.
fn glob(source: &str) -> Result<bytes::Regex, String> {
    let mut builder = GlobBuilder::new(source);
    let builder = builder.literal_separator(false).backslash_escape(true);
    let glob = builder.build().map_err(|error| error.kind().to_string())?;
    bytes::RegexBuilder::new(glob.regex())
        .dot_matches_new_line(true)
        .build()
        .map_err(|_| "it is too deep, or has a range of other than ASCII characters".to_owned())
}

/// Two that are written alike match alike.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

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
        assert!(matches("team-*", "team-a\nb"));
        assert!(matches("käse-*", "käse-1"));
        assert!(matches("\\*", "*") && !matches("\\*", "a"));
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
        assert!(Pattern::parse("/a{1000}{1000}{1000}/").is_err());
        for deep in [400, 100_000] {
            let nested = format!("{}a{}", "{".repeat(deep), "}".repeat(deep));
            assert!(Pattern::parse(&nested).is_err());
        }
    }
}

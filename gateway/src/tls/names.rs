//! Which certificates fit a server name: exact names before wildcards, which stand for one label (RFC 6125, section
//! 6.4.3).

use std::collections::HashMap;

/// Positions of certificates by the names that they bear.
#[derive(Debug, Default)]
pub(super) struct ByName {
    exact: HashMap<Box<str>, Vec<usize>>,
    /// By what stands behind `*.`.
    wildcard: HashMap<Box<str>, Vec<usize>>,
}

impl ByName {
    /// The certificate at `position` bears `name`, in lower case.
    pub(super) fn add(&mut self, name: &str, position: usize) {
        let (names, name) = match name.strip_prefix("*.") {
            Some(parent) => (&mut self.wildcard, parent),
            None => (&mut self.exact, name),
        };
        names.entry(name.trim_end_matches('.').into()).or_default().push(position);
    }

    /// Those that fit a client's server name, the best first.
    pub(super) fn fitting(&self, name: &str) -> impl Iterator<Item = usize> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let exact = self.exact.get(&*name);
        let parent = name.split_once('.').map(|(_, parent)| parent);
        let wildcard = parent.and_then(|parent| self.wildcard.get(parent));
        exact.into_iter().chain(wildcard).flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitting(name: &str) -> Vec<usize> {
        let mut names = ByName::default();
        let listed = ["*.example.com", "amqp.example.com", "*.eu.example.com", "localhost", "*"];
        for (position, name) in listed.iter().enumerate() {
            names.add(name, position);
        }
        names.fitting(name).collect()
    }

    #[test]
    fn an_exact_name_comes_before_a_wildcard_and_case_does_not_count() {
        assert_eq!(fitting("amqp.example.com"), [1, 0]);
        assert_eq!(fitting("AMQP.Example.com."), [1, 0]);
        assert_eq!(fitting("localhost"), [3]);
    }

    #[test]
    fn a_wildcard_stands_for_exactly_one_label() {
        assert_eq!(fitting("other.example.com"), [0]);
        assert_eq!(fitting("a.eu.example.com"), [2]);
        assert!(fitting("example.com").is_empty());
        assert!(fitting("a.b.example.com").is_empty());
        assert!(fitting("anything").is_empty());
    }
}

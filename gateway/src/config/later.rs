//! Keys of the configuration language that this build does not have yet.

/// Said of each of them, word for word.
pub(super) const NOT_AVAILABLE: &str = "not available in this build";

/// Paths; `*` is any one step: a name, or the position in a list.
const LATER: &[&str] = &["limits", "limit", "route.*.limits"];

/// Is the key at `path` one that this build does not have?
pub(super) fn is_later_key(path: &[String]) -> bool {
    LATER.iter().any(|pattern| reaches(pattern, path))
}

fn reaches(pattern: &str, path: &[String]) -> bool {
    let mut steps = pattern.split('.');
    path.iter().all(|step| steps.next().is_some_and(|p| p == "*" || p == step))
        && steps.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::is_later_key;

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn a_path_is_matched_as_a_whole() {
        assert!(is_later_key(&path("route.1.limits")));
        assert!(!is_later_key(&path("route.limits")));
        assert!(!is_later_key(&path("route.1.limits.a")));
        assert!(!is_later_key(&path("cluster.main.limits")));
    }
}

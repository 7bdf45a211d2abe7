//! Keys and values of the configuration language that this build does not have yet.

/// Said of each of them, word for word.
pub(super) const NOT_AVAILABLE: &str = "not available in this build";

enum What {
    /// The key, whatever its value.
    Key,
    /// Only these values of a key that is otherwise there.
    Values(&'static [&'static str]),
}

/// Path (`*` is any one step: a name, or the position in a list) and what of it is missing.
const LATER: &[(&str, What)] = &[
    ("limits", What::Key),
    ("limit", What::Key),
    ("vrrp", What::Key),
    ("notify", What::Key),
    ("admin.tls", What::Key),
    ("admin.metrics_auth", What::Key),
    ("admin.user", What::Key),
    ("listener.*.protocol", What::Values(&["http", "tcp", "tls-passthrough"])),
    ("listener.*.proxy_protocol", What::Values(&["optional", "required"])),
    ("listener.*.trusted_proxies", What::Key),
    ("listener.*.tls", What::Key),
    ("listener.*.balance", What::Key),
    ("listener.*.redirect_to_https", What::Key),
    ("listener.*.node_port", What::Key),
    ("route.*.sni", What::Key),
    ("route.*.limits", What::Key),
    ("cluster.*.proxy_protocol", What::Values(&["v1", "v2"])),
    ("cluster.*.tls", What::Key),
];

/// Is the key at `path` one that this build does not have?
pub(super) fn is_later_key(path: &[String]) -> bool {
    LATER.iter().any(|(pattern, what)| matches!(what, What::Key) && reaches(pattern, path))
}

/// Is `value` one that this build does not have, at a key that it has?
pub(super) fn is_later_value(path: &[String], value: &str) -> bool {
    LATER.iter().any(|(pattern, what)| {
        matches!(what, What::Values(values) if values.contains(&value)) && reaches(pattern, path)
    })
}

fn reaches(pattern: &str, path: &[String]) -> bool {
    let mut steps = pattern.split('.');
    path.iter().all(|step| steps.next().is_some_and(|p| p == "*" || p == step))
        && steps.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::{is_later_key, is_later_value};

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn a_path_is_matched_as_a_whole() {
        assert!(is_later_key(&path("cluster.main.tls")));
        assert!(!is_later_key(&path("cluster.tls")));
        assert!(!is_later_key(&path("cluster.main.tls.ca")));
        assert!(!is_later_key(&path("cluster.main.node.tls")));
    }

    #[test]
    fn some_values_of_a_key_are_there_and_others_are_not() {
        assert!(is_later_value(&path("listener.a.protocol"), "http"));
        assert!(!is_later_value(&path("listener.a.protocol"), "amqp"));
        assert!(!is_later_value(&path("listener.a.proxy_protocol"), "off"));
        assert!(!is_later_key(&path("listener.a.protocol")));
    }
}

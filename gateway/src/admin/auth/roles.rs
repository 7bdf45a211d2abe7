//! What each request takes.

use axum::http::Method;

use crate::admin::view::login::Role;

/// What a request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing.
    Open,
    /// A login with this role, or a higher one.
    Takes(Role),
}

/// All requests of the API that change something, or that take more than looking does. Whatever is not listed and reads
/// takes [`Role::Viewer`]; whatever else is not listed takes [`Role::Admin`].
pub(super) const TABLE: &[(&str, &str, Access)] = {
    use Access::{Open, Takes};
    use Role::{Admin, Operator, Viewer};
    &[
        ("POST", "/api/v1/login", Open),
        ("POST", "/api/v1/logout", Takes(Viewer)),
        ("DELETE", "/api/v1/admin/logins/{id}", Takes(Admin)),
        ("POST", "/api/v1/admin/tokens", Takes(Admin)),
        ("PATCH", "/api/v1/nodes/{cluster}/{node}", Takes(Operator)),
        ("POST", "/api/v1/clusters/{cluster}/rebalance", Takes(Operator)),
        ("DELETE", "/api/v1/clusters/{cluster}/rebalance", Takes(Operator)),
        ("DELETE", "/api/v1/sessions", Takes(Operator)),
        ("DELETE", "/api/v1/sessions/{id}", Takes(Operator)),
        ("POST", "/api/v1/virtual-routers/{name}/release", Takes(Operator)),
        ("POST", "/api/v1/virtual-routers/{name}/reclaim", Takes(Operator)),
        ("POST", "/api/v1/config/check", Takes(Operator)),
        ("POST", "/api/v1/config/diff", Takes(Operator)),
        ("POST", "/api/v1/config/reload", Takes(Operator)),
        ("POST", "/api/v1/config/rollback", Takes(Admin)),
    ]
};

/// Where taps are asked for. Bodies of messages belong to the clients: who sees them is an admin.
const TAP: &str = "/api/v1/tap";

/// A request, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'r> {
    pub(super) method: &'r Method,
    /// The path.
    pub(super) path: &'r str,
    /// The pattern of the route that it leads to, if it leads to one.
    pub(super) route: Option<&'r str>,
    /// What stands behind the question mark.
    pub(super) query: &'r str,
}

impl Asked<'_> {
    /// Does it leave everything as it is?
    pub(super) fn reads(&self) -> bool {
        [Method::GET, Method::HEAD].contains(self.method)
    }

    /// Is it for the API?
    pub(super) fn in_api(&self) -> bool {
        self.path == "/api" || self.path.starts_with("/api/")
    }
}

/// What it takes. `metrics_auth`: do the metrics take a login?
pub(super) fn access(asked: &Asked<'_>, metrics_auth: bool) -> Access {
    let path = asked.route.unwrap_or(asked.path);
    if path == "/metrics" && metrics_auth {
        return Access::Takes(Role::Viewer);
    }
    if !asked.in_api() {
        return Access::Open;
    }
    let listed = TABLE.iter().find(|(method, route, _)| *method == *asked.method && *route == path);
    match listed {
        Some((_, _, access)) => *access,
        None if path == TAP && wants_bodies(asked.query) => Access::Takes(Role::Admin),
        None if asked.reads() => Access::Takes(Role::Viewer),
        None => Access::Takes(Role::Admin),
    }
}

/// Whatever is asked for bodies, but that there be none.
fn wants_bodies(query: &str) -> bool {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    // A name may be written in other ways, too: what is not plain is taken for what it could be.
    pairs.any(|(name, value)| (name == "bodies" || name.contains('%')) && value != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(method: Method, path: &str, query: &str) -> Access {
        access(&Asked { method: &method, path, route: Some(path), query }, false)
    }

    #[test]
    fn reading_takes_a_viewer_and_all_that_is_not_listed_an_admin() {
        use Access::{Open, Takes};
        assert_eq!(takes(Method::GET, "/api/v1/nodes", ""), Takes(Role::Viewer));
        assert_eq!(takes(Method::HEAD, "/api/v1/nowhere", ""), Takes(Role::Viewer));
        assert_eq!(takes(Method::POST, "/api/v1/config/reload", ""), Takes(Role::Operator));
        assert_eq!(takes(Method::POST, "/api/v1/config/rollback", ""), Takes(Role::Admin));
        assert_eq!(takes(Method::PUT, "/api/v1/nodes", ""), Takes(Role::Admin));
        assert_eq!(takes(Method::POST, "/api/v1/login", ""), Open);
        for open in ["/", "/health/ready", "/metrics", "/assets/console.js"] {
            assert_eq!(takes(Method::GET, open, ""), Open);
        }
    }

    #[test]
    fn metrics_take_a_login_if_the_configuration_says_so() {
        let method = Method::GET;
        let asked = Asked { method: &method, path: "/metrics", route: None, query: "" };
        assert_eq!(access(&asked, true), Access::Takes(Role::Viewer));
    }

    #[test]
    fn bodies_of_messages_take_an_admin_however_they_are_asked_for() {
        for query in [
            "bodies=10",
            "vhost=a&bodies=1",
            "bodies",
            "bodies=0&bodies=5",
            "%62odies=5",
            "bodies=00",
        ] {
            assert_eq!(takes(Method::GET, TAP, query), Access::Takes(Role::Admin), "{query}");
        }
        for query in ["", "bodies=0", "vhost=%2F", "vhost=bodies"] {
            assert_eq!(takes(Method::GET, TAP, query), Access::Takes(Role::Viewer), "{query}");
        }
    }
}

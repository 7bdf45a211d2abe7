//! Where the admin API of a gateway answers, from its configuration alone.
//!
//! Whoever asks a running gateway needs none of its secrets, and may have none of them: nothing else of the file has to be
//! right, or to be readable.

use std::net::SocketAddr;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::environment::Environment;
use super::{read, values};

/// Where the admin API answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// `admin.bind`
    pub bind: SocketAddr,
    /// Is there a section `admin.tls`?
    pub tls: bool,
}

/// What the file at `path` says of it; `None` if it has no `admin.bind`.
///
/// # Errors
/// Why it cannot be told, and what to do.
pub fn place(path: &Path) -> Result<Option<Place>, String> {
    let failed = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let bytes = read(path).map_err(|error| failed(&format!("cannot read it: {error}")))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| failed(&error))?;
    place_in(text, &Environment::of_process()).map_err(|error| failed(&error))
}

fn place_in(text: &str, environment: &Environment<'_>) -> Result<Option<Place>, String> {
    // A recovering parser makes the best of the rest.
    let (root, errors) = DeTable::parse_recoverable(text);
    let admin = root.get_ref().get("admin").map(|admin| admin.get_ref());
    let tls = admin.is_some_and(|admin| admin.get("tls").is_some());
    let bind = admin.and_then(|admin| admin.get("bind"));
    let Some(bind) = bind.map(|bind| bind.get_ref()) else {
        return match errors.first() {
            Some(error) => Err(format!("not TOML: {}", error.message())),
            None => Ok(None),
        };
    };
    let DeValue::String(bind) = bind else {
        return Err("admin.bind is not a text; write it as in \"127.0.0.1:15680\"".to_owned());
    };
    let wrong = |message: &str, advice: &str| format!("admin.bind: {message}; {advice}");
    let bind = environment.expand(bind).map_err(|e| wrong(&e.message, &e.advice))?;
    let bind = values::socket_address(&bind).map_err(|e| wrong(&e.message, &e.advice))?;
    Ok(Some(Place { bind, tls }))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn bound(text: &str) -> Result<Option<SocketAddr>, String> {
        found(text).map(|place| place.map(|place| place.bind))
    }

    fn found(text: &str) -> Result<Option<Place>, String> {
        let variable = |name: &str| (name == "HOST").then(|| "127.0.0.2".to_owned());
        let file = |_: &Path| Err(io::ErrorKind::PermissionDenied.into());
        let environment =
            Environment { variable: &variable, file: &file, host_name: String::new() };
        place_in(text, &environment)
    }

    #[test]
    fn secrets_that_only_the_gateway_has_do_not_keep_it_from_being_asked() {
        let address = "127.0.0.1:15680".parse().ok();
        let text = "[admin]\nbind = \"127.0.0.1:15680\"\n[cluster.main.health]\n";
        for secret in
            ["password = \"${NOT_SET}\"", "password_file = \"/root/secret\"", "unknown = 1"]
        {
            assert_eq!(bound(&format!("{text}{secret}\n")), Ok(address));
        }
    }

    #[test]
    fn a_section_for_tls_is_seen() {
        let bind = "[admin]\nbind = \"127.0.0.1:15680\"\n";
        for (rest, tls) in [("", false), ("tls.certificates = []", true), ("[admin.tls]\n", true)] {
            let place = found(&format!("{bind}{rest}")).ok().flatten();
            assert_eq!(place.map(|place| place.tls), Some(tls), "{rest}");
        }
    }

    #[test]
    fn variables_in_the_address_itself_count() {
        let address = "127.0.0.2:15680".parse().ok();
        assert_eq!(bound("[admin]\nbind = \"${HOST}:15680\""), Ok(address));
        let error = bound("[admin]\nbind = \"${PORT}\"").expect_err("not set");
        assert!(error.contains("PORT is not set"), "{error}");
    }

    #[test]
    fn an_address_that_is_none_or_missing_is_told() {
        assert_eq!(bound("[gateway]\nname = \"gw\""), Ok(None));
        for (text, expected) in [
            ("[admin]\nbind = 15680", "is not a text"),
            ("[admin]\nbind = \"15680\"", "admin.bind"),
            ("[gateway\nname", "not TOML"),
        ] {
            let error = bound(text).expect_err(text);
            assert!(error.contains(expected), "{error}");
        }
    }
}

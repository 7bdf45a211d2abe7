//! A user of the broker and its password, which no problem ever shows.

use std::path::Path;
use std::sync::Arc;

use super::Context;
use crate::config::file::{At, Secret};
use crate::config::model::{Login, Node};
use crate::config::values;

/// No password is longer; a path that was mistaken for one of a secret may lead anywhere.
const MAX_PASSWORD_BYTES: usize = 4096;

/// A login as a section writes it.
pub(super) struct Written<'f> {
    pub(super) username: Option<&'f At<String>>,
    pub(super) password: Option<&'f At<Secret>>,
    pub(super) password_file: Option<&'f At<String>>,
}

/// The login that stands in `section`.
pub(super) fn login(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &Written<'_>,
) -> Option<Login> {
    let username = user(context, section, file);
    let password = match (file.password, file.password_file) {
        (Some(_), Some(path)) => {
            let message = format!("{section} has both password and password_file");
            context.report.error(path.span(), message, "keep one of the two".to_owned());
            None
        }
        (Some(password), None) => Some(Arc::from(&*password.0)),
        (None, Some(path)) => from_file(context, &format!("{section}.password_file"), path),
        (None, None) => None,
    };
    Some(Login { username: username?, password: password? })
}

/// The user name, if it is good; and a word on the one of name and password that is missing.
fn user(context: &mut Context<'_, '_>, section: &str, file: &Written<'_>) -> Option<Arc<str>> {
    let misread = |key: &str| context.dropped.mistake_under(&format!("{section}.{key}"));
    let password = file.password.map(At::span);
    let password = password.or_else(|| file.password_file.map(At::span));
    match (file.username, password) {
        (None, Some(span)) if !misread("username") => {
            let message = format!("{section} has a password, but no username");
            let advice = "add username, or remove the password".to_owned();
            context.report.error(span, message, advice);
        }
        (Some(username), None) if !misread("password") => {
            let message = format!("{section} has a username, but no password");
            let advice = "add password_file = \"PATH\", or password = \"${VARIABLE}\"".to_owned();
            context.report.error(username.span(), message, advice);
        }
        _ => {}
    }
    let username = file.username?;
    context.text(&format!("{section}.username"), username, values::short_string)
}

/// A secret that stands in the file at `path`, which is the value of `key`. A trailing line end is not part of the password: editors and `echo` add it.
pub(super) fn from_file(
    context: &mut Context<'_, '_>,
    key: &str,
    path: &At<String>,
) -> Option<Arc<str>> {
    let fault = match (context.environment.file)(Path::new(path.as_str())) {
        Ok(bytes) if bytes.len() > MAX_PASSWORD_BYTES => {
            format!("it is larger than {MAX_PASSWORD_BYTES} bytes")
        }
        Ok(bytes) => match std::str::from_utf8(&bytes) {
            Ok(text) => match text.trim_end_matches(['\n', '\r']) {
                "" => "it is empty".to_owned(),
                password => return Some(password.into()),
            },
            Err(_) => "it is not UTF-8 text".to_owned(),
        },
        Err(error) => error.to_string(),
    };
    let message = format!("{key}: {:?} cannot be used: {fault}", path.as_str());
    let advice = "name a file that this user may read and that holds the password alone";
    context.report.error(path.span(), message, advice.to_owned());
    None
}

/// Warns of a monitoring user whom nodes on other hosts refuse.
pub(super) fn warn_of_loopback_user(
    context: &mut Context<'_, '_>,
    section: &str,
    username: &At<String>,
    nodes: &[Node],
) {
    let afar = nodes.iter().find(|node| {
        let address = node.address.literal();
        let host = node.address.host.as_str();
        !address.map_or(host == "localhost", |address| address.ip().is_loopback())
    });
    if let Some(node) = afar {
        let (user, node) = (username.as_str(), &node.name);
        let message = format!(
            "{section}.username: node {node} lets {user} in from its own host alone (loopback_users)"
        );
        let advice = "make a user for the checks: rabbitmqctl add_user, set_user_tags monitoring; \
                      or take it out of loopback_users here if the brokers let it in";
        context.report.warning(username.span(), message, advice.to_owned());
    }
}

//! `[admin]`: where operators reach the gateway, and who of them may do what.

use std::collections::HashMap;
use std::sync::Arc;

use super::listener::Bound;
use super::{Context, tls};
use crate::config::defaults;
use crate::config::file::{self, At};
use crate::config::model::{Admin, AdminToken, AdminUser, Certificate};
use crate::config::values;

/// `None` if it has no address.
pub(super) fn admin(
    context: &mut Context<'_, '_>,
    file: &file::Admin,
    bound: &mut Bound,
) -> Option<Admin> {
    let certificates = certificates(context, file);
    let users = users(context, file.user.as_deref().unwrap_or_default());
    let tokens = tokens(context, file.token.as_deref().unwrap_or_default());
    let written = file.bind.as_ref()?;
    let bind = bound.add(context, "admin.bind", written)?;
    if !bind.ip().to_canonical().is_loopback() {
        check_open(context, file, written);
    }
    let metrics_auth = metrics_auth(context, file);
    Some(Admin { bind, certificates, metrics_auth, users, tokens })
}

fn has_accounts(file: &file::Admin) -> bool {
    let some = |count: Option<usize>| count.is_some_and(|count| count > 0);
    some(file.user.as_ref().map(Vec::len)) || some(file.token.as_ref().map(Vec::len))
}

/// An address that other hosts reach needs to know who is who.
fn check_open(context: &mut Context<'_, '_>, file: &file::Admin, bind: &At<String>) {
    // A key that was not understood may have been meant for one that is missed here.
    let misread = context.dropped.mistake_under("admin.");
    if !has_accounts(file) && !misread {
        let message =
            "admin.bind is an address that other hosts reach, and nobody has to log in".to_owned();
        let advice = "add [[admin.user]] with name, password_hash (`amqp-gateway hash-password` makes it) and role; or \
                      bind an address of this host alone, as in \"127.0.0.1:15680\"";
        context.report.error(bind.span(), message, advice.to_owned());
    }
    let has_tls = file.tls.as_ref().and_then(|tls| tls.certificates.as_ref());
    if has_accounts(file) && has_tls.is_none_or(Vec::is_empty) && !misread {
        let message = "admin.bind is an address that other hosts reach, and has no TLS: passwords and tokens can be \
                       read on their way";
        let advice = "add tls.certificates = [{ chain = \"PATH\", key = \"PATH\" }] to [admin]; or bind an address of \
                      this host alone";
        context.report.warning(bind.span(), message.to_owned(), advice.to_owned());
    }
}

fn metrics_auth(context: &mut Context<'_, '_>, file: &file::Admin) -> bool {
    let wanted = file.metrics_auth.as_ref();
    let misread = context.dropped.mistake_under("admin.");
    if let Some(wanted) = wanted.filter(|wanted| ***wanted)
        && !has_accounts(file)
        && !misread
    {
        let message = "admin.metrics_auth has no effect: nobody can log in".to_owned();
        let advice = "add [[admin.token]] for whoever asks for the metrics, or remove it";
        context.report.warning(wanted.span(), message, advice.to_owned());
    }
    wanted.map_or(defaults::METRICS_AUTH, |wanted| **wanted)
}

fn certificates(context: &mut Context<'_, '_>, file: &file::Admin) -> Vec<Certificate> {
    let written = file.tls.as_ref().and_then(|tls| tls.certificates.as_ref());
    let written = written.into_iter().flatten();
    written.filter_map(|one| tls::certificate(context, "admin.tls.certificates", one)).collect()
}

fn users(context: &mut Context<'_, '_>, files: &[At<file::AdminUser>]) -> Vec<AdminUser> {
    let mut seen = Seen::default();
    files.iter().filter_map(|file| user(context, file, &mut seen)).collect()
}

fn user(
    context: &mut Context<'_, '_>,
    file: &file::AdminUser,
    seen: &mut Seen<String>,
) -> Option<AdminUser> {
    let name = file.name.as_ref().and_then(|name| {
        seen.check(context, name, String::clone(name), "admin.user.name", "has this name");
        context.text("admin.user.name", name, values::account_name)
    });
    let key = "admin.user.password_hash";
    let written = file.password_hash.as_ref()?;
    let params = match values::password_hash(&written.0) {
        Ok(params) => params,
        Err(fault) => {
            let message = format!("{key}: {}", fault.message);
            context.report.error(written.span(), message, fault.advice);
            return None;
        }
    };
    if values::is_cheap(&params) {
        let (memory, passes) = (params.m_cost(), params.t_cost());
        let message = format!("{key}: m={memory},t={passes} makes it cheap to guess the password");
        let advice =
            "hash it with `amqp-gateway hash-password`, which takes m=19456,t=2".to_owned();
        context.report.warning(written.span(), message, advice);
    }
    Some(AdminUser {
        name: name?,
        password_hash: Arc::from(&*written.0),
        role: **file.role.as_ref()?,
    })
}

fn tokens(context: &mut Context<'_, '_>, files: &[At<file::AdminToken>]) -> Vec<AdminToken> {
    let (mut names, mut hashes) = (Seen::default(), Seen::default());
    let tokens = files.iter().filter_map(|file| {
        let name = file.name.as_ref().and_then(|name| {
            names.check(context, name, String::clone(name), "admin.token.name", "has this name");
            context.text("admin.token.name", name, values::name)
        });
        let written = file.hash.as_ref()?;
        let hash = match values::token_hash(&written.0) {
            Ok(hash) => hash,
            Err(fault) => {
                let message = format!("admin.token.hash: {}", fault.message);
                context.report.error(written.span(), message, fault.advice);
                return None;
            }
        };
        hashes.check(context, written, hash, "admin.token.hash", "is the same token");
        Some(AdminToken { name: name?, hash, role: **file.role.as_ref()? })
    });
    tokens.collect()
}

/// What has stood before, and in which line.
struct Seen<T>(HashMap<T, usize>);

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: std::hash::Hash + Eq> Seen<T> {
    fn check<V>(
        &mut self,
        context: &mut Context<'_, '_>,
        written: &At<V>,
        value: T,
        key: &str,
        what: &str,
    ) {
        let line = context.report.line_of(written.span().start);
        if let Some(before) = self.0.insert(value, line) {
            let message = format!("{key}: line {before} {what} already");
            let advice = "remove one of the two, or give each its own".to_owned();
            context.report.error(written.span(), message, advice);
        }
    }
}

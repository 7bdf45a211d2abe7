//! `[vrrp.NAME.notify]` and `[notify.email]`: who is told.

use std::net::IpAddr;

use super::super::{Context, login};
use crate::config::file::{self, At};
use crate::config::model::{Email, EmailTls, VrrpNotify};
use crate::config::values;

pub(super) fn of_router(
    context: &mut Context<'_, '_>,
    section: &str,
    file: Option<&file::VrrpNotify>,
) -> VrrpNotify {
    let Some(file) = file else { return VrrpNotify::default() };
    let key = format!("{section}.notify.command");
    let command = file.command.as_ref().and_then(|text| command(context, &key, text));
    let key = format!("{section}.notify.webhook");
    let webhook = file.webhook.as_ref();
    let webhook = webhook.and_then(|text| context.text(&key, text, values::web_url));
    VrrpNotify { command, webhook }
}

/// A program and its arguments.
pub(super) fn command(
    context: &mut Context<'_, '_>,
    key: &str,
    command: &[At<String>],
) -> Option<Vec<String>> {
    let (program, arguments) = command.split_first()?;
    context.text(key, program, values::plain_text)?;
    for argument in arguments {
        context.text(key, argument, values::argument)?;
    }
    Some(command.iter().map(|part| String::clone(part)).collect())
}

/// Who is told by mail; `None` = nobody, or what is missing was reported.
pub(in super::super) fn email(
    context: &mut Context<'_, '_>,
    file: Option<file::Email>,
) -> Option<Email> {
    let file = file?;
    let section = "notify.email";
    let login = login::login(
        context,
        section,
        &login::Written {
            username: file.username.as_ref(),
            password: file.password.as_ref(),
            password_file: file.password_file.as_ref(),
        },
    );
    let smtp = file.smtp.as_ref();
    let smtp = smtp.and_then(|text| context.take("notify.email.smtp", text, values::mail_server));
    let mut address = |key: &str, text| context.text(key, text, values::mail_address);
    let from = file.from.as_ref().and_then(|text| address("notify.email.from", text));
    let to = file.to.iter().flat_map(|texts| &texts.0);
    let to = to.filter_map(|text| address("notify.email.to", text)).collect();
    let smtp = smtp?;
    let near = is_near(&smtp.0);
    let default = if near { EmailTls::Off } else { EmailTls::Starttls };
    let tls = file.tls.as_deref().copied().unwrap_or(default);
    if let (Some(username), EmailTls::Off, false) = (&file.username, tls, near) {
        let message = format!("{section}: the password goes to {} in plain text", smtp.0);
        let advice = "write tls = \"starttls\" or \"implicit\"".to_owned();
        context.report.warning(username.span(), message, advice);
    }
    Some(Email { smtp, from: from?, to, tls, login })
}

/// Is it this host, which no wire leads to?
fn is_near(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

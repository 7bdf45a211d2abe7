//! `tap` and `events`: what happens, line by line, as it happens.

use std::io::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Args;

use super::client::query;
use super::figures::{count, plain};
use super::login::Admin;
use super::operate::{Failed, json};
use crate::admin::view::config::{Event, Events};
use crate::admin::view::session::TapLine;
use crate::admin::view::status::Severity;

/// `tap`
#[derive(Debug, Args)]
pub(super) struct Tap {
    /// Sessions of this vhost.
    #[arg(long, value_name = "NAME")]
    vhost: Option<String>,
    /// Sessions of this user.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// This session, as `amqp-gateway sessions` lists it.
    #[arg(long, value_name = "SESSION")]
    session: Option<u64>,
    /// Show so many octets of each body frame, at most 4096; takes the role admin.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=4096))]
    bodies: Option<u16>,
    #[command(flatten)]
    admin: Admin,
}

/// `events`
#[derive(Debug, Args)]
pub(super) struct ShowEvents {
    /// Only of this kind: node, cluster, virtual-router, config, operator, login, certificate or gateway.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// So many of those that are past, at most.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Go on with those to come, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    admin: Admin,
}

impl Tap {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failed> {
        let path = query(
            "/api/v1/tap",
            &[
                ("vhost", self.vhost.clone()),
                ("user", self.user.clone()),
                ("session", self.session.map(|id| id.to_string())),
                ("bodies", self.bodies.map(|octets| octets.to_string())),
            ],
        );
        let client = self.admin.client()?;
        end_on_interrupt();
        seen_enough(client.follow(&path, |data| {
            if self.admin.json {
                return line_of(out, data);
            }
            let line: TapLine = read(data)?;
            line_of(out, &text(&line))
        }))
    }
}

impl ShowEvents {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failed> {
        let limit = ("limit", Some(self.limit.to_string()));
        let path = query("/api/v1/events", &[("kind", self.kind.clone()), limit]);
        let client = self.admin.client()?;
        if !self.follow {
            let Events { events } = client.get(&path)?;
            if self.admin.json {
                return json(out, &Events { events });
            }
            return events.iter().try_for_each(|event| line_of(out, &event_text(event)));
        }
        end_on_interrupt();
        seen_enough(client.follow(&path, |data| {
            if self.admin.json {
                return line_of(out, data);
            }
            match serde_json::from_str::<serde_json::Value>(data) {
                Ok(lagged) if lagged["missed"].is_u64() => {
                    line_of(out, &format!("... {} events were missed", lagged["missed"]))
                }
                _ => line_of(out, &event_text(&read(data)?)),
            }
        }))
    }
}

fn read<T: serde::de::DeserializeOwned>(data: &str) -> Result<T, Failed> {
    serde_json::from_str(data)
        .map_err(|error| format!("not an answer of this API ({error})").into())
}

/// One line, at once.
fn line_of(out: &mut dyn Write, line: &str) -> Result<(), Failed> {
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Whoever closes the pipe has seen enough.
fn seen_enough(done: Result<(), Failed>) -> Result<(), Failed> {
    match done {
        Err(Failed::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Ctrl-C is how this ends: no failure.
fn end_on_interrupt() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    // Without it Ctrl-C ends the process, too, as one that was killed.
    let Ok(runtime) = runtime else { return };
    std::thread::spawn(move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            std::process::exit(0);
        }
    });
}

fn text(line: &TapLine) -> String {
    let mut text = String::new();
    if line.dropped > 0 {
        text = format!("... {} lines are left out: there were too many\n", count(line.dropped));
    }
    let arrow = if line.direction == "from_client" { "->" } else { "<-" };
    let (at, session, channel) = (clock(&line.at), line.session, line.channel);
    let method = plain(&line.method);
    let shown = match (&line.body, &*line.method) {
        (Some(body), _) => format!("size={} {}", line.size.saturating_sub(8), body_text(body)),
        (None, "body") => format!("size={}", line.size.saturating_sub(8)),
        _ => plain(&line.text),
    };
    text += &format!("{at} {session:>6} {arrow} {channel:>4} {method:20} {shown}");
    text.truncate(text.trim_end().len());
    text
}

/// The time of the day out of RFC 3339.
fn clock(at: &str) -> &str {
    at.split_once('T').map_or(at, |(_, time)| time.trim_end_matches('Z'))
}

/// In quotes; what is no text as escaped octets.
fn body_text(base64: &str) -> String {
    let Ok(octets) = BASE64_STANDARD.decode(base64) else { return plain(base64) };
    match String::from_utf8(octets) {
        Ok(text) => format!("{text:?}"),
        Err(error) => format!("b\"{}\"", error.as_bytes().escape_ascii()),
    }
}

pub(super) fn event_text(event: &Event) -> String {
    let severity = match event.severity {
        Severity::Info => "info",
        Severity::Warning => "WARNING",
        Severity::Critical => "CRITICAL",
    };
    let by = event.actor.as_ref().map(|actor| format!(" (by {}, from {})", actor.name, actor.from));
    let by = by.unwrap_or_default();
    plain(&format!("{} {severity:8} {}: {}{by}", event.at, event.subject, event.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> TapLine {
        TapLine {
            at: "2026-11-21T12:34:56.789Z".into(),
            session: 17,
            direction: "from_client".into(),
            channel: 1,
            method: "basic.publish".into(),
            text: "exchange=\"orders\" routing-key=\"a\"".into(),
            size: 30,
            body: None,
            dropped: 0,
        }
    }

    #[test]
    fn a_line_has_time_session_direction_channel_and_method() {
        assert_eq!(
            text(&line()),
            "12:34:56.789     17 ->    1 basic.publish        exchange=\"orders\" routing-key=\"a\""
        );
        let heartbeat = TapLine {
            direction: "from_node".into(),
            channel: 0,
            method: "heartbeat".into(),
            text: String::new(),
            dropped: 1234,
            ..line()
        };
        assert_eq!(
            text(&heartbeat),
            "... 1,234 lines are left out: there were too many\n\
             12:34:56.789     17 <-    0 heartbeat"
        );
    }

    #[test]
    fn a_body_is_shown_as_text_if_it_is_one() {
        let body = |body: &str| TapLine {
            method: "body".into(),
            body: Some(body.into()),
            size: 13,
            ..line()
        };
        assert!(text(&body("aGVsbG8=")).ends_with("body                 size=5 \"hello\""));
        assert!(text(&body("/wA=")).ends_with("size=5 b\"\\xff\\x00\""));
        assert!(text(&body("Gzdh")).ends_with("size=5 \"\\u{1b}7a\""));
        let none = TapLine { method: "body".into(), size: 13, text: String::new(), ..line() };
        assert!(text(&none).ends_with("body                 size=5"));
    }
}

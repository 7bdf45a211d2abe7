//! `status`: the gateway as a whole.

use std::fmt::Write as _;
use std::io::Write;

use clap::Args;

use super::figures::{age, count, octets, plain, rate};
use super::login::Admin;
use super::operate::{Failed, json};
use crate::admin::view::status::{Alarm, Severity, Status};

pub(super) const PATH: &str = "/api/v1/status";

/// `status`
#[derive(Debug, Args)]
pub(super) struct ShowStatus {
    #[command(flatten)]
    admin: Admin,
}

impl ShowStatus {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failed> {
        let client = self.admin.client()?;
        if self.admin.json {
            return json(out, &client.get::<serde_json::Value>(PATH)?);
        }
        let status: Status = client.get(PATH)?;
        Ok(out.write_all(text(&status).as_bytes())?)
    }
}

fn text(status: &Status) -> String {
    let Status { totals, rates, process, .. } = status;
    let mut text = format!("{}: {}\n", plain(&status.gateway), state(status));
    for (name, line) in [
        ("version", format!("{}, process {}", plain(&status.version), status.process_id)),
        ("running", format!("{}, since {}", up(status), plain(&status.started_at))),
        ("revision", status.revision.to_string()),
        (
            "sessions",
            format!(
                "{} of at most {}, {} in their handshake",
                count(status.sessions as u64),
                count(status.max_connections as u64),
                count(status.in_handshake as u64)
            ),
        ),
        ("channels", count(status.channels)),
        ("unconfirmed", count(status.unconfirmed)),
        ("published", a_second(rates.published, totals.published)),
        ("delivered", a_second(rates.delivered, totals.delivered)),
        ("confirmed", a_second(rates.confirmed, totals.confirmed)),
        ("acknowledged", a_second(rates.acknowledged, totals.acknowledged)),
        ("returned", a_second(rates.returned, totals.returned)),
        ("from clients", traffic(rates.bytes_from_client, totals.bytes_from_client)),
        ("from nodes", traffic(rates.bytes_from_node, totals.bytes_from_node)),
        ("CPU", format!("{:.0} % of a core, of {}", process.cpu * 100.0, process.cores)),
        ("memory", octets(process.memory_bytes as f64)),
        ("files", format!("{} of {}", count(process.open_files), count(process.max_open_files))),
    ] {
        let _ = writeln!(text, "  {name:13} {line}");
    }
    for alarm in &status.alarms {
        let _ = writeln!(text, "{}", alarm_line(alarm));
    }
    text
}

/// Its state in words.
pub(super) fn state(status: &Status) -> String {
    match (status.stopping, status.ready) {
        (true, _) => "stopping".to_owned(),
        (_, true) => "ready".to_owned(),
        _ => format!("not ready: {}", plain(&status.not_ready.join("; "))),
    }
}

/// For how long it has been running.
pub(super) fn up(status: &Status) -> String {
    let at = |text: &str| humantime::parse_rfc3339_weak(text).ok();
    let (started, now) = (at(&status.started_at), at(&status.now));
    let up = started.zip(now).and_then(|(started, now)| now.duration_since(started).ok());
    up.map_or_else(|| "-".to_owned(), |up| age(up.as_secs_f64()))
}

/// One line.
pub(super) fn alarm_line(alarm: &Alarm) -> String {
    let since = alarm.since.as_deref().map(|since| format!(" (since {since})")).unwrap_or_default();
    let severity = match alarm.severity {
        Severity::Info => "info",
        Severity::Warning => "WARNING",
        Severity::Critical => "CRITICAL",
    };
    plain(&format!("{severity} {} {}: {}{since}", alarm.kind, alarm.subject, alarm.text))
}

fn a_second(of: f64, total: u64) -> String {
    format!("{}/s, {} in all", rate(of), count(total))
}

fn traffic(of: f64, total: u64) -> String {
    format!("{}/s, {} in all", octets(of), octets(total as f64))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::admin::view::status::{Process, Rates, Traffic};

    pub(in super::super) fn sample() -> Status {
        Status {
            gateway: "gw1".into(),
            version: "0.1.0".into(),
            process_id: 42,
            started_at: "2026-11-20T10:00:00Z".into(),
            now: "2026-11-21T12:00:00.250Z".into(),
            revision: 3,
            ready: true,
            not_ready: Vec::new(),
            stopping: false,
            sessions: 1234,
            in_handshake: 5,
            max_connections: 10_000,
            channels: 2000,
            unconfirmed: 7,
            totals: Traffic {
                published: 1_000_000,
                bytes_from_client: 34_500_000,
                ..Traffic::default()
            },
            rates: Rates { published: 1500.4, bytes_from_client: 1_200_000.0, ..Rates::default() },
            process: Process {
                cpu: 0.25,
                cores: 2,
                memory_bytes: 45_000_000,
                open_files: 2500,
                max_open_files: 65_536,
                ..Process::default()
            },
            alarms: vec![Alarm {
                severity: Severity::Critical,
                kind: "node".into(),
                subject: "main/r1".into(),
                text: "down: refused".into(),
                since: None,
            }],
        }
    }

    #[test]
    fn the_status_is_one_figure_a_line_and_alarms_come_last() {
        let expected = "\
gw1: ready
  version       0.1.0, process 42
  running       1d 2h, since 2026-11-20T10:00:00Z
  revision      3
  sessions      1,234 of at most 10,000, 5 in their handshake
  channels      2,000
  unconfirmed   7
  published     1,500/s, 1,000,000 in all
  delivered     0/s, 0 in all
  confirmed     0/s, 0 in all
  acknowledged  0/s, 0 in all
  returned      0/s, 0 in all
  from clients  1.2 MB/s, 34.5 MB in all
  from nodes    0 B/s, 0 B in all
  CPU           25 % of a core, of 2
  memory        45.0 MB
  files         2,500 of 65,536
CRITICAL node main/r1: down: refused
";
        assert_eq!(text(&sample()), expected);
        let waits = Status { ready: false, not_ready: vec!["no node".into()], ..sample() };
        assert!(text(&waits).starts_with("gw1: not ready: no node\n"));
    }
}

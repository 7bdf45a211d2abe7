//! `reload`: puts in force what is in the configuration file, or tells what that would do.

use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use clap::Args;
use serde_json::json as value;
use ureq::http::Method;

use super::figures::{count, plain};
use super::login::Admin;
use super::operate::{Failed, json};
use crate::admin::view::config::{Change, Checked, ConfigProblem, Diff, Reloaded};

/// Certificates are read and names looked up before anything changes.
const PATIENCE: Duration = Duration::from_secs(120);

/// `reload`
#[derive(Debug, Args)]
pub(super) struct Reload {
    /// Change nothing: tell whether what is in the file is valid.
    #[arg(long, conflicts_with = "diff")]
    check: bool,
    /// Change nothing: tell what would change.
    #[arg(long)]
    diff: bool,
    #[command(flatten)]
    admin: Admin,
}

impl Reload {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failed> {
        if self.check {
            let checked: Checked = self.ask("check")?;
            if self.admin.json {
                json(out, &checked)?;
            } else {
                write!(out, "{}", problems(&checked.problems))?;
            }
            return verdict(checked.valid, (!self.admin.json).then_some(out));
        }
        if self.diff {
            let diff: Diff = self.ask("diff")?;
            if self.admin.json {
                json(out, &diff)?;
            } else {
                write!(out, "{}", differences(&diff))?;
            }
            return verdict(diff.valid, None);
        }
        let reloaded: Reloaded = self.ask("reload")?;
        if self.admin.json {
            return json(out, &reloaded);
        }
        Ok(write!(out, "{}", done(&reloaded))?)
    }

    fn ask<T: serde::de::DeserializeOwned>(&self, what: &str) -> Result<T, String> {
        let path = format!("/api/v1/config/{what}");
        self.admin.client()?.send_for(Method::POST, &path, &value!({}), PATIENCE)
    }
}

/// The last line where `out` is given; not valid = failed.
fn verdict(valid: bool, out: Option<&mut dyn Write>) -> Result<(), Failed> {
    match (valid, out) {
        (true, Some(out)) => Ok(writeln!(out, "valid: it could be put in force")?),
        (true, None) => Ok(()),
        (false, _) => Err("not valid: a reload would change nothing".to_owned().into()),
    }
}

fn problems(problems: &[ConfigProblem]) -> String {
    let mut text = String::new();
    for problem in problems {
        let ConfigProblem { file, line, column, severity, message, advice } = problem;
        let place = if *line > 0 { format!("{file}:{line}:{column}") } else { file.clone() };
        let _ = writeln!(text, "{}", plain(&format!("{place}: {severity}: {message}")));
        if !advice.is_empty() {
            let _ = writeln!(text, "   help: {}", plain(advice));
        }
    }
    text
}

fn changes(changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes {
        let restart = if change.needs_restart { " (takes a restart)" } else { "" };
        let _ =
            writeln!(text, "{}", plain(&format!("{}: {}{restart}", change.section, change.how)));
        for what in &change.what {
            let _ = writeln!(text, "  {}", plain(what));
        }
    }
    text
}

fn differences(diff: &Diff) -> String {
    let mut text = diff.text.lines().map(|line| plain(line) + "\n").collect::<String>();
    text += &problems(&diff.problems);
    text += &changes(&diff.changes);
    if diff.valid && diff.changes.is_empty() {
        text += "nothing would change\n";
    }
    if diff.sessions_closed > 0 {
        let sessions = count(diff.sessions_closed as u64);
        let _ = writeln!(text, "sessions that would be closed with 320: {sessions}");
    }
    text
}

fn done(reloaded: &Reloaded) -> String {
    let mut text = problems(&reloaded.problems) + &changes(&reloaded.changes);
    let nothing = if reloaded.changes.is_empty() { ", nothing has changed" } else { "" };
    let _ = writeln!(text, "reloaded: revision {}{nothing}", reloaded.revision);
    if reloaded.sessions_closed > 0 {
        let sessions = count(reloaded.sessions_closed as u64);
        let _ = writeln!(text, "sessions that are being closed with 320: {sessions}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> Change {
        Change {
            section: "cluster.main.node.r1".into(),
            how: "changed".into(),
            what: vec!["weight: 1 -> 2".into()],
            needs_restart: false,
        }
    }

    fn problem(line: usize) -> ConfigProblem {
        ConfigProblem {
            file: "gw.toml".into(),
            line,
            column: 3,
            severity: "error".into(),
            message: "no".into(),
            advice: "yes".into(),
        }
    }

    #[test]
    fn a_reload_tells_what_has_changed() {
        let mut reloaded = Reloaded {
            revision: 4,
            changes: vec![change(), Change { needs_restart: true, what: Vec::new(), ..change() }],
            problems: Vec::new(),
            sessions_closed: 1200,
        };
        let expected = "\
cluster.main.node.r1: changed
  weight: 1 -> 2
cluster.main.node.r1: changed (takes a restart)
reloaded: revision 4
sessions that are being closed with 320: 1,200
";
        assert_eq!(done(&reloaded), expected);
        (reloaded.changes, reloaded.sessions_closed) = (Vec::new(), 0);
        assert_eq!(done(&reloaded), "reloaded: revision 4, nothing has changed\n");
    }

    #[test]
    fn a_difference_tells_texts_problems_and_changes() {
        let diff = Diff {
            valid: false,
            problems: vec![problem(7), problem(0)],
            changes: vec![change()],
            text: "-a\n+b\n".into(),
            sessions_closed: 2,
        };
        let expected = "\
-a
+b
gw.toml:7:3: error: no
   help: yes
gw.toml: error: no
   help: yes
cluster.main.node.r1: changed
  weight: 1 -> 2
sessions that would be closed with 320: 2
";
        assert_eq!(differences(&diff), expected);
    }
}

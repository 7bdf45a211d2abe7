//! Reload: puts another configuration in force while the gateway runs.
//!
//! The *steward* takes orders one after the other, from signals, from the API and from the file itself: read, validate, compare,
//! prepare, commit, retire. Up to the commit nothing has changed, and everything that is wrong is told; what does not
//! differ keeps its very objects. A commit cannot fail.

mod apply;
mod candidate;
mod desk;
mod file;
pub(in crate::app) mod outcome;
mod retire;
mod revisions;
mod words;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::disk::Disk;
use super::signals::{Asked, Signals};
use super::{Gateway, Logs};
use crate::admin::AdminServer;
use crate::admin::operator::Refusal;
use crate::admin::view::config::{ConfigProblem, Reloaded};
use crate::config::diff::Change;
use crate::config::model::Model;
use crate::session::Shared;
use crate::telemetry::events::{Kind, Severity, What as Event};
use apply::Committed;
use candidate::Candidate;
pub(in crate::app) use desk::Desk;
use desk::{Answer, Known, Order, What};
use file::FileWatch;
use outcome::Outcome;
pub(in crate::app) use retire::UnderWay;
use revisions::{Revisions, Who};

/// How long reading files may take: one may be on a disk that does not answer, or be a pipe.
const READ_PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });
/// Lines in the log on one reload.
const LINES: usize = 50;

/// The configuration in force.
#[derive(Debug)]
pub(super) struct InForce {
    /// As it was written, secrets included.
    text: Arc<str>,
    /// What that says.
    written: Model,
    /// What counts of it: what takes a restart is as it was at the start.
    model: Model,
}

/// Whoever changes the configuration of a running gateway.
pub(super) struct Steward {
    shared: Arc<Shared>,
    desk: Desk,
    orders: mpsc::Receiver<Order>,
    file: FileWatch,
    /// Where orders are read from. Others who read do not keep them waiting.
    disk: Disk,
    /// The admin server that another one took the place of, until our answer is sent.
    old_admin: Option<AdminServer>,
    /// Did something of the last configuration not work, though it is in force? The same text tries it again.
    incomplete: bool,
    /// Was the last one refused? Then it is told when the file says what is in force again.
    refused: bool,
    /// Has a signal asked to stop while something was read?
    stopping: bool,
}

/// What a running gateway is changed by.
struct Hands<'a> {
    gateway: &'a mut Gateway,
    logs: &'a Logs,
    signals: &'a mut Signals,
}

impl Steward {
    /// For a gateway that starts with this text, which is in this file.
    pub(super) fn new(gateway: &Gateway, (path, text): (&Path, Arc<str>), model: &Model) -> Self {
        let revisions = Revisions::new(text.clone(), SystemTime::now());
        let in_force = InForce { text, written: model.clone(), model: model.clone() };
        let known = Known { revisions, in_force: Arc::new(in_force) };
        let (desk, orders) = Desk::new(path, known, (gateway.keeper.clone(), gateway.tls.clone()));
        Self {
            shared: gateway.shared.clone(),
            desk,
            orders,
            file: FileWatch::new(path),
            disk: Disk::default(),
            old_admin: None,
            incomplete: false,
            refused: false,
            stopping: false,
        }
    }

    /// Where the API asks.
    pub(super) fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// What counts now.
    pub(super) fn in_force(&self) -> Model {
        self.desk.known().in_force.model.clone()
    }

    /// Takes orders until a signal asks to stop.
    pub(super) async fn run(&mut self, gateway: &mut Gateway, signals: &mut Signals, logs: &Logs) {
        let mut hands = Hands { gateway, logs, signals };
        while !self.stopping {
            let watches = self.desk.known().in_force.model.gateway.reload_on_change;
            tokio::select! {
                asked = hands.signals.next() => match asked {
                    Asked::Stop => break,
                    Asked::Reload => {
                        logs.reopen().await;
                        let _ = self.carry_out(&mut hands, &What::Reload, Who::Signal).await;
                    }
                },
                Some(Order { what, who, answer }) = self.orders.recv() => {
                    // Whoever does not wait for it any more finds it in the history.
                    let _ = answer.send(self.carry_out(&mut hands, &what, who).await);
                }
                () = self.file.changed(), if watches => {
                    let _ = self.carry_out(&mut hands, &What::Reload, Who::FileChange).await;
                }
            }
            if let Some(old) = self.old_admin.take() {
                tokio::task::spawn_blocking(move || old.stop());
            }
        }
        // Nobody shall wait for an answer that does not come.
        self.orders.close();
        while self.orders.try_recv().is_ok() {}
    }

    async fn carry_out(&mut self, hands: &mut Hands<'_>, what: &What, who: Who) -> Answer {
        let read = tokio::select! {
            biased;
            () = hands.signals.asked_to_stop() => None,
            read = self.read(what) => Some(read?),
        };
        let Some(read) = read else { return Err(self.stops()) };
        let candidate = match read {
            Ok(candidate) => candidate,
            Err(problems) => return Err(self.refused(who, problems)),
        };
        let before = self.desk.known().in_force.clone();
        let mut changes = candidate.changes(&before.model);
        let is_the_same = candidate.text == before.text && candidate.model == before.written;
        if is_the_same && !self.incomplete {
            return Ok(self.unchanged(&who, &changes, candidate.problems));
        }
        let model = candidate::without_restart(&candidate.model, &before.model);
        let Candidate { text, model: written, tls, mut problems } = candidate;
        let revision = self.desk.known().revisions.last() + 1;
        let steps = apply::Steps { before: &before.model, model: &model, tls, revision };
        let prepared = tokio::select! {
            biased;
            () = hands.signals.asked_to_stop() => return Err(self.stops()),
            prepared = steps.prepare(hands.gateway, hands.logs, self.desk.path()) => prepared,
        };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(more) => {
                problems.extend(more);
                return Err(self.refused(who, problems));
            }
        };
        if let Some(why) = prepared.waits() {
            let of_vrrp = |change: &&mut Change| change.section.starts_with("vrrp.");
            changes.iter_mut().filter(of_vrrp).for_each(|change| change.needs_restart = true);
            let file = self.desk.path().display().to_string();
            problems.push(words::warning(&file, why.to_owned()));
        }
        let committed = prepared.commit(hands.gateway, hands.logs, &model, self).await;
        let Committed { sessions_closed, problems: failed, old_admin } = committed;
        self.old_admin = old_admin;
        let incomplete = !failed.is_empty();
        let file = self.desk.path().display().to_string();
        problems.extend(failed.into_iter().map(|why| words::problem(&file, why, "")));
        let in_force = InForce { text: text.clone(), written, model };
        self.desk.known().in_force = Arc::new(in_force);
        self.applied(text, who, &changes, &problems, sessions_closed);
        self.incomplete = incomplete;
        let changes = changes.iter().map(words::change).collect();
        Ok(Reloaded { revision, changes, problems, sessions_closed })
    }

    /// The configuration that is meant, or what is wrong with it.
    async fn read(
        &mut self,
        what: &What,
    ) -> Result<Result<Candidate, Vec<ConfigProblem>>, Refusal> {
        let (path, tls) = (self.desk.path().to_owned(), self.desk.tls());
        let read = match *what {
            What::Reload => {
                let reading = move || (file::marks(&path), candidate::from_file(&path, &tls));
                let read = self.disk.ask(READ_PATIENCE, reading).await;
                read.map(|(marks, read)| {
                    self.file.known(marks);
                    read
                })
            }
            What::Rollback(number) => {
                let known = self.desk.known();
                let text = known.revisions.find(number).and_then(|of| of.text.clone());
                let text = text.ok_or_else(|| desk::unknown(number))?;
                let reading = move || candidate::from_text(text, &path, &tls);
                self.disk.ask(READ_PATIENCE, reading).await
            }
        };
        Ok(read.unwrap_or_else(|why| Err(vec![self.desk.unread(&why)])))
    }

    /// A signal asks to stop, and nothing has changed yet.
    fn stops(&mut self) -> Refusal {
        self.stopping = true;
        warn!("the gateway is to stop: the configuration in force stays until then");
        desk::stopping()
    }

    fn refused(&mut self, who: Who, problems: Vec<ConfigProblem>) -> Refusal {
        let words: Vec<_> = problems.iter().map(words::in_words).collect();
        let (by, warns) = (who.name(), |problem: &ConfigProblem| problem.severity == "warning");
        let errors = problems.iter().filter(|problem| !warns(problem)).count();
        error!(by, problems = errors, "configuration refused: the one in force stays");
        for (problem, line) in problems.iter().zip(&words).take(LINES) {
            match warns(problem) {
                true => warn!("{line}"),
                false => error!("{line}"),
            }
        }
        self.shared.metrics.config_reload("refused");
        let text = match words.as_slice() {
            [only] => format!("refused: {only}"),
            all => format!("refused, with {} problems", all.len()),
        };
        self.refused = true;
        self.event(Outcome::Refused, text, &who, &words);
        self.desk.known().revisions.refused(who, words.clone(), SystemTime::now());
        Refusal::Invalid("The configuration is refused, the one in force stays.".to_owned(), words)
    }

    fn unchanged(
        &mut self,
        who: &Who,
        waiting: &[Change],
        problems: Vec<ConfigProblem>,
    ) -> Reloaded {
        let revision = self.desk.known().revisions.last();
        let by = who.name();
        info!(revision, by, "configuration unchanged: it is in force already");
        for change in waiting {
            warn!("{change}");
        }
        self.shared.metrics.config_reload("unchanged");
        if std::mem::take(&mut self.refused) {
            let text = format!("valid again: it says what is in force, revision {revision}");
            self.event(Outcome::Unchanged, text, who, &[]);
        }
        let changes = waiting.iter().map(words::change).collect();
        Reloaded { revision, changes, problems, sessions_closed: 0 }
    }

    fn applied(
        &mut self,
        text: Arc<str>,
        who: Who,
        changes: &[Change],
        problems: &[ConfigProblem],
        sessions_closed: usize,
    ) {
        let mut words: Vec<_> = changes.iter().map(ToString::to_string).collect();
        if words.is_empty() {
            let nothing = match self.incomplete {
                true => "nothing new: what could not be had before is tried again",
                false => "nothing but its text: comments, order or layout",
            };
            words.push(nothing.to_owned());
        }
        let by = who.name();
        let revision = self.desk.known().revisions.last() + 1;
        info!(revision, by, sessions_closed, "configuration in force");
        for line in words.iter().take(LINES) {
            info!(revision, "{line}");
        }
        for problem in problems.iter().take(LINES) {
            warn!("{}", words::in_words(problem));
        }
        self.shared.metrics.config_reload("applied");
        let failed = problems.iter().find(|problem| problem.severity == "error");
        let text_of_event = match words.as_slice() {
            [only] => format!("revision {revision} in force: {only}"),
            all => format!("revision {revision} in force, with {} changes", all.len()),
        };
        self.refused = false;
        match failed {
            None => self.event(Outcome::Applied, text_of_event, &who, &words),
            Some(problem) => {
                let text = format!("{text_of_event}; but {}", problem.message);
                self.event(Outcome::Incomplete, text, &who, &words);
            }
        }
        self.desk.known().revisions.applied(text, who, words, SystemTime::now());
    }

    fn event(&self, outcome: Outcome, text: String, who: &Who, words: &[String]) {
        let file = self.desk.path().display().to_string();
        let severity = match outcome {
            Outcome::Applied | Outcome::Unchanged => Severity::Info,
            Outcome::Incomplete | Outcome::Refused => Severity::Warning,
        };
        let mut event = Event::new(Kind::Config, severity, file, text);
        event.actor = who.actor().cloned();
        event.details.insert("by".to_owned(), who.name().to_owned());
        event.details.insert(outcome::KEY.to_owned(), outcome.name().to_owned());
        let some: Vec<_> = words.iter().take(LINES).cloned().collect();
        event.details.insert("changes".to_owned(), some.join("\n"));
        self.shared.events.add(event);
    }
}

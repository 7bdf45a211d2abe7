//! What the API asks of the configuration.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::super::disk::{Disk, Unanswered};
use super::candidate::{self, Candidate};
use super::revisions::{Revisions, Who};
use super::{InForce, READ_PATIENCE, words};
use crate::admin::operator::Refusal;
use crate::admin::operator::configure::Configurator;
use crate::admin::view::config::{
    Checked, Config, ConfigProblem, Diff, Reloaded, Revision, RevisionText,
};
use crate::config;
use crate::config::diff;
use crate::drain::Keeper;
use crate::telemetry::events::Actor;
use crate::tls::Tls;

/// Orders that may wait for the one under way.
const WAITING: usize = 16;

/// How long a question waits for the file that it is not about.
const LOOK_PATIENCE: Duration = Duration::from_secs(3);

/// What the steward is to do.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) what: What,
    pub(super) who: Who,
    pub(super) answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
pub(super) enum What {
    /// Put the file in force.
    Reload,
    /// Put an earlier revision in force.
    Rollback(u64),
}

pub(super) type Answer = Result<Reloaded, Refusal>;

/// What steward and desk both know.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) revisions: Revisions,
    pub(super) in_force: Arc<InForce>,
}

/// Where the API asks.
#[derive(Debug, Clone)]
pub(in crate::app) struct Desk {
    path: PathBuf,
    known: Arc<Mutex<Known>>,
    keeper: Arc<Keeper>,
    tls: Arc<ArcSwap<Tls>>,
    orders: mpsc::Sender<Order>,
    /// Where the API reads: its questions wait for each other, and orders do not wait for them.
    disk: Arc<Disk>,
}

impl Desk {
    pub(super) fn new(
        path: &Path,
        known: Known,
        (keeper, tls): (Arc<Keeper>, Arc<ArcSwap<Tls>>),
    ) -> (Self, mpsc::Receiver<Order>) {
        let (orders, taken) = mpsc::channel(WAITING);
        let known = Arc::new(Mutex::new(known));
        (Self { path: path.to_owned(), known, keeper, tls, orders, disk: Arc::default() }, taken)
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// TLS in force.
    pub(super) fn tls(&self) -> Arc<Tls> {
        self.tls.load_full()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file on a thread where nobody waits for it.
    async fn candidate(&self) -> Result<Candidate, Vec<ConfigProblem>> {
        let (path, tls) = (self.path.clone(), self.tls());
        let read = self.disk.ask(READ_PATIENCE, move || candidate::from_file(&path, &tls)).await;
        read.unwrap_or_else(|why| Err(vec![self.unread(&why)]))
    }

    /// Why a reading has no outcome.
    pub(super) fn unread(&self, why: &Unanswered) -> ConfigProblem {
        let (text, advice) = match why {
            Unanswered::Late(waited) => (
                format!("this, or a file that it names, was not read within {waited:?}"),
                "see whether its disk answers, and whether it is a file",
            ),
            Unanswered::Broken(error) => {
                (format!("cannot be read: {error}"), "this is a fault of the gateway")
            }
        };
        words::problem(&self.path.display().to_string(), text, advice)
    }

    async fn order(&self, what: What, by: Actor) -> Answer {
        let (answer, told) = oneshot::channel();
        let order = Order { what, who: Who::Operator(by), answer };
        self.orders.send(order).await.map_err(|_| stopping())?;
        told.await.unwrap_or_else(|_| Err(stopping()))
    }
}

impl Configurator for Desk {
    fn config(&self) -> BoxFuture<'_, Config> {
        async move {
            let (in_force, running, history) = {
                let known = self.known();
                let running = known.revisions.in_force().map(words::revision);
                let running = running.unwrap_or_else(|| nothing_known(known.revisions.last()));
                let history = known.revisions.list().map(words::revision).collect();
                (known.in_force.clone(), running, history)
            };
            let (path, text) = (self.path.clone(), in_force.text.clone());
            let same = move || config::text_of(&path).ok().as_deref() == Some(&*text);
            let text = in_force.text.clone();
            let shown = tokio::task::spawn_blocking(move || config::shown(&text));
            let same = self.disk.ask(LOOK_PATIENCE, same).await;
            Config {
                file: self.path.display().to_string(),
                running,
                text: shown.await.unwrap_or_default(),
                file_differs: !same.unwrap_or(false),
                reload_on_change: in_force.model.gateway.reload_on_change,
                history,
            }
        }
        .boxed()
    }

    fn revision(&self, number: u64) -> Result<RevisionText, Refusal> {
        let found = {
            let known = self.known();
            let found = known.revisions.find(number);
            found.and_then(|of| Some((words::revision(of), of.text.clone()?)))
        };
        let (revision, text) = found.ok_or_else(|| unknown(number))?;
        Ok(RevisionText { revision, text: config::shown(&text) })
    }

    fn check(&self) -> BoxFuture<'_, Checked> {
        async move {
            match self.candidate().await {
                Ok(candidate) => {
                    Checked { valid: candidate.tls.is_some(), problems: candidate.problems }
                }
                Err(problems) => Checked { valid: false, problems },
            }
        }
        .boxed()
    }

    fn diff(&self) -> BoxFuture<'_, Diff> {
        async move {
            let (path, tls, keeper) = (self.path.clone(), self.tls(), self.keeper.clone());
            let in_force = self.known().in_force.clone();
            // All of it there: texts may be long, and sessions many.
            let reading = move || {
                let candidate = candidate::from_file(&path, &tls)?;
                Ok(compared(candidate, &in_force, &keeper))
            };
            let read = self.disk.ask(READ_PATIENCE, reading).await;
            let read = read.unwrap_or_else(|why| Err(vec![self.unread(&why)]));
            read.unwrap_or_else(|problems| Diff {
                valid: false,
                problems,
                changes: Vec::new(),
                text: String::new(),
                sessions_closed: 0,
            })
        }
        .boxed()
    }

    fn reload(&self, by: Actor) -> BoxFuture<'_, Answer> {
        self.order(What::Reload, by).boxed()
    }

    fn rollback(&self, revision: u64, by: Actor) -> BoxFuture<'_, Answer> {
        self.order(What::Rollback(revision), by).boxed()
    }
}

/// What it would change if it came into force. To be called where nobody waits for it.
fn compared(candidate: Candidate, in_force: &InForce, keeper: &Keeper) -> Diff {
    let changes = candidate.changes(&in_force.model);
    Diff {
        valid: candidate.tls.is_some(),
        text: diff::text(&in_force.text, &candidate.text, ("in force", "in the file")),
        sessions_closed: keeper.would_close(&candidate.model, |_| false),
        changes: changes.iter().map(words::change).collect(),
        problems: candidate.problems,
    }
}

/// To whoever asks for something at the end.
pub(super) fn stopping() -> Refusal {
    Refusal::Conflict("The gateway is stopping.".to_owned())
}

pub(super) fn unknown(revision: u64) -> Refusal {
    Refusal::Unknown(format!("The text of revision {revision} is not known, or not any more."))
}

fn nothing_known(revision: u64) -> Revision {
    Revision {
        revision,
        at: String::new(),
        by: String::new(),
        from: None,
        outcome: "applied".to_owned(),
        changes: Vec::new(),
        available: false,
    }
}

#[cfg(test)]
mod tests;

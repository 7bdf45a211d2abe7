//! Takes over files that change while the gateway runs, and warns before certificates end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use humantime::format_rfc3339_seconds;
use tokio_util::sync::CancellationToken;
use tracing::{Dispatch, dispatcher, error, info, warn};

use super::Tls;
use super::client::Origination;
use super::expiry::{Lifetime, Warned};
use super::files::{Files, Settled, Stamp};
use super::pair::Leaf;
use super::problem::{Findings, TlsProblem};
use super::server::Termination;
use crate::config::model::{Certificate, ClusterTls, ListenerTls, Model};
use crate::telemetry::events::{EventLog, Kind, Severity, What};
use crate::telemetry::metrics::Metrics;

/// How often files are looked at. A change that has been seen twice is taken over.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What could not be taken over is tried again after so many looks: a certificate may have become valid.
const RETRY_AFTER: u32 = 30;

/// The files of a configuration that are watched.
#[derive(Debug)]
pub struct Watch {
    sets: Vec<Set>,
    files: Files,
    warned: Warned,
    news: News,
}

/// Where it is told what became of files.
#[derive(Debug)]
struct News {
    metrics: Arc<Metrics>,
    events: Arc<EventLog>,
}

impl News {
    fn tell(&self, severity: Severity, section: &str, text: String) {
        self.events.add(What::new(Kind::Certificate, severity, section, text));
    }
}

/// Files that are taken over together.
#[derive(Debug)]
struct Set {
    paths: Vec<PathBuf>,
    settled: Settled<Vec<Stamp>>,
    of: Of,
    /// What was said of what is in the files now, if they cannot be used; and looks since they were tried.
    refused: Option<(Vec<TlsProblem>, u32)>,
}

/// What a set is.
#[derive(Debug, Clone)]
enum Of {
    /// A certificate of a listener, by its position.
    Listener(Arc<Termination>, usize),
    /// A listener's authorities and revocation lists.
    Clients(Arc<Termination>),
    /// The gateway's own certificate towards a cluster.
    Cluster(Arc<Origination>),
    /// Who signs the certificates of a cluster's nodes.
    Nodes(Arc<Origination>),
}

impl Watch {
    /// Watches the files of `tls`, from what was in them when it was made.
    #[must_use]
    pub fn new(tls: &Tls, metrics: Arc<Metrics>, events: Arc<EventLog>) -> Self {
        let sets = all_of(tls).map(|(of, paths)| {
            let stamps = paths.iter().map(|path| tls.files.last(path)).collect();
            Set { paths, settled: Settled::new(stamps), of, refused: None }
        });
        Self {
            sets: sets.collect(),
            files: tls.files.clone(),
            warned: Warned::default(),
            news: News { metrics, events },
        }
    }

    /// Looks again and again, until told to stop. Files are read on a thread where nobody waits for it.
    pub async fn run(self, stop: CancellationToken) {
        let mut watch = self;
        // The log is that of the thread, and others read the files.
        let log = dispatcher::get_default(Dispatch::clone);
        loop {
            let log = log.clone();
            let looked = tokio::task::spawn_blocking(move || {
                dispatcher::with_default(&log, || watch.look(SystemTime::now()));
                watch
            });
            let Ok(looked) = looked.await else { return };
            watch = looked;
            if stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
                return;
            }
        }
    }

    /// Looks once.
    fn look(&mut self, now: SystemTime) {
        let Self { sets, files, warned, news } = self;
        for set in sets {
            let stamps = set.paths.iter().map(|path| files.look(path)).collect();
            if set.settled.look(stamps) {
                set.refused = None;
                set.take_over(news);
            } else if let Some((_, looks)) = &mut set.refused {
                *looks += 1;
                if *looks >= RETRY_AFTER {
                    set.take_over(news);
                }
            }
            if let Some(leaf) = set.of.leaf() {
                warn_of_end(warned, &set.of, &leaf, now, news);
            }
        }
    }
}

impl Set {
    fn take_over(&mut self, news: &News) {
        let mut findings = Findings::default();
        self.of.renew(&mut findings);
        let problems = findings.into_problems();
        let (section, what) = (self.of.section(), self.of.what());
        let (fatal, warnings): (Vec<_>, Vec<_>) = problems.into_iter().partition(|p| p.fatal);
        for TlsProblem { message, advice, .. } in &warnings {
            warn!(cure = advice, "{message}");
        }
        self.of.note_refused(&fatal);
        if fatal.is_empty() {
            self.refused = None;
            news.metrics.certificate_reload("success");
            let leaf = self.of.leaf();
            let certificate = leaf.as_ref().map(|leaf| &*leaf.name);
            let until = leaf.as_ref().map(|leaf| format_rfc3339_seconds(leaf.not_after));
            let until = until.map(tracing::field::display);
            let name = certificate.map_or_else(String::new, |name| format!(" {name}"));
            news.tell(Severity::Info, section, format!("new {what}{name} in use"));
            info!(section, certificate, until, "new {what} in use from the next TLS handshake on");
            return;
        }
        let said = self.refused.take().is_some_and(|(before, _)| before == fatal);
        if !said {
            news.metrics.certificate_reload("failure");
            for TlsProblem { message, advice, .. } in &fatal {
                let text =
                    format!("changed {what} refused, the old stays in use: {message}: {advice}");
                news.tell(Severity::Warning, section, text);
                error!(
                    cause = message,
                    cure = advice,
                    "changed {what} refused: the old stays in use"
                );
            }
        }
        self.refused = Some((fatal, 0));
    }
}

fn warn_of_end(warned: &mut Warned, of: &Of, leaf: &Leaf, now: SystemTime, news: &News) {
    let Leaf { name, not_before, not_after, .. } = leaf;
    let lifetime = Lifetime { not_before: *not_before, not_after: *not_after };
    let section = of.section();
    let until = format_rfc3339_seconds(*not_after);
    match warned.news(&of.key(), lifetime, now) {
        Some(0) => {
            let text = format!("certificate {name} has expired: renew it");
            news.tell(Severity::Critical, section, text);
            warn!(section, certificate = &**name, %until, "certificate has expired: renew it")
        }
        Some(days) => {
            let within = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
            let text = format!("certificate {name} ends within {within}: renew it");
            news.tell(Severity::Warning, section, text);
            warn!(section, certificate = &**name, %until, "certificate ends within {within}: renew it");
        }
        None => {}
    }
}

impl Of {
    fn renew(&self, findings: &mut Findings) {
        match self {
            Self::Listener(listener, position) => listener.renew_certificate(*position, findings),
            Self::Clients(listener) => listener.renew_clients(findings),
            Self::Cluster(cluster) => cluster.renew_certificate(findings),
            Self::Nodes(cluster) => cluster.renew_authorities(findings),
        }
    }

    fn leaf(&self) -> Option<Leaf> {
        match self {
            Self::Listener(listener, position) => {
                listener.certificates().into_iter().nth(*position)
            }
            Self::Cluster(cluster) => cluster.certificate(),
            Self::Clients(_) | Self::Nodes(_) => None,
        }
    }

    /// Authorities are no certificates that are shown: what is wrong with them is in the log.
    fn note_refused(&self, fatal: &[TlsProblem]) {
        let told = || fatal.iter().map(|p| format!("{}: {}", p.message, p.advice));
        let text = (!fatal.is_empty()).then(|| told().collect::<Vec<_>>().join("; "));
        match self {
            Self::Listener(listener, position) => listener.refused().set(*position, text),
            Self::Cluster(cluster) => cluster.refused().set(0, text),
            Self::Clients(_) | Self::Nodes(_) => {}
        }
    }

    fn section(&self) -> &str {
        match self {
            Self::Listener(listener, _) | Self::Clients(listener) => listener.section(),
            Self::Cluster(cluster) | Self::Nodes(cluster) => cluster.section(),
        }
    }

    fn what(&self) -> &'static str {
        match self {
            Self::Listener(..) | Self::Cluster(_) => "certificate",
            Self::Clients(_) => "authorities and revocation lists",
            Self::Nodes(_) => "authorities",
        }
    }

    fn key(&self) -> String {
        match self {
            Self::Listener(_, position) => format!("{} {position}", self.section()),
            _ => self.section().to_owned(),
        }
    }
}

/// All that is watched, with its files.
fn all_of(tls: &Tls) -> impl Iterator<Item = (Of, Vec<PathBuf>)> {
    let listeners = tls.listeners.values().chain(&tls.admin).flat_map(|listener| {
        let certificates = listener.model().certificates.iter().enumerate();
        let certificates = certificates.map(|(position, certificate)| {
            (Of::Listener(listener.clone(), position), of_certificate(certificate))
        });
        let clients = (Of::Clients(listener.clone()), of_clients(listener.model()));
        certificates.chain([clients])
    });
    let clusters = tls.clusters.values().filter_map(|cluster| cluster.amqp.as_ref());
    let clusters = clusters.flat_map(|cluster| {
        let own = cluster.model().certificate.as_ref();
        let own = own.map(|own| (Of::Cluster(cluster.clone()), of_certificate(own)));
        let ca = cluster.model().ca.as_ref();
        let ca = ca.map(|ca| (Of::Nodes(cluster.clone()), vec![ca.path.clone()]));
        own.into_iter().chain(ca)
    });
    listeners.chain(clusters).filter(|(_, paths)| !paths.is_empty())
}

/// What is in the files of a configuration now.
pub(super) fn first_look(model: &Model) -> Files {
    let mut files = Files::default();
    for section in model.listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
        files.look_at_all(files_of_listener(section));
    }
    let of_admin = model.admin.iter().flat_map(|admin| &admin.certificates);
    files.look_at_all(of_admin.flat_map(of_certificate).collect());
    for section in model.clusters.iter().filter_map(|cluster| cluster.tls.as_ref()) {
        files.look_at_all(files_of_cluster(section));
    }
    files
}

fn files_of_listener(section: &ListenerTls) -> Vec<PathBuf> {
    let certificates = section.certificates.iter().flat_map(of_certificate);
    certificates.chain(of_clients(section)).collect()
}

fn files_of_cluster(section: &ClusterTls) -> Vec<PathBuf> {
    let own = section.certificate.iter().flat_map(of_certificate);
    own.chain(section.ca.iter().map(|ca| ca.path.clone())).collect()
}

fn of_certificate(certificate: &Certificate) -> Vec<PathBuf> {
    let mut paths = vec![certificate.chain.clone(), certificate.key.clone()];
    paths.dedup();
    paths
}

fn of_clients(section: &ListenerTls) -> Vec<PathBuf> {
    section.client_ca.iter().chain(&section.client_crl).map(|file| file.path.clone()).collect()
}

#[cfg(test)]
mod tests;

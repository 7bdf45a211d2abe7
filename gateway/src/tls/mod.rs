//! TLS: what the configuration's files hold, and what rustls is told of it.
//!
//! [`prepare`] reads all files once, before the gateway starts. What it makes is used as long as the gateway runs; files
//! that change meanwhile are taken over in place.

pub mod client;
pub mod failure;
pub mod problem;
pub mod server;
pub mod watch;

mod choose;
mod expiry;
mod facts;
mod files;
mod names;
mod pair;
mod pem;
mod suites;
mod trust;

#[cfg(test)]
mod samples;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use client::Origination;
pub use facts::{facts_of, has_ended};
use files::Files;
pub use pair::{Leaf, Seen};
use problem::{Findings, TlsProblem};
use server::{Alpn, Termination};

use crate::config::model::{Cluster, ClusterName, ListenerName, Model, Protocol};
use crate::telemetry::metrics::Scrape;
use crate::telemetry::names as metric_names;

/// All that is needed for TLS, of a whole configuration.
#[derive(Debug, Default)]
pub struct Tls {
    /// Of the listeners with TLS.
    pub listeners: HashMap<ListenerName, Arc<Termination>>,
    /// Of the admin address, if it has any.
    pub admin: Option<Arc<Termination>>,
    /// Of the clusters.
    pub clusters: HashMap<ClusterName, OfCluster>,
    /// What hardly is as it was meant.
    pub warnings: Vec<TlsProblem>,
    /// What was in its files before they were loaded.
    files: Files,
}

/// TLS with the nodes of a cluster.
#[derive(Debug, Clone, Default)]
pub struct OfCluster {
    /// Where AMQP has TLS: `[cluster.NAME.tls]`.
    pub amqp: Option<Arc<Origination>>,
    /// Where the management API has it: as AMQP, or with the authorities that the system trusts.
    pub https: Option<Arc<Origination>>,
}

/// A certificate in use.
#[derive(Debug, Clone)]
pub struct InUse {
    /// `listener`, `cluster` (shown to its nodes) or `admin`.
    pub used_by: &'static str,
    /// The name of that.
    pub of: Arc<str>,
    /// What it says.
    pub leaf: Leaf,
    /// Why what is in its file now cannot be used.
    pub refused: Option<String>,
}

impl Tls {
    /// All that are in use.
    #[must_use]
    pub fn certificates(&self) -> Vec<InUse> {
        let terminations = self.listeners.values().map(|listener| ("listener", listener));
        let terminations = terminations.chain(self.admin.iter().map(|admin| ("admin", admin)));
        let of_listeners = terminations.flat_map(|(used_by, listener)| {
            listener.certificates().into_iter().enumerate().map(move |(position, leaf)| InUse {
                used_by,
                of: listener.listener().0.clone(),
                leaf,
                refused: listener.refused().get(position),
            })
        });
        let of_clusters = self.clusters.values().filter_map(|cluster| {
            let cluster = cluster.amqp.as_ref()?;
            Some(InUse {
                used_by: "cluster",
                of: cluster.cluster().0.clone(),
                leaf: cluster.certificate()?,
                refused: cluster.refused().get(0),
            })
        });
        of_listeners.chain(of_clusters).collect()
    }

    /// Tells until when its certificates are valid. Of those with the same name the first end counts.
    pub fn report(&self, scrape: &mut Scrape<'_>) {
        let of_listeners = self.listeners.values().chain(&self.admin).flat_map(|listener| {
            let certificates = listener.certificates().into_iter();
            certificates.map(|leaf| {
                ((Some(listener.listener().0.clone()), None, leaf.name), leaf.not_after)
            })
        });
        let of_clusters = self.clusters.values().filter_map(|cluster| {
            let cluster = cluster.amqp.as_ref()?;
            let leaf = cluster.certificate()?;
            Some(((None, Some(cluster.cluster().0.clone()), leaf.name), leaf.not_after))
        });
        let mut ends = BTreeMap::new();
        for (labels, end) in of_listeners.chain(of_clusters) {
            let first = ends.entry(labels).or_insert(end);
            *first = end.min(*first);
        }
        for ((listener, cluster, certificate), end) in ends {
            let end = end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let labels = [listener.as_deref(), cluster.as_deref(), Some(&*certificate)];
            let labels = labels.map(Option::unwrap_or_default);
            scrape.gauge(
                &metric_names::CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS,
                &labels,
                end.as_secs_f64(),
            );
        }
    }
}

/// Reads certificates, keys and authorities.
///
/// # Errors
/// Everything that keeps them from being used, warnings included.
pub fn prepare(model: &Model) -> Result<Tls, Vec<TlsProblem>> {
    prepare_after(&Tls::default(), model)
}

/// The same for a configuration that is to come in the place of the one that `before` is of. Where both say the same, it is
/// the very same: clients go on to resume their sessions, and files that have changed are taken over as ever.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_after(before: &Tls, model: &Model) -> Result<Tls, Vec<TlsProblem>> {
    let mut findings = Findings::default();
    let mut tls = Tls { files: watch::first_look(model), ..Tls::default() };
    for listener in &model.listeners {
        let Some(section) = &listener.tls else { continue };
        let alpn = match listener.protocol {
            Protocol::Http(_) => Alpn::Http11,
            _ => Alpn::Ignored,
        };
        let known = before.listeners.get(&listener.name).cloned();
        let known = known.filter(|known| known.is_of(section, alpn));
        let new = || Termination::new(&listener.name, section, alpn, &mut findings).map(Arc::new);
        if let Some(made) = known.or_else(new) {
            tls.listeners.insert(listener.name.clone(), made);
        }
    }
    let mut of_admin = model.admin.iter().map(|admin| &admin.certificates[..]);
    if let Some(certificates) = of_admin.find(|certificates| !certificates.is_empty()) {
        let known = before.admin.clone();
        let known = known.filter(|known| known.model().certificates == *certificates);
        let new = || Termination::of_admin(certificates, &mut findings).map(Arc::new);
        tls.admin = known.or_else(new);
    }
    for cluster in &model.clusters {
        let known = before.clusters.get(&cluster.name);
        tls.clusters.insert(cluster.name.clone(), of_cluster(known, cluster, &mut findings));
    }
    let problems = findings.into_problems();
    if problems.iter().any(|problem| problem.fatal) {
        return Err(problems);
    }
    tls.warnings = problems;
    Ok(tls)
}

fn of_cluster(known: Option<&OfCluster>, cluster: &Cluster, findings: &mut Findings) -> OfCluster {
    let amqp = cluster.tls.as_ref().and_then(|section| {
        let known = known.and_then(|known| known.amqp.clone());
        let known = known.filter(|known| known.model() == &**section);
        known.or_else(|| Origination::new(&cluster.name, section, findings).map(Arc::new))
    });
    let asks_https = cluster.nodes.iter().any(|n| n.management.as_ref().is_some_and(|m| m.tls));
    let https = match cluster.tls {
        None if asks_https => {
            let known = known.filter(|known| known.amqp.is_none());
            let known = known.and_then(|known| known.https.clone());
            known.or_else(|| Origination::of_system(&cluster.name, findings).map(Arc::new))
        }
        _ => amqp.clone(),
    };
    OfCluster { amqp, https }
}

//! TLS with nodes.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};

use super::pair::{self, Leaf, Occasion, Pair};
use super::problem::{About, Fault, Findings, Refused};
use super::{suites, trust};
use crate::config::model::{ClusterName, ClusterTls, TlsVersion};

/// The TLS of one cluster.
#[derive(Debug)]
pub struct Origination {
    cluster: ClusterName,
    section: String,
    model: Arc<ClusterTls>,
    provider: Arc<CryptoProvider>,
    parts: Mutex<Parts>,
    refused: Refused,
    config: ArcSwap<ClientConfig>,
}

/// What its configuration is made of.
#[derive(Debug)]
struct Parts {
    roots: Arc<RootCertStore>,
    own: Option<Pair>,
}

impl Origination {
    /// Loads its files. `None` if there is an error among the findings.
    pub(super) fn new(
        cluster: &ClusterName,
        model: &Arc<ClusterTls>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let section = format!("cluster.{cluster}.tls");
        let provider = suites::provider(&[]);
        let roots = roots(&section, model, findings);
        let key = format!("{section}.certificate");
        let own = model
            .certificate
            .as_ref()
            .map(|named| pair::load(&key, named, &provider, Occasion::Start, findings));
        let own = match own {
            Some(loaded) => Some(loaded?),
            None => None,
        };
        let parts = Parts { roots: roots?, own };
        let config = config(&provider, &parts).map_err(|fault| {
            findings.error(About { key: &section, file: None, place: None }, fault);
        });
        Some(Self {
            cluster: cluster.clone(),
            section,
            model: model.clone(),
            provider,
            config: ArcSwap::from_pointee(config.ok()?),
            parts: Mutex::new(parts),
            refused: Refused::default(),
        })
    }

    /// For the management API of a cluster without TLS: it goes by the authorities that the system trusts.
    pub(super) fn of_system(cluster: &ClusterName, findings: &mut Findings) -> Option<Self> {
        let model = ClusterTls { ca: None, server_name: None, certificate: None };
        Self::new(cluster, &Arc::new(model), findings)
    }

    /// For the next handshake.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        self.config.load_full()
    }

    /// The name that a node's certificate has to bear: that of the configuration, else `host`, where the gateway
    /// connects to. One that can stand in no certificate becomes 0.0.0.0, which stands in none.
    #[must_use]
    pub fn server_name(&self, host: &str) -> ServerName<'static> {
        let name = self.model.server_name.as_deref().unwrap_or(host).trim_end_matches('.');
        match ServerName::try_from(name) {
            Ok(name) => name.to_owned(),
            Err(_) => ServerName::from(IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        }
    }

    /// The cluster that it belongs to.
    #[must_use]
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// Its section of the configuration, by name.
    pub(super) fn section(&self) -> &str {
        &self.section
    }

    /// Its section of the configuration.
    pub(super) fn model(&self) -> &ClusterTls {
        &self.model
    }

    /// What the gateway shows of itself.
    #[must_use]
    pub fn certificate(&self) -> Option<Leaf> {
        self.parts().own.as_ref().map(|own| own.leaf.clone())
    }

    /// Why what is in the files now cannot be used, by the position of the certificate.
    pub(super) fn refused(&self) -> &Refused {
        &self.refused
    }

    /// Loads the gateway's own certificate again. If there is an error among the findings, the old one stays.
    pub(super) fn renew_certificate(&self, findings: &mut Findings) {
        let key = format!("{}.certificate", self.section);
        let Some(named) = &self.model.certificate else { return };
        let own = pair::load(&key, named, &self.provider, Occasion::Renewal, findings);
        if let Some(own) = own {
            let mut parts = self.parts();
            let old = parts.own.replace(own);
            if !self.put_in_force(&parts, findings) {
                parts.own = old;
            }
        }
    }

    /// Loads the authorities again. If there is an error among the findings, the old ones stay.
    pub(super) fn renew_authorities(&self, findings: &mut Findings) {
        let Some(roots) = roots(&self.section, &self.model, findings) else { return };
        let mut parts = self.parts();
        let old = std::mem::replace(&mut parts.roots, roots);
        if !self.put_in_force(&parts, findings) {
            parts.roots = old;
        }
    }

    fn put_in_force(&self, parts: &Parts, findings: &mut Findings) -> bool {
        match config(&self.provider, parts) {
            Ok(config) => self.config.store(Arc::new(config)),
            Err(fault) => {
                findings.error(About { key: &self.section, file: None, place: None }, fault);
                return false;
            }
        }
        true
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For a web server: the authorities that this system trusts decide.
///
/// # Errors
/// When it trusts none: a sentence with the cure.
pub fn of_web() -> Result<Arc<ClientConfig>, String> {
    let (mut findings, provider) = (Findings::default(), suites::provider(&[]));
    let Some(roots) = trust::of_system("https", &mut findings) else {
        let told =
            findings.into_problems().into_iter().map(|p| format!("{}; {}", p.message, p.advice));
        return Err(told.collect());
    };
    let parts = Parts { roots: Arc::new(roots), own: None };
    config(&provider, &parts).map(Arc::new).map_err(|fault| fault.message)
}

fn roots(section: &str, model: &ClusterTls, findings: &mut Findings) -> Option<Arc<RootCertStore>> {
    let key = format!("{section}.ca");
    let roots = match &model.ca {
        Some(file) => trust::authorities(&key, file, findings)?.roots,
        None => trust::of_system(&key, findings)?,
    };
    Some(Arc::new(roots))
}

/// Sessions that may be resumed are those of this configuration alone: after a change nobody is trusted for having been
/// trusted before.
fn config(provider: &Arc<CryptoProvider>, parts: &Parts) -> Result<ClientConfig, Fault> {
    let fault =
        |error: &dyn std::fmt::Display| Fault::new(error.to_string(), "choose other settings");
    let verifier =
        WebPkiServerVerifier::builder_with_provider(parts.roots.clone(), provider.clone())
            .build()
            .map_err(|error| fault(&error))?;
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&suites::versions(TlsVersion::Tls12))
        .map_err(|error| fault(&error))?
        .with_webpki_verifier(verifier);
    Ok(match &parts.own {
        Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(
            CertifiedKey::clone(&own.certified),
        ))),
        None => builder.with_no_client_auth(),
    })
}

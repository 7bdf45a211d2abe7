//! TLS with clients.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::{ServerConfig, SignatureAlgorithm};

use super::choose::Chooser;
use super::pair::{self, Leaf, Occasion, Pair};
use super::problem::{About, Fault, Findings, Refused};
use super::suites;
use super::trust::{self, Clients, MadeOf};
use crate::config::model::{Certificate, ClientAuth, ListenerName, ListenerTls, TlsVersion};

/// What becomes of the protocols that clients offer (ALPN, RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// Whatever they offer, it makes no difference.
    Ignored,
    /// Those who offer any get HTTP/1.1.
    Http11,
}

/// The TLS of one listener.
#[derive(Debug)]
pub struct Termination {
    listener: ListenerName,
    section: String,
    model: Arc<ListenerTls>,
    alpn: Alpn,
    provider: Arc<CryptoProvider>,
    parts: Mutex<Parts>,
    refused: Refused,
    config: ArcSwap<ServerConfig>,
}

/// What its configuration is made of.
#[derive(Debug)]
struct Parts {
    pairs: Vec<Pair>,
    clients: Clients,
    tickets: Tickets,
}

/// Keys of session tickets. rustls makes new ones every six hours, and takes the last ones as long again.
#[derive(Debug)]
struct Tickets {
    keys: Arc<dyn ProducesTickets>,
    /// A ticket stands for a look at the client's certificate. What that look went by has to be the same.
    checked_by: MadeOf,
}

impl Termination {
    /// Loads its files. `None` if there is an error among the findings.
    pub(super) fn new(
        listener: &ListenerName,
        model: &Arc<ListenerTls>,
        alpn: Alpn,
        findings: &mut Findings,
    ) -> Option<Self> {
        Self::of_section(format!("listener.{listener}.tls"), listener, model, alpn, findings)
    }

    /// That of the admin address, as [`Termination::new`]. Its name stands in for that of a listener.
    pub(super) fn of_admin(certificates: &[Certificate], findings: &mut Findings) -> Option<Self> {
        let model = ListenerTls {
            certificates: certificates.to_vec(),
            min_version: TlsVersion::Tls12,
            cipher_suites: Vec::new(),
            client_auth: ClientAuth::None,
            client_ca: None,
            client_crl: Vec::new(),
            strict_sni: false,
        };
        let name = ListenerName("admin".into());
        Self::of_section("admin.tls".to_owned(), &name, &Arc::new(model), Alpn::Http11, findings)
    }

    fn of_section(
        section: String,
        listener: &ListenerName,
        model: &Arc<ListenerTls>,
        alpn: Alpn,
        findings: &mut Findings,
    ) -> Option<Self> {
        let provider = suites::provider(&model.cipher_suites);
        let key = format!("{section}.certificates");
        let mut load = |named| pair::load(&key, named, &provider, Occasion::Start, findings);
        let pairs: Vec<_> = model.certificates.iter().map(&mut load).collect();
        let clients = trust::clients(&section, model, &provider, findings);
        let (pairs, clients) = (pairs.into_iter().collect::<Option<Vec<_>>>()?, clients?);
        warn_of_idle_suites(&section, model, &provider, &pairs, findings);
        let made = Tickets::new(&clients).and_then(|tickets| {
            let parts = Parts { pairs, clients, tickets };
            Ok((config(model, alpn, &provider, &parts)?, parts))
        });
        let place = model.certificates.first().map(|first| first.place);
        let (config, parts) = made
            .map_err(|error| {
                let about = About { key: &section, file: None, place };
                findings.error(about, Fault::new(error.to_string(), "choose other settings"));
            })
            .ok()?;
        Some(Self {
            listener: listener.clone(),
            section,
            model: model.clone(),
            alpn,
            provider,
            parts: Mutex::new(parts),
            refused: Refused::default(),
            config: ArcSwap::from_pointee(config),
        })
    }

    /// For the next handshake.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// The listener that it belongs to.
    #[must_use]
    pub fn listener(&self) -> &ListenerName {
        &self.listener
    }

    /// Its section of the configuration, by name.
    pub(super) fn section(&self) -> &str {
        &self.section
    }

    /// Its section of the configuration.
    pub(super) fn model(&self) -> &ListenerTls {
        &self.model
    }

    /// The certificates in use, in the order of the configuration.
    #[must_use]
    pub fn certificates(&self) -> Vec<Leaf> {
        self.parts().pairs.iter().map(|pair| pair.leaf.clone()).collect()
    }

    /// Why what is in the files now cannot be used, by the position of the certificate.
    pub(super) fn refused(&self) -> &Refused {
        &self.refused
    }

    /// Loads one of its certificates again, and uses it from the next handshake on. If there is an error among the
    /// findings, the old one stays.
    pub(super) fn renew_certificate(&self, position: usize, findings: &mut Findings) {
        let key = format!("{}.certificates", self.section);
        let Some(named) = self.model.certificates.get(position) else { return };
        let loaded = pair::load(&key, named, &self.provider, Occasion::Renewal, findings);
        let mut parts = self.parts();
        if let (Some(new), Some(old)) = (loaded, parts.pairs.get_mut(position)) {
            let old = std::mem::replace(old, new);
            if !self.put_in_force(&parts, findings)
                && let Some(pair) = parts.pairs.get_mut(position)
            {
                *pair = old;
            }
        }
    }

    /// Loads authorities and revocation lists again, and goes by them from the next handshake on. If they are new, no
    /// session from before is resumed. If there is an error among the findings, the old ones stay.
    pub(super) fn renew_clients(&self, findings: &mut Findings) {
        let clients = trust::clients(&self.section, &self.model, &self.provider, findings);
        let Some(clients) = clients else { return };
        let mut parts = self.parts();
        let tickets = match clients.made_of == parts.tickets.checked_by {
            true => return,
            false => Tickets::new(&clients),
        };
        match tickets {
            Ok(tickets) => {
                let old = (parts.clients.clone(), std::mem::replace(&mut parts.tickets, tickets));
                parts.clients = clients;
                if !self.put_in_force(&parts, findings) {
                    (parts.clients, parts.tickets) = old;
                }
            }
            Err(error) => findings.error(self.about(), unusable(&error)),
        }
    }

    fn put_in_force(&self, parts: &Parts, findings: &mut Findings) -> bool {
        match config(&self.model, self.alpn, &self.provider, parts) {
            Ok(config) => self.config.store(Arc::new(config)),
            Err(error) => {
                findings.error(self.about(), unusable(&error));
                return false;
            }
        }
        true
    }

    fn about(&self) -> About<'_> {
        About { key: &self.section, file: None, place: None }
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tickets {
    fn new(clients: &Clients) -> Result<Self, rustls::Error> {
        let keys = aws_lc_rs::Ticketer::new()?;
        Ok(Self { keys, checked_by: clients.made_of.clone() })
    }
}

fn unusable(error: &rustls::Error) -> Fault {
    Fault::new(error.to_string(), "the old ones stay in use")
}

fn config(
    model: &ListenerTls,
    alpn: Alpn,
    provider: &Arc<CryptoProvider>,
    parts: &Parts,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&suites::versions(model.min_version))?
        .with_client_cert_verifier(parts.clients.verifier.clone())
        .with_cert_resolver(Arc::new(Chooser::new(&parts.pairs, model.strict_sni)));
    config.ignore_client_order = true;
    // What clients resume is in their tickets: here nothing grows with their number.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = parts.tickets.keys.clone();
    config.alpn_protocols = match alpn {
        Alpn::Ignored => Vec::new(),
        Alpn::Http11 => vec![b"http/1.1".to_vec()],
    };
    Ok(config)
}

/// In TLS 1.2 a suite goes with one kind of key. Certificates for which none is left never show there.
fn warn_of_idle_suites(
    section: &str,
    model: &ListenerTls,
    provider: &CryptoProvider,
    pairs: &[Pair],
    findings: &mut Findings,
) {
    if model.min_version != TlsVersion::Tls12 {
        return;
    }
    let key = format!("{section}.cipher_suites");
    for (pair, named) in pairs.iter().zip(&model.certificates) {
        let kind = pair.certified.key.algorithm();
        if suites::has_tls12_for(provider, kind) {
            continue;
        }
        let (kind, suite) = match kind {
            SignatureAlgorithm::RSA => ("RSA", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
            _ => ("ECDSA", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        };
        let about = About { key: &key, file: Some(&named.chain), place: Some(named.place) };
        let what = format!("none goes with its key ({kind}) in TLS 1.2");
        findings.warning(about, Fault::new(what, format!("add \"{suite}\"")));
    }
}

#[cfg(test)]
mod tests;

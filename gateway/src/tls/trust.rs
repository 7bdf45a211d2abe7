//! Whom the gateway believes: authorities, and what they have revoked.

use std::sync::Arc;
use std::time::SystemTime;

use humantime::format_rfc3339_seconds;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;

use super::pem;
use super::problem::{About, Fault, Findings};
use crate::config::model::{ClientAuth, ListenerTls, PemFile};

/// Who checks the certificates of a listener's clients.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    /// What it goes by, octet by octet.
    pub(super) made_of: MadeOf,
}

/// Two that are equal let the same clients in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MadeOf {
    auth: ClientAuth,
    authorities: Vec<Vec<u8>>,
    revoked: Vec<Vec<u8>>,
}

/// Loads authorities and revocation lists of a listener's clients. `section` is the listener's part of the
/// configuration. `None` if there is an error among the findings.
pub(super) fn clients(
    section: &str,
    model: &ListenerTls,
    provider: &Arc<CryptoProvider>,
    findings: &mut Findings,
) -> Option<Clients> {
    let made_of = |authorities, revoked| MadeOf { auth: model.client_auth, authorities, revoked };
    let asked = model.client_auth != ClientAuth::None;
    let Some(ca) = model.client_ca.as_ref().filter(|_| asked) else {
        let verifier = WebPkiClientVerifier::no_client_auth();
        return Some(Clients { verifier, made_of: made_of(Vec::new(), Vec::new()) });
    };
    let authorities = authorities(&format!("{section}.client_ca"), ca, findings);
    let key = format!("{section}.client_crl");
    let lists: Vec<_> =
        model.client_crl.iter().map(|file| (file, lists(&key, file, findings))).collect();
    let Authorities { roots, octets } = authorities?;
    let roots = Arc::new(roots);
    let builder = || WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
    let mut all = Vec::new();
    let mut good = true;
    for (file, lists) in lists {
        let about = About { key: &key, file: Some(&file.path), place: Some(file.place) };
        let Some(lists) = lists else {
            good = false;
            continue;
        };
        if let Err(error) = builder().with_crls(lists.iter().cloned()).build() {
            let advice = "use complete lists of version 2, signed by the authority itself: openssl crl -in FILE -noout -text";
            findings.error(about, Fault::new(format!("it cannot be used: {error}"), advice));
            good = false;
        }
        all.extend(lists);
    }
    if !good {
        return None;
    }
    let revoked = all.iter().map(|list| list.to_vec()).collect();
    let builder = builder().with_crls(all);
    let builder = match model.client_auth {
        ClientAuth::Required => builder,
        _ => builder.allow_unauthenticated(),
    };
    let verifier = builder.build().map_err(|error| {
        let about = About { key: section, file: Some(&ca.path), place: Some(ca.place) };
        findings.error(about, Fault::new(error.to_string(), "use other authorities"));
    });
    Some(Clients { verifier: verifier.ok()?, made_of: made_of(octets, revoked) })
}

fn lists(
    key: &str,
    file: &PemFile,
    findings: &mut Findings,
) -> Option<Vec<CertificateRevocationListDer<'static>>> {
    let about = About { key, file: Some(&file.path), place: Some(file.place) };
    let lists = pem::read(&file.path).and_then(|bytes| pem::revocation_lists(&bytes));
    let lists = lists.map_err(|fault| findings.error(about, fault)).ok()?;
    let now = SystemTime::now();
    if let Some(until) = lists.iter().filter_map(next_update).find(|until| *until < now) {
        let until = format_rfc3339_seconds(until);
        let advice = "fetch a newer one: those who were revoked since are let in";
        findings.warning(about, Fault::new(format!("a newer list was due at {until}"), advice));
    }
    Some(lists)
}

fn next_update(list: &CertificateRevocationListDer<'_>) -> Option<SystemTime> {
    let list: CertificateList = CertificateList::from_der(list).ok()?;
    Some(list.tbs_cert_list.next_update?.to_system_time())
}

/// Authorities of a file.
#[derive(Debug)]
pub(super) struct Authorities {
    pub(super) roots: RootCertStore,
    octets: Vec<Vec<u8>>,
}

/// Loads the authorities of a file. `None` if there is an error among the findings.
pub(super) fn authorities(
    key: &str,
    file: &PemFile,
    findings: &mut Findings,
) -> Option<Authorities> {
    let about = About { key, file: Some(&file.path), place: Some(file.place) };
    let certificates = pem::read(&file.path).and_then(|bytes| pem::certificates(&bytes));
    let certificates = certificates.map_err(|fault| findings.error(about, fault)).ok()?;
    let octets = certificates.iter().map(|certificate| certificate.to_vec()).collect();
    let mut roots = RootCertStore::empty();
    let mut good = true;
    for (position, certificate) in certificates.into_iter().enumerate() {
        if let Err(error) = roots.add(certificate) {
            let what = format!("certificate {} in it is no authority: {error}", position + 1);
            findings.error(about, Fault::new(what, "remove it, or issue it anew"));
            good = false;
        }
    }
    good.then_some(Authorities { roots, octets })
}

/// The authorities that the system trusts. `None` if there are none, which is then among the findings.
pub(super) fn of_system(key: &str, findings: &mut Findings) -> Option<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if !roots.is_empty() {
        return Some(roots);
    }
    let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
    let fault = Fault::new(
        format!("this system trusts no authority{why}"),
        "install its certificates (on Debian the package ca-certificates), or name those to trust: ca = \"PATH\"",
    );
    findings.error(About { key, file: None, place: None }, fault);
    None
}

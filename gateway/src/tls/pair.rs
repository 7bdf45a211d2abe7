//! A certificate with its key: loaded, and looked at before it is used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use humantime::format_rfc3339_seconds;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys};

use super::problem::{About, Fault, Findings};
use super::{facts, pem};
use crate::config::model::Certificate;

/// A chain of certificates with the key to the first of them.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) leaf: Leaf,
}

/// What its first certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// What people call it: its common name, else its first other name.
    pub name: Box<str>,
    /// The host names that it is for, in lower case.
    pub(super) host_names: Vec<String>,
    /// From when on it is valid.
    pub not_before: SystemTime,
    /// Until when it is valid.
    pub not_after: SystemTime,
    /// Its issuer, serial number, key and fingerprint, for whoever looks at it.
    pub seen: Arc<Seen>,
}

/// What a certificate shows of itself, and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The names that it is for.
    pub sans: Vec<String>,
    /// Who signed it.
    pub issuer: String,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// `ecdsa-p256`, `rsa-2048`, ...
    pub key_type: String,
    /// SHA-256 of it, in hexadecimal digits.
    pub fingerprint: String,
    /// The file that it came from.
    pub file: PathBuf,
    /// When it was loaded.
    pub loaded_at: SystemTime,
}

#[cfg(test)]
impl Leaf {
    /// One that ends then.
    pub(crate) fn sample(name: &str, not_after: SystemTime) -> Self {
        let seen = Seen {
            sans: Vec::new(),
            issuer: "CN=ca".to_owned(),
            serial: "01".to_owned(),
            key_type: "ed25519".to_owned(),
            fingerprint: "00".to_owned(),
            file: "server.pem".into(),
            loaded_at: SystemTime::UNIX_EPOCH,
        };
        let (host_names, not_before) = (Vec::new(), SystemTime::UNIX_EPOCH);
        Self { name: name.into(), host_names, not_before, not_after, seen: Arc::new(seen) }
    }
}

/// What is to be done with a certificate that is not valid now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    /// The gateway starts: better it starts and says so.
    Start,
    /// It is to replace another one: better that stays.
    Renewal,
}

/// Loads a pair. `key` is the key of the configuration that names it. `None` if there is an error among the findings.
pub(super) fn load(
    key: &str,
    named: &Certificate,
    provider: &CryptoProvider,
    occasion: Occasion,
    findings: &mut Findings,
) -> Option<Pair> {
    let about = |file| About { key, file: Some(file), place: Some(named.place) };
    let chain_file = pem::read(&named.chain);
    let chain = chain_file.as_ref().map_err(Fault::clone).and_then(|file| pem::certificates(file));
    let signer = match named.key == named.chain {
        true => chain_file.and_then(|file| signer(&file, provider)),
        false => pem::read(&named.key).and_then(|file| signer(&file, provider)),
    };
    // Both faults are told, if both have one.
    let chain = chain.map_err(|fault| findings.error(about(&named.chain), fault)).ok();
    let signer = signer.map_err(|fault| findings.error(about(&named.key), fault)).ok();
    if let Some(fault) = signer.as_ref().and_then(|_| readable_by_everybody(&named.key)) {
        findings.warning(about(&named.key), fault);
    }
    let (chain, signer) = (chain?, signer?);
    let leaf = leaf(&chain, &named.chain)
        .map_err(|fault| findings.error(about(&named.chain), fault))
        .ok()?;
    let not_now = validity_fault(&leaf, SystemTime::now());
    match (not_now, occasion) {
        (Some(fault), Occasion::Start) => findings.warning(about(&named.chain), fault),
        (Some(fault), Occasion::Renewal) => {
            findings.error(about(&named.chain), fault);
            return None;
        }
        (None, _) => {}
    }
    let certified = CertifiedKey::new(chain, signer);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(error) => {
            findings.error(about(&named.key), mismatch(&certified, named, &error));
            return None;
        }
    }
    Some(Pair { certified: Arc::new(certified), leaf })
}

fn signer(file: &[u8], provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, Fault> {
    let key = pem::private_key(file)?;
    provider.key_provider.load_private_key(key).map_err(|_| {
        Fault::new(
            "its private key cannot be used",
            "use an ECDSA key (P-256, P-384 or P-521), an RSA key of 2048 to 8192 bits, or an Ed25519 key",
        )
    })
}

fn readable_by_everybody(key: &Path) -> Option<Fault> {
    let mode = fs::metadata(key).ok()?.permissions().mode();
    (mode & 0o004 != 0).then(|| {
        Fault::new(
            "every user of this machine may read the private key",
            "chmod 640, with a group of which the gateway's user is a member",
        )
    })
}

fn leaf(chain: &[CertificateDer<'_>], file: &Path) -> Result<Leaf, Fault> {
    let parsed = |certificate| Some((certificate, facts::parse(certificate)?));
    let (certificate, parsed) = chain.first().and_then(parsed).ok_or_else(|| {
        Fault::new(
            "its first certificate is not one that X.509 allows",
            "look at it: openssl x509 -in FILE -noout -text; and issue it anew",
        )
    })?;
    let (not_before, not_after) = facts::validity(&parsed);
    Ok(Leaf {
        name: facts::display_name(&parsed).into(),
        host_names: facts::host_names(&parsed),
        not_before,
        not_after,
        seen: Arc::new(Seen {
            sans: facts::sans(&parsed),
            issuer: facts::issuer(&parsed),
            serial: facts::serial(&parsed),
            key_type: facts::key_type(&parsed),
            fingerprint: facts::fingerprint(certificate),
            file: file.to_owned(),
            loaded_at: SystemTime::now(),
        }),
    })
}

fn validity_fault(leaf: &Leaf, now: SystemTime) -> Option<Fault> {
    let Leaf { name, not_before, not_after, .. } = leaf;
    if now > *not_after {
        let since = format_rfc3339_seconds(*not_after);
        let advice = "renew it: clients that look at the date refuse it";
        return Some(Fault::new(format!("certificate {name} expired at {since}"), advice));
    }
    (now < *not_before).then(|| {
        let from = format_rfc3339_seconds(*not_before);
        let advice = "look at the clock of this machine, or wait: clients refuse it until then";
        Fault::new(format!("certificate {name} is not valid before {from}"), advice)
    })
}

/// Why key and certificate do not go together.
fn mismatch(certified: &CertifiedKey, named: &Certificate, error: &Error) -> Fault {
    let chain = named.chain.display();
    if !matches!(error, Error::InconsistentKeys(_)) {
        return Fault::new(
            format!("the first certificate in {chain} cannot be used: {error}"),
            "issue it anew, as an X.509 certificate of version 3",
        );
    }
    let own = certified.key.public_key();
    let fits = |certificate: &CertificateDer<'_>| {
        let of_certificate =
            facts::parse(certificate).and_then(|parsed| facts::public_key(&parsed));
        own.as_ref().is_some_and(|own| Some(own.as_ref()) == of_certificate.as_deref())
    };
    let advice = match certified.cert.iter().any(fits) {
        true => "it belongs to another certificate there: put that one first",
        false => {
            "name the key that the certificate was requested with, or the certificate that was issued for this key"
        }
    };
    Fault::new(format!("the key does not belong to the first certificate in {chain}"), advice)
}

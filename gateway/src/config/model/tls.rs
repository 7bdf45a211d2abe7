//! TLS towards clients and towards nodes, and who a client's certificate stands for.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Login, Place};
use crate::config::pattern::Pattern;

/// `[listener.NAME.tls]`: the gateway speaks TLS with the clients of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// At least one: the first is shown to clients whose server name fits none.
    pub certificates: Vec<Certificate>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Names of the IANA registry; empty = those of the library.
    pub cipher_suites: Vec<Arc<str>>,
    /// Are clients asked for a certificate?
    pub client_auth: ClientAuth,
    /// Who signs them; given where they are asked for.
    pub client_ca: Option<PemFile>,
    /// Lists of those that were revoked.
    pub client_crl: Vec<PemFile>,
    /// Is a client refused whose server name fits no certificate?
    pub strict_sni: bool,
}

/// A certificate with what proves it, and the key to it.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The chain, leaf first.
    pub chain: PathBuf,
    /// The private key; the same file as the chain if it is a bundle.
    pub key: PathBuf,
    /// Where the configuration names it.
    pub place: Place,
}

/// A PEM file that the configuration names.
#[derive(Debug, Clone)]
pub struct PemFile {
    /// The file.
    pub path: PathBuf,
    /// Where the configuration names it.
    pub place: Place,
}

// Where the configuration names a file says nothing of what is in it.

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        (&self.chain, &self.key) == (&other.chain, &other.key)
    }
}

impl Eq for Certificate {}

impl PartialEq for PemFile {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for PemFile {}

/// `min_version`
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    #[serde(rename = "1.3")]
    Tls13,
}

/// A cipher suite that may be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CipherSuite {
    /// Its name in the IANA registry.
    pub name: &'static str,
    /// The version that it belongs to.
    pub version: TlsVersion,
}

/// All cipher suites that there are.
pub const CIPHER_SUITES: [CipherSuite; 9] = {
    const fn of(version: TlsVersion, name: &'static str) -> CipherSuite {
        CipherSuite { name, version }
    }
    use TlsVersion::{Tls12, Tls13};
    [
        of(Tls13, "TLS_AES_128_GCM_SHA256"),
        of(Tls13, "TLS_AES_256_GCM_SHA384"),
        of(Tls13, "TLS_CHACHA20_POLY1305_SHA256"),
        of(Tls12, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        of(Tls12, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        of(Tls12, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
        of(Tls12, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        of(Tls12, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
        of(Tls12, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    ]
};

/// `client_auth`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuth {
    /// They are not asked for one.
    None,
    /// One that is shown has to be good.
    Optional,
    /// Without a good one there is no session.
    Required,
}

/// `[cluster.NAME.tls]`: the gateway speaks TLS with the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterTls {
    /// Who signs their certificates; `None` = whom the system trusts.
    pub ca: Option<PemFile>,
    /// The name that their certificates have to bear; `None` = the host of each node's address.
    pub server_name: Option<Arc<str>>,
    /// What the gateway shows of itself.
    pub certificate: Option<Certificate>,
}

/// `[cluster.CLUSTER.identity.NAME]`: a broker login for clients with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// NAME
    pub name: Arc<str>,
    /// Condition on the certificate's common name.
    pub common_name: Option<Pattern>,
    /// Condition on its subject alternative names: one of them matches.
    pub san: Option<Pattern>,
    /// Whom the broker knows.
    pub login: Login,
}

impl Identity {
    /// Does it stand for a certificate with these names? All conditions given must hold.
    #[must_use]
    pub fn matches(&self, common_name: Option<&str>, sans: &[Box<str>]) -> bool {
        let by_name = self
            .common_name
            .as_ref()
            .map(|pattern| common_name.is_some_and(|name| pattern.matches(name)));
        let by_san = self.san.as_ref().map(|pattern| sans.iter().any(|name| pattern.matches(name)));
        match (by_name, by_san) {
            // The configuration has no such identity: it would stand for everybody.
            (None, None) => false,
            (by_name, by_san) => by_name.unwrap_or(true) && by_san.unwrap_or(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_stands_for_certificates_that_fulfil_all_it_says() {
        let pattern = |text: &str| Pattern::parse(text).ok();
        let matches = |common_name, san, names: (Option<&str>, &[&str])| {
            let login = Login { username: "app".into(), password: "secret".into() };
            let identity = Identity { name: "one".into(), common_name, san, login };
            let sans: Vec<Box<str>> = names.1.iter().map(|name| Box::from(*name)).collect();
            identity.matches(names.0, &sans)
        };
        let app = (Some("app"), ["other.test", "app.test"].as_slice());
        assert!(matches(pattern("a*"), None, app));
        assert!(matches(None, pattern("*.test"), app));
        assert!(matches(pattern("app"), pattern("app.test"), app));
        assert!(!matches(pattern("app"), pattern("app"), app));
        assert!(!matches(pattern("app.test"), pattern("app.test"), app));
        assert!(!matches(pattern("*"), None, (None, app.1)), "no name is not the empty name");
        assert!(!matches(None, pattern("*"), (Some("app"), &[])));
        assert!(!matches(None, None, app));
    }
}

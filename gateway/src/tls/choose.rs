//! Chooses the certificate that a client is shown.

use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::names::ByName;
use super::pair::Pair;

/// The certificates of a listener.
#[derive(Debug)]
pub(super) struct Chooser {
    /// Those that cost the least come first.
    certified: Vec<Arc<CertifiedKey>>,
    names: ByName,
    /// For clients whose name fits none, or who give none: the first of the configuration, and others with its names.
    default: Vec<usize>,
    strict: bool,
}

impl Chooser {
    /// `strict` = there is no default.
    pub(super) fn new(pairs: &[Pair], strict: bool) -> Self {
        let first = pairs.first().map(|pair| &pair.leaf.host_names);
        let mut sorted: Vec<&Pair> = pairs.iter().collect();
        sorted.sort_by_key(|pair| cost(pair.certified.key.algorithm()));
        let mut names = ByName::default();
        for (position, pair) in sorted.iter().enumerate() {
            for name in &pair.leaf.host_names {
                names.add(name, position);
            }
        }
        let alike = |pair: &Pair| Some(&pair.leaf.host_names) == first;
        let default = sorted.iter().enumerate().filter(|(_, pair)| alike(pair));
        Self {
            default: default.map(|(position, _)| position).collect(),
            certified: sorted.iter().map(|pair| pair.certified.clone()).collect(),
            names,
            strict,
        }
    }

    /// The first of those that fit whose kind of signature the client knows. If it knows none of theirs it gets one all
    /// the same: rustls then says what is missing.
    fn choose(&self, name: Option<&str>, known: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        let named = name.into_iter().flat_map(|name| self.names.fitting(name));
        let default = self.default.iter().copied().filter(|_| !self.strict);
        let fitting = named.chain(default).filter_map(|position| self.certified.get(position));
        let mut first = None;
        for certified in fitting {
            if certified.key.choose_scheme(known).is_some() {
                return Some(certified);
            }
            first = first.or(Some(certified));
        }
        first
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Of the schemes rustls shows only those that go with a cipher suite of the client.
        self.choose(hello.server_name(), hello.signature_schemes()).cloned()
    }
}

/// A signature with RSA takes the gateway several times as long as the others.
fn cost(algorithm: SignatureAlgorithm) -> u8 {
    match algorithm {
        SignatureAlgorithm::ECDSA => 0,
        SignatureAlgorithm::ED25519 | SignatureAlgorithm::ED448 => 1,
        _ => 2,
    }
}

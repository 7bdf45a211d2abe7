//! The cipher suites: which, and in which order.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ProtocolVersion, SupportedProtocolVersion, version};

use crate::config::model::{CIPHER_SUITES, TlsVersion};
use crate::stream::facts::iana_name;

/// The cryptography, with these cipher suites in this order; none named = all.
pub(super) fn provider(named: &[Arc<str>]) -> Arc<CryptoProvider> {
    let all = aws_lc_rs::default_provider();
    let by_name = |name: &str| all.cipher_suites.iter().find(|s| iana_name(s.suite()) == name);
    let cipher_suites: Vec<_> = match named {
        // AES with 128 bits comes first: it costs the least, and nobody can break it.
        [] => CIPHER_SUITES.iter().filter_map(|suite| by_name(suite.name)).copied().collect(),
        named => named.iter().filter_map(|name| by_name(name)).copied().collect(),
    };
    Arc::new(CryptoProvider { cipher_suites, ..all })
}

/// The versions from `oldest` on.
pub(super) fn versions(oldest: TlsVersion) -> Vec<&'static SupportedProtocolVersion> {
    match oldest {
        TlsVersion::Tls12 => vec![&version::TLS13, &version::TLS12],
        TlsVersion::Tls13 => vec![&version::TLS13],
    }
}

/// Does the provider have a suite of TLS 1.2 that goes with a key of this kind?
pub(super) fn has_tls12_for(provider: &CryptoProvider, kind: rustls::SignatureAlgorithm) -> bool {
    provider.cipher_suites.iter().any(|suite| {
        suite.version().version == ProtocolVersion::TLSv1_2
            && suite.usable_for_signature_algorithm(kind)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_of_the_library_has_its_place_and_may_be_configured() {
        let mut names: Vec<_> =
            aws_lc_rs::ALL_CIPHER_SUITES.iter().map(|suite| iana_name(suite.suite())).collect();
        names.sort_unstable();
        let mut known: Vec<_> = CIPHER_SUITES.iter().map(|suite| suite.name).collect();
        known.sort_unstable();
        assert_eq!(names, known);
        for suite in aws_lc_rs::ALL_CIPHER_SUITES {
            let known = CIPHER_SUITES.iter().find(|known| known.name == iana_name(suite.suite()));
            let version = match suite.version().version {
                ProtocolVersion::TLSv1_3 => TlsVersion::Tls13,
                _ => TlsVersion::Tls12,
            };
            assert_eq!(known.map(|known| known.version), Some(version));
        }
    }

    #[test]
    fn those_that_are_named_are_offered_in_their_order() {
        let named = ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"].map(Arc::from);
        let names = |provider: &CryptoProvider| -> Vec<_> {
            provider.cipher_suites.iter().map(|suite| iana_name(suite.suite())).collect()
        };
        assert_eq!(names(&provider(&named)), named.each_ref().map(|name| &**name));
        assert_eq!(names(&provider(&[])), CIPHER_SUITES.map(|suite| suite.name));
    }
}

//! What is known of a TLS connection once its handshake is over.

use rustls::CipherSuite;

/// What the TLS handshake came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite, as the IANA registry names it.
    pub cipher: &'static str,
    /// Was an earlier session resumed?
    pub resumed: bool,
    /// The certificate that the client showed.
    pub certificate: Option<Box<ClientCertificate>>,
}

/// What a client's certificate says, as text of bounded length.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientCertificate {
    /// The subject, as RFC 4514 writes it.
    pub subject: Box<str>,
    /// The common name of the subject.
    pub common_name: Option<Box<str>>,
    /// Its subject alternative names: DNS names, e-mail addresses, URIs, IP addresses.
    pub sans: Vec<Box<str>>,
}

/// The name of a cipher suite in the IANA registry. rustls calls those of TLS 1.3 otherwise.
#[must_use]
pub fn iana_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    }
}

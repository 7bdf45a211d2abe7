//! Why a TLS handshake failed, in words of a fixed set.

/// A label, and cause with cure.
#[must_use]
pub fn reason(error: &rustls::Error) -> (&'static str, String) {
    ("tls-error", error.to_string())
}

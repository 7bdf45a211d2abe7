//! Why a TLS handshake failed, in words that say what would help.

use std::fmt::Write as _;

use humantime::format_rfc3339_seconds;
use rustls::pki_types::UnixTime;
use rustls::{
    AlertDescription as Alert, CertificateError, Error, InvalidMessage, PeerIncompatible,
};

/// A label from a fixed set, kebab-case; cause and cure.
pub type Reason = (&'static str, String);

/// Why there is no TLS connection with a client. The labels stand in `docs/access-log.md`.
#[must_use]
pub fn reason(error: &Error) -> Reason {
    match error {
        Error::InvalidMessage(message) if is_no_tls(message) => {
            ("not-tls", format!("what the client sent is no TLS ({error}): it may speak AMQP in plain text, or another protocol; send it to another port"))
        }
        Error::PeerIncompatible(incompatible) => incompatibility(incompatible),
        Error::NoCertificatesPresented => (
            "certificate-required",
            "the client showed no certificate: give it one that an authority of client_ca has signed, or set client_auth = \"optional\"".to_owned(),
        ),
        Error::InvalidCertificate(wrong) => client_certificate(wrong),
        Error::NoApplicationProtocol => (
            "tls-alpn",
            "the client offers by ALPN only what this listener does not speak: let it offer http/1.1, or nothing".to_owned(),
        ),
        Error::AlertReceived(alert) => alert_of_client(*alert),
        // What rustls says where nobody has chosen a certificate.
        Error::General(text) if text == NO_CERTIFICATE => (
            "tls-unknown-name",
            "the client asks for a server name that no certificate bears, or for none: use a name of a certificate, add one, or set strict_sni = false".to_owned(),
        ),
        other => ("bad-tls", format!("the client broke the TLS protocol: {other}")),
    }
}

const NO_CERTIFICATE: &str = "no server certificate chain resolved";

/// Why there is no TLS connection with a node.
#[must_use]
pub fn of_node(error: &Error) -> Reason {
    match error {
        Error::InvalidMessage(message) if is_no_tls(message) => (
            "not-tls",
            format!(
                "what the node sent is no TLS ({error}): name its port with TLS, 5671 by default, or remove the section tls of the cluster"
            ),
        ),
        Error::InvalidCertificate(wrong) => ("certificate", node_certificate(wrong)),
        Error::AlertReceived(alert) => alert_of_node(*alert),
        Error::PeerIncompatible(incompatible) => {
            let (_, detail) = incompatibility(incompatible);
            ("tls", detail.replace("the client", "the node"))
        }
        other => ("tls", format!("the node broke the TLS protocol: {other}")),
    }
}

fn is_no_tls(message: &InvalidMessage) -> bool {
    matches!(
        message,
        InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload
    )
}

fn incompatibility(incompatible: &PeerIncompatible) -> Reason {
    match incompatible {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        // TLS 1.1 has no such extension, and rustls misses it before it looks at the version.
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired => (
            "tls-version",
            "the client speaks no version of TLS that is allowed here: let it use TLS 1.3 or 1.2, and see min_version".to_owned(),
        ),
        PeerIncompatible::NoCipherSuitesInCommon => (
            "tls-cipher",
            "the client has no cipher suite that is allowed here: see cipher_suites; in TLS 1.2 only ECDHE with AES-GCM or ChaCha20 is safe, and it has to go with the kind of the certificate's key".to_owned(),
        ),
        PeerIncompatible::NoSignatureSchemesInCommon => (
            "tls-cipher",
            "the client knows no signature that goes with the certificate's key: add a certificate with a key of the other kind (ECDSA, RSA)".to_owned(),
        ),
        PeerIncompatible::NoKxGroupsInCommon | PeerIncompatible::NamedGroupsExtensionRequired => (
            "tls-cipher",
            "the client has no key exchange that is safe: let it use X25519, P-256 or P-384".to_owned(),
        ),
        other => ("tls-cipher", format!("the client lacks what TLS needs here: {other:?}")),
    }
}

/// What is wrong with the certificate of a client.
fn client_certificate(wrong: &CertificateError) -> Reason {
    let (reason, text) = match wrong {
        CertificateError::UnknownIssuer => (
            "certificate-unknown-ca",
            "no authority of client_ca has signed the client's certificate: add that authority, or let the client send the certificates between".to_owned(),
        ),
        CertificateError::Revoked => {
            ("certificate-revoked", "the client's certificate was revoked: issue another one".to_owned())
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            ("certificate-expired", format!("the client's certificate {}", when(wrong)))
        }
        CertificateError::UnknownRevocationStatus => (
            "certificate-bad",
            "no list of client_crl tells whether the client's certificate was revoked: name one of each authority in its chain".to_owned(),
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => (
            "certificate-bad",
            "the client's certificate is not for clients: issue it with the extended key usage clientAuth".to_owned(),
        ),
        other => ("certificate-bad", format!("the client's certificate cannot be used: {other}")),
    };
    (reason, text)
}

/// What is wrong with the certificate of a node.
fn node_certificate(wrong: &CertificateError) -> String {
    match wrong {
        CertificateError::UnknownIssuer => {
            "nobody who is trusted has signed the node's certificate: name its authority with ca in the section tls of the cluster, or let the node send the certificates between".to_owned()
        }
        CertificateError::NotValidForName => {
            "the node's certificate is for another name: write a name of it into server_name".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let mut names = String::new();
            for name in presented.iter().take(5) {
                // Writing into a String cannot fail.
                let _ = write!(names, "{}{name}", if names.is_empty() { "" } else { ", " });
            }
            let names = if names.is_empty() { "none" } else { &names };
            let expected = expected.to_str();
            format!("the node's certificate is not for {expected}, but for: {names}; issue it for that name, or write one of them into server_name")
        }
        CertificateError::Revoked => "the node's certificate was revoked".to_owned(),
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            format!("the node's certificate {}", when(wrong))
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the node's certificate is not for servers: issue it with the extended key usage serverAuth".to_owned()
        }
        other => format!("the node's certificate cannot be used: {other}"),
    }
}

/// Since when a certificate is not valid any more, or from when on it will be.
fn when(wrong: &CertificateError) -> String {
    let clock = "look at the clock of this machine, too";
    match wrong {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("expired at {}: renew it; {clock}", date(*not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("is not valid before {}: {clock}", date(*not_before))
        }
        CertificateError::NotValidYet => format!("is not valid yet: {clock}"),
        _ => format!("has expired: renew it; {clock}"),
    }
}

fn date(time: UnixTime) -> String {
    let since = std::time::Duration::from_secs(time.as_secs());
    let time = std::time::SystemTime::UNIX_EPOCH.checked_add(since);
    time.map_or_else(|| "?".to_owned(), |time| format_rfc3339_seconds(time).to_string())
}

/// The client itself has ended the handshake.
fn alert_of_client(alert: Alert) -> Reason {
    match alert {
        Alert::UnknownCA => (
            "certificate-rejected",
            "the client does not know who signed the listener's certificate: give it that authority, and let `chain` hold the certificates between".to_owned(),
        ),
        Alert::CertificateExpired => (
            "certificate-rejected",
            "the client finds the listener's certificate expired: renew it; look at the client's clock, too".to_owned(),
        ),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateUnknown
        | Alert::BadCertificateStatusResponse
        | Alert::DecryptError => (
            "certificate-rejected",
            format!("the client refuses the listener's certificate ({alert:?}): often it asks for a name that the certificate does not bear, or does not trust its authority"),
        ),
        Alert::ProtocolVersion | Alert::InappropriateFallback => (
            "tls-version",
            format!("the client found no version of TLS in common ({alert:?}): see min_version"),
        ),
        Alert::HandshakeFailure | Alert::InsufficientSecurity => (
            "tls-cipher",
            format!("the client found no cipher suite in common ({alert:?}): see cipher_suites"),
        ),
        Alert::CloseNotify | Alert::UserCanceled => {
            ("client-gone", "the client ended the TLS handshake".to_owned())
        }
        other => ("bad-tls", format!("the client ended the TLS handshake: {other:?}")),
    }
}

/// The node has ended the handshake, or refused the gateway right behind it.
fn alert_of_node(alert: Alert) -> Reason {
    let text = match alert {
        Alert::CertificateRequired | Alert::NoCertificate => {
            "the node asks the gateway for a certificate: name one with certificate in the section tls of the cluster".to_owned()
        }
        Alert::UnknownCA => {
            "the node does not know who signed the gateway's certificate: add that authority to the node's cacertfile".to_owned()
        }
        Alert::CertificateExpired => {
            "the node finds the gateway's certificate expired: renew it; look at the node's clock, too".to_owned()
        }
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateUnknown => {
            format!("the node refuses the gateway's certificate ({alert:?}): look at the node's log")
        }
        Alert::ProtocolVersion | Alert::HandshakeFailure | Alert::InsufficientSecurity => {
            return (
                "tls",
                format!("the node finds no version or cipher suite of TLS in common ({alert:?}): allow TLS 1.2 or 1.3 there; with HandshakeFailure it may also want a certificate of the gateway"),
            );
        }
        other => return ("tls", format!("the node ended the TLS handshake: {other:?}")),
    };
    ("certificate", text)
}

/// The error of TLS in an error of a stream, if it is one.
#[must_use]
pub fn in_io(error: &std::io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests;

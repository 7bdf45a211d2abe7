//! TLS on the client's side: what is offered, and a check that it was really used.

use crate::tls_cases::{Key, Tls, Version};
use anyhow::{Context, Result, ensure};
use integration::certificates::{self, Authority, Issued};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, NamedGroup,
    SignatureScheme, version,
};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// The name in the certificates.
const NAME: &str = "localhost";
/// Tickets kept for later sessions, the newest. A resumed session takes one and brings one or more.
const TICKETS: usize = 128;

/// The certificates of all proxies, made for this run of the program.
#[derive(Debug)]
pub(crate) struct Certificates {
    pub(crate) ecdsa: Issued,
    pub(crate) rsa: Issued,
    _authority: Authority,
}

impl Certificates {
    /// Makes them; their files go when they are dropped.
    pub(crate) fn new() -> Result<Self> {
        let authority = Authority::new("bench")?;
        let ecdsa = authority.server(&[NAME])?.write("ecdsa")?;
        let rsa = authority.server(&[NAME])?.key(certificates::Key::Rsa2048).write("rsa")?;
        Ok(Self { ecdsa, rsa, _authority: authority })
    }

    fn of(&self, key: Key) -> &Issued {
        match key {
            Key::Ecdsa => &self.ecdsa,
            Key::Rsa => &self.rsa,
        }
    }
}

/// One run's TLS client: what it offers, what it remembers, and what it insists on.
#[derive(Clone)]
pub(crate) struct Client {
    config: Arc<ClientConfig>,
    tls: Tls,
    /// How each handshake must be; none while sessions to resume are collected.
    expected: Option<HandshakeKind>,
}

impl Client {
    /// A client that has no session to resume yet, but expects to resume if `tls` says so.
    pub(crate) fn new(tls: Tls, certificates: &Certificates) -> Result<Self> {
        let mut provider = default_provider();
        // All proxies shall do the same work: one key exchange, one cipher.
        provider.kx_groups = vec![kx_group::X25519, kx_group::SECP256R1];
        provider.cipher_suites = vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ];
        let version = match tls.version {
            Version::Tls12 => &version::TLS12,
            Version::Tls13 => &version::TLS13,
        };
        let pem = certificates.of(tls.key).certificate.as_bytes();
        let known = Known {
            certificate: CertificateDer::from_pem_slice(pem).context("our own certificate")?,
            schemes: provider.signature_verification_algorithms.supported_schemes(),
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(known))
            .with_no_client_auth();
        let (resumption, expected) = if tls.resumed {
            (Resumption::store(Arc::new(Remembered::default())), HandshakeKind::Resumed)
        } else {
            (Resumption::disabled(), HandshakeKind::Full)
        };
        config.resumption = resumption;
        Ok(Self { config: Arc::new(config), tls, expected: Some(expected) })
    }

    /// The same client while it collects sessions to resume: any handshake will do.
    pub(crate) fn collecting(&self) -> Self {
        Self { expected: None, ..self.clone() }
    }

    /// A new connection that has said nothing yet.
    pub(crate) fn connection(&self) -> Result<ClientConnection> {
        Ok(ClientConnection::new(Arc::clone(&self.config), ServerName::try_from(NAME)?)?)
    }

    /// Whether the handshake was the one that the case is about.
    ///
    /// # Errors
    /// When it was another one: then the run has no figures.
    pub(crate) fn check(&self, connection: &ClientConnection) -> Result<()> {
        let kind = connection.handshake_kind().context("no TLS handshake has taken place")?;
        if let Some(expected) = self.expected {
            ensure!(kind == expected, "a TLS handshake is {kind:?}, not {expected:?}");
        }
        let group = connection.negotiated_key_exchange_group().map(|group| group.name());
        // A resumed session of TLS 1.2 exchanges no keys.
        let none = self.tls.version == Version::Tls12 && kind == HandshakeKind::Resumed;
        let wanted = (!none).then_some(NamedGroup::X25519);
        ensure!(group == wanted, "the key exchange is {group:?}, not {wanted:?}");
        Ok(())
    }
}

/// Accepts this one certificate as it is. Nothing is verified, not even the signature in the
/// handshake: the client shares the machine with the proxies and shall leave them the processor.
#[derive(Debug)]
struct Known {
    certificate: CertificateDer<'static>,
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity != self.certificate {
            return Err(rustls::Error::General(
                "this is not the listener's certificate".to_owned(),
            ));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

/// Sessions to resume, of the one server that a run talks to. The library's own store holds fewer
/// tickets than there are handshakes at once.
#[derive(Debug, Default)]
struct Remembered {
    tls12: Mutex<Option<Tls12ClientSessionValue>>,
    tls13: Mutex<VecDeque<Tls13ClientSessionValue>>,
}

impl ClientSessionStore for Remembered {
    fn set_kx_hint(&self, _server: ServerName<'static>, _group: NamedGroup) {}

    fn kx_hint(&self, _server: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _server: ServerName<'static>, value: Tls12ClientSessionValue) {
        *self.tls12.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    }

    fn tls12_session(&self, _server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.tls12.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remove_tls12_session(&self, _server: &ServerName<'static>) {
        *self.tls12.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn insert_tls13_ticket(&self, _server: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut tickets = self.tls13.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.push_back(value);
        if tickets.len() > TICKETS {
            tickets.pop_front();
        }
    }

    fn take_tls13_ticket(&self, _server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.tls13.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection};

    fn server(certificates: &Certificates, key: Key) -> ServerConfig {
        let files = certificates.of(key);
        let chain = CertificateDer::pem_file_iter(&files.chain).expect("a chain");
        let chain = chain.collect::<Result<_, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_file(&files.key).expect("a key");
        ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a pair")
    }

    /// A handshake in memory, and what the check says of it.
    fn meet(client: &Client, server: &Arc<ServerConfig>) -> Result<()> {
        let mut here = client.connection()?;
        let mut there = ServerConnection::new(Arc::clone(server))?;
        while here.wants_write() || there.wants_write() {
            let mut wire = Vec::new();
            while here.wants_write() {
                here.write_tls(&mut wire)?;
            }
            there.read_tls(&mut wire.as_slice())?;
            there.process_new_packets()?;
            let mut wire = Vec::new();
            while there.wants_write() {
                there.write_tls(&mut wire)?;
            }
            here.read_tls(&mut wire.as_slice())?;
            here.process_new_packets()?;
        }
        client.check(&here)
    }

    #[test]
    fn a_case_accepts_only_the_handshakes_it_is_about() {
        let certificates = Certificates::new().expect("certificates");
        for (version, key) in
            [(Version::Tls13, Key::Ecdsa), (Version::Tls12, Key::Ecdsa), (Version::Tls13, Key::Rsa)]
        {
            let server = Arc::new(server(&certificates, key));
            let full =
                Client::new(Tls { version, key, resumed: false }, &certificates).expect("full");
            meet(&full, &server).expect("a full handshake");
            meet(&full, &server).expect("a full handshake again");
            let tls = Tls { version, key, resumed: true };
            let resumed = Client::new(tls, &certificates).expect("resumed");
            let refused = meet(&resumed, &server).expect_err("there is nothing to resume yet");
            assert!(refused.to_string().contains("Full, not Resumed"), "{refused}");
            meet(&resumed.collecting(), &server).expect("any handshake");
            for _ in 0..5 {
                meet(&resumed, &server).expect("a resumed handshake");
            }
        }
    }

    #[test]
    fn another_key_exchange_is_refused() {
        let certificates = Certificates::new().expect("certificates");
        let mut server = server(&certificates, Key::Ecdsa);
        let mut provider = default_provider();
        provider.kx_groups = vec![kx_group::SECP256R1];
        server = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&server.cert_resolver));
        let tls = Tls { version: Version::Tls12, key: Key::Ecdsa, resumed: false };
        let client = Client::new(tls, &certificates).expect("a client");
        let refused = meet(&client, &Arc::new(server)).expect_err("not X25519");
        assert!(refused.to_string().contains("secp256r1"), "{refused}");
    }
}

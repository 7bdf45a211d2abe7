//! Two ends of a TLS connection, in memory.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, Connection, Error, HandshakeKind, ProtocolVersion,
    RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
};

use super::{Authority, pem_file};
use crate::config::model::Certificate;
use crate::stream::facts::iana_name;
use crate::tls::{facts, pair, pem, problem, suites};

/// What a handshake came to.
#[derive(Debug)]
pub(in crate::tls) struct Met {
    /// The common name of the certificate that the server has shown.
    pub(in crate::tls) server: Option<String>,
    /// The same of the client's.
    pub(in crate::tls) client: Option<String>,
    pub(in crate::tls) version: ProtocolVersion,
    pub(in crate::tls) suite: &'static str,
    pub(in crate::tls) resumed: bool,
    pub(in crate::tls) alpn: Option<Vec<u8>>,
}

/// What each end has to say of a handshake that failed.
#[derive(Debug)]
pub(in crate::tls) struct Parted {
    pub(in crate::tls) server: Option<Error>,
    pub(in crate::tls) client: Option<Error>,
}

/// A handshake, and a word each way.
pub(in crate::tls) fn meet(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: &str,
) -> Result<Met, Box<Parted>> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client: Connection =
        ClientConnection::new(client.clone(), name).expect("a client").into();
    let mut server: Connection = ServerConnection::new(server.clone()).expect("a server").into();
    let (mut wrong_client, mut wrong_server) = (None, None);
    for _ in 0..20 {
        pass(&mut client, &mut server, &mut wrong_server);
        pass(&mut server, &mut client, &mut wrong_client);
    }
    if wrong_client.is_some() || wrong_server.is_some() {
        return Err(Box::new(Parted { server: wrong_server, client: wrong_client }));
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    let suite = server.negotiated_cipher_suite().expect("a suite");
    Ok(Met {
        server: common_name(client.peer_certificates()),
        client: common_name(server.peer_certificates()),
        version: server.protocol_version().expect("a version"),
        suite: iana_name(suite.suite()),
        resumed: server.handshake_kind() == Some(HandshakeKind::Resumed),
        alpn: server.alpn_protocol().map(<[u8]>::to_vec),
    })
}

fn pass(from: &mut Connection, to: &mut Connection, wrong: &mut Option<Error>) {
    let mut records = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut records).expect("room");
    }
    let mut rest = &records[..];
    while !rest.is_empty() && wrong.is_none() {
        to.read_tls(&mut rest).expect("records");
        *wrong = to.process_new_packets().err();
    }
}

fn common_name(chain: Option<&[CertificateDer<'_>]>) -> Option<String> {
    facts::common_name(&facts::parse(chain?.first()?)?)
}

/// A client that trusts `authority`.
pub(in crate::tls) struct Client<'a> {
    authority: &'a Authority,
    pub(in crate::tls) versions: Vec<&'static SupportedProtocolVersion>,
    pub(in crate::tls) suites: Vec<&'static str>,
    pub(in crate::tls) certificate: Option<Certificate>,
    pub(in crate::tls) alpn: Vec<&'static str>,
}

impl<'a> Client<'a> {
    pub(in crate::tls) fn of(authority: &'a Authority) -> Self {
        let versions = suites::versions(crate::config::model::TlsVersion::Tls12);
        Self { authority, versions, suites: Vec::new(), certificate: None, alpn: Vec::new() }
    }

    pub(in crate::tls) fn config(&self) -> Arc<ClientConfig> {
        let named: Vec<Arc<str>> = self.suites.iter().map(|name| Arc::from(*name)).collect();
        let mut provider = rustls::crypto::CryptoProvider::clone(&suites::provider(&named));
        if named.is_empty() {
            provider.cipher_suites = aws_lc_rs::ALL_CIPHER_SUITES.to_vec();
        }
        let file = pem::read(&pem_file(&self.authority.path("ca.pem")).path).expect("a file");
        let mut roots = RootCertStore::empty();
        for certificate in pem::certificates(&file).expect("a certificate") {
            roots.add(certificate).expect("an authority");
        }
        let provider = Arc::new(provider);
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&self.versions)
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some(named) => {
                let mut findings = problem::Findings::default();
                let occasion = pair::Occasion::Start;
                let own = pair::load("own", named, &provider, occasion, &mut findings);
                let own = own.expect("a certificate").certified;
                builder
                    .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(own)))
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

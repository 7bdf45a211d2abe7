//! How a client uses TLS, whatever library it is made with.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificates::{Authority, Issued};

/// A version of TLS, and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Nobody should accept it any more.
    Tls11,
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// What a client trusts, whom it wants to talk to, and what it shows of itself.
#[derive(Debug, Clone)]
pub struct ClientTls {
    /// The root's certificate.
    pub authority: PathBuf,
    /// Sent as SNI, and looked for in the server's certificate.
    pub server_name: String,
    /// The only version spoken.
    pub version: Version,
    /// The client's own certificate.
    pub certificate: Option<Issued>,
}

impl ClientTls {
    /// TLS 1.3 to a server called `server_name`, without a certificate.
    #[must_use]
    pub fn new(authority: &Authority, server_name: &str) -> Self {
        Self {
            authority: authority.file().to_owned(),
            server_name: server_name.to_owned(),
            version: Version::Tls13,
            certificate: None,
        }
    }

    /// Speaks this version only.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// Shows this certificate to a server that asks for one.
    #[must_use]
    pub fn certificate(mut self, certificate: &Issued) -> Self {
        self.certificate = Some(certificate.clone());
        self
    }

    /// All of that for rustls.
    ///
    /// # Errors
    /// When a file cannot be read, and for a version that rustls does not speak.
    pub fn connector(&self) -> Result<Connector> {
        let name = ServerName::try_from(self.server_name.clone())?;
        Ok(Connector { config: TlsConnector::from(Arc::new(self.config()?)), name })
    }

    /// What such a client says first: its ClientHello.
    ///
    /// # Errors
    /// As [`ClientTls::connector`].
    pub fn hello(&self) -> Result<Vec<u8>> {
        let name = ServerName::try_from(self.server_name.clone())?;
        let mut client = ClientConnection::new(Arc::new(self.config()?), name)?;
        let mut hello = Vec::new();
        client.write_tls(&mut hello)?;
        Ok(hello)
    }

    fn config(&self) -> Result<ClientConfig> {
        let version = match self.version {
            Version::Tls11 => anyhow::bail!("rustls does not speak TLS 1.1"),
            Version::Tls12 => &rustls::version::TLS12,
            Version::Tls13 => &rustls::version::TLS13,
        };
        let mut roots = RootCertStore::empty();
        for root in certificates(&self.authority)? {
            roots.add(root)?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_protocol_versions(&[version])?.with_root_certificates(roots);
        Ok(match &self.certificate {
            None => config.with_no_client_auth(),
            Some(own) => {
                let key = PrivateKeyDer::from_pem_file(&own.key);
                let key = key.with_context(|| format!("no key in {}", own.key.display()))?;
                config.with_client_auth_cert(certificates(&own.chain)?, key)?
            }
        })
    }

    /// All of that as variables, for the scripts in `integration/clients`.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let version = match self.version {
            Version::Tls11 => "1.1",
            Version::Tls12 => "1.2",
            Version::Tls13 => "1.3",
        };
        let mut variables = vec![
            ("TLS_CA", self.authority.display().to_string()),
            ("TLS_NAME", self.server_name.clone()),
            ("TLS_VERSION", version.to_owned()),
        ];
        if let Some(own) = &self.certificate {
            variables.push(("TLS_CERT", own.chain.display().to_string()));
            variables.push(("TLS_KEY", own.key.display().to_string()));
        }
        variables
    }
}

/// Makes connections with rustls. They, and those of its clones, resume each other's sessions.
#[derive(Clone)]
pub struct Connector {
    config: TlsConnector,
    name: ServerName<'static>,
}

impl Connector {
    /// The same, but each connection does the whole TLS handshake.
    #[must_use]
    pub fn without_resumption(&self) -> Self {
        let mut config = ClientConfig::clone(self.config.config());
        config.resumption = Resumption::disabled();
        Self { config: TlsConnector::from(Arc::new(config)), name: self.name.clone() }
    }

    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there, or one of both sides refuses the TLS handshake.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        self.handshake(TcpStream::connect(address).await?).await
    }

    /// What a client says first: a ClientHello in its record.
    ///
    /// # Errors
    /// When rustls cannot make one.
    pub fn hello(&self) -> Result<Vec<u8>> {
        let mut client = ClientConnection::new(self.config.config().clone(), self.name.clone())?;
        let mut hello = Vec::new();
        client.write_tls(&mut hello)?;
        Ok(hello)
    }

    /// Does the TLS handshake on a connection that is there already.
    ///
    /// # Errors
    /// When one of both sides refuses it.
    pub async fn handshake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        stream.set_nodelay(true)?;
        self.config.connect(self.name.clone(), stream).await
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connector({:?})", self.name)
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    read.with_context(|| format!("no certificates in {}", file.display()))
}

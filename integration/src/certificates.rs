//! A certificate authority for tests: server and client certificates and revocation lists, as PEM
//! files in a directory that goes with the authority and all that it has issued.
//!
//! ```no_run
//! # use integration::certificates::{Authority, Key};
//! # fn main() -> anyhow::Result<()> {
//! let authority = Authority::new("ca")?;
//! let server = authority.server(&["localhost", "127.0.0.1"])?.key(Key::Rsa2048).write("server")?;
//! let client = authority.client("app")?.uri("spiffe://test/app")?.write("client")?;
//! let revoked = authority.crl("revoked", &[&client])?;
//! # Ok(()) }
//! ```

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    CrlDistributionPoint, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RevokedCertParams, SanType,
    SerialNumber,
};

use crate::scratch::Scratch;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Where a revocation list would be. Nobody listens there: it stands in the certificates because
/// those without any way to revoke them are a finding of its own.
const NO_CRL: &str = "http://crl.invalid/ca.crl";

/// The kind of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// ECDSA on P-256.
    EcdsaP256,
    /// RSA of 2048 bits.
    Rsa2048,
}

/// A certificate authority and the directory of all that it has issued.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// What follows a leaf in its chain: nothing below a root.
    intermediates: String,
    root: PathBuf,
    scratch: Arc<Scratch>,
}

impl Authority {
    /// A root with an ECDSA key. `name` is its common name and the name of its file.
    ///
    /// # Errors
    /// When the temporary directory cannot be written.
    pub fn new(name: &str) -> Result<Self> {
        let scratch = Arc::new(Scratch::new(name)?);
        let issuer =
            CertifiedIssuer::self_signed(authority_params(name), Key::EcdsaP256.generate()?)?;
        let root = scratch.dir().join(format!("{name}.crt"));
        put(&root, 0o644, &issuer.pem())?;
        Ok(Self { issuer, intermediates: String::new(), root, scratch })
    }

    /// An authority below this one, with the same directory. It adds itself to the chains of what
    /// it issues; its [`Authority::file`] is the root's.
    ///
    /// # Errors
    /// Never in practice: when no key can be made.
    pub fn intermediate(&self, name: &str) -> Result<Self> {
        let (params, key) = (authority_params(name), Key::EcdsaP256.generate()?);
        let issuer = CertifiedIssuer::signed_by(params, key, &self.issuer)?;
        let intermediates = issuer.pem() + &self.intermediates;
        Ok(Self { issuer, intermediates, root: self.root.clone(), scratch: self.scratch.clone() })
    }

    /// The root's certificate: what a peer has to trust.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.root
    }

    /// The directory of everything written.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.scratch.dir()
    }

    /// A server's certificate for these DNS names and addresses; the first is its common name.
    ///
    /// # Errors
    /// When there is no name, or one has letters that a certificate cannot have.
    pub fn server(&self, names: &[&str]) -> Result<Leaf<'_>> {
        let first = names.first().context("a server's certificate needs a name")?;
        let names: Vec<String> = names.iter().copied().map(str::to_owned).collect();
        let params = CertificateParams::new(names)?;
        Ok(Leaf::new(self, params, first, ExtendedKeyUsagePurpose::ServerAuth))
    }

    /// A client's certificate with this common name and no other names yet.
    ///
    /// # Errors
    /// Never in practice; as [`Authority::server`].
    pub fn client(&self, common_name: &str) -> Result<Leaf<'_>> {
        let params = CertificateParams::new(Vec::new())?;
        Ok(Leaf::new(self, params, common_name, ExtendedKeyUsagePurpose::ClientAuth))
    }

    /// Writes a revocation list as `NAME.crl`, valid for a month; it replaces one of that name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn crl(&self, name: &str, revoked: &[&Issued]) -> Result<PathBuf> {
        let now = SystemTime::now();
        let entry = |one: &&Issued| RevokedCertParams {
            serial_number: one.serial.clone(),
            revocation_time: now.into(),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: (now - DAY).into(),
            next_update: (now + 30 * DAY).into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let path = self.dir().join(format!("{name}.crl"));
        put(&path, 0o644, &list.signed_by(&self.issuer)?.pem()?)?;
        Ok(path)
    }
}

/// A certificate that is about to be issued: valid since yesterday and for 100 days, with an ECDSA
/// key, unless told otherwise.
#[derive(Debug)]
#[must_use]
pub struct Leaf<'a> {
    authority: &'a Authority,
    params: CertificateParams,
    key: Key,
}

impl<'a> Leaf<'a> {
    fn new(
        authority: &'a Authority,
        mut params: CertificateParams,
        common_name: &str,
        usage: ExtendedKeyUsagePurpose,
    ) -> Self {
        params.distinguished_name = named(common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        params.crl_distribution_points =
            vec![CrlDistributionPoint { uris: vec![NO_CRL.to_owned()] }];
        Self { authority, params, key: Key::EcdsaP256 }.valid(-1, 100)
    }

    /// The kind of its key.
    pub fn key(mut self, key: Key) -> Self {
        self.key = key;
        self
    }

    /// Valid from so many days after today to so many days after today; negative ones are before.
    pub fn valid(mut self, from: i64, to: i64) -> Self {
        self.params.not_before = in_days(from).into();
        self.params.not_after = in_days(to).into();
        self
    }

    /// Valid for so many more seconds.
    pub fn seconds(mut self, seconds: u64) -> Self {
        self.params.not_after = (SystemTime::now() + Duration::from_secs(seconds)).into();
        self
    }

    /// Valid until yesterday.
    pub fn expired(self) -> Self {
        self.valid(-30, -1)
    }

    /// One more DNS name.
    ///
    /// # Errors
    /// When it has letters beyond ASCII, as with all other names.
    pub fn dns(mut self, name: &str) -> Result<Self> {
        self.params.subject_alt_names.push(SanType::DnsName(name.try_into()?));
        Ok(self)
    }

    /// One more URI.
    ///
    /// # Errors
    /// As [`Leaf::dns`].
    pub fn uri(mut self, uri: &str) -> Result<Self> {
        self.params.subject_alt_names.push(SanType::URI(uri.try_into()?));
        Ok(self)
    }

    /// One more e-mail address.
    ///
    /// # Errors
    /// As [`Leaf::dns`].
    pub fn email(mut self, address: &str) -> Result<Self> {
        self.params.subject_alt_names.push(SanType::Rfc822Name(address.try_into()?));
        Ok(self)
    }

    /// Issues it and writes `NAME.crt`, `NAME.key` and `NAME.pem` into the authority's directory.
    /// Files of that name are replaced one after the other, each in one step, as a renewal does.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(mut self, name: &str) -> Result<Issued> {
        let serial = serial();
        self.params.serial_number = Some(serial.clone());
        let key = self.key.generate()?;
        let certificate = self.params.signed_by(&key, &self.authority.issuer)?.pem();
        let file = |kind: &str| self.authority.dir().join(format!("{name}.{kind}"));
        let (chain, secret) =
            (certificate.clone() + &self.authority.intermediates, key.serialize_pem());
        let issued = Issued {
            chain: file("crt"),
            key: file("key"),
            bundle: file("pem"),
            certificate,
            serial,
            _files: self.authority.scratch.clone(),
        };
        put(&issued.key, 0o600, &secret)?;
        put(&issued.chain, 0o644, &chain)?;
        put(&issued.bundle, 0o600, &(chain + &secret))?;
        Ok(issued)
    }
}

/// A certificate that was issued, and its files.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate and its intermediates, without the root.
    pub chain: PathBuf,
    /// The private key, as PKCS #8.
    pub key: PathBuf,
    /// All of that in one file, as HAProxy wants it.
    pub bundle: PathBuf,
    /// The certificate alone, as PEM.
    pub certificate: String,
    serial: SerialNumber,
    _files: Arc<Scratch>,
}

impl Issued {
    /// The serial number, as `openssl x509 -serial` writes it.
    #[must_use]
    pub fn serial(&self) -> String {
        self.serial.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
    }
}

impl Key {
    fn generate(self) -> Result<KeyPair> {
        Ok(match self {
            Self::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
            Self::Rsa2048 => KeyPair::generate_for(&PKCS_RSA_SHA256)?,
        })
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial());
    params.not_before = in_days(-2).into();
    params.not_after = in_days(3650).into();
    params
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// 16 bytes of chance; the first is neither zero nor negative, so that the number is as long.
fn serial() -> SerialNumber {
    let mut bytes = fastrand::u128(..).to_be_bytes();
    bytes[0] = bytes[0] & 0x7F | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn in_days(days: i64) -> SystemTime {
    let distance = DAY * days.unsigned_abs() as u32;
    if days < 0 { SystemTime::now() - distance } else { SystemTime::now() + distance }
}

/// Nobody ever reads half of it.
fn put(path: &Path, mode: u32, text: &str) -> Result<()> {
    let draft = path.with_extension("draft");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    let write = || -> std::io::Result<()> {
        options.open(&draft)?.write_all(text.as_bytes())?;
        fs::rename(&draft, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What openssl says of `arguments`, standard output and error.
    fn openssl(arguments: &[&str], files: &[&Path]) -> String {
        let mut command = Command::new("openssl");
        let output = command.args(arguments).args(files).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn openssl_trusts_what_is_issued_and_nothing_revoked_or_expired() {
        let root = Authority::new("root").unwrap();
        let below = root.intermediate("below").unwrap();
        let ca = root.file().to_str().unwrap();
        let server = below.server(&["localhost", "::1"]).unwrap().write("server").unwrap();
        let chain = server.chain.to_str().unwrap();
        let verify = ["verify", "-CAfile", ca, "-purpose", "sslserver", "-untrusted", chain];
        assert!(openssl(&verify, &[&server.chain]).ends_with(": OK\n"));

        let client = root.client("app").unwrap().key(Key::Rsa2048).write("client").unwrap();
        let other = root.client("other").unwrap().write("other").unwrap();
        let verify = ["verify", "-CAfile", ca, "-purpose", "sslclient"];
        assert!(openssl(&verify, &[&client.chain]).ends_with(": OK\n"));
        assert!(openssl(&verify, &[&server.chain]).contains("unable to get local issuer"));

        let crl = root.crl("list", &[&client]).unwrap();
        let crl = crl.to_str().unwrap();
        let revoked = [&verify[..], &["-crl_check", "-CRLfile", crl]].concat();
        assert!(openssl(&revoked, &[&client.chain]).contains("certificate revoked"));
        assert!(openssl(&revoked, &[&other.chain]).ends_with(": OK\n"));

        let old = root.client("app").unwrap().expired().write("old").unwrap();
        assert!(openssl(&verify, &[&old.chain]).contains("certificate has expired"));
    }

    #[test]
    fn names_keys_and_serials_are_those_asked_for() {
        let ca = Authority::new("ca").unwrap();
        let client = ca.client("app").unwrap().key(Key::Rsa2048);
        let client = client.dns("app.test").unwrap().uri("spiffe://test/app").unwrap();
        let client = client.email("app@test").unwrap().write("client").unwrap();
        let text = openssl(&["x509", "-noout", "-text", "-serial", "-in"], &[&client.bundle]);
        for expected in [
            "Subject: CN = app\n",
            "Public-Key: (2048 bit)",
            "DNS:app.test, URI:spiffe://test/app, email:app@test\n",
            &format!("serial={}\n", client.serial()),
        ] {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
        let key = openssl(&["pkey", "-noout", "-check", "-in"], &[&client.key]);
        assert!(key.contains("Key is valid"), "{key}");
        let of_key = openssl(&["pkey", "-pubout", "-in"], &[&client.key]);
        let of_certificate = openssl(&["x509", "-noout", "-pubkey", "-in"], &[&client.chain]);
        assert_eq!(of_key, of_certificate);
    }
}

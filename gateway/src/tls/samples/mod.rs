//! Certificates, keys and lists in files, for tests.

mod meet;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, RevokedCertParams, SerialNumber, SignatureAlgorithm,
};

pub(super) use meet::{Client, meet};

use crate::config::model::{Certificate, ClientAuth, ListenerTls, PemFile, Place, TlsVersion};

const PLACE: Place = Place { line: 7, column: 3 };
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) const ECDSA: &SignatureAlgorithm = &PKCS_ECDSA_P256_SHA256;
pub(super) const RSA: &SignatureAlgorithm = &PKCS_RSA_SHA256;

/// An authority, with a directory for what it issues.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(super) directory: tempfile::TempDir,
}

/// What is issued, unless told otherwise: a certificate with an ECDSA key, from yesterday on for a year.
pub(super) struct Wanted<'a> {
    pub(super) file: &'a str,
    pub(super) common_name: &'a str,
    pub(super) names: &'a [&'a str],
    pub(super) key: &'static SignatureAlgorithm,
    pub(super) days: (i64, i64),
    pub(super) serial: u64,
}

impl Default for Wanted<'_> {
    fn default() -> Self {
        Self {
            file: "server",
            common_name: "server",
            names: &["localhost"],
            key: ECDSA,
            days: (-1, 365),
            serial: 1,
        }
    }
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate_for(ECDSA).expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("ca.pem"), issuer.pem()).expect("a file");
        Self { issuer, directory }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn ca(&self) -> PemFile {
        pem_file(&self.path("ca.pem"))
    }

    /// Writes FILE.crt and FILE.key.
    pub(super) fn issue(&self, wanted: &Wanted<'_>) -> Certificate {
        let names: Vec<_> = wanted.names.iter().copied().map(str::to_owned).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, wanted.common_name);
        params.serial_number = Some(SerialNumber::from(wanted.serial));
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = in_days(wanted.days.0).into();
        params.not_after = in_days(wanted.days.1).into();
        let key = KeyPair::generate_for(wanted.key).expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let (chain, secret) = (format!("{}.crt", wanted.file), format!("{}.key", wanted.file));
        let (chain, secret) = (self.path(&chain), self.path(&secret));
        fs::write(&chain, certificate.pem()).expect("a file");
        fs::write(&secret, key.serialize_pem()).expect("a file");
        private(&secret);
        Certificate { chain, key: secret, place: PLACE }
    }

    /// Writes a list of those with these serial numbers.
    pub(super) fn revoke(&self, file: &str, serials: &[u64]) -> PemFile {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: in_days(-1).into(),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: in_days(-1).into(),
            next_update: in_days(30).into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("a list");
        fs::write(self.path(file), list.pem().expect("PEM")).expect("a file");
        pem_file(&self.path(file))
    }
}

pub(super) fn pem_file(path: &Path) -> PemFile {
    PemFile { path: path.to_owned(), place: PLACE }
}

pub(super) fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("permissions");
}

/// A listener's section with everything as it is by default.
pub(super) fn section(certificates: Vec<Certificate>) -> ListenerTls {
    ListenerTls {
        certificates,
        min_version: TlsVersion::Tls12,
        cipher_suites: Vec::new(),
        client_auth: ClientAuth::None,
        client_ca: None,
        client_crl: Vec::new(),
        strict_sni: false,
    }
}

fn in_days(days: i64) -> SystemTime {
    let distance = DAY * days.unsigned_abs() as u32;
    match days < 0 {
        true => SystemTime::now() - distance,
        false => SystemTime::now() + distance,
    }
}

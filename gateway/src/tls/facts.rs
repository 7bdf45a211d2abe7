//! What a certificate says, as text of bounded length. Odd encodings come out as well as they can be read.

use std::fmt::{self, Write};
use std::net::IpAddr;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::der::asn1::{Any, ObjectIdentifier};
use x509_cert::der::{Decode, Encode, Tag, Tagged};

use crate::stream::facts::ClientCertificate;

/// Longest text taken from a certificate, in bytes. One that is longer ends in `…`.
const LONGEST: usize = 512;
/// Most subject alternative names that are kept of a client.
const MOST_NAMES: usize = 64;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// What the certificate of a client says of its owner; nothing where it cannot be read.
#[must_use]
pub fn facts_of(certificate: &CertificateDer<'_>) -> ClientCertificate {
    let Some(parsed) = parse(certificate) else { return ClientCertificate::default() };
    ClientCertificate {
        subject: bounded(parsed.tbs_certificate().subject()).into(),
        common_name: common_name(&parsed).map(Into::into),
        sans: alternative_names(&parsed).take(MOST_NAMES).map(|name| name.text.into()).collect(),
    }
}

/// Has the certificate ended, or can it not be read? A session that is resumed shows the one that was looked at when it
/// began, and nobody has looked at it since.
#[must_use]
pub fn has_ended(certificate: &CertificateDer<'_>, now: SystemTime) -> bool {
    parse(certificate).is_none_or(|parsed| validity(&parsed).1 < now)
}

pub(super) fn parse(certificate: &CertificateDer<'_>) -> Option<Certificate> {
    Certificate::from_der(certificate).ok()
}

/// The host names that a server's certificate is for, in lower case: DNS names, else the common name.
pub(super) fn host_names(certificate: &Certificate) -> Vec<String> {
    let dns = alternative_names(certificate).filter(|name| name.kind == Kind::Dns);
    let mut names: Vec<String> = dns.map(|name| name.text.to_ascii_lowercase()).collect();
    if names.is_empty() {
        names.extend(common_name(certificate).map(|name| name.to_ascii_lowercase()));
    }
    names
}

/// What people call it: its common name, else its first other name, else its serial number.
pub(super) fn display_name(certificate: &Certificate) -> String {
    let first = || alternative_names(certificate).next().map(|name| name.text);
    let serial = || certificate.tbs_certificate().serial_number().to_string();
    common_name(certificate).or_else(first).unwrap_or_else(serial)
}

/// From when until when it is valid.
pub(super) fn validity(certificate: &Certificate) -> (SystemTime, SystemTime) {
    let validity = certificate.tbs_certificate().validity();
    (validity.not_before.to_system_time(), validity.not_after.to_system_time())
}

/// The names that it is for.
pub(super) fn sans(certificate: &Certificate) -> Vec<String> {
    alternative_names(certificate).take(MOST_NAMES).map(|name| name.text).collect()
}

/// Who signed it.
pub(super) fn issuer(certificate: &Certificate) -> String {
    bounded(certificate.tbs_certificate().issuer())
}

/// Its serial number, in hexadecimal digits.
pub(super) fn serial(certificate: &Certificate) -> String {
    hex(certificate.tbs_certificate().serial_number().as_bytes())
}

/// SHA-256 of the whole certificate, in hexadecimal digits.
pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    hex(&Sha256::digest(certificate))
}

/// The kind of its key, and how strong it is.
pub(super) fn key_type(certificate: &Certificate) -> String {
    let key = certificate.tbs_certificate().subject_public_key_info();
    let curve = key.algorithm.parameters.as_ref().and_then(|p| p.decode_as().ok());
    match (key.algorithm.oid, curve) {
        (EC, Some(P256)) => "ecdsa-p256".to_owned(),
        (EC, Some(P384)) => "ecdsa-p384".to_owned(),
        (EC, Some(P521)) => "ecdsa-p521".to_owned(),
        (ED25519, _) => "ed25519".to_owned(),
        (RSA, _) => match rsa_bits(key.subject_public_key.raw_bytes()) {
            Some(bits) => format!("rsa-{bits}"),
            None => "rsa".to_owned(),
        },
        (other, _) => other.to_string(),
    }
}

/// The length of the modulus, which is the first of the two numbers in there (RFC 8017, appendix A.1.1).
fn rsa_bits(key: &[u8]) -> Option<usize> {
    let numbers = Vec::<Any>::from_der(key).ok()?;
    let modulus = numbers.first()?.value();
    let digits = modulus.iter().skip_while(|octet| **octet == 0).count();
    let first = modulus.iter().find(|octet| **octet != 0)?;
    Some(digits * 8 - first.leading_zeros() as usize)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// Its public key as SubjectPublicKeyInfo, in DER.
pub(super) fn public_key(certificate: &Certificate) -> Option<Vec<u8>> {
    certificate.tbs_certificate().subject_public_key_info().to_der().ok()
}

pub(super) fn common_name(certificate: &Certificate) -> Option<String> {
    let mut attributes = certificate.tbs_certificate().subject().iter();
    let common_name = attributes.find(|attribute| attribute.oid == COMMON_NAME)?;
    Some(bounded(text_of(&common_name.value)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dns,
    Other,
}

struct AlternativeName {
    kind: Kind,
    text: String,
}

/// DNS names, e-mail addresses, URIs and IP addresses (RFC 5280, section 4.2.1.6). Each is read for itself: one that is
/// none does not hide the others.
fn alternative_names(certificate: &Certificate) -> impl Iterator<Item = AlternativeName> {
    let mut extensions = certificate.tbs_certificate().extensions().into_iter().flatten();
    let names = extensions.find(|extension| extension.extn_id == SUBJECT_ALT_NAME);
    let names = names.and_then(|names| Vec::<Any>::from_der(names.extn_value.as_bytes()).ok());
    names.into_iter().flatten().filter_map(|name| alternative_name(&name))
}

fn alternative_name(name: &Any) -> Option<AlternativeName> {
    let Tag::ContextSpecific { number, .. } = name.tag() else { return None };
    let text = || bounded(String::from_utf8_lossy(name.value()));
    match number.value() {
        2 => Some(AlternativeName { kind: Kind::Dns, text: text() }),
        1 | 6 => Some(AlternativeName { kind: Kind::Other, text: text() }),
        7 => Some(AlternativeName { kind: Kind::Other, text: address(name.value())?.to_string() }),
        _ => None,
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(octets.into());
    }
    <[u8; 16]>::try_from(octets).ok().map(Into::into)
}

/// The text of a DirectoryString. All of its kinds but two are UTF-8, or hardly differ from it.
fn text_of(value: &Any) -> String {
    let octets = value.value();
    match value.tag() {
        Tag::BmpString => {
            let units = octets.chunks_exact(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        Tag::TeletexString => octets.iter().map(|octet| char::from(*octet)).collect(),
        _ => String::from_utf8_lossy(octets).into_owned(),
    }
}

fn bounded(text: impl fmt::Display) -> String {
    let mut bounded = Bounded(String::new());
    // It fails where it is full, and then it is marked.
    let _ = write!(bounded, "{text}");
    bounded.0
}

/// Takes text until it is full.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LONGEST.saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        self.0.push_str(&text[..end]);
        self.0.push('…');
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::string::{BmpString, TeletexString};
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().clone()
    }

    fn named(value: DnValue) -> CertificateDer<'static> {
        certificate(|params| params.distinguished_name.push(DnType::CommonName, value))
    }

    #[test]
    fn a_certificate_says_who_its_owner_is() {
        let facts = facts_of(&certificate(|params| {
            let name = &mut params.distinguished_name;
            name.push(DnType::CountryName, "CH");
            name.push(DnType::OrganizationName, "Orders, \"fast\"");
            name.push(DnType::CommonName, "app 1");
            params.subject_alt_names = vec![
                SanType::DnsName("App.test".try_into().expect("ASCII")),
                SanType::Rfc822Name("app@test".try_into().expect("ASCII")),
                SanType::URI("spiffe://test/app".try_into().expect("ASCII")),
                SanType::IpAddress("10.0.0.1".parse().expect("an address")),
                SanType::IpAddress("fd00::1".parse().expect("an address")),
            ];
        }));
        assert_eq!(facts.common_name.as_deref(), Some("app 1"));
        assert_eq!(&*facts.subject, r#"CN=app 1,O=Orders\, \"fast\",C=CH"#);
        let sans: Vec<_> = facts.sans.iter().map(|name| &**name).collect();
        assert_eq!(sans, ["App.test", "app@test", "spiffe://test/app", "10.0.0.1", "fd00::1"]);
    }

    #[test]
    fn a_certificate_ends_when_it_says() {
        let certificate = certificate(|params| params.not_after = rcgen::date_time_ymd(2040, 1, 1));
        let end = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(2_208_988_800);
        assert!(!has_ended(&certificate, end));
        assert!(has_ended(&certificate, end + std::time::Duration::from_secs(1)));
        assert!(has_ended(&CertificateDer::from(vec![1, 2, 3]), SystemTime::UNIX_EPOCH));
    }

    #[test]
    fn names_in_old_encodings_are_read() {
        let common_name = |value| facts_of(&named(value)).common_name.map(String::from);
        let bmp = DnValue::BmpString(BmpString::try_from("Zürich €").expect("BMP"));
        assert_eq!(common_name(bmp).as_deref(), Some("Zürich €"));
        let teletex = DnValue::TeletexString(TeletexString::try_from("app").expect("ASCII"));
        assert_eq!(common_name(teletex).as_deref(), Some("app"));
    }

    #[test]
    fn what_is_kept_of_a_certificate_is_bounded() {
        let facts = facts_of(&certificate(|params| {
            params.distinguished_name.push(DnType::CommonName, "é".repeat(10_000));
            let name = |i| SanType::DnsName(format!("a{i}.test").try_into().expect("ASCII"));
            params.subject_alt_names = (0..1000).map(name).collect();
        }));
        let common_name = facts.common_name.expect("a name");
        assert!(common_name.len() <= LONGEST + 3 && common_name.ends_with('…'));
        assert!(facts.subject.len() <= LONGEST + 3 && facts.subject.ends_with('…'));
        assert_eq!(facts.sans.len(), MOST_NAMES);
    }

    #[test]
    fn a_name_that_is_none_does_not_hide_the_others() {
        let mut der = certificate(|params| {
            let names = ["first.test", "secnd.test"];
            let name = |name: &str| SanType::DnsName(name.try_into().expect("ASCII"));
            params.subject_alt_names = names.map(name).to_vec();
        })
        .to_vec();
        let at = der.windows(5).position(|part| part == b"first").expect("its name");
        der[at] = 0xff;
        let facts = facts_of(&der.into());
        assert_eq!(&*facts.sans[0], "\u{fffd}irst.test");
        assert_eq!(&*facts.sans[1], "secnd.test");
    }

    proptest! {
        #[test]
        fn no_certificate_makes_it_panic(changes in proptest::collection::vec((0usize..600, any::<u8>()), 1..8)) {
            let mut der = named("app".into()).to_vec();
            for (at, byte) in changes {
                let length = der.len();
                der[at % length] = byte;
            }
            let der = CertificateDer::from(der);
            let facts = facts_of(&der);
            prop_assert!(facts.subject.len() <= LONGEST + 3);
            if let Some(parsed) = parse(&der) {
                let _ = (host_names(&parsed), display_name(&parsed), validity(&parsed));
            }
        }
    }
}

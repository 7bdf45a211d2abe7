//! Reads PEM files (RFC 7468), and says in words what is wrong with one. No text made here holds anything of a file.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::problem::Fault;

/// Largest file, in bytes. Lists of what was revoked may be long.
const LARGEST: u64 = 64 * 1024 * 1024;

/// All of a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    open(path).and_then(all_of).map_err(|error| unreadable(&error))
}

/// All of an open file, within bounds.
pub(super) fn all_of(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 64 MiB"));
    }
    Ok(bytes)
}

/// Opens what is a file.
pub(super) fn open(path: &Path) -> io::Result<File> {
    // A pipe or a device would keep its reader waiting.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    File::open(path)
}

fn unreadable(error: &io::Error) -> Fault {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => "write the path of an existing PEM file",
        io::ErrorKind::PermissionDenied => {
            "let the user that amqp-gateway runs as read the file and search its directories: chgrp, and chmod 640"
        }
        _ => "write the path of a readable PEM file",
    };
    Fault::new(format!("cannot read it: {error}"), advice)
}

/// The certificates of a file, in its order; at least one.
pub(super) fn certificates(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let found = all::<CertificateDer<'_>>(file)?;
    if !found.is_empty() {
        return Ok(found);
    }
    let advice = if is_der(file) {
        "it looks like DER: openssl x509 -inform DER -in FILE -out FILE.pem"
    } else if holds(file, "-----BEGIN TRUSTED CERTIFICATE-----") {
        "openssl x509 -in FILE -out FILE.pem makes a plain certificate of a trusted one"
    } else {
        "a certificate stands between -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----"
    };
    Err(Fault::new("there is no certificate in it", advice))
}

/// The first private key of a file: PKCS #8, PKCS #1 (RSA) or SEC 1 (EC).
pub(super) fn private_key(file: &[u8]) -> Result<PrivateKeyDer<'static>, Fault> {
    let encrypted =
        holds(file, "-----BEGIN ENCRYPTED PRIVATE KEY-----") || holds(file, "4,ENCRYPTED");
    let error = match all::<PrivateKeyDer<'_>>(file) {
        Ok(found) => match found.into_iter().next() {
            Some(key) => return Ok(key),
            None => None,
        },
        Err(error) => Some(error),
    };
    if encrypted {
        let advice = "nobody types a passphrase when the gateway starts: openssl pkey -in FILE -out FILE.plain, and chmod 600";
        return Err(Fault::new("its private key is encrypted", advice));
    }
    let advice = if is_der(file) {
        "it looks like DER: openssl pkey -inform DER -in FILE -out FILE.pem"
    } else {
        "a key stands between -----BEGIN PRIVATE KEY----- and -----END PRIVATE KEY-----, or those of RSA or EC keys"
    };
    Err(error.unwrap_or_else(|| Fault::new("there is no private key in it", advice)))
}

/// The revocation lists of a file; at least one.
pub(super) fn revocation_lists(
    file: &[u8],
) -> Result<Vec<CertificateRevocationListDer<'static>>, Fault> {
    let found = all::<CertificateRevocationListDer<'_>>(file)?;
    if !found.is_empty() {
        return Ok(found);
    }
    let advice = match is_der(file) {
        true => "it looks like DER: openssl crl -inform DER -in FILE -out FILE.pem",
        false => "a list stands between -----BEGIN X509 CRL----- and -----END X509 CRL-----",
    };
    Err(Fault::new("there is no revocation list in it", advice))
}

fn all<T: PemObject>(file: &[u8]) -> Result<Vec<T>, Fault> {
    // Some editors begin a file with a byte order mark.
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    T::pem_slice_iter(file).collect::<Result<_, _>>().map_err(|error| broken(&error))
}

fn broken(error: &pem::Error) -> Fault {
    let what = match error {
        pem::Error::MissingSectionEnd { .. } => "its last part has no -----END line",
        pem::Error::IllegalSectionStart { .. } => "a -----BEGIN line does not end in five dashes",
        pem::Error::Base64Decode(_) => "a part of it is not base64",
        pem::Error::SectionTooLarge => "a part of it is too large",
        _ => "it is not well-formed",
    };
    Fault::new(
        format!("it is no PEM file: {what}"),
        "the file may have been cut, or copied by halves: write it again",
    )
}

fn is_der(file: &[u8]) -> bool {
    // A SEQUENCE whose length takes more than one byte.
    matches!(file, [0x30, 0x81..=0x84, ..])
}

fn holds(file: &[u8], text: &str) -> bool {
    file.windows(text.len()).any(|part| part == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n";

    #[test]
    fn keys_of_all_three_kinds_are_found_wherever_they_stand() {
        for kind in ["EC PRIVATE KEY", "RSA PRIVATE KEY", "PRIVATE KEY"] {
            let key = KEY.replace("EC PRIVATE KEY", kind);
            let text = format!(
                "\u{feff}{}some text\n{key}",
                KEY.replace("EC PRIVATE KEY", "EC PARAMETERS")
            );
            assert!(private_key(text.as_bytes()).is_ok(), "{kind}");
        }
    }

    #[test]
    fn an_encrypted_key_is_called_so() {
        let pkcs8 = KEY.replace("EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let old = KEY.replace("MAA=", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMAA=");
        for text in [pkcs8, old] {
            let fault = private_key(text.as_bytes()).expect_err("encrypted");
            assert_eq!(fault.message, "its private key is encrypted");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_a_word_of_the_file() {
        let cut = KEY.split("-----END").next().expect("a half");
        let secret = KEY.replace("MAA=", "secret secret!");
        for (text, said) in [(cut, "no -----END"), (&*secret, "not base64"), ("", "no private")] {
            let fault = private_key(text.as_bytes()).expect_err("broken");
            assert!(fault.message.contains(said), "{fault:?}");
            assert!(!fault.message.contains("secret"), "{fault:?}");
        }
        let der = [0x30, 0x82, 1, 2];
        assert!(certificates(&der).expect_err("DER").advice.contains("openssl x509 -inform DER"));
        assert!(revocation_lists(&der).expect_err("DER").advice.contains("openssl crl"));
    }

    #[test]
    fn only_files_are_read() {
        for path in ["/nowhere/x.pem", "/dev/zero", "/"] {
            let fault = read(Path::new(path)).expect_err("not a file");
            assert!(fault.message.starts_with("cannot read it: "), "{fault:?}");
        }
    }
}

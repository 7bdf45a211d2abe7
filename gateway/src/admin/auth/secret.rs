//! Random secrets, and what is kept of them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// What is kept of a secret.
pub(crate) type Digest = [u8; 32];

/// Says what the token of a program is, wherever one turns up.
const TOKEN_PREFIX: &str = "agw_";
/// Of each token and key: nobody guesses it.
const BYTES: usize = 32;

/// 256 random bits.
///
/// # Errors
/// When the system gives none.
pub(crate) fn key() -> Result<[u8; BYTES], getrandom::Error> {
    let mut key = [0; BYTES];
    getrandom::fill(&mut key)?;
    Ok(key)
}

/// A random token of somebody who logs in.
///
/// # Errors
/// As [`key`].
pub(crate) fn login_token() -> Result<String, getrandom::Error> {
    Ok(text(&key()?))
}

/// A random token of a program, to be put in the configuration by its hash.
///
/// # Errors
/// As [`key`].
pub(crate) fn program_token() -> Result<String, getrandom::Error> {
    Ok(format!("{TOKEN_PREFIX}{}", text(&key()?)))
}

/// The section of the configuration for the token of a program.
pub(crate) fn section(name: &str, token: &str, role: &str) -> String {
    let hash = hexadecimal(&digest(token));
    format!("[[admin.token]]\nname = \"{name}\"\nhash = \"sha256:{hash}\"\nrole = \"{role}\"\n")
}

/// SHA-256. Of 256 random bits it tells nothing.
pub(crate) fn digest(secret: &str) -> Digest {
    Sha256::digest(secret.as_bytes()).into()
}

/// One that only this process can make: of several texts, one after the other.
pub(crate) fn keyed(key: &[u8; BYTES], parts: &[&str]) -> Digest {
    let mut hash = Sha256::new();
    hash.update(key);
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// As it travels in headers and JSON.
pub(crate) fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Are they the same? How long it takes does not depend on where they differ.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let (one, other) = (program_token().expect("bits"), program_token().expect("bits"));
        assert_ne!(one, other);
        assert_eq!((one.len(), one.starts_with("agw_")), (47, true));
        assert_eq!(login_token().expect("bits").len(), 43);
    }

    #[test]
    fn the_hash_is_the_well_known_one() {
        let section = section("ci", "abc", "viewer");
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(section.contains(&format!("hash = \"sha256:{hash}\"")), "{section}");
    }

    #[test]
    fn texts_cannot_be_shifted_into_one_another() {
        let key = [7; 32];
        assert_ne!(keyed(&key, &["ab", "c"]), keyed(&key, &["a", "bc"]));
        assert_ne!(keyed(&key, &["a"]), keyed(&[8; 32], &["a"]));
    }
}

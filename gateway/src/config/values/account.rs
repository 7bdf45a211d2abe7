//! Who may use the admin API: names, hashes of passwords and of tokens.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Params, Version};

use super::{Parsed, fault, plain_text};

const NAME_BYTES: usize = 64;
/// Longest hash that is looked at, in bytes.
const HASH_BYTES: usize = 512;
/// What one look at a password may cost at most: memory in KiB, passes, lanes.
const MOST: (u32, u32, u32) = (1024 * 1024, 64, 64);
/// Memory times passes, in KiB: some seconds of work.
const MOST_WORK: u64 = 4 * 1024 * 1024;
/// Shortest salt and hash that are worth anything, in bytes.
const SHORTEST: usize = 8;
/// Memory in KiB and passes of the cheapest settings that OWASP recommends: each row is as good as the others.
const ENOUGH: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];
const TOKEN_PREFIX: &str = "sha256:";

/// The name of somebody who logs in. With HTTP basic a colon ends it.
pub(in crate::config) fn account_name(text: &str) -> Parsed<&str> {
    if text.len() > NAME_BYTES {
        return fault(format!("this name has {} bytes", text.len()), "use at most 64");
    }
    if text.contains(':') {
        return fault("this name has a colon", "choose one without: HTTP basic cannot send it");
    }
    plain_text(text)
}

/// The hash of a password, as PHC string of argon2. No fault shows any of it.
pub(in crate::config) fn password_hash(text: &str) -> Parsed<Params> {
    let make = "write what `amqp-gateway hash-password` prints: \"$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH\"";
    if text.len() > HASH_BYTES {
        return fault(format!("this hash has over {HASH_BYTES} bytes"), make);
    }
    let Ok(hash) = PasswordHash::new(text) else {
        return fault("this is not the hash of a password", make);
    };
    if Algorithm::try_from(hash.algorithm.as_str()).is_err() {
        return fault("this hash is not one of argon2", make);
    }
    if hash.version.is_none_or(|version| Version::try_from(version).is_err()) {
        return fault("this hash is of no version of argon2: v=19 or v=16", make);
    }
    let salt = hash.salt.as_ref().is_some_and(|salt| salt.len() >= SHORTEST);
    let output = hash.hash.as_ref().is_some_and(|output| output.len() >= SHORTEST);
    if !salt || !output {
        return fault("this hash has no salt or no hash, or one of under 8 bytes", make);
    }
    let Ok(params) = Params::try_from(&hash) else {
        return fault("this hash has parameters that argon2 cannot have", make);
    };
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    let work = u64::from(memory) * u64::from(passes);
    if memory > MOST.0 || passes > MOST.1 || lanes > MOST.2 || work > MOST_WORK {
        return fault(
            format!("checking this hash costs too much: m={memory},t={passes},p={lanes}"),
            "use m up to 1048576 (1 GiB), t and p up to 64, and m * t up to 4194304; m=19456,t=2,p=1 is enough",
        );
    }
    Ok(params)
}

/// Is it cheaper to guess than it has to be?
pub(in crate::config) fn is_cheap(params: &Params) -> bool {
    let has = (params.m_cost(), params.t_cost());
    !ENOUGH.iter().any(|(memory, passes)| has.0 >= *memory && has.1 >= *passes)
}

/// The hash of a token. No fault shows any of it.
pub(in crate::config) fn token_hash(text: &str) -> Parsed<[u8; 32]> {
    let make =
        "write what `amqp-gateway new-token NAME` prints: \"sha256:\" and 64 hexadecimal digits";
    let Some(digits) = text.strip_prefix(TOKEN_PREFIX) else {
        return fault("this is not the hash of a token", make);
    };
    let mut hash = [0; 32];
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return fault("this is not the hash of a token", make);
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        let two = digits.get(2 * at..2 * at + 2).unwrap_or_default();
        *byte = u8::from_str_radix(two, 16).unwrap_or_default();
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::super::message;
    use super::*;

    const END: &str = "$c29tZXNhbHRzb21l$mK2NkBvKCOFkQgCL83ZBuwLZtnWWQdKwXb6hH4qKbnM";

    fn cheap(start: &str) -> Parsed<bool> {
        password_hash(&format!("{start}{END}")).map(|params| is_cheap(&params))
    }

    #[test]
    fn every_argon2_is_taken_and_a_cheap_one_is_known() {
        assert_eq!(cheap("$argon2id$v=19$m=19456,t=2,p=1"), Ok(false));
        assert_eq!(cheap("$argon2i$v=19$m=65536,t=3,p=4"), Ok(false));
        assert_eq!(cheap("$argon2d$v=16$m=7168,t=5,p=1"), Ok(false));
        assert_eq!(cheap("$argon2id$v=19$m=4096,t=3,p=1"), Ok(true));
        assert_eq!(cheap("$argon2id$v=19$m=19456,t=1,p=1"), Ok(true));
    }

    #[test]
    fn what_is_no_hash_of_a_password_or_costs_too_much_is_told_without_showing_it() {
        for (text, expected) in [
            ("secret".to_owned(), "is not the hash"),
            ("x".repeat(600), "over 512 bytes"),
            (format!("$pbkdf2-sha256$i=1000{END}"), "not one of argon2"),
            (format!("$argon2id$v=18$m=19456,t=2,p=1{END}"), "version"),
            ("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l".to_owned(), "no salt or no hash"),
            (format!("$argon2id$v=19$m=1,t=2,p=1{END}"), "cannot have"),
            (format!("$argon2id$v=19$m=4194304,t=1,p=1{END}"), "costs too much"),
            (format!("$argon2id$v=19$m=19456,t=100,p=1{END}"), "costs too much"),
            (format!("$argon2id$v=19$m=1048576,t=60,p=1{END}"), "costs too much"),
        ] {
            let told = message(password_hash(&text));
            assert!(told.contains(expected), "{text}: {told}");
            assert!(!told.contains("secret") && !told.contains("c29t"), "{told}");
        }
    }

    #[test]
    fn hashes_of_tokens_are_sha256_in_hexadecimal() {
        let text = format!("sha256:{}", "0aF9".repeat(16));
        assert_eq!(token_hash(&text).map(|hash| (hash[0], hash[1])), Ok((0x0a, 0xf9)));
        for bad in ["", "sha256:", "0a", &text[..70], &format!("{text}00"), &text.replace('0', "é")]
        {
            assert!(message(token_hash(bad)).contains("not the hash of a token"), "{bad}");
        }
    }

    #[test]
    fn names_have_no_colon() {
        assert!(account_name("jane@company.com").is_ok() && account_name("Jürgen").is_ok());
        for bad in ["", "a:b", "a\nb", &"x".repeat(65)] {
            assert!(account_name(bad).is_err(), "{bad}");
        }
    }
}

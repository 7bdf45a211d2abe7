//! Who logs in, as far as a SASL response says it. Passwords are never copied out of the frame.

use crate::guard;

/// The user name in a SASL response, if the mechanism carries one in clear.
///
/// PLAIN (RFC 4616) separates authorisation identity, user and password by NUL. AMQPLAIN is a field
/// table without its length, with the long strings LOGIN and PASSWORD.
#[must_use]
pub fn user(mechanism: &str, response: &[u8]) -> Option<String> {
    match mechanism {
        "PLAIN" => {
            let mut parts = response.splitn(3, |&b| b == 0);
            let (_authorisation, user, _password) = (parts.next()?, parts.next()?, parts.next()?);
            text(user)
        }
        "AMQPLAIN" => text(amqplain_login(response)?),
        _ => None,
    }
}

fn amqplain_login(response: &[u8]) -> Option<&[u8]> {
    guard::check_table(response).ok()?;
    let mut rest = response;
    while let Some((&length, after)) = rest.split_first() {
        let (key, after) = after.split_at_checked(length.into())?;
        // Both entries are long strings; any other type makes this no AMQPLAIN response.
        let (value, after) = guard::split_long_string(after.strip_prefix(b"S")?).ok()?;
        if key == b"LOGIN" {
            return Some(value);
        }
        rest = after;
    }
    None
}

fn text(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| String::from_utf8(bytes.to_vec()).ok())?
}

#[cfg(test)]
mod tests {
    use super::user;

    #[test]
    fn plain_names_its_user() {
        assert_eq!(user("PLAIN", b"\0app\0secret").as_deref(), Some("app"));
        assert_eq!(user("PLAIN", b"admin\0app\0se\0cret").as_deref(), Some("app"));
        assert_eq!(user("PLAIN", b"\0app"), None);
        assert_eq!(user("PLAIN", b"\0\xff\xfe\0x"), None);
        assert_eq!(user("PLAIN", b"\0\0x"), None);
    }

    #[test]
    fn amqplain_names_its_user_wherever_it_stands() {
        let login = b"\x05LOGINS\0\0\0\x03app";
        let password = b"\x08PASSWORDS\0\0\0\x06secret";
        let first = [login.as_slice(), password].concat();
        let last = [password.as_slice(), login].concat();
        assert_eq!(user("AMQPLAIN", &first).as_deref(), Some("app"));
        assert_eq!(user("AMQPLAIN", &last).as_deref(), Some("app"));
        assert_eq!(user("AMQPLAIN", password), None);
        let other_key = [b"\x06XLOGINS\0\0\0\x03abc".as_slice(), login].concat();
        assert_eq!(user("AMQPLAIN", &other_key).as_deref(), Some("app"));
        // A broker refuses a table that is cut short, whatever stands before.
        let cut = [login.as_slice(), &password[..7]].concat();
        assert_eq!(user("AMQPLAIN", &cut), None);
        assert_eq!(user("AMQPLAIN", b"\x05LOGINS\xff\0\0\x03app"), None);
    }

    #[test]
    fn other_mechanisms_say_nothing() {
        assert_eq!(user("EXTERNAL", b""), None);
        assert_eq!(user("RABBIT-CR-DEMO", b"app"), None);
    }
}

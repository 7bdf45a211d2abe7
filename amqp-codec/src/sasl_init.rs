//! Who logs in with AMQP 1.0: the client's first SASL frame, sasl-init (AMQP 1.0 section 5.3.3.2).
//!
//! Nothing else of AMQP 1.0 is read.

use crate::sasl;

/// The protocol header of the SASL layer: what a client says first, and a node, too.
pub const HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";

/// A sasl-outcome that refuses the login: code 1, auth.
pub const REFUSED: [u8; 16] =
    [0, 0, 0, 16, 2, FRAME_TYPE, 0, 0, 0, 0x53, 0x44, 0xC0, 3, 1, 0x50, 1];

/// Largest frame that is waited for: its response may be a JSON web token.
pub const MAX_FRAME: usize = 16 * 1024;

const FRAME_TYPE: u8 = 1;
/// Described type, small unsigned long, sasl-init.
const SASL_INIT: [u8; 3] = [0, 0x53, 0x41];
/// The same, with a long descriptor.
const SASL_INIT_LONG: [u8; 10] = [0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x41];

/// What a client's bytes behind the header say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaslInit {
    /// Not all of it is there yet.
    More,
    /// A login.
    Login {
        /// The SASL mechanism.
        mechanism: String,
        /// The user, if the mechanism names one in clear.
        user: Option<String>,
    },
    /// No sasl-init, or none that can be read.
    Unreadable,
}

/// Reads the first frame behind the header.
#[must_use]
pub fn read(bytes: &[u8]) -> SaslInit {
    let Some(size) = bytes.first_chunk::<4>() else { return SaslInit::More };
    let size = u32::from_be_bytes(*size) as usize;
    if !(8..=MAX_FRAME).contains(&size) {
        return SaslInit::Unreadable;
    }
    match bytes.get(..size) {
        None => SaslInit::More,
        Some(frame) => login(frame).unwrap_or(SaslInit::Unreadable),
    }
}

fn login(frame: &[u8]) -> Option<SaslInit> {
    let (data_offset, kind) = (usize::from(*frame.get(4)?), *frame.get(5)?);
    if data_offset < 2 || kind != FRAME_TYPE {
        return None;
    }
    let body = frame.get(data_offset * 4..)?;
    let list =
        body.strip_prefix(&SASL_INIT[..]).or_else(|| body.strip_prefix(&SASL_INIT_LONG[..]))?;
    let (count, fields) = fields(list)?;
    if count == 0 {
        return None;
    }
    let (mechanism, rest) = variable(fields, 0xA3, 0xB3)?;
    let mechanism = std::str::from_utf8(mechanism).ok()?.to_owned();
    let response = match count {
        1 => None,
        _ => variable(rest, 0xA0, 0xB0).map(|(response, _)| response),
    };
    let user = sasl::user(&mechanism, response.unwrap_or_default());
    Some(SaslInit::Login { mechanism, user })
}

/// Number and bytes of the fields of a list.
fn fields(list: &[u8]) -> Option<(u32, &[u8])> {
    let (&kind, rest) = list.split_first()?;
    match kind {
        0xC0 => {
            let (&[size, count], fields) = rest.split_first_chunk()?;
            (usize::from(size) == fields.len() + 1).then_some((count.into(), fields))
        }
        0xD0 => {
            let (size, rest) = rest.split_first_chunk()?;
            let (count, fields) = rest.split_first_chunk()?;
            let size = u32::from_be_bytes(*size) as usize;
            (size == fields.len() + 4).then_some((u32::from_be_bytes(*count), fields))
        }
        _ => None,
    }
}

/// A value of variable width with one length byte, or with four, and what follows it.
fn variable(bytes: &[u8], short: u8, long: u8) -> Option<(&[u8], &[u8])> {
    let (&kind, rest) = bytes.split_first()?;
    if kind == short {
        let (&length, rest) = rest.split_first()?;
        return rest.split_at_checked(length.into());
    }
    if kind == long {
        let (length, rest) = rest.split_first_chunk()?;
        return rest.split_at_checked(u32::from_be_bytes(*length) as usize);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with these bytes behind its header.
    fn frame(body: &[u8]) -> Vec<u8> {
        let size = (body.len() as u32 + 8).to_be_bytes();
        [&size, &[2, 1, 0, 0][..], body].concat()
    }

    fn init(fields: &[u8], count: u8) -> Vec<u8> {
        let list = [&[0xC0, fields.len() as u8 + 1, count], fields].concat();
        frame(&[&SASL_INIT[..], &list].concat())
    }

    fn plain() -> Vec<u8> {
        init(b"\xA3\x05PLAIN\xA0\x0B\0app\0secret\xA1\x04host", 3)
    }

    fn login(mechanism: &str, user: Option<&str>) -> SaslInit {
        SaslInit::Login { mechanism: mechanism.to_owned(), user: user.map(str::to_owned) }
    }

    #[test]
    fn plain_names_its_user_in_both_encodings() {
        assert_eq!(read(&plain()), login("PLAIN", Some("app")));
        let fields = b"\xB3\0\0\0\x05PLAIN\xB0\0\0\0\x0D\0guest\0secret";
        let size = (fields.len() as u32 + 4).to_be_bytes();
        let list = [&[0xD0][..], &size, &[0, 0, 0, 2], fields].concat();
        let long = frame(&[&SASL_INIT_LONG[..], &list].concat());
        assert_eq!(read(&long), login("PLAIN", Some("guest")));
    }

    #[test]
    fn a_mechanism_without_a_user_is_told() {
        assert_eq!(read(&init(b"\xA3\x09ANONYMOUS", 1)), login("ANONYMOUS", None));
        assert_eq!(read(&init(b"\xA3\x09ANONYMOUS\xA0\x01x", 2)), login("ANONYMOUS", None));
        assert_eq!(read(&init(b"\xA3\x08EXTERNAL\x40", 2)), login("EXTERNAL", None));
    }

    #[test]
    fn every_cut_waits_for_more_and_what_follows_does_not_count() {
        let whole = plain();
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), SaslInit::More, "cut at {end}");
        }
        assert_eq!(read(&[whole.as_slice(), b"\0\0"].concat()), read(&whole));
    }

    #[test]
    fn what_is_no_sasl_init_cannot_be_read() {
        let too_long = (MAX_FRAME as u32 + 1).to_be_bytes();
        let mut amqp_frame = plain();
        amqp_frame[5] = 0;
        let mut wrong_size = plain();
        wrong_size[12] += 1;
        for bytes in [
            &too_long[..],
            &[0, 0, 0, 7],
            &amqp_frame,
            &wrong_size,
            &frame(b"\x00\x53\x44\xC0\x03\x01\x50\x01"),
            &frame(b"\x00\x53\x41\x45"),
            &init(b"\xA1\x05PLAIN", 1),
            &init(b"\xA3\x02\xFF\xFE", 1),
            &init(b"", 0),
            &frame(b""),
        ] {
            assert_eq!(read(bytes), SaslInit::Unreadable, "{bytes:?}");
        }
    }

    #[test]
    fn a_refusal_is_one_whole_frame() {
        assert_eq!(u32::from_be_bytes([0, 0, 0, REFUSED[3]]) as usize, REFUSED.len());
        assert_eq!(usize::from(REFUSED[12]), REFUSED.len() - 13);
    }
}

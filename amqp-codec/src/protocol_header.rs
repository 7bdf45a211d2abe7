//! The first eight bytes of a connection (AMQP 0-9-1 section 4.2.2; AMQP 1.0 section 2.2).

/// What an AMQP 0-9-1 client sends first, and what a server answers to anything it does not speak.
pub const AMQP_0_9_1: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// Number of bytes that decide the protocol.
pub const LENGTH: usize = AMQP_0_9_1.len();

/// What the first eight bytes ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// AMQP 0-9-1.
    Amqp091,
    /// AMQP 1.0: plain (protocol id 0), TLS (2) or SASL (3).
    Amqp10 {
        /// The protocol id of AMQP 1.0 section 2.2.
        protocol_id: u8,
    },
    /// Nothing that is spoken here; the answer is [`AMQP_0_9_1`] and a close.
    Foreign(Guess),
}

impl Opening {
    /// A few words for logs and access records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amqp091 => "amqp-0-9-1",
            Self::Amqp10 { .. } => "amqp-1.0",
            Self::Foreign(guess) => guess.as_str(),
        }
    }
}

/// What a foreign opening looks like, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guess {
    /// An AMQP version that is not spoken: 0-8, 0-9, 0-10 or one of the future.
    AmqpVersion,
    /// An HTTP request.
    Http,
    /// A TLS ClientHello on a plain port.
    Tls,
    /// A PROXY protocol header on a listener that expects none.
    ProxyProtocol,
    /// None of these.
    Unknown,
}

impl Guess {
    /// A few words for logs and access records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AmqpVersion => "amqp-version",
            Self::Http => "http",
            Self::Tls => "tls",
            Self::ProxyProtocol => "proxy-protocol",
            Self::Unknown => "unknown",
        }
    }
}

/// Reads the first eight bytes.
#[must_use]
pub fn classify(bytes: [u8; LENGTH]) -> Opening {
    match bytes {
        AMQP_0_9_1 => Opening::Amqp091,
        [b'A', b'M', b'Q', b'P', protocol_id @ (0 | 2 | 3), 1, 0, 0] => {
            Opening::Amqp10 { protocol_id }
        }
        _ => Opening::Foreign(guess(bytes)),
    }
}

fn guess(bytes: [u8; LENGTH]) -> Guess {
    const METHODS: [&[u8]; 9] = [
        b"GET ",
        b"PUT ",
        b"POST ",
        b"HEAD ",
        b"PATCH ",
        b"DELETE ",
        b"OPTIONS ",
        b"CONNECT ",
        b"TRACE ",
    ];
    match bytes {
        [b'A', b'M', b'Q', b'P', ..] => Guess::AmqpVersion,
        // TLS record header: handshake, version 3.x (RFC 8446 section 5.1).
        [22, 3, ..] => Guess::Tls,
        [b'P', b'R', b'O', b'X', b'Y', b' ', ..] | [13, 10, 13, 10, 0, 13, 10, b'Q'] => {
            Guess::ProxyProtocol
        }
        _ if METHODS.iter().any(|m| bytes.starts_with(m)) => Guess::Http,
        _ => Guess::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amqp_versions_are_told_apart() {
        assert_eq!(classify(AMQP_0_9_1), Opening::Amqp091);
        assert_eq!(classify(*b"AMQP\x03\x01\x00\x00"), Opening::Amqp10 { protocol_id: 3 });
        assert_eq!(classify(*b"AMQP\x00\x01\x00\x00"), Opening::Amqp10 { protocol_id: 0 });
        assert_eq!(classify(*b"AMQP\x02\x01\x00\x00"), Opening::Amqp10 { protocol_id: 2 });
        for old in [*b"AMQP\x01\x01\x08\x00", *b"AMQP\x01\x01\x00\x09", *b"AMQP\x00\x00\x09\x02"] {
            assert_eq!(classify(old), Opening::Foreign(Guess::AmqpVersion));
        }
    }

    #[test]
    fn foreign_protocols_are_guessed_for_the_log() {
        assert_eq!(classify(*b"GET / HT"), Opening::Foreign(Guess::Http));
        assert_eq!(classify(*b"OPTIONS "), Opening::Foreign(Guess::Http));
        assert_eq!(classify([22, 3, 1, 2, 0, 1, 0, 1]), Opening::Foreign(Guess::Tls));
        assert_eq!(classify(*b"PROXY TC"), Opening::Foreign(Guess::ProxyProtocol));
        assert_eq!(
            classify([13, 10, 13, 10, 0, 13, 10, b'Q']),
            Opening::Foreign(Guess::ProxyProtocol)
        );
        assert_eq!(classify(*b"SSH-2.0-"), Opening::Foreign(Guess::Unknown));
    }
}

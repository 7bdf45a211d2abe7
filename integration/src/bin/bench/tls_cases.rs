//! The cases over TLS.

use crate::cases::{Case, Figure, Goals, Kind, Target, Targets};

/// TLS between client and proxy.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Tls {
    pub(crate) version: Version,
    /// Of the certificate.
    pub(crate) key: Key,
    /// Whether the sessions resume earlier ones.
    pub(crate) resumed: bool,
}

/// The only version that the client offers.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Version {
    Tls12,
    Tls13,
}

/// The kind of a certificate's key.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Key {
    /// ECDSA on P-256.
    Ecdsa,
    /// RSA of 2048 bits.
    Rsa,
}

const CONNECT: Targets = &[(Figure::Cpu, Target::Ratio(1.0))];
const BULK: Targets = &[(Figure::CpuPerGb, Target::Ratio(1.0))];
const IDLE: Targets = &[(Figure::Idle, Target::Ratio(1.0))];

const FULL_ECDSA: Goals = &[(Figure::Cpu, 0.60)];
const FULL_RSA: Goals = &[(Figure::Cpu, 0.72)];
const RESUMED_TLS13: Goals = &[(Figure::Cpu, 0.62)];
const RESUMED_TLS12: Goals = &[(Figure::Cpu, 0.72)];
const PUBLISH: Goals = &[(Figure::CpuPerGb, 0.68)];
const CONSUME: Goals = &[(Figure::CpuPerGb, 0.55)];
const HELD: Goals = &[(Figure::Idle, 0.55)];

/// In the order they are run and printed; the names of all begin with `tls`.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = handshakes();
    cases.extend(traffic());
    cases
}

/// Open to close, with the TLS handshake in it.
fn handshakes() -> Vec<Case> {
    use Key::{Ecdsa, Rsa};
    use Version::{Tls12, Tls13};
    let case = |id, title, version, key, resumed, goals| {
        let tls = Tls { version, key, resumed };
        Case::new(id, title, Kind::Connect, 0, 16, CONNECT).over(tls, goals)
    };
    vec![
        case("tls13-ecdsa-full", "TLS 1.3 ECDSA full", Tls13, Ecdsa, false, FULL_ECDSA),
        case("tls13-ecdsa-resumed", "TLS 1.3 ECDSA resumed", Tls13, Ecdsa, true, RESUMED_TLS13),
        case("tls12-ecdsa-full", "TLS 1.2 ECDSA full", Tls12, Ecdsa, false, &[]),
        case("tls12-ecdsa-resumed", "TLS 1.2 ECDSA resumed", Tls12, Ecdsa, true, RESUMED_TLS12),
        case("tls13-rsa-full", "TLS 1.3 RSA full", Tls13, Rsa, false, FULL_RSA),
    ]
}

/// What passes through sessions that are open, and what they take.
fn traffic() -> Vec<Case> {
    use Kind::{Consume, Idle, PingPong, Publish};
    let tls = Tls { version: Version::Tls13, key: Key::Ecdsa, resumed: false };
    let kib = 1024;
    vec![
        Case::new("tls-publish-1k-c50", "TLS publish 1 KiB C=50", Publish, kib, 50, BULK)
            .over(tls, &[]),
        Case::new("tls-publish-64k-c1", "TLS publish 64 KiB C=1", Publish, 64 * kib, 1, BULK)
            .over(tls, PUBLISH),
        Case::new("tls-consume-64k-c4", "TLS consume 64 KiB C=4", Consume, 64 * kib, 4, BULK)
            .over(tls, CONSUME),
        Case::new("tls-pingpong-16b-c50", "TLS ping-pong 16 B C=50", PingPong, 16, 50, &[])
            .over(tls, &[]),
        Case::new("tls-idle", "TLS idle session", Idle, kib, 2000, IDLE).over(tls, HELD),
    ]
}

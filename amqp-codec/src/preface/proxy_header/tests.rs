#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use proptest::prelude::*;

use super::tlv::{AUTHORITY, CRC32C, SSL, SSL_CN, UNIQUE_ID};
use super::v2::{FIXED, SIGNATURE};
use super::*;

/// Headers as HAProxy has sent them.
fn recorded(name: &str) -> Vec<u8> {
    let lines = include_str!("../../../tests/data/proxy_headers").lines();
    let mut found = lines.filter_map(|line| line.split_once(' ')).filter(|line| line.0 == name);
    let (_, hex) = found.next().expect(name);
    let digits = hex.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

const RECORDED: [&str; 6] = [
    "send-proxy-v2-ssl-cn-without-certificate",
    "send-proxy-v2-ssl-cn",
    "send-proxy-v2-ssl-cn-ipv6",
    "proxy-v2-options-all",
    "send-proxy",
    "check-send-proxy-v2",
];

fn header(bytes: &[u8]) -> ProxyHeader {
    match read(bytes) {
        Ok(Progress::Header(header)) => *header,
        other => panic!("{other:?} of {}", bytes.escape_ascii()),
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect(text)
}

/// Version 2 with any family and anything behind the fixed part.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = (rest.len() as u16).to_be_bytes();
    [&SIGNATURE[..], &[0x20 | command, family], &length, rest].concat()
}

fn tcp4(fields: &[u8]) -> Vec<u8> {
    v2(1, 0x11, &[&[192, 0, 2, 1, 192, 0, 2, 2, 0x30, 0x39, 0x16, 0x28], fields].concat())
}

fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind], &(value.len() as u16).to_be_bytes()[..], value].concat()
}

fn tls() -> TlsFacts {
    TlsFacts {
        tls: true,
        certificate: true,
        session_certificate: true,
        verify: 0,
        version: Some("TLSv1.3".into()),
        common_name: Some("orders.example.com".into()),
        cipher: Some("TLS_AES_256_GCM_SHA384".into()),
    }
}

fn whole() -> Vec<Vec<u8>> {
    let (v4, v6) = (address("192.0.2.1:12345"), address("[2001:db8::1]:5671"));
    let tls = tls();
    let full = Outgoing {
        authority: Some("broker.example.com"),
        unique_id: Some(b"s-1"),
        tls: Some(&tls),
        checksum: true,
        ..Outgoing::new(v6, v6)
    };
    let mut all: Vec<_> = RECORDED.map(recorded).into();
    all.extend([LOCAL.into(), full.v2(), full.v1(), Outgoing::new(v4, v4).v1()]);
    all.extend([tcp4(&[]), v2(1, 0x31, &[7; 216]), b"PROXY UNKNOWN\r\n".into()]);
    all
}

#[test]
fn what_haproxy_sends_is_read() {
    let v6 = header(&recorded("send-proxy-v2-ssl-cn-ipv6"));
    assert_eq!(v6.source, Some(address("[::1]:43194")));
    assert_eq!(v6.destination, Some(address("[::1]:28471")));
    let expected = TlsFacts { version: Some("TLSv1.2".into()), cipher: None, ..tls() };
    assert_eq!(v6.tls, Some(expected.clone()));

    let v4 = header(&recorded("send-proxy-v2-ssl-cn"));
    assert_eq!(v4.source, Some(address("127.0.0.1:36766")));
    assert_eq!(v4.tls, Some(TlsFacts { version: Some("TLSv1.3".into()), ..expected }));
    assert!(v4.tls.unwrap().is_verified());

    let without = header(&recorded("send-proxy-v2-ssl-cn-without-certificate")).tls.unwrap();
    let version = Some("TLSv1.3".into());
    assert_eq!(without, TlsFacts { tls: true, version, ..TlsFacts::default() });
    assert!(!without.is_verified());

    let all = header(&recorded("proxy-v2-options-all"));
    assert_eq!(all.authority.as_deref(), Some("broker.example.com"));
    assert_eq!(all.unique_id.as_deref(), Some(&b"session-3"[..]));
    assert_eq!(all.tls, Some(tls()));

    let v1 = header(&recorded("send-proxy"));
    let addresses = (Some(address("127.0.0.1:37824")), Some(address("127.0.0.1:28473")));
    assert_eq!((v1.source, v1.destination, v1.command), (addresses.0, addresses.1, Command::Proxy));

    let check = header(&recorded("check-send-proxy-v2"));
    assert_eq!((check.command, check.source, check.len), (Command::Local, None, 16));
}

#[test]
fn what_is_written_is_what_haproxy_writes() {
    for name in &RECORDED[..4] {
        let bytes = recorded(name);
        let read = header(&bytes);
        let outgoing = Outgoing {
            authority: read.authority.as_deref(),
            unique_id: read.unique_id.as_deref(),
            tls: read.tls.as_ref(),
            checksum: *name == "proxy-v2-options-all",
            ..Outgoing::new(read.source.unwrap(), read.destination.unwrap())
        };
        if outgoing.checksum {
            // HAProxy adds the algorithms of its certificate there, which nobody here asks for.
            assert_eq!(header(&outgoing.v2()).tls, read.tls);
        } else {
            assert_eq!(outgoing.v2(), bytes, "{name}");
        }
    }
    let read = header(&recorded("send-proxy"));
    let outgoing = Outgoing::new(read.source.unwrap(), read.destination.unwrap());
    assert_eq!(outgoing.v1(), recorded("send-proxy"));
    assert_eq!(&LOCAL[..], recorded("check-send-proxy-v2"));
}

#[test]
fn a_header_is_waited_for_until_it_is_whole_and_no_longer() {
    for bytes in whole() {
        let whole = header(&bytes);
        assert_eq!(whole.len, bytes.len());
        for end in 0..bytes.len() {
            assert_eq!(
                read(&bytes[..end]),
                Ok(Progress::More),
                "{end} of {}",
                bytes.escape_ascii()
            );
        }
        assert_eq!(header(&[&bytes, &b"AMQP\0\0\x09\x01"[..]].concat()), whole);
    }
}

#[test]
fn what_does_not_begin_like_a_header_is_the_clients_own_at_once() {
    for bytes in
        [&b"A"[..], b"PUT", b"PROX ", b"\x16\x03\x01", b"\r\n\r\n\0\r\nQUIX", b"\0", b"\r\r"]
    {
        assert_eq!(read(bytes), Ok(Progress::Absent), "{}", bytes.escape_ascii());
    }
}

/// One bit each, and all.
fn turns() -> impl Iterator<Item = u8> {
    (0..8).map(|bit| 1 << bit).chain([0xFF])
}

#[test]
fn no_byte_turned_in_any_header_panics_or_goes_unnoticed_by_the_checksum() {
    for bytes in whole() {
        for at in 0..bytes.len() {
            for bits in turns() {
                let mut turned = bytes.clone();
                turned[at] ^= bits;
                let _ = read(&turned);
            }
        }
    }
    let summed = recorded("proxy-v2-options-all");
    for at in FIXED..summed.len() {
        for bits in turns() {
            let mut turned = summed.clone();
            turned[at] ^= bits;
            // Where the field of the checksum itself is turned into another, there is none.
            let hidden = at == FIXED + 12;
            assert!(read(&turned).is_err() || hidden, "bits {bits:#x} of byte {at}");
        }
    }
}

#[test]
fn lines_of_the_specification_are_read() {
    for (line, addresses) in [
        ("TCP4 192.168.0.1 192.168.0.11 56324 443", ["192.168.0.1:56324", "192.168.0.11:443"]),
        ("TCP4 255.255.255.255 0.0.0.0 65535 0", ["255.255.255.255:65535", "0.0.0.0:0"]),
        ("TCP6 2001:DB8::1 ::1 1 2", ["[2001:db8::1]:1", "[::1]:2"]),
        ("TCP6 ::ffff:c000:201 ::ffff:192.0.2.2 1 2", ["192.0.2.1:1", "192.0.2.2:2"]),
    ] {
        let header = header(format!("PROXY {line}\r\nAMQP").as_bytes());
        let [source, destination] = addresses.map(|text| Some(address(text)));
        assert_eq!((header.source, header.destination), (source, destination), "{line}");
        assert_eq!(header.len, line.len() + 8);
    }
    let most = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let longest = format!("PROXY UNKNOWN {most} {most} 65535 65535\r\n");
    assert_eq!(longest.len(), MAX_LINE);
    for line in [&longest[..], "PROXY UNKNOWN\r\n", "PROXY UNKNOWN \n \r any\u{e9}thing\r\n"] {
        let header = header(line.as_bytes());
        assert_eq!((header.source, header.len), (None, line.len()), "{line:?}");
    }
}

#[test]
fn lines_that_are_not_exact_are_refused() {
    for (line, wrong) in [
        ("", "number of words"),
        (" ", "number of words"),
        ("TCP4 192.0.2.1 192.0.2.2 1 2", "number of words"),
        (" TCP4 192.0.2.1 192.0.2.2 1", "number of words"),
        (" TCP4 192.0.2.1 192.0.2.2 1 2 ", "number of words"),
        (" TCP4  192.0.2.1 192.0.2.2 1 2", "number of words"),
        (" UNKNOWNS", "number of words"),
        (" TCP5 192.0.2.1 192.0.2.2 1 2", "address family"),
        (" tcp4 192.0.2.1 192.0.2.2 1 2", "address family"),
        (" TCP4 192.0.2.01 192.0.2.2 1 2", "address"),
        (" TCP4 192.0.2 192.0.2.2 1 2", "address"),
        (" TCP4 ::1 ::1 1 2", "address"),
        (" TCP6 192.0.2.1 ::1 1 2", "address"),
        (" TCP6 ::1%lo ::1 1 2", "address"),
        (" TCP6 [::1] ::1 1 2", "address"),
        (" TCP4 192.0.2.1 192.0.2.2 01 2", "port"),
        (" TCP4 192.0.2.1 192.0.2.2 +1 2", "port"),
        (" TCP4 192.0.2.1 192.0.2.2 1 65536", "port"),
        (" TCP4 192.0.2.1 192.0.2.2 1 ", "port"),
        (" TCP4 192.0.2.1 192.0.2.2 1 2\n", "port"),
        (" TCP4 192.0.2.1\t192.0.2.2 1 2", "number of words"),
    ] {
        let read = read(format!("PROXY{line}\r\n").as_bytes());
        assert_eq!(read, Err(ProxyError::Line(wrong)), "{line:?}");
    }
    assert_eq!(read(b"PROXY TCP4 \xff\r\n"), Err(ProxyError::Line("character")));
}

#[test]
fn a_line_ends_within_its_bound() {
    let mut endless = b"PROXY UNKNOWN ".to_vec();
    endless.resize(MAX_LINE, b'\n');
    assert_eq!(read(&endless[..MAX_LINE - 1]), Ok(Progress::More));
    assert_eq!(read(&endless), Err(ProxyError::LineTooLong));
    endless[MAX_LINE - 1] = b'\r';
    endless.push(b'\n');
    assert_eq!(read(&endless), Err(ProxyError::LineTooLong), "ends one byte too late");
}

#[test]
fn the_fixed_part_of_version_2_is_checked_as_soon_as_it_is_there() {
    let fixed = |first: u8, family: u8, length: u16| {
        let [high, low] = length.to_be_bytes();
        read(&[&SIGNATURE[..], &[first, family, high, low]].concat())
    };
    assert_eq!(read(&[&SIGNATURE[..], &[0x11]].concat()), Err(ProxyError::Version(1)));
    assert_eq!(read(&[&SIGNATURE[..], &[0x22]].concat()), Err(ProxyError::Command(2)));
    for family in [0x03, 0x13, 0x24, 0x40, 0xF1] {
        assert_eq!(fixed(0x21, family, 300), Err(ProxyError::Family(family)));
        assert_eq!(fixed(0x20, family, 300), Ok(Progress::More), "LOCAL has no family");
    }
    for (family, addresses) in [(0x11, 12), (0x12, 12), (0x21, 36), (0x22, 36), (0x31, 216)] {
        assert_eq!(fixed(0x21, family, addresses - 1), Err(ProxyError::Addresses));
        assert_eq!(fixed(0x21, family, addresses), Ok(Progress::More));
    }
    assert_eq!(fixed(0x21, 0x11, 4080), Ok(Progress::More));
    for first in [0x20, 0x21] {
        assert_eq!(fixed(first, 0x11, 4081), Err(ProxyError::TooLarge(4097)));
        assert_eq!(fixed(first, 0x11, u16::MAX), Err(ProxyError::TooLarge(65_551)));
    }
}

#[test]
fn what_is_no_tcp_is_taken_without_an_address() {
    let unique = field(UNIQUE_ID, b"id");
    for (family, space) in
        [(0x00, 0), (0x01, 0), (0x12, 12), (0x22, 36), (0x31, 216), (0x32, 216), (0x10, 12)]
    {
        let header = header(&v2(1, family, &[vec![1; space], unique.clone()].concat()));
        assert_eq!((header.source, header.destination), (None, None), "{family:#x}");
        assert_eq!(header.unique_id.as_deref(), Some(&b"id"[..]), "{family:#x}");
    }
    // Addresses of an unknown kind, and fewer than the family would have.
    for family in [0x00, 0x01, 0x10, 0x20, 0x30] {
        let header = header(&v2(1, family, &[255; 9]));
        assert_eq!((header.source, header.len), (None, FIXED + 9), "{family:#x}");
    }
}

#[test]
fn a_local_header_is_dropped_whatever_it_holds() {
    for bytes in [v2(0, 0x11, &[1; 3]), v2(0, 0x11, &[1; 12]), v2(0, 0xFF, &[255; 99])] {
        let header = header(&bytes);
        assert_eq!((header.command, header.source), (Command::Local, None));
        assert_eq!(header.len, bytes.len());
    }
}

#[test]
fn an_ipv4_address_in_an_ipv6_one_is_told_as_ipv4() {
    let mapped = address("[::ffff:192.0.2.1]:1");
    let outgoing = Outgoing::new(mapped, address("[2001:db8::1]:2"));
    for bytes in [outgoing.v1(), outgoing.v2()] {
        let header = header(&bytes);
        assert_eq!(header.source, Some(address("192.0.2.1:1")));
        assert_eq!(header.destination, Some(address("[2001:db8::1]:2")));
    }
    let line = b"PROXY TCP6 ::ffff:c000:201 2001:db8::1 1 2\r\n";
    assert_eq!(outgoing.v1(), line, "no dots in an IPv6 address");
    assert_eq!(Outgoing::new(mapped, mapped).v1(), b"PROXY TCP4 192.0.2.1 192.0.2.1 1 1\r\n");
    assert_eq!(Outgoing::new(mapped, mapped).v2()[13], 0x11);
}

#[test]
fn malformed_fields_are_refused_by_their_number() {
    let ssl = |sub: &[u8]| field(SSL, &[&[7, 0, 0, 0, 0], sub].concat());
    for (fields, kind) in [
        (vec![0x04], 0x04),
        (vec![0x04, 0], 0x04),
        (vec![0x04, 0, 1], 0x04),
        ([field(0xE0, b"any"), vec![0xEE, 1, 0, 1]].concat(), 0xEE),
        (field(SSL, &[1, 0, 0, 0]), SSL),
        (ssl(&[SSL_CN, 0, 5, b'x']), SSL_CN),
        (ssl(&field(SSL_CN, b"a").repeat(2)), SSL_CN),
        (field(SSL, &[0; 5]).repeat(2), SSL),
        (field(UNIQUE_ID, b"a").repeat(2), UNIQUE_ID),
        (field(UNIQUE_ID, &[0; MAX_UNIQUE_ID + 1]), UNIQUE_ID),
        (field(AUTHORITY, &[b'a'; MAX_AUTHORITY + 1]), AUTHORITY),
        (field(CRC32C, &[0; 3]), CRC32C),
    ] {
        assert_eq!(read(&tcp4(&fields)), Err(ProxyError::Field(kind)), "{fields:?}");
    }
    assert_eq!(read(&tcp4(&field(CRC32C, &[0; 4]))), Err(ProxyError::Checksum));
}

#[test]
fn unknown_fields_are_passed_over_and_text_that_is_none_says_nothing() {
    let fields = [
        field(0x01, b"\x02h2"),
        field(0x04, b"\xff\xff"),
        field(0x04, b""),
        field(0x30, b"blue"),
        field(AUTHORITY, b"\xfforders"),
        field(SSL, &[&[3, 0, 0, 0, 1], &field(SSL_CN, b"\xe9")[..], &field(0x25, b"EC")].concat()),
        field(UNIQUE_ID, b""),
    ];
    let header = header(&tcp4(&fields.concat()));
    assert_eq!((header.authority, header.unique_id), (None, None));
    let expected = TlsFacts { tls: true, certificate: true, verify: 1, ..TlsFacts::default() };
    assert_eq!(header.tls, Some(expected.clone()));
    assert!(!expected.is_verified());
}

#[test]
fn what_is_too_long_to_tell_is_left_out_whole() {
    let long = "x".repeat(256);
    let tls = TlsFacts { common_name: Some(long.clone()), ..tls() };
    let outgoing = Outgoing {
        authority: Some(&long),
        unique_id: Some(&long.as_bytes()[..129]),
        tls: Some(&tls),
        ..Outgoing::new(address("[::1]:1"), address("[::1]:2"))
    };
    let header = header(&outgoing.v2());
    assert_eq!((header.authority, header.unique_id), (None, None));
    assert_eq!(header.tls, Some(TlsFacts { common_name: None, ..self::tls() }));
    let full = Some("x".repeat(255));
    let (version, common_name, cipher) = (full.clone(), full.clone(), full);
    let tls = TlsFacts { version, common_name, cipher, ..tls };
    let outgoing = Outgoing {
        authority: Some(&long[..255]),
        unique_id: Some(&long.as_bytes()[..128]),
        tls: Some(&tls),
        checksum: true,
        ..outgoing
    };
    assert!(outgoing.v2().len() < 1500);
    assert_eq!(self::header(&outgoing.v2()).tls, Some(tls));
}

#[test]
fn the_checksum_is_that_of_the_rfc() {
    // RFC 3720 appendix B.4: 32 bytes of zeros.
    assert_eq!(tlv::checksum(&[0; 32], 0), 0x8A91_36AA);
    assert_eq!(
        tlv::checksum(b"\xff\xff\xff\xff123456789", 0),
        0xE4B8_5FC4,
        "blank bytes count as zeros"
    );
}

fn any_address() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        any::<[u8; 4]>().prop_map(std::net::IpAddr::from),
        any::<[u8; 16]>().prop_map(std::net::IpAddr::from),
        any::<[u8; 4]>()
            .prop_map(|octets| std::net::Ipv4Addr::from(octets).to_ipv6_mapped().into()),
    ];
    (ip, any::<u16>()).prop_map(Into::into)
}

fn any_tls() -> impl Strategy<Value = TlsFacts> {
    let text = || prop::option::of("\\PC{1,60}");
    let flags = any::<(bool, bool, bool, u32)>();
    (flags, text(), text(), text()).prop_map(|(flags, version, common_name, cipher)| TlsFacts {
        tls: flags.0,
        certificate: flags.1,
        session_certificate: flags.2,
        verify: flags.3,
        version,
        common_name,
        cipher,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn what_is_written_is_read_again(
        source in any_address(),
        destination in any_address(),
        authority in prop::option::of("[a-z.]{1,255}"),
        unique_id in prop::option::of(prop::collection::vec(any::<u8>(), 1..=MAX_UNIQUE_ID)),
        tls in prop::option::of(any_tls()),
        checksum in any::<bool>(),
    ) {
        let outgoing = Outgoing {
            source,
            destination,
            authority: authority.as_deref(),
            unique_id: unique_id.as_deref(),
            tls: tls.as_ref(),
            checksum,
        };
        for (bytes, is_v2) in [(outgoing.v1(), false), (outgoing.v2(), true)] {
            let expected = ProxyHeader {
                len: bytes.len(),
                command: Command::Proxy,
                source: Some(canonical(source)),
                destination: Some(canonical(destination)),
                unique_id: unique_id.clone().filter(|_| is_v2),
                authority: authority.clone().filter(|_| is_v2),
                tls: tls.clone().filter(|_| is_v2),
            };
            prop_assert_eq!(header(&bytes), expected);
        }
    }
}

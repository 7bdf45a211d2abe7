#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// ClientHellos as clients have sent them: name, SNI, bytes.
fn recorded() -> Vec<(&'static str, Option<&'static str>, Vec<u8>)> {
    let lines = include_str!("../../../tests/data/client_hellos").lines();
    let lines = lines.filter(|line| !line.starts_with('#')).map(|line| {
        let [name, host, hex] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let digits = hex.as_bytes().chunks(2);
        let byte = |two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap();
        (name, Some(host).filter(|host| *host != "-"), digits.map(byte).collect())
    });
    lines.collect()
}

fn name(bytes: &[u8]) -> Result<Option<String>, HelloError> {
    match read(bytes)? {
        Progress::Hello(hello) => Ok(hello.server_name),
        Progress::More => panic!("more than {} bytes", bytes.len()),
    }
}

fn vector(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes()[..], content].concat()
}

/// A handshake message of one type.
fn message_of(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

/// Records of TLS 1.0 with at most this many bytes of content each.
fn records(message: &[u8], most: usize) -> Vec<u8> {
    message.chunks(most).flat_map(|part| [&[22, 3, 1], &vector(part)[..]].concat()).collect()
}

/// What stands before the extensions.
fn head(version: u16) -> Vec<u8> {
    [&version.to_be_bytes()[..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat()
}

fn body(extensions: &[u8]) -> Vec<u8> {
    [head(0x0303), vector(extensions)].concat()
}

fn with_body(body: &[u8]) -> Vec<u8> {
    records(&message_of(CLIENT_HELLO, body), MAX_FRAGMENT)
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector(content)].concat()
}

fn host(name: &[u8]) -> Vec<u8> {
    [&[0], &vector(name)[..]].concat()
}

fn sni(name: &[u8]) -> Vec<u8> {
    extension(0, &vector(&host(name)))
}

fn hello(name: &[u8]) -> Vec<u8> {
    with_body(&body(&sni(name)))
}

#[test]
fn hellos_of_real_clients_are_read() {
    let all = recorded();
    assert_eq!(all.len(), 7);
    for (client, host, bytes) in all {
        assert_eq!(name(&bytes), Ok(host.map(str::to_owned)), "{client}");
    }
}

#[test]
fn a_hello_is_waited_for_until_it_is_whole_in_whatever_records_it_comes() {
    for (client, host, bytes) in recorded() {
        for most in [1, 3, 4, 5, 100, MAX_FRAGMENT] {
            let cut = records(&bytes[RECORD_HEADER..], most);
            for end in 0..cut.len() {
                assert_eq!(read(&cut[..end]), Ok(Progress::More), "{client} {most} {end}");
            }
            assert_eq!(name(&cut).unwrap().as_deref(), host, "{client} {most}");
            let with_rest = [&cut, &b"\x14\x03\x03\0\x01\x01"[..]].concat();
            assert_eq!(name(&with_rest).unwrap().as_deref(), host, "{client} {most}");
        }
    }
}

#[test]
fn no_byte_turned_in_a_hello_panics() {
    for (_, _, bytes) in recorded() {
        for at in 0..bytes.len() {
            for bits in (0..8).map(|bit| 1 << bit).chain([0xFF]) {
                let mut turned = bytes.clone();
                turned[at] ^= bits;
                let _ = read(&turned);
            }
        }
    }
}

#[test]
fn what_is_no_tls_is_told_by_its_first_eight_bytes() {
    for (bytes, what) in [
        (&b"AMQP\0\0\x09\x01"[..], "amqp-0-9-1"),
        (b"AMQP\x03\x01\0\0", "amqp-1.0"),
        (b"AMQP\x01\x01\x08\0", "amqp-version"),
        (b"GET / HTTP/1.1\r\n", "http"),
        (b"PROXY TCP4 ", "proxy-protocol"),
        (b"SSH-2.0-OpenSSH", "unknown"),
        (b"\x16\x02\0\0\0\0\0\0", "unknown"),
        (b"\x15\x03\x01\0\x02\x01\0\0", "unknown"),
    ] {
        assert_eq!(read(&bytes[..7]), Ok(Progress::More));
        let Err(error @ HelloError::NotTls(opening)) = read(bytes) else { panic!("{what}") };
        assert_eq!(opening.as_str(), what);
        assert_eq!(error.to_string(), format!("no TLS handshake, but {what}"));
    }
}

#[test]
fn a_hello_of_ssl_2_is_told_apart() {
    for version in [[0, 2], [3, 0], [3, 1], [3, 3]] {
        let bytes = [&[0x80, 46, 1], &version[..], &[0, 21, 0]].concat();
        assert_eq!(read(&bytes), Err(HelloError::Ssl2));
    }
    let other = HelloError::NotTls(Opening::Foreign(Guess::Unknown));
    assert_eq!(read(&[0x80, 46, 1, 4, 0, 0, 21, 0]), Err(other));
}

#[test]
fn tls_from_1_0_to_1_3_is_taken_and_nothing_older() {
    for version in [0x0301, 0x0302, 0x0303, 0x0304] {
        assert_eq!(name(&with_body(&head(version))), Ok(None), "no extensions at all");
    }
    for version in [0x0300, 0x0002, 0x0400, 0xFEFD] {
        assert_eq!(name(&with_body(&head(version))), Err(HelloError::Version(version)));
    }
    let mut old_record = hello(b"a.example");
    old_record[2] = 0;
    assert_eq!(name(&old_record), Ok(Some("a.example".into())), "a record's version says nothing");
}

#[test]
fn names_are_checked_and_in_lower_case() {
    let longest = [["a".repeat(63), "b".repeat(63), "c".repeat(63)].join("."), "d".repeat(61)];
    let longest = longest.join(".");
    assert_eq!(longest.len(), MAX_NAME_LENGTH);
    for (sent, read) in [
        ("broker.example.com", Some("broker.example.com")),
        ("Broker.EXAMPLE.com.", Some("broker.example.com")),
        ("rabbit_mq-1", Some("rabbit_mq-1")),
        ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
        ("1.2.3", Some("1.2.3")),
        (&longest, Some(longest.as_str())),
        ("192.0.2.1", None),
        ("2001:db8::1", None),
    ] {
        assert_eq!(name(&hello(sent.as_bytes())).unwrap().as_deref(), read, "{sent}");
    }
    let too_long = format!("{longest}e");
    let label = "a".repeat(64);
    for sent in [
        "",
        ".",
        "a..b",
        ".a",
        "a..",
        "-a",
        "a-.b",
        "a b",
        "a\0b",
        "b\u{fc}cher.example",
        "*.a",
        "[::1]",
        "a:5671",
        "a/b",
        &too_long,
        &label,
    ] {
        assert_eq!(name(&hello(sent.as_bytes())), Err(HelloError::ServerName), "{sent:?}");
    }
    assert_eq!(name(&hello(b"\xff")), Err(HelloError::ServerName));
}

const MAX_NAME_LENGTH: usize = 253;

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let twice = body(&[sni(b"a.example"), sni(b"b.example")].concat());
    assert_eq!(name(&with_body(&twice)), Err(HelloError::Malformed));
    let two_names = vector(&[host(b"a.example"), host(b"b.example")].concat());
    let two_names = body(&extension(0, &two_names));
    assert_eq!(name(&with_body(&two_names)), Err(HelloError::Malformed));
}

#[test]
fn other_extensions_and_other_kinds_of_names_are_passed_over() {
    let grease = extension(0x0A0A, b"");
    let odd_name = [&[9], &vector(b"\xff")[..]].concat();
    let names = extension(0, &vector(&[odd_name.clone(), host(b"a.example")].concat()));
    let extensions = [grease.clone(), names, extension(0x1A1A, b"\0")].concat();
    assert_eq!(name(&with_body(&body(&extensions))), Ok(Some("a.example".into())));
    let without_host = body(&extension(0, &vector(&odd_name)));
    assert_eq!(name(&with_body(&without_host)), Ok(None));
    assert_eq!(name(&with_body(&body(&grease))), Ok(None));
    assert_eq!(name(&with_body(&body(b""))), Ok(None));
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let whole = body(&sni(b"a.example"));
    for end in 0..whole.len() {
        let read = name(&with_body(&whole[..end]));
        // Where the extensions would begin, a hello may end.
        let may_end = end == head(0x0303).len();
        let expected = if may_end { Ok(None) } else { Err(HelloError::Malformed) };
        assert_eq!(read, expected, "cut at {end}");
    }
    let fixed = [&[3, 3], &[7; 32][..]].concat();
    for body in [
        [&whole[..], &[0]].concat(),
        body(&extension(0, b"")),
        body(&extension(0, &vector(b""))),
        body(&extension(0, &[vector(&host(b"a")), vec![0]].concat())),
        body(&[0, 0]),
        [&fixed[..], &[33], &[0; 33], &[0, 2, 1, 1, 1, 0]].concat(),
        [&fixed[..], &[0, 0, 0, 1, 0]].concat(),
        [&fixed[..], &[0, 0, 3, 1, 1, 1, 1, 0]].concat(),
        [&fixed[..], &[0, 0, 2, 1, 1, 0]].concat(),
    ] {
        assert_eq!(name(&with_body(&body)), Err(HelloError::Malformed), "{body:?}");
    }
}

#[test]
fn other_records_and_messages_are_no_hello() {
    assert_eq!(read(&records(&message_of(2, &head(0x0303)), 9)), Err(HelloError::NotHello));
    let mut cut = records(&message_of(CLIENT_HELLO, &body(&sni(b"a.example"))), 50);
    cut[RECORD_HEADER + 50] = 21;
    assert_eq!(read(&cut), Err(HelloError::NotHello), "an alert between its records");
    for length in [0, MAX_FRAGMENT + 1] {
        let [high, low] = (length as u16).to_be_bytes();
        assert_eq!(read(&[22, 3, 1, high, low]), Err(HelloError::Malformed));
    }
}

#[test]
fn no_more_is_waited_for_than_the_bound() {
    let room = MAX_HELLO - RECORD_HEADER - MESSAGE_HEADER - body(&extension(21, b"")).len();
    let fits = with_body(&body(&extension(21, &vec![0; room])));
    assert_eq!(fits.len(), MAX_HELLO);
    assert_eq!(name(&fits), Ok(None));
    let large = with_body(&body(&extension(21, &vec![0; room + 1])));
    assert_eq!(read(&large[..8]), Ok(Progress::More));
    assert_eq!(read(&large[..9]), Err(HelloError::TooLarge), "as soon as it says its size");
    let in_crumbs = records(&fits[RECORD_HEADER..], 1);
    assert_eq!(read(&in_crumbs[..MAX_HELLO - 1]), Ok(Progress::More));
    assert_eq!(read(&in_crumbs[..MAX_HELLO]), Err(HelloError::TooLarge));
    assert_eq!(read(&in_crumbs), Err(HelloError::TooLarge));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_name_is_found_in_any_records_among_any_extensions(
        host in "[a-z0-9_]{1,20}(\\.[a-z0-9]{1,20}){0,3}\\.[a-z]{2,9}",
        before in prop::collection::vec((1u16.., prop::collection::vec(any::<u8>(), 0..40)), 0..9),
        behind in prop::collection::vec((1u16.., prop::collection::vec(any::<u8>(), 0..40)), 0..9),
        most in 1usize..600,
    ) {
        let others = |list: &[(u16, Vec<u8>)]| {
            list.iter().flat_map(|(kind, content)| extension(*kind, content)).collect::<Vec<_>>()
        };
        let extensions = [others(&before), sni(host.as_bytes()), others(&behind)].concat();
        let bytes = records(&message_of(CLIENT_HELLO, &body(&extensions)), most);
        prop_assert_eq!(name(&bytes), Ok(Some(host)));
    }
}

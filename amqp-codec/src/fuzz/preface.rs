//! What stands before AMQP.

use std::fmt::Debug;

use super::Input;
use crate::preface::client_hello::{self, HelloError};
use crate::preface::proxy_header::{self, Command, MAX_HEADER, MAX_LINE, Outgoing, Progress};

/// What the first bytes say stays so whatever follows, is said as soon as it can be, and says the
/// same when it is told on.
pub fn proxy_header(data: &[u8]) {
    let whole = proxy_header::read(data);
    let more = Ok(Progress::More);
    only_more_before(data, &whole, &more, proxy_header::read);
    assert!(whole != more || data.len() < MAX_HEADER);
    let Ok(Progress::Header(header)) = whole else { return };
    assert!(header.len <= if data[0] == b'P' { MAX_LINE } else { MAX_HEADER });
    assert_eq!(proxy_header::read(&data[..header.len - 1]), more);
    assert_eq!(header.source.is_some(), header.destination.is_some());
    assert!(header.command == Command::Proxy || header.source.is_none() && header.tls.is_none());
    let (Some(source), Some(destination)) = (header.source, header.destination) else { return };
    let outgoing = Outgoing {
        authority: header.authority.as_deref(),
        unique_id: header.unique_id.as_deref(),
        tls: header.tls.as_ref(),
        checksum: data.len() % 2 == 1,
        ..Outgoing::new(source, destination)
    };
    for bytes in [outgoing.v1(), outgoing.v2()] {
        let Ok(Progress::Header(again)) = proxy_header::read(&bytes) else {
            panic!("our own header is not read: {}", bytes.escape_ascii());
        };
        assert_eq!((again.len, again.command), (bytes.len(), Command::Proxy));
        assert_eq!((again.source, again.destination), (header.source, header.destination));
        if data[0] != b'P' && bytes[0] != b'P' {
            assert_eq!(
                (&again.authority, &again.unique_id),
                (&header.authority, &header.unique_id)
            );
            assert_eq!(again.tls.is_some(), header.tls.is_some());
        }
    }
}

/// A hello says the same whatever follows and in whatever records it comes; a name in it is one
/// that its bytes say.
pub fn client_hello(data: &[u8]) {
    let mut input = Input(data);
    let size = usize::from(input.byte()) + 1;
    let data = input.0;
    let whole = client_hello::read(data);
    let more = Ok(client_hello::Progress::More);
    only_more_before(data, &whole, &more, client_hello::read);
    assert!(whole != more || data.len() < client_hello::MAX_HELLO);
    let again = client_hello::read(&in_records_of(data, size));
    let Ok(client_hello::Progress::Hello(hello)) = &whole else { return };
    assert!(again == whole || again == Err(HelloError::TooLarge));
    let Some(name) = &hello.server_name else { return };
    assert!((1..=253).contains(&name.len()) && !name.ends_with('.'));
    let content = in_records_of(data, 1 << 14).to_ascii_lowercase();
    assert!(content.windows(name.len()).any(|bytes| bytes == name.as_bytes()));
}

/// The same content in other records.
fn in_records_of(mut records: &[u8], size: usize) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some((&[22, 3, _, high, low], rest)) = records.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (part, rest) = rest.split_at(length.min(rest.len()));
        content.extend_from_slice(part);
        records = rest;
    }
    let records = content.chunks(size).flat_map(|part| {
        let [high, low] = (part.len() as u16).to_be_bytes();
        [&[22, 3, 3, high, low], part].concat()
    });
    records.collect()
}

/// The beginnings of `data` ask for more until one of them says what the whole says.
fn only_more_before<T: Debug + PartialEq>(
    data: &[u8],
    whole: &T,
    more: &T,
    read: impl Fn(&[u8]) -> T,
) {
    let mut is_said = false;
    // All of the short ones, and of the long ones a few.
    for end in (0..data.len()).filter(|end| *end < 300 || end % 97 == 0) {
        let said = read(&data[..end]);
        assert!(said == *whole || said == *more && !is_said, "{end} bytes say {said:?}");
        is_said = said != *more;
    }
}

//! What arrives at each destination.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;

fn batch() -> Batch {
    let mut batch = Batch::default();
    batch.push(LogLevel::Info, b"first");
    batch.push(LogLevel::Error, b"second");
    batch.push_front(LogLevel::Warn, b"zeroth".to_vec());
    batch
}

#[test]
fn syslog_gets_one_rfc_5424_datagram_a_line() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let address = server.local_addr().unwrap();
    let mut output = Output::open(&LogOutput::Syslog(address)).unwrap();
    assert_eq!(output.write(&batch()), 0);
    for (priority, text) in [("<132>1 ", "zeroth"), ("<134>1 ", "first"), ("<131>1 ", "second")] {
        let mut buffer = [0; 1024];
        let length = server.recv(&mut buffer).unwrap();
        let datagram = std::str::from_utf8(&buffer[..length]).unwrap();
        let words: Vec<&str> = datagram.split(' ').collect();
        assert!(datagram.starts_with(priority), "{datagram}");
        humantime::parse_rfc3339(words[1]).unwrap();
        assert_eq!(words[3], "amqp-gateway");
        assert_eq!(words[4], std::process::id().to_string());
        assert_eq!(words[5..], ["-", "-", text]);
    }
}

#[test]
fn a_syslog_server_that_comes_later_gets_later_lines() {
    let place = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = place.local_addr().unwrap();
    drop(place);
    let mut output = Output::open(&LogOutput::Syslog(address)).unwrap();
    output.write(&batch());
    let server = UdpSocket::bind(address).unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(output.write(&batch()), 0);
    let mut buffer = [0; 1024];
    let length = server.recv(&mut buffer).unwrap();
    assert!(buffer[..length].ends_with(b" zeroth"));
}

#[test]
fn the_journal_gets_message_priority_and_identifier() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let server = UnixDatagram::bind(&path).unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut output = Output::Journal(Journal::at(&path).unwrap());
    assert!(!output.wants_stamps());
    assert_eq!(output.write(&batch()), 0);
    for (priority, text) in [(4, "zeroth"), (6, "first"), (3, "second")] {
        let mut buffer = [0; 1024];
        let length = server.recv(&mut buffer).unwrap();
        let expected =
            format!("PRIORITY={priority}\nSYSLOG_IDENTIFIER=amqp-gateway\nMESSAGE={text}\n");
        assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), expected);
    }
}

#[test]
fn a_journal_that_restarts_is_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let server = UnixDatagram::bind(&path).unwrap();
    let mut output = Output::Journal(Journal::at(&path).unwrap());
    drop(server);
    assert_eq!(output.write(&batch()), 3);
    std::fs::remove_file(&path).unwrap();
    let _server = UnixDatagram::bind(&path).unwrap();
    assert_eq!(output.write(&batch()), 0);
}

#[test]
fn a_file_that_cannot_be_opened_is_named_with_the_key() {
    let path = PathBuf::from("/nonexistent/gateway.log");
    let error = Output::open(&LogOutput::File(path)).err().unwrap().to_string();
    assert!(error.starts_with("log.file /nonexistent/gateway.log: No such file"), "{error}");
}

//! Events and taps as they come.

use std::io::{BufRead as _, BufReader};

use super::*;
use crate::telemetry::events::{Kind, Severity, What};

/// An answer that goes on.
struct Stream(BufReader<TcpStream>);

/// Asks for a stream; its head has been read then.
fn stream(server: &AdminServer, path: &str, header: &str) -> (String, Stream) {
    let mut stream = connect(server);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n").unwrap();
    let mut stream = Stream(BufReader::new(stream));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(stream.0.read_line(&mut head).unwrap(), 0, "{head}");
    }
    (head.to_lowercase(), stream)
}

impl Stream {
    /// The next line that begins so; `None` when the stream ends before.
    fn line(&mut self, start: &str) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 || line == "0\r\n" {
                return None;
            }
            if let Some(rest) = line.strip_prefix(start) {
                return Some(rest.trim().to_owned());
            }
        }
    }
}

fn happen(log: &EventLog, text: &str) {
    log.add(What::new(Kind::VirtualRouter, Severity::Critical, "amqp", text));
}

#[test]
fn events_are_streamed_with_their_number_kind_and_content() {
    let sources = sources();
    let log = sources.events.clone();
    let server = start(sources);
    happen(&log, "before");
    let (head, mut events) = stream(&server, "/api/v1/events", "Accept: text/event-stream");
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    for (id, text) in [("1", "before"), ("2", "after")] {
        assert_eq!(events.line("id: ").unwrap(), id);
        assert_eq!(events.line("event: ").unwrap(), "virtual-router");
        let event: Value = serde_json::from_str(&events.line("data: ").unwrap()).unwrap();
        assert_eq!((&event["text"], &event["severity"]), (&text.into(), &"critical".into()));
        assert!(humantime::parse_rfc3339(event["at"].as_str().unwrap()).is_ok());
        happen(&log, "after");
    }
    let (_, mut resumed) = stream(&server, "/api/v1/events", "Last-Event-ID: 2");
    assert_eq!(resumed.line("id: ").unwrap(), "3");
    let (head, _) = stream(&server, "/api/v1/events", "Last-Event-ID: two");
    assert!(head.starts_with("http/1.1 400 "), "{head}");
}

#[test]
fn a_tap_shows_lines_one_event_each() {
    let server = start(sources());
    let (head, mut tap) = stream(&server, "/api/v1/tap?session=7", "Accept: text/event-stream");
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    let line: Value = serde_json::from_str(&tap.line("data: ").unwrap()).unwrap();
    assert_eq!((&line["session"], &line["method"]), (&7.into(), &"basic.publish".into()));
}

#[test]
fn a_stream_may_live_longer_than_other_connections_and_ends_with_the_server() {
    let sources = sources();
    let log = sources.events.clone();
    let server = start(sources);
    let (_, mut events) = stream(&server, "/api/v1/events", "X: y");
    thread::sleep(server::LIFETIME + Duration::from_secs(1));
    happen(&log, "later");
    assert_eq!(events.line("id: ").unwrap(), "1");
    server.stop();
    assert_eq!(events.line("id: "), None, "the end is one that the client can tell from a fault");
}

#[test]
fn streams_have_a_limit_that_leaves_room_for_others() {
    let sources = sources();
    let log = sources.events.clone();
    let server = start(sources);
    let most = line::MAX_STREAMS_OF_ADDRESS;
    let open: Vec<_> = (0..most).map(|_| stream(&server, "/api/v1/events", "X: y").1).collect();
    let (head, _) = stream(&server, "/api/v1/events", "X: y");
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert!(stream(&server, "/api/v1/tap", "X: y").0.starts_with("http/1.1 503 "));
    assert!(ask(&server, "GET /api/v1/nodes").0.starts_with("http/1.1 200 "));
    let (head, _) = stream(&server, "/api/v1/events", "Accept: application/json");
    assert!(head.starts_with("http/1.1 200 "), "a list is no stream: {head}");
    drop(open);
    let begun = Instant::now();
    while stream(&server, "/api/v1/events", "X: y").0.starts_with("http/1.1 503 ") {
        assert!(begun.elapsed() < PATIENCE, "a place whose client has gone is not given back");
        happen(&log, "something to write to them");
        thread::sleep(Duration::from_millis(50));
    }
}

//! The admin address over real TCP.

#![allow(clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

mod api;
mod console;
mod document;
mod errors;
mod fakes;
mod login;
mod streams;

fn sources() -> Sources {
    Sources {
        metrics: Arc::new(|| "answer 42\n".to_owned()),
        not_ready: Arc::new(Vec::new),
        name: "gw".into(),
        auth: Arc::new(Auth::new(auth::Accounts::default(), Arc::default()).unwrap()),
        tls: None,
        operator: Arc::new(api::Desk::default()),
        observer: Some(Arc::new(fakes::Seen)),
        configurator: Arc::new(fakes::Steered),
        tapping: Arc::new(fakes::OneLine),
        events: Arc::default(),
    }
}

fn start(sources: Sources) -> AdminServer {
    bind("127.0.0.1:0".parse().unwrap(), false).unwrap().start(sources).unwrap()
}

fn connect(server: &AdminServer) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Head and body of the answer to a request on a connection of its own.
fn ask(server: &AdminServer, request: &str) -> (String, String) {
    let mut stream = connect(server);
    write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

#[test]
fn metrics_are_what_the_source_renders() {
    let server = start(sources());
    let (head, body) = ask(&server, "GET /metrics");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert_eq!(body, "answer 42\n");
}

#[test]
fn live_answers_whether_ready_or_not() {
    let reasons = Arc::new(Mutex::new(vec!["cluster main has no usable node".to_owned()]));
    let asked = Arc::clone(&reasons);
    let not_ready: Arc<dyn Fn() -> Vec<String> + Send + Sync> =
        Arc::new(move || asked.lock().unwrap().clone());
    let server = start(Sources { not_ready, ..sources() });
    assert!(ask(&server, "GET /health/live").0.starts_with("http/1.1 200 "));
    let (head, body) = ask(&server, "GET /health/ready");
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert!(head.contains("content-type: application/problem+json"), "{head}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["reasons"], serde_json::json!(["cluster main has no usable node"]));
    reasons.lock().unwrap().clear();
    let (head, body) = ask(&server, "GET /health/ready");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert_eq!(body, r#"{"status":"ready"}"#);
}

#[test]
fn errors_are_problem_json_with_their_status() {
    let server = start(sources());
    // What is put behind it by `ask` goes into the last header.
    let delete = "DELETE /metrics HTTP/1.1\r\nContent-Type: application/json\r\nX-Rest: ";
    for (request, status) in [("GET /nowhere", 404), (delete, 405)] {
        let (head, body) = ask(&server, request);
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        assert!(head.contains("content-type: application/problem+json"), "{head}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["status"], status);
        assert!(body["detail"].as_str().unwrap().contains(request.split(' ').nth(1).unwrap()));
    }
}

#[test]
fn a_connection_serves_several_requests() {
    let server = start(sources());
    let mut stream = connect(&server);
    for _ in 0..3 {
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"answer 42\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
    }
}

#[test]
fn a_taken_address_is_told_before_any_thread_starts() {
    let server = start(sources());
    let error = bind(server.address(), false).unwrap_err().to_string();
    let expected = format!("admin.bind {}: Address already in use", server.address());
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn a_server_is_at_the_address_that_it_was_bound_for_whatever_a_configuration_says_now() {
    let server = start(sources());
    let other = bind("127.0.0.1:0".parse().unwrap(), false).unwrap().address();
    assert!(server.is_at("127.0.0.1:0".parse().unwrap()));
    assert!(!server.is_at(other), "a new address that could not be had is still to be had");
    assert!(
        server.again().unwrap().start(sources()).unwrap().is_at("127.0.0.1:0".parse().unwrap())
    );
    assert!(server.speaks(None));
}

#[test]
fn silent_strangers_cannot_keep_others_out() {
    let server = start(sources());
    let begun = Instant::now();
    let silent: Vec<TcpStream> = (0..guests::MAX_CONNECTIONS).map(|_| connect(&server)).collect();
    // One that says a little is no better off.
    (&silent[0]).write_all(b"GET /metrics HTTP/1.1\r\nHost:").unwrap();
    assert_eq!(ask(&server, "GET /metrics").1, "answer 42\n");
    assert!(begun.elapsed() >= server::HEAD_TIMEOUT / 2, "the limit of connections did not hold");
    for mut stream in silent {
        let mut rest = Vec::new();
        // Closed with or without a farewell, but closed.
        let _ = stream.read_to_end(&mut rest);
    }
    assert!(begun.elapsed() < PATIENCE);
}

#[test]
fn an_idle_connection_is_closed_after_its_answer() {
    let server = start(sources());
    let mut stream = connect(&server);
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("answer 42\n"), "{answer}");
}

#[test]
fn an_answer_that_takes_longer_than_its_connection_may_live_is_given_all_the_same() {
    let patience = server::LIFETIME + server::LAST_ANSWER + Duration::from_secs(1);
    let configurator = Arc::new(fakes::Slow(patience));
    let server = start(Sources { configurator, ..sources() });
    let mut stream = connect(&server);
    let head = "POST /api/v1/config/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2";
    write!(stream, "{head}\r\nContent-Type: application/json\r\n\r\n{{}}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("\"revision\":4"), "{answer}");
}

#[test]
fn an_endless_head_is_refused() {
    let server = start(sources());
    let mut stream = connect(&server);
    let head = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(2 * server::MAX_HEAD));
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
}

#[test]
fn stop_lets_the_running_answer_out_and_frees_the_address() {
    let (entered, is_in) = channel();
    let (release, released) = channel();
    let gate = Mutex::new((entered, released));
    let metrics = Arc::new(move || {
        let gate = gate.lock().unwrap();
        gate.0.send(()).unwrap();
        gate.1.recv_timeout(PATIENCE).unwrap();
        "late answer".to_owned()
    });
    let server = start(Sources { metrics, ..sources() });
    let address = server.address();
    let _idle = connect(&server);
    let mut asking = connect(&server);
    write!(asking, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    is_in.recv_timeout(PATIENCE).unwrap();
    let token = server.running.stop.clone();
    let stopper = thread::spawn(move || server.stop());
    while !token.is_cancelled() {
        thread::yield_now();
    }
    release.send(()).unwrap();
    let mut answer = String::new();
    asking.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("late answer"), "{answer}");
    stopper.join().unwrap();
    bind(address, false).unwrap();
}

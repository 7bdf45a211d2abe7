//! Against web servers that answer as they are told.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::vrrp::notify::event::What;
use crate::vrrp::samples::{router, transition};
use crate::vrrp::talk::State;

const PATIENCE: Duration = Duration::from_secs(60);

type Requests = Arc<Mutex<Vec<String>>>;

/// Answers with these status lines, one a connection, then not any more; what it was asked.
async fn server(answers: &[&'static str], tls: Option<TlsAcceptor>) -> (u16, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (requests, mut answers) = (Requests::default(), VecDeque::from(answers.to_vec()));
    let seen = requests.clone();
    tokio::spawn(async move {
        while let Some(answer) = answers.pop_front() {
            let (stream, _) = listener.accept().await.expect("a connection");
            match &tls {
                None => serve(stream, answer, &seen).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(stream, answer, &seen).await,
                    Err(_) => continue,
                },
            }
        }
    });
    (port, requests)
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, answer: &str, seen: &Requests) {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while !request.ends_with(b"}") {
        match stream.read(&mut buffer).await {
            Ok(length @ 1..) => request.extend_from_slice(&buffer[..length]),
            _ => return,
        }
    }
    seen.lock().expect("no panic").push(String::from_utf8_lossy(&request).into_owned());
    let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn poster(url: &str) -> Poster {
    let pauses = [Duration::from_millis(10); 2];
    Poster { pauses, ..Poster::new("vrrp.amqp.notify.webhook", url).expect("a URL") }
}

/// Posts two transitions.
async fn post(poster: Poster) {
    let (queue, waiting) = mpsc::channel(8);
    for state in [State::Active, State::Backup] {
        let what = What::Transition(Arc::new(router("amqp")), transition(state));
        queue.try_send(Event { what, at: UNIX_EPOCH }).expect("there is room");
    }
    drop(queue);
    let run = poster.run("gw1".into(), waiting, CancellationToken::new());
    timeout(PATIENCE, run).await.expect("it ends");
}

fn bodies(requests: &Requests) -> Vec<serde_json::Value> {
    let requests = requests.lock().expect("no panic");
    let body = |request: &String| {
        let (_, body) = request.split_once("\r\n\r\n").expect("a head");
        serde_json::from_str(body).expect("JSON")
    };
    requests.iter().map(body).collect()
}

#[tokio::test]
async fn each_event_is_posted_as_json_in_order() {
    let (port, requests) = server(&["200 OK", "204 No Content"], None).await;
    post(poster(&format!("http://127.0.0.1:{port}/hook?key=s3cret"))).await;
    let bodies = bodies(&requests);
    let states: Vec<_> = bodies.iter().map(|body| body["to"].as_str()).collect();
    assert_eq!(states, [Some("active"), Some("backup")]);
    let head = requests.lock().expect("no panic")[0].to_lowercase();
    assert!(head.starts_with("post /hook?key=s3cret http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nhost: 127.0.0.1:{port}\r\n")), "{head}");
    assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
}

#[tokio::test]
async fn a_server_that_fails_is_asked_again_and_one_that_refuses_is_not() {
    let answers = ["503 Later", "500 Oh", "200 OK", "403 No", "200 never asked for"];
    let (port, requests) = server(&answers, None).await;
    post(poster(&format!("http://127.0.0.1:{port}"))).await;
    let bodies = bodies(&requests);
    let states: Vec<_> = bodies.iter().filter_map(|body| body["to"].as_str()).collect();
    assert_eq!(states, ["active", "active", "active", "backup"]);
}

#[tokio::test]
async fn what_went_wrong_is_said_without_the_path() {
    let failure = |url: String| async move {
        let poster = poster(&url);
        assert!(!poster.shown.contains("s3cret"), "{}", poster.shown);
        poster.post("{}").await.expect_err("it fails")
    };
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = nobody.local_addr().expect("an address").port();
    drop(nobody);
    let refused = failure(format!("http://127.0.0.1:{port}/s3cret")).await;
    assert!(refused.cause.starts_with("connect: Connection refused"), "{}", refused.cause);
    assert!(refused.passing);
    let (port, _) = server(&["301 Moved"], None).await;
    let moved = failure(format!("http://127.0.0.1:{port}/s3cret")).await;
    assert!(moved.cause.contains("301") && moved.cure.contains("redirects"), "{}", moved.cause);
    assert!(!moved.passing);
}

/// A server's TLS for localhost, and the TLS of a client that trusts it.
fn tls() -> (TlsAcceptor, Arc<ClientConfig>) {
    let names = vec!["localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).expect("an authority");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), Arc::new(client))
}

#[tokio::test]
async fn https_is_posted_to_only_where_the_certificate_is_trusted() {
    let (acceptor, client) = tls();
    let (port, requests) = server(&["200 OK"; 3], Some(acceptor)).await;
    let trusting = |host: &str| {
        let url = format!("http://{host}:{port}/hook");
        Poster { tls: Some(client.clone()), ..poster(&url) }
    };
    let wrong_name = trusting("127.0.0.1").post("{}").await.expect_err("another name");
    assert!(wrong_name.cause.starts_with("TLS: "), "{}", wrong_name.cause);
    assert!(wrong_name.cure.contains("trusts"), "{}", wrong_name.cure);
    assert_eq!(trusting("localhost").post("{}").await, Ok(()));
    assert_eq!(requests.lock().expect("no panic").len(), 1);
}

//! Against mail servers that speak as little SMTP as they can.

use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use lettre::transport::smtp::client::{Certificate, CertificateStore};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::model::Login;
use crate::vrrp::notify::event::What;
use crate::vrrp::samples::{router, transition};
use crate::vrrp::talk::State;

const PATIENCE: Duration = Duration::from_secs(60);

/// What a server was told, one text a mail or failed attempt.
type Mails = Arc<Mutex<Vec<String>>>;

/// How a server is.
struct Manner {
    tls: EmailTls,
    /// Its answers to MAIL FROM, one after another; then 250.
    answers: Mutex<Vec<&'static str>>,
}

/// A mail server, the PEM of its certificate, and what it was told.
async fn server(tls: EmailTls, answers: &[&'static str]) -> (u16, String, Mails) {
    let names = vec!["localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a key");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (mails, manner) = (Mails::default(), Manner { tls, answers: Mutex::new(answers.to_vec()) });
    let seen = mails.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut told = String::new();
            let done = match manner.tls {
                EmailTls::Off => talk(stream, &manner, &mut told, true).await,
                EmailTls::Implicit => match acceptor.accept(stream).await {
                    Ok(stream) => talk(stream, &manner, &mut told, true).await,
                    Err(_) => None,
                },
                EmailTls::Starttls => match talk(&mut stream, &manner, &mut told, true).await {
                    Some(()) => match acceptor.accept(stream).await {
                        Ok(stream) => talk(stream, &manner, &mut told, false).await,
                        Err(_) => None,
                    },
                    None => None,
                },
            };
            let _ = done;
            seen.lock().expect("no panic").push(told);
        }
    });
    (port, cert.pem(), mails)
}

/// Speaks with a client until it quits (`None`), or wants to begin TLS.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    manner: &Manner,
    told: &mut String,
    greets: bool,
) -> Option<()> {
    if greets {
        stream.write_all(b"220 localhost ESMTP\r\n").await.ok()?;
    }
    let (mut buffer, mut answered, mut in_mail) = ([0; 4096], told.len(), false);
    loop {
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        told.push_str(&String::from_utf8_lossy(&buffer[..length]));
        while let Some(end) = told[answered..].find("\r\n").map(|end| answered + end + 2) {
            let line = told[answered..end].trim_end().to_owned();
            answered = end;
            let answer = match line.get(..4).unwrap_or(&line) {
                "." => "250 taken\r\n",
                _ if in_mail => continue,
                "EHLO" if manner.tls == EmailTls::Starttls && greets => {
                    "250-localhost\r\n250 STARTTLS\r\n"
                }
                "EHLO" => "250-localhost\r\n250 AUTH PLAIN\r\n",
                "STAR" => {
                    stream.write_all(b"220 go on\r\n").await.ok()?;
                    return Some(());
                }
                "AUTH" => "235 welcome\r\n",
                "MAIL" => {
                    let mut answers = manner.answers.lock().expect("no panic");
                    if answers.is_empty() { "250 fine\r\n" } else { answers.remove(0) }
                }
                "DATA" => "354 go on\r\n",
                "QUIT" => return None,
                _ => "250 fine\r\n",
            };
            in_mail = line == "DATA";
            stream.write_all(answer.as_bytes()).await.ok()?;
        }
    }
}

const QUICK: Pace = Pace {
    gather: Duration::from_millis(300),
    apart: Duration::from_millis(600),
    pauses: [Duration::from_millis(10); 2],
    limit: Duration::from_secs(30),
};

fn mailer(port: u16, tls: EmailTls, trusted: Option<&str>, login: bool) -> Mailer {
    let login = login.then(|| Login { username: "mailer".into(), password: "s3cret".into() });
    let email = Email {
        smtp: ("localhost".into(), port),
        from: "gateway@company.com".into(),
        to: vec!["a@company.com".into(), "b@company.com".into()],
        tls,
        login,
    };
    let mut parameters = TlsParametersBuilder::new("localhost".to_owned());
    if let Some(pem) = trusted {
        let authority = Certificate::from_pem(pem.as_bytes()).expect("a certificate");
        parameters =
            parameters.certificate_store(CertificateStore::None).add_root_certificate(authority);
    }
    Mailer::with("gw 1".into(), &email, parameters, QUICK).expect("a mailer")
}

fn event(state: State) -> Event {
    let what = What::Transition(Arc::new(router("amqp")), transition(state));
    Event { what, at: UNIX_EPOCH }
}

/// Sends one mail.
async fn send(mailer: Mailer) {
    let (queue, waiting) = mpsc::channel(8);
    queue.try_send(event(State::Active)).expect("there is room");
    drop(queue);
    let run = mailer.run(waiting, CancellationToken::new());
    timeout(PATIENCE, run).await.expect("it ends");
}

#[tokio::test]
async fn a_mail_goes_to_all_receivers_with_or_without_tls() {
    for tls in [EmailTls::Off, EmailTls::Starttls, EmailTls::Implicit] {
        let (port, pem, mails) = server(tls, &[]).await;
        send(mailer(port, tls, Some(&pem), true)).await;
        let mails = mails.lock().expect("no panic").concat();
        for expected in [
            "EHLO gw-1\r\n",
            // mailer and s3cret, as PLAIN has them.
            "AUTH PLAIN AG1haWxlcgBzM2NyZXQ=\r\n",
            "RCPT TO:<a@company.com>",
            "RCPT TO:<b@company.com>",
            "Subject: [gw 1] VRRP Instance amqp - Entering MASTER state\r\n",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(mails.contains(expected), "{tls:?} {expected}\n{mails}");
        }
    }
}

#[tokio::test]
async fn nothing_is_told_to_a_server_that_cannot_prove_its_name() {
    for tls in [EmailTls::Starttls, EmailTls::Implicit] {
        let (port, _, mails) = server(tls, &[]).await;
        let (_, other, _) = server(tls, &[]).await;
        let mailer = mailer(port, tls, Some(&other), true);
        let batch = Batch::new(event(State::Active));
        let failure = mailer.once("subject", &batch).await.expect_err("it is not trusted");
        assert!(failure.cure.contains("trusts"), "{failure:?}");
        let mails = mails.lock().expect("no panic").concat();
        assert!(!mails.contains("AUTH") && !mails.contains("MAIL"), "{mails}");
    }
    // And to one that does not offer TLS.
    let (port, pem, mails) = server(EmailTls::Off, &[]).await;
    let mailer = mailer(port, EmailTls::Starttls, Some(&pem), true);
    let batch = Batch::new(event(State::Active));
    let failure = mailer.once("subject", &batch).await.expect_err("there is no STARTTLS");
    assert!(failure.cure.contains("notify.email.tls"), "{failure:?}");
    let mails = mails.lock().expect("no panic").concat();
    assert!(!mails.contains("AUTH") && !mails.contains("MAIL"), "{mails}");
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let (port, _, mails) = server(EmailTls::Off, &["451 later\r\n", "452 later\r\n"]).await;
    send(mailer(port, EmailTls::Off, None, false)).await;
    let told = mails.lock().expect("no panic").concat();
    assert_eq!(told.matches("MAIL FROM").count(), 3, "{told}");
    assert_eq!(told.matches("Subject: ").count(), 1, "{told}");
    let (port, _, mails) = server(EmailTls::Off, &["550 not you\r\n"]).await;
    let mailer = mailer(port, EmailTls::Off, None, false);
    let batch = Batch::new(event(State::Active));
    let failure = mailer.once("subject", &batch).await.expect_err("it is refused");
    assert!(failure.cause.contains("550") && failure.cause.contains("not you"), "{failure:?}");
    assert!(!failure.passing && failure.cure.contains("from, to"), "{failure:?}");
    drop(mails);
}

#[tokio::test]
async fn what_happens_within_some_seconds_is_one_mail() {
    let (port, _, mails) = server(EmailTls::Off, &[]).await;
    let (queue, waiting) = mpsc::channel(64);
    let mailer = mailer(port, EmailTls::Off, None, false);
    let running = tokio::spawn(mailer.run(waiting, CancellationToken::new()));
    let count = || {
        let told = mails.lock().expect("no panic").concat();
        told.matches("Subject: ").count()
    };
    let deadline = Instant::now() + PATIENCE;
    for state in [State::Active, State::Backup].repeat(8) {
        queue.send(event(state)).await.expect("it runs");
    }
    while count() == 0 {
        assert!(Instant::now() < deadline, "no mail");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for state in [State::Active, State::Backup, State::Active] {
        queue.send(event(state)).await.expect("it runs");
    }
    drop(queue);
    timeout(PATIENCE, running).await.expect("it ends").expect("no panic");
    let told = mails.lock().expect("no panic").concat();
    assert_eq!(count(), 2, "{told}");
    assert!(told.contains("Entering BACKUP state (and 15 more)\r\n"), "{told}");
    assert!(told.contains("Entering MASTER state (and 2 more)\r\n"), "{told}");
}

#[test]
fn a_mail_stays_small_however_much_happens() {
    let mut batch = Batch::new(event(State::Active));
    (0..100_000).for_each(|_| batch.add(event(State::Backup)));
    let body = batch.body("gw1");
    assert!(body.len() < 100_000, "{}", body.len());
    assert!(body.contains("… and 99801 more; the last: VRRP Instance amqp - Entering BACKUP"));
}

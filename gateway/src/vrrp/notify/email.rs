//! Mail: what happens within some seconds goes into one.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters, TlsParametersBuilder};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::attempt::{Failure, attempt, causes};
use super::event::Event;
use crate::config::model::{Email, EmailTls};
use crate::tls::failure;

/// Lines of one mail; what is more is only counted.
const MOST_LINES: usize = 200;

/// When mails are sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// What comes within this time after the first one goes into the same mail.
    gather: Duration,
    /// From one mail to the next, at least: something that flaps is a mail a minute.
    apart: Duration,
    /// Between attempts.
    pauses: [Duration; 2],
    /// For each attempt.
    limit: Duration,
}

const PACE: Pace = Pace {
    gather: Duration::from_secs(5),
    apart: Duration::from_secs(60),
    pauses: [Duration::from_secs(10), Duration::from_secs(60)],
    limit: Duration::from_secs(20),
};

/// Sends mails by one server.
pub(super) struct Mailer {
    gateway: Arc<str>,
    server: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    pace: Pace,
}

impl Mailer {
    /// # Errors
    /// If an address is none, or the system trusts no authority for TLS: a sentence.
    pub(super) fn new(gateway: Arc<str>, email: &Email) -> Result<Self, String> {
        let tls = TlsParametersBuilder::new(email.smtp.0.to_string());
        Self::with(gateway, email, tls, PACE)
    }

    fn with(
        gateway: Arc<str>,
        email: &Email,
        tls: TlsParametersBuilder,
        pace: Pace,
    ) -> Result<Self, String> {
        let mailbox = |text: &Arc<str>| {
            let address = text.parse().map_err(|error| format!("{text}: {error}"))?;
            Ok::<_, String>(Mailbox::new(None, address))
        };
        let parameters = || -> Result<TlsParameters, String> {
            tls.build_rustls().map_err(|error| format!("TLS: {}", causes(&error)))
        };
        let (host, port) = (&*email.smtp.0, email.smtp.1);
        let tls = match email.tls {
            EmailTls::Off => Tls::None,
            EmailTls::Starttls => Tls::Required(parameters()?),
            EmailTls::Implicit => Tls::Wrapper(parameters()?),
        };
        let hello = ClientId::Domain(gateway.replace(|c: char| !is_of_domain(c), "-"));
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .hello_name(hello)
            .timeout(Some(pace.limit));
        if let Some(login) = &email.login {
            let credentials =
                Credentials::new(login.username.to_string(), login.password.to_string());
            transport = transport.credentials(credentials);
        }
        Ok(Self {
            gateway,
            server: format!("{host}:{port}"),
            from: mailbox(&email.from)?,
            to: email.to.iter().map(mailbox).collect::<Result<_, _>>()?,
            transport: transport.build(),
            pace,
        })
    }

    /// Sends what comes. At its end, or once `stop` is cancelled, nothing is waited for any more.
    pub(super) async fn run(self, mut queue: mpsc::Receiver<Event>, stop: CancellationToken) {
        let mut earliest = Instant::now();
        while let Some(first) = queue.recv().await {
            let mut batch = Batch::new(first);
            let until = (Instant::now() + self.pace.gather).max(earliest);
            loop {
                tokio::select! {
                    biased;
                    event = queue.recv() => match event {
                        Some(event) => batch.add(event),
                        None => break,
                    },
                    () = sleep_until(until) => break,
                }
            }
            self.send(&batch, &stop).await;
            earliest = Instant::now() + self.pace.apart;
        }
    }

    async fn send(&self, batch: &Batch, stop: &CancellationToken) {
        let (server, subject) = (&self.server, batch.subject(&self.gateway));
        let sent = attempt(&self.pace.pauses, stop, || self.once(&subject, batch)).await;
        match sent {
            Ok(()) => debug!(server, subject, "notify.email: mail sent"),
            Err(Failure { cause, cure, .. }) => {
                warn!(server, subject, cause, "notify.email: the mail could not be sent: {cure}");
            }
        }
    }

    async fn once(&self, subject: &str, batch: &Batch) -> Result<(), Failure> {
        let mut mail = Message::builder().from(self.from.clone()).subject(subject);
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        let mail = mail.header(ContentType::TEXT_PLAIN).body(batch.body(&self.gateway));
        let mail = mail.map_err(|error| Failure {
            cause: error.to_string(),
            cure: "check from and to",
            passing: false,
        })?;
        match timeout(self.pace.limit, self.transport.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(Failure {
                cause: format!("no answer within {} s", self.pace.limit.as_secs()),
                cure: "check notify.email.smtp and tls: a server that begins with TLS needs tls = \"implicit\"",
                passing: true,
            }),
        }
    }
}

/// What may stand in the name that the gateway greets the server with.
fn is_of_domain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '.' || c == '-'
}

fn failure(error: &lettre::transport::smtp::Error) -> Failure {
    let cure = if error.is_tls() || is_tls(error) {
        "check notify.email.tls, and that the server has a certificate for its name, of an authority that this system trusts"
    } else if error.is_permanent() {
        "the server refuses it: check from, to, username and password, and the server's log"
    } else if error.is_client() {
        "the server does not offer what is configured: check notify.email.tls, username and password"
    } else {
        "check notify.email.smtp, and that the server runs"
    };
    Failure { cause: causes(error), cure, passing: !error.is_permanent() && !error.is_client() }
}

/// Does it come from rustls? The library says so only of what fails before the connection.
fn is_tls(error: &dyn Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        let in_io = error.downcast_ref::<io::Error>().and_then(failure::in_io);
        if in_io.is_some() || error.is::<rustls::Error>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// What goes into one mail.
struct Batch {
    lines: Vec<String>,
    last: String,
    count: usize,
}

impl Batch {
    fn new(first: Event) -> Self {
        let mut batch = Self { lines: Vec::new(), last: String::new(), count: 0 };
        batch.add(first);
        batch
    }

    fn add(&mut self, event: Event) {
        self.count += 1;
        self.last = event.subject();
        if self.lines.len() < MOST_LINES {
            self.lines.push(event.line());
        }
    }

    /// The latest one, and how many there are besides.
    fn subject(&self, gateway: &str) -> String {
        match self.count {
            1 => format!("[{gateway}] {}", self.last),
            count => format!("[{gateway}] {} (and {} more)", self.last, count - 1),
        }
    }

    fn body(&self, gateway: &str) -> String {
        let mut body = format!("Gateway {gateway}:\n\n{}\n", self.lines.join("\n"));
        let more = self.count - self.lines.len();
        if more > 0 {
            // Writing into a String cannot fail.
            let _ = writeln!(body, "… and {more} more; the last: {}", self.last);
        }
        body
    }
}

#[cfg(test)]
#[path = "email_tests.rs"]
mod tests;

//! Client libraries against an address: a broker's or the gateway's.
//!
//! A suite is a list of checks. What passes against RabbitMQ directly must pass through the
//! gateway, so a suite knows nothing of where it runs.

mod amqp_tools;
mod lapin;
mod script;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write as _};
use std::net::SocketAddr;

use anyhow::{Result, bail};

use crate::tls::ClientTls;

pub use lapin::Lapin;
pub use script::{Client, Script};

/// A client library with its checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// Rust.
    Lapin,
    /// Python.
    Pika,
    /// Node.js.
    Amqplib,
    /// The command line tools on librabbitmq (C).
    AmqpTools,
    /// AMQP 1.0, Python on Qpid Proton (C).
    Proton,
    /// AMQP 1.0, Node.js.
    Rhea,
    /// MQTT, Python.
    Paho,
    /// STOMP, Python.
    StompPy,
    /// RabbitMQ streams, Python.
    Rstream,
    /// The management UI in a browser.
    ManagementUi,
}

impl Suite {
    /// How many checks it has: one that vanishes silently is noticed.
    #[must_use]
    pub fn checks(self) -> usize {
        match self {
            Self::Lapin => 18,
            Self::Pika => 18,
            Self::Amqplib => 16,
            Self::AmqpTools => 22,
            Self::Proton => 12,
            Self::Rhea => 8,
            Self::Paho | Self::StompPy => 7,
            Self::Rstream => 3,
            Self::ManagementUi => 6,
        }
    }
}

/// Where a client connects, and whether with TLS.
#[derive(Debug, Clone)]
pub struct Place {
    /// The broker or the gateway.
    pub address: SocketAddr,
    /// `None`: in the clear.
    pub tls: Option<ClientTls>,
}

impl Place {
    /// With TLS.
    #[must_use]
    pub fn over(address: SocketAddr, tls: &ClientTls) -> Self {
        Self { address, tls: Some(tls.clone()) }
    }
}

impl From<SocketAddr> for Place {
    fn from(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }
}

/// What became of each check: nothing, or what went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report(BTreeMap<String, Option<String>>);

/// Runs a suite against an address that serves the vhosts and users of
/// [`RabbitCluster`](crate::RabbitCluster).
///
/// # Errors
/// When the client is not installed, or a script dies before its end. With TLS, when the suite is
/// one of AMQP 1.0 or librabbitmq.
pub async fn run_suite(suite: Suite, place: impl Into<Place>) -> Result<Report> {
    let place = place.into();
    let (client, script) = match (suite, &place.tls) {
        (Suite::Lapin, _) => return lapin::run(&place).await,
        (Suite::Pika, _) => (Client::Pika, "suite"),
        (Suite::Amqplib, _) => (Client::Amqplib, "suite"),
        (Suite::Paho, _) => (Client::Plugins, "mqtt"),
        (Suite::StompPy, _) => (Client::Plugins, "stomp12"),
        (Suite::Rstream, _) => (Client::Plugins, "stream"),
        (Suite::ManagementUi, _) => (Client::Browser, "management"),
        (_, Some(_)) => bail!("{suite:?} has no checks with TLS"),
        (Suite::AmqpTools, None) => return amqp_tools::run(place.address).await,
        (Suite::Proton, None) => (Client::Proton, "suite"),
        (Suite::Rhea, None) => (Client::Rhea, "suite"),
    };
    Script::start(client, script, place, &[])?.report().await
}

/// Runs the idle checks of pika, amqplib and lapin at once: connections stay silent for `seconds`
/// with various heartbeats and must work afterwards.
///
/// # Errors
/// As [`run_suite`].
pub async fn run_idle(address: SocketAddr, seconds: u64) -> Result<Report> {
    let arguments = [seconds.to_string()];
    let pika = Script::start(Client::Pika, "idle", address, &arguments)?;
    let amqplib = Script::start(Client::Amqplib, "idle", address, &arguments)?;
    let (lapin, pika, amqplib) =
        tokio::join!(lapin::idle(address, seconds), pika.report(), amqplib.report());
    let mut all = Report::default();
    for (name, report) in [("lapin", lapin), ("pika", pika?), ("amqplib", amqplib?)] {
        for (check, problem) in report.0 {
            all.0.insert(format!("{name}-{check}"), problem);
        }
    }
    Ok(all)
}

impl Report {
    /// How many checks there were.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there was no check at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The checks that failed, each with why.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let failed = self.0.iter().filter_map(|(name, why)| Some((name, why.as_ref()?)));
        failed.map(|(name, why)| format!("{name}: {why}")).collect()
    }

    /// Notes a check.
    fn add<T>(&mut self, name: &str, result: Result<T>) {
        self.0.insert(name.to_owned(), result.err().map(|error| format!("{error:#}")));
    }

    /// Reads a script's line: `ok NAME` or `FAIL NAME why`.
    fn add_line(&mut self, line: &str) -> Result<()> {
        let (name, problem) = match line.split_once(' ') {
            Some(("ok", name)) => (name, None),
            Some(("FAIL", rest)) => {
                let (name, why) = rest.split_once(' ').unwrap_or((rest, "no reason given"));
                // At once, and past what keeps the output of tests back until the last has ended.
                let _ = writeln!(io::stderr(), "FAIL {name} {why}");
                (name, Some(why.to_owned()))
            }
            _ => bail!("neither `ok NAME` nor `FAIL NAME why`: {line}"),
        };
        self.0.insert(name.to_owned(), problem);
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failures = self.failures();
        write!(f, "{} of {} checks passed", self.len() - failures.len(), self.len())?;
        failures.iter().try_for_each(|failure| write!(f, "\n  {failure}"))
    }
}

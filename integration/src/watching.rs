//! A command of the gateway that goes on until it is stopped, and what it has written so far.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::process::Signal;
use crate::{GatewayProcess, target, wait};

/// `amqp-gateway tap`, or any other that follows something. Dropping it ends it.
#[derive(Debug)]
pub struct Watching {
    child: Child,
    lines: Lines,
}

type Lines = Arc<Mutex<Vec<String>>>;

impl Watching {
    /// Runs `amqp-gateway ARGUMENTS` with the admin address of `gateway` in its environment.
    ///
    /// # Errors
    /// When there is no binary, or the gateway has no admin address.
    pub fn start(gateway: &GatewayProcess, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(target::gateway()?);
        command.args(arguments).env("AMQP_GATEWAY_ADMIN", gateway.admin_url("")?);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().context("cannot run the command")?;
        let lines = Lines::default();
        keep(child.stdout.take(), &lines);
        keep(child.stderr.take(), &lines);
        Ok(Self { child, lines })
    }

    /// All lines so far, standard output and standard error.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until there is a line with all of `texts` in it, and returns it.
    ///
    /// # Errors
    /// When there is none after `deadline`: carries all lines.
    pub async fn line(&self, texts: &[&str], deadline: Duration) -> Result<String> {
        let find = || {
            let mut lines = self.lines().into_iter();
            lines.find(|line| texts.iter().all(|text| line.contains(text)))
        };
        let waited = wait::until(format!("{texts:?}"), deadline, async || find().is_some()).await;
        match (waited, find()) {
            (_, Some(line)) => Ok(line),
            (_, None) => bail!("no line with {texts:?} in:\n{}", self.lines().join("\n")),
        }
    }

    /// Sends SIGINT, as Ctrl-C does, and waits for the end: its exit code.
    ///
    /// # Errors
    /// When it is gone already, or does not end.
    pub async fn interrupt(&mut self) -> Result<Option<i32>> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.and_then(rustix::process::Pid::from_raw).context("it is gone already")?;
        rustix::process::kill_process(id, Signal::INT)?;
        self.ended(Duration::from_secs(20)).await
    }

    /// Waits for its end: its exit code.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn ended(&mut self, deadline: Duration) -> Result<Option<i32>> {
        let status = timeout(deadline, self.child.wait()).await;
        Ok(status.context("it does not end")??.code())
    }
}

fn keep(output: Option<impl AsyncRead + Unpin + Send + 'static>, lines: &Lines) {
    let (Some(output), lines) = (output, lines.clone()) else { return };
    tokio::spawn(async move {
        let mut output = BufReader::new(output).lines();
        while let Ok(Some(line)) = output.next_line().await {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
}

//! The gateway's commands for operators, run as an operator does.

use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::GatewayProcess;
use crate::target;

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub error: String,
}

/// Runs `amqp-gateway ARGUMENTS` with the admin address of `gateway` in its environment.
///
/// # Errors
/// When there is no binary, or the gateway has no admin address.
pub async fn run(gateway: &GatewayProcess, arguments: &[&str]) -> Result<Done> {
    run_with(arguments, &[("AMQP_GATEWAY_ADMIN", &gateway.admin_url("")?)]).await
}

/// Runs `amqp-gateway ARGUMENTS` with these variables.
///
/// # Errors
/// When there is no binary.
pub async fn run_with(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Done> {
    let mut command = Command::new(target::gateway()?);
    for own in ["AMQP_GATEWAY_ADMIN", "AMQP_GATEWAY_TOKEN", "AMQP_GATEWAY_CA"] {
        command.env_remove(own);
    }
    command.args(arguments).envs(variables.iter().copied());
    let output = command.kill_on_drop(true).output().await.context("cannot run the command")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    Ok(Done { code: output.status.code(), out, error })
}

/// What `amqp-gateway hash-password` makes of a password.
///
/// # Errors
/// When there is no binary, or it refuses.
pub async fn hash_password(password: &str) -> Result<String> {
    let mut command = Command::new(target::gateway()?);
    command.arg("hash-password").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("cannot run the command")?;
    let mut input = child.stdin.take().context("no standard input")?;
    input.write_all(format!("{password}\n").as_bytes()).await?;
    drop(input);
    let output = child.wait_with_output().await?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().last().context("hash-password prints nothing")?.to_owned())
}

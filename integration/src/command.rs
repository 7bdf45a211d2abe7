//! The gateway's commands for operators, run as an operator does.

use anyhow::{Context, Result};
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

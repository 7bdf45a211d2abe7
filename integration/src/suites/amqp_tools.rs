//! librabbitmq through Debian's amqp-tools.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::Report;
use crate::wait;

const DEADLINE: Duration = Duration::from_secs(30);

pub(super) async fn run(address: SocketAddr) -> Result<Report> {
    let mut report = Report::default();
    let queue = format!("tools-{}", address.port());
    for (vhost, in_url) in [("/", "%2F"), ("orders", "orders"), ("billing", "billing")] {
        let url = format!("amqp://app:secret@{address}/{in_url}");
        on_vhost(&mut report, vhost, &url, &queue).await;
    }
    for (check, login) in [
        ("wrong-password", "app:wrong@HOST/orders"),
        ("unknown-vhost", "app:secret@HOST/nosuch"),
        ("no-permission", "limited:limited@HOST/billing"),
        ("no-such-queue", "app:secret@HOST/orders"),
    ] {
        let url = format!("amqp://{}", login.replace("HOST", &address.to_string()));
        let refused = match tool("amqp-get", &url, &["-q", "nosuch"], b"").await {
            Ok(_) => bail!("amqp-get succeeded at {url}"),
            Err(error) => told_by_the_library(error),
        };
        report.add(check, refused);
    }
    Ok(report)
}

async fn on_vhost(report: &mut Report, vhost: &str, url: &str, queue: &str) {
    let large: Vec<u8> = (0..(10 << 20) / 4_u32).flat_map(u32::to_be_bytes).collect();
    let from = ["-q", queue];
    let mut add =
        |check: &str, result: Result<()>| report.add(&format!("{check}-on-{vhost}"), result);
    add("declare", tool("amqp-declare-queue", url, &from, b"").await.map(drop));
    add("round-trip", round_trip(url, queue, b"hello").await);
    add("large", round_trip(url, queue, &large).await);
    add("empty", round_trip(url, queue, b"").await);
    add("consume", consume_five(url, queue).await);
    add("delete", tool("amqp-delete-queue", url, &from, b"").await.map(drop));
}

async fn consume_five(url: &str, queue: &str) -> Result<()> {
    for body in ["m1", "m2", "m3", "m4", "m5"] {
        tool("amqp-publish", url, &["-r", queue, "-b", body], b"").await?;
    }
    let arguments = ["-q", queue, "-c", "5", "-p", "2", "cat"];
    let got = tool("amqp-consume", url, &arguments, b"").await?;
    // Published by five connections, at different nodes maybe: in any order.
    let mut bodies: Vec<&[u8]> = got.chunks(2).collect();
    bodies.sort_unstable();
    same(&bodies.concat(), b"m1m2m3m4m5")
}

async fn round_trip(url: &str, queue: &str, body: &[u8]) -> Result<()> {
    tool("amqp-publish", url, &["-r", queue], body).await?;
    // Another connection, at another node maybe, can be there before the message.
    let mut got = None;
    wait::until("the message to arrive", DEADLINE, async || {
        got = tool("amqp-get", url, &["-q", queue], b"").await.ok();
        got.is_some()
    })
    .await?;
    same(&got.context("no message")?, body)
}

fn same(got: &[u8], sent: &[u8]) -> Result<()> {
    ensure!(got == sent, "sent {} bytes, got {} bytes", sent.len(), got.len());
    Ok(())
}

/// A refusal, not a program that is missing or hangs.
fn told_by_the_library(error: anyhow::Error) -> Result<()> {
    ensure!(error.to_string().contains("amqp-get failed"), error);
    Ok(())
}

/// Runs one of the tools with `input`; its standard output.
async fn tool(program: &str, url: &str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let mut command = Command::new(program);
    command.arg(format!("--url={url}")).args(arguments).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn();
    let mut child = child.with_context(|| format!("cannot start {program} of amqp-tools"))?;
    let stdin = child.stdin.take().context("no standard input")?;
    let exchange = async {
        // A tool that is refused ends without reading its input.
        let (_, output) = tokio::join!(feed(stdin, input), child.wait_with_output());
        output
    };
    let output =
        timeout(DEADLINE, exchange).await.with_context(|| format!("{program} hangs"))??;
    if !output.status.success() {
        bail!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

async fn feed(mut stdin: tokio::process::ChildStdin, input: &[u8]) -> std::io::Result<()> {
    stdin.write_all(input).await
}

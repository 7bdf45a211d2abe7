//! `make demo`: two real RabbitMQ clusters, the gateway in front, and clients that use them.
//!
//! The vhost `orders` lives on the cluster `main` (three nodes), `billing` on `blue` (one node);
//! clients know one address only, the gateway's. `KILL=1` kills a node after a while and starts it
//! again, `DEMO_SECONDS=n` ends the demo by itself.

mod screen;
mod stage;
mod traffic;

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until};

use screen::Screen;
use stage::Stage;
use traffic::Traffic;

const KILL_AFTER: Duration = Duration::from_secs(15);
const DEAD_FOR: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() -> Result<()> {
    let screen = Screen::new();
    let end = ends_at()?;
    let (stage, traffic) = tokio::select! {
        both = start(&screen) => both?,
        () = interrupted() => {
            screen.note("Interrupted while starting: all that was started is stopped.");
            return Ok(());
        }
    };
    screen.note(&stage.hints());
    let result = tokio::select! {
        result = show(&stage, &traffic, &screen) => result,
        result = kill_and_restart(&stage, &screen) => result,
        () = tell_news(&stage, &screen) => Ok(()),
        () = interrupted() => Ok(()),
        () = run_out(end) => Ok(()),
    };
    screen.note("Stopping the clients, the gateway and both clusters ...");
    drop(traffic);
    stage.stop().await?;
    screen.note("All stopped, nothing left behind.");
    result
}

async fn start(screen: &Screen) -> Result<(Stage, Traffic)> {
    let stage = Stage::start(screen).await?;
    let traffic = Traffic::start(stage.listener).await?;
    Ok((stage, traffic))
}

/// `DEMO_SECONDS`, if given.
fn ends_at() -> Result<Option<Duration>> {
    let Ok(text) = std::env::var("DEMO_SECONDS") else {
        return Ok(None);
    };
    if text.is_empty() {
        return Ok(None);
    }
    let seconds = text.parse().with_context(|| format!("DEMO_SECONDS={text} is not a number"))?;
    Ok(Some(Duration::from_secs(seconds)))
}

async fn run_out(end: Option<Duration>) {
    match end {
        Some(end) => sleep(end).await,
        None => std::future::pending().await,
    }
}

/// Ctrl-C, or a polite kill.
async fn interrupted() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => signals.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => (),
        _ = terminated => (),
    }
}

/// One line a vhost, renewed every second.
async fn show(stage: &Stage, traffic: &Traffic, screen: &Screen) -> Result<()> {
    let start = Instant::now();
    let mut next = start;
    loop {
        next += Duration::from_secs(1);
        sleep_until(next).await;
        let metrics = stage.metrics().await;
        let mut lines = Vec::new();
        for (at, vhost) in traffic.vhosts.iter().enumerate() {
            let place = stage.nodes_of(at, &metrics);
            lines.push(vhost.line(&place));
        }
        screen.status(start.elapsed(), &lines);
    }
}

/// What the gateway finds out about the nodes.
async fn tell_news(stage: &Stage, screen: &Screen) {
    let mut told = 0;
    loop {
        let news = stage.news();
        for line in &news[told..] {
            screen.note(line);
        }
        told = news.len();
        sleep(LOOK).await;
    }
}

/// With `KILL=1`: the gateway's clients come back by themselves when a node dies.
async fn kill_and_restart(stage: &Stage, screen: &Screen) -> Result<()> {
    let kill = std::env::var("KILL").unwrap_or_default();
    if kill.is_empty() || kill == "0" {
        return std::future::pending().await;
    }
    sleep(KILL_AFTER).await;
    let n = stage.busiest_node().await;
    screen.note(&format!("kill -9 of node n{n} of main: its sessions move to the others"));
    stage.main.kill_node(n).await?;
    sleep(DEAD_FOR).await;
    screen
        .note(&format!("starting node n{n} of main again: it gets its share of the sessions back"));
    stage.main.start_node(n).await?;
    std::future::pending().await
}

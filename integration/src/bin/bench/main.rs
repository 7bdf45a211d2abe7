//! `make bench`: the gateway, HAProxy, nginx and no proxy, side by side in one interleaved run.
//!
//! docs/benchmarks.md tells what is measured and how to read the table. This program is the
//! controller and the load generator; as `bench broker` it is the scripted broker.

mod args;
mod broker;
mod broker_link;
mod cases;
mod console;
mod cpu;
mod dial;
mod json;
mod load;
mod peers;
mod poll;
mod progress;
mod proxy;
mod results;
mod run;
mod session;
mod settings;
mod stream;
mod table;
mod talk;
mod tls;
mod tls_cases;
mod walk;
mod window;
mod wire;

use anyhow::{Context, Result};
use args::{Args, Command};
use broker_link::BrokerLink;
use cases::{Case, Kind};
use integration::stop;
use peers::{Peer, Running};
use progress::Progress;
use results::Results;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tls::Certificates;

fn main() -> ExitCode {
    let outcome = Command::parse(std::env::args().skip(1)).and_then(|command| match command {
        Command::Help => {
            print!("{}", args::HELP);
            Ok(true)
        }
        Command::List => {
            cases::all().iter().for_each(|case| println!("{:18} {}", case.id, case.title));
            Ok(true)
        }
        Command::Broker => broker::serve().map(|()| true),
        Command::Console(args) => console::bench(&args).map(|()| true),
        Command::Run(args) => bench(&args),
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all cases, prints the table, writes the JSON; whether all runs went well.
fn bench(args: &Args) -> Result<bool> {
    stop::listen()?;
    raise_file_limit(args.scale.idle_sessions)?;
    let versions: Vec<(Peer, String)> =
        args.peers.iter().map(|peer| Ok((*peer, peer.version()?))).collect::<Result<_>>()?;
    let directory = tempfile::Builder::new().prefix("amqp-gateway-bench-").tempdir()?;
    let any_tls = args.cases.iter().any(|case| case.tls.is_some());
    let certificates = any_tls.then(Certificates::new).transpose()?.map(Arc::new);
    let mut broker = BrokerLink::start()?;
    let mut running = Vec::new();
    for peer in &args.peers {
        let directory = directory.path().join(peer.name());
        running.push(peers::start(*peer, broker.address, &directory, certificates.as_ref())?);
    }
    let results = run_all(args, &mut running, &mut broker, directory.path())?;
    print!("{}", table::render(&results, &versions));
    json::write(&results, &versions, args)?;
    println!("\nfigures: {}", args.json.display());
    Ok(results.errors().is_empty())
}

/// Case by case, repetition by repetition, peer by peer: neighbours in time are compared. Every
/// second repetition turns the order round, so that no peer always comes first.
fn run_all(
    args: &Args,
    running: &mut [Running],
    broker: &mut BrokerLink,
    directory: &Path,
) -> Result<Results> {
    let mut results = Results::new(args.cases.clone(), args.peers.clone());
    let mut progress = Progress::new(args);
    for case in &args.cases {
        let repetitions = args.repetitions(case);
        for repetition in 1..=repetitions {
            for index in order(running.len(), repetition) {
                let peer = &mut running[index];
                if !takes_part(case, peer.peer) {
                    continue;
                }
                progress.step(case, peer.peer, (repetition, repetitions));
                let outcome = one(case, peer, broker, args, directory);
                stop::check()?;
                if let Err(error) = &outcome {
                    progress.say(&format!("{} {}: {error:#}", case.id, peer.peer.name()));
                }
                results.add(case, peer.peer, outcome);
                progress.done(case);
            }
        }
    }
    progress.finish();
    Ok(results)
}

/// Which peer comes when: forwards in odd repetitions, backwards in even ones.
fn order(peers: usize, repetition: usize) -> Vec<usize> {
    if repetition % 2 == 1 { (0..peers).collect() } else { (0..peers).rev().collect() }
}

fn one(
    case: &Case,
    running: &mut Running,
    broker: &mut BrokerLink,
    args: &Args,
    directory: &Path,
) -> Result<run::Figures> {
    if case.kind != Kind::Idle {
        let outcome = run::measure(case, running, broker, args.scale);
        return outcome.map_err(|error| revive(running, broker, directory, error));
    }
    let directory = directory.join(format!("{}-{}", running.peer.name(), case.id));
    let certificates = running.certificates.as_ref().filter(|_| case.tls.is_some());
    let mut fresh = peers::start(running.peer, broker.address, &directory, certificates)?;
    run::measure(case, &mut fresh, broker, args.scale)
}

/// Starts a proxy anew that has ended, so that its later cases are measured; why the run failed.
fn revive(
    running: &mut Running,
    broker: &BrokerLink,
    directory: &Path,
    error: anyhow::Error,
) -> anyhow::Error {
    let Some(Err(ended)) = running.proxy.as_mut().map(proxy::Proxy::check) else {
        return error;
    };
    let error = error.context(format!("{ended:#}"));
    let directory = directory.join(running.peer.name());
    match peers::start(running.peer, broker.address, &directory, running.certificates.as_ref()) {
        Ok(fresh) => *running = fresh,
        Err(failure) => return error.context(failure),
    }
    error
}

/// Without a proxy there is no memory of a proxy, and nobody who speaks TLS.
fn takes_part(case: &Case, peer: Peer) -> bool {
    peer != Peer::Direct || (case.kind != Kind::Idle && case.tls.is_none())
}

/// Raises the soft limit, which the proxies inherit; each session takes two of their files.
fn raise_file_limit(sessions: usize) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let needed = 2 * sessions as u64 + 500;
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        anyhow::bail!(
            "the limit of open files is below {needed}: raise it with ulimit -Hn, or take fewer sessions"
        );
    }
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .context("raising the limit of open files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_repetition_goes_backwards() {
        let orders = [1, 2, 3].map(|repetition| order(3, repetition));
        assert_eq!(orders, [[0, 1, 2], [2, 1, 0], [0, 1, 2]]);
    }
}

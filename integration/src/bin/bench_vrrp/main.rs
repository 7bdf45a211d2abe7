//! `make bench-vrrp`: how long a shared address is out when its gateway fails, leaves or comes back: this gateway and
//! keepalived in the same laboratory, one after the other in one run.
//!
//! docs/benchmarks.md tells what is measured and how to read the table.

mod args;
mod candidate;
mod cases;
mod gateway;
mod json;
mod keepalived;
mod progress;
mod results;
mod run;
mod stage;
mod table;

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use args::{Args, Command};
use cases::Case;
use integration::stop;
use integration::vrrp_lab::Lab;
use progress::Progress;
use results::Results;

fn main() -> ExitCode {
    let outcome = Command::parse(std::env::args().skip(1)).and_then(|command| match command {
        Command::Help => {
            print!("{}", args::HELP);
            Ok(true)
        }
        Command::List => {
            Case::ALL.iter().for_each(|case| println!("{:10} {}", case.id(), case.title()));
            Ok(true)
        }
        Command::Run(args) => bench(&args),
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench-vrrp: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all cases, prints the table, writes the JSON; whether all runs went well.
fn bench(args: &Args) -> Result<bool> {
    stop::listen()?;
    Lab::available().map_err(|reason| anyhow!("no laboratory here: {reason}"))?;
    let results = run_all(args)?;
    print!("{}", table::render(&results));
    json::write(&results, args)?;
    println!("\nfigures: {}", args.json.display());
    Ok(results.errors.is_empty())
}

/// Case by case, repetition by repetition, peer by peer: neighbours in time are compared. Every second repetition
/// turns the order round.
fn run_all(args: &Args) -> Result<Results> {
    let candidates =
        args.peers.iter().map(|peer| candidate::of(*peer)).collect::<Result<Vec<_>>>()?;
    let versions = candidates.iter().map(|candidate| candidate.version()).collect();
    let mut results = Results::new(args.peers.clone(), versions);
    let mut progress = Progress::new(args);
    for case in &args.cases {
        let repetitions = args.repetitions(*case);
        for repetition in 1..=repetitions {
            let mut order: Vec<_> = args.peers.iter().zip(&candidates).collect();
            if repetition % 2 == 0 {
                order.reverse();
            }
            for (peer, candidate) in order {
                progress.step(*case, *peer, (repetition, repetitions));
                let outcome = run::one(*case, candidate.as_ref());
                stop::check()?;
                if let Err(error) = &outcome {
                    progress.say(&format!("{} {}: {error:#}", case.id(), peer.name()));
                }
                results.add(*case, *peer, repetition, outcome);
                progress.done(*case);
            }
        }
    }
    progress.finish();
    Ok(results)
}

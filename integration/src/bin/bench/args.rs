//! The command line.

use crate::cases::{self, Case, Kind};
use crate::console;
use crate::peers::Peer;
use crate::run::Scale;
use anyhow::{Context, Result, bail};
use integration::benchmark;
use std::path::PathBuf;
use std::time::Duration;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Measures the gateway, HAProxy, nginx and no proxy side by side. See docs/benchmarks.md.

usage: bench [OPTIONS]
       bench console [--sessions N] [--rounds N] [--window SECONDS] [--rate N] [--json FILE]

  --repetitions N   runs of each case against each peer (default 3; 9 where latency is judged)
  --quick           one short repetition with fewer idle sessions: a look, not a measurement
  --window SECONDS  length of a measuring window (default 1.4)
  --only CASE       only cases whose name contains CASE; may be repeated or a list a,b;
                    `--only tls` are all cases over TLS
  --peers LIST      of gateway,haproxy,nginx,direct (default: all)
  --json FILE       where the figures go (default target/bench.json)
  --list            the names of the cases
";

/// Repetitions of a case, unless the command line says otherwise. The tail of a latency, read while client, broker and
/// proxy compete for the same cores, swings between runs far more than the rest does.
const REPETITIONS: usize = 3;
const REPETITIONS_OF_LATENCY: usize = 9;

/// What to do.
pub(crate) struct Args {
    repetitions: Option<usize>,
    pub(crate) scale: Scale,
    pub(crate) cases: Vec<Case>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) json: PathBuf,
}

/// What the command line asks for.
pub(crate) enum Command {
    Help,
    List,
    /// To be the scripted broker.
    Broker,
    /// To measure what consoles cost.
    Console(console::Args),
    Run(Args),
}

impl Command {
    /// Reads the command line without the program's name.
    ///
    /// # Errors
    /// For what is unknown or malformed, with what is possible.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let (mut repetitions, mut quick, mut window) = (None, false, None);
        let (mut only, mut peers) = (Vec::new(), Peer::ALL.to_vec());
        let mut json = PathBuf::from("target/bench.json");
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "broker" => return Ok(Command::Broker),
                "console" => return Ok(Command::Console(console::Args::parse(words)?)),
                "--help" | "-h" => return Ok(Command::Help),
                "--list" => return Ok(Command::List),
                "--quick" => quick = true,
                "--repetitions" => repetitions = Some(benchmark::positive(&value()?)?),
                "--window" => window = Some(seconds(&value()?)?),
                "--only" => only.extend(value()?.split(',').map(str::to_owned)),
                "--peers" => peers = benchmark::peers(&Peer::ALL, &value()?, Peer::name)?,
                "--json" => json = PathBuf::from(value()?),
                _ => bail!("unknown option {word}; --help lists the options"),
            }
        }
        let cases = benchmark::chosen(cases::all(), &only, |case| case.id)?;
        let usual = Duration::from_millis(if quick { 500 } else { 1400 });
        let scale = Scale {
            warm_up: Duration::from_millis(if quick { 200 } else { 500 }),
            window: window.unwrap_or(usual),
            idle_sessions: if quick { 1000 } else { 5000 },
        };
        let repetitions = if quick { repetitions.or(Some(1)) } else { repetitions };
        Ok(Command::Run(Args { repetitions, scale, cases, peers, json }))
    }
}

impl Args {
    /// How often `case` is run against each peer.
    pub(crate) fn repetitions(&self, case: &Case) -> usize {
        let usual = match case.kind {
            Kind::PingPong => REPETITIONS_OF_LATENCY,
            _ => REPETITIONS,
        };
        self.repetitions.unwrap_or(usual)
    }
}

pub(crate) fn seconds(text: &str) -> Result<Duration> {
    let number = text.parse().ok().filter(|number| (0.1..=60.0).contains(number));
    let number: f64 = number.with_context(|| format!("{text} is not 0.1 to 60 seconds"))?;
    Ok(Duration::from_secs_f64(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn only_picks_the_cases_whose_name_contains_the_word() {
        let Ok(Command::Run(args)) = parse("--only connect,idle-vhost --peers direct,haproxy")
        else {
            panic!("a valid command line")
        };
        let ids: Vec<_> = args.cases.iter().map(|case| case.id).collect();
        assert_eq!(ids, ["connect-k16", "connect-k16-vhost", "idle-vhost"]);
        assert_eq!(args.peers, [Peer::Haproxy, Peer::Direct]);
    }

    #[test]
    fn a_word_that_names_no_case_or_peer_or_option_is_refused() {
        for line in ["--only nonsense", "--peers squid", "--fast", "--repetitions 0", "--json"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

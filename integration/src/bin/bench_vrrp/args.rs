//! The command line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use integration::benchmark;

use crate::candidate::Peer;
use crate::cases::Case;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Measures how long an address shared by two gateways is out: this gateway's VRRP and keepalived's, in network
namespaces. Needs root, iproute2 and keepalived. See docs/benchmarks.md.

usage: bench_vrrp [OPTIONS]

  --repetitions N   runs of each case with each peer (default 10; 30 of the silent partition, where chance decides)
  --only CASE       only cases whose name contains CASE; may be repeated or a list a,b
  --peers LIST      of gateway,keepalived (default: both)
  --json FILE       where the figures go (default target/bench-vrrp.json)
  --list            the names of the cases
";

const REPETITIONS: usize = 10;
const REPETITIONS_OF_PARTITION: usize = 30;

/// What to do.
pub(crate) struct Args {
    repetitions: Option<usize>,
    pub(crate) cases: Vec<Case>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) json: PathBuf,
}

/// What the command line asks for.
pub(crate) enum Command {
    Help,
    List,
    Run(Args),
}

impl Command {
    /// Reads the command line without the program's name.
    ///
    /// # Errors
    /// For what is unknown or malformed, with what is possible.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let (mut repetitions, mut only, mut peers) = (None, Vec::new(), Peer::ALL.to_vec());
        let mut json = PathBuf::from("target/bench-vrrp.json");
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--help" | "-h" => return Ok(Self::Help),
                "--list" => return Ok(Self::List),
                "--repetitions" => repetitions = Some(benchmark::positive(&value()?)?),
                "--only" => only.extend(value()?.split(',').map(str::to_owned)),
                "--peers" => peers = benchmark::peers(&Peer::ALL, &value()?, Peer::name)?,
                "--json" => json = PathBuf::from(value()?),
                _ => bail!("unknown option {word}; --help lists the options"),
            }
        }
        Ok(Self::Run(Args {
            repetitions,
            cases: benchmark::chosen(Case::ALL.to_vec(), &only, |case| case.id())?,
            peers,
            json,
        }))
    }
}

impl Args {
    /// How often `case` is run with each peer.
    pub(crate) fn repetitions(&self, case: Case) -> usize {
        let usual = if case == Case::Partition { REPETITIONS_OF_PARTITION } else { REPETITIONS };
        self.repetitions.unwrap_or(usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn only_picks_the_cases_whose_name_contains_the_word() {
        let Ok(Command::Run(args)) = parse("--only crash,part --peers keepalived,gateway") else {
            panic!("a valid command line")
        };
        assert_eq!(args.cases, [Case::Crash, Case::Partition]);
        assert_eq!(args.peers, [Peer::Gateway, Peer::Keepalived]);
        assert_eq!((args.repetitions(Case::Crash), args.repetitions(Case::Partition)), (10, 30));
    }

    #[test]
    fn a_word_that_names_no_case_or_peer_or_option_is_refused() {
        for line in ["--only nonsense", "--peers ucarp", "--fast", "--repetitions 0", "--json"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

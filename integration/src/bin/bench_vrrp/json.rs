//! The figures for programs.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::cases::{Case, Figure};
use crate::results::{Results, Summary};
use crate::table;

/// Writes all figures to the file that `--json` names.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(results: &Results, args: &Args) -> Result<()> {
    let text = serde_json::to_string_pretty(&document(results, args))?;
    if let Some(parent) = args.json.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&args.json, text + "\n")
        .with_context(|| format!("writing {}", args.json.display()))
}

fn document(results: &Results, args: &Args) -> Value {
    let versions = results.peers.iter().zip(&results.versions);
    let versions = versions.map(|(peer, text)| (peer.name().to_owned(), json!(text)));
    let cases = results
        .cases()
        .into_iter()
        .map(|case| (case.id().to_owned(), of_case(results, case, args)));
    let errors = results.errors.iter().map(|(case, peer, repetition, error)| {
        json!({"case": case.id(), "peer": peer.name(), "repetition": repetition, "error": error})
    });
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    json!({
        "machine": {
            "processors": std::thread::available_parallelism().map_or(0, usize::from),
            "kernel": read("/proc/sys/kernel/osrelease").trim(),
            "load_average": read("/proc/loadavg").trim(),
        },
        "versions": versions.collect::<Map<_, _>>(),
        "vrrp": {"version": 3, "interval_ms": 100, "priorities": [100, 90]},
        "probe_interval_ms": 5,
        "cases": cases.collect::<Map<_, _>>(),
        "errors": errors.collect::<Vec<_>>(),
    })
}

fn of_case(results: &Results, case: Case, args: &Args) -> Value {
    let figures = case.rows().iter().map(|(figure, _, judged)| {
        (figure.key().to_owned(), of_figure(results, case, *figure, *judged))
    });
    let figures = figures.collect::<Map<_, _>>();
    json!({"title": case.title(), "repetitions": args.repetitions(case), "figures": figures})
}

fn of_figure(results: &Results, case: Case, figure: Figure, judged: bool) -> Value {
    let mut peers = Map::new();
    for peer in &results.peers {
        if let Some(summary) = results.summary(case, figure, *peer) {
            peers.insert(peer.name().to_owned(), of_summary(&summary));
        }
    }
    let verdict = results.verdict(case, figure).filter(|_| judged);
    json!({"peers": peers, "verdict": verdict.map(|verdict| table::word(verdict).to_lowercase())})
}

fn of_summary(summary: &Summary) -> Value {
    let Summary { least, median, most, mean, values } = summary;
    json!({"least": least, "median": median, "most": most, "mean": mean, "values": values})
}

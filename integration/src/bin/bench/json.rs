//! The figures for programs.

use crate::args::Args;
use crate::cases::{Case, Figure, Target};
use crate::peers::Peer;
use crate::results::{Results, Summary, Verdict};
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// Writes all figures to the file that `--json` names.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(results: &Results, versions: &[(Peer, String)], args: &Args) -> Result<()> {
    let document = document(results, versions, args);
    let text = serde_json::to_string_pretty(&document)?;
    if let Some(parent) = args.json.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&args.json, text + "\n")
        .with_context(|| format!("writing {}", args.json.display()))
}

fn document(results: &Results, versions: &[(Peer, String)], args: &Args) -> Value {
    let versions = versions.iter().map(|(peer, text)| (peer.name().to_owned(), json!(text)));
    let cases = results.cases.iter().map(|case| (case.id.to_owned(), of_case(results, case, args)));
    let errors = results.errors().into_iter().map(|(case, peer, repetition, error)| {
        json!({"case": case, "peer": peer.name(), "repetition": repetition, "error": error})
    });
    json!({
        "machine": machine(),
        "versions": versions.collect::<Map<_, _>>(),
        "warm_up_s": args.scale.warm_up.as_secs_f64(),
        "window_s": args.scale.window.as_secs_f64(),
        "idle_sessions": args.scale.idle_sessions,
        "cases": cases.collect::<Map<_, _>>(),
        "errors": errors.collect::<Vec<_>>(),
    })
}

fn machine() -> Value {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    json!({
        "processors": std::thread::available_parallelism().map_or(0, usize::from),
        "model": model.map(|model| model.trim_start_matches([' ', '\t', ':'])),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load_average": read("/proc/loadavg").trim(),
    })
}

fn of_case(results: &Results, case: &Case, args: &Args) -> Value {
    let rows = case
        .rows()
        .iter()
        .map(|(figure, _)| (figure.key().to_owned(), of_figure(results, case, *figure)));
    let (repetitions, figures) = (args.repetitions(case), rows.collect::<Map<_, _>>());
    json!({"title": case.title, "repetitions": repetitions, "figures": figures})
}

fn of_figure(results: &Results, case: &Case, figure: Figure) -> Value {
    let mut peers = Map::new();
    for peer in &results.peers {
        if let Some(summary) = results.summary(case, figure, *peer) {
            peers.insert(peer.name().to_owned(), of_summary(&summary));
        }
    }
    let verdict = results.verdict(case, figure).map(|verdict| match verdict {
        Verdict::Met => "met",
        Verdict::MetBarely => "met by the median only",
        Verdict::Missed => "missed",
    });
    let target = case.target(figure).map(|target| match target {
        Target::Ratio(most) => json!({"most_times_haproxy": most}),
        Target::Value(most) => json!({"most": most}),
    });
    let ratio = results.ratio(case, figure).map(|ratio| of_summary(&ratio));
    json!({
        "peers": peers,
        "gateway_to_haproxy": ratio,
        "target": target,
        "goal_times_haproxy": case.goal(figure),
        "verdict": verdict,
    })
}

fn of_summary(summary: &Summary) -> Value {
    json!({
        "median": summary.median,
        "least": summary.least,
        "most": summary.most,
        "values": summary.values,
    })
}

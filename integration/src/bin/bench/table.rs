//! The table for people.

use crate::cases::{Case, Figure, Target};
use crate::peers::Peer;
use crate::results::{Results, Summary, Verdict};
use integration::benchmark::align;

/// The table with what went wrong below it; ends with a newline.
pub(crate) fn render(results: &Results, versions: &[(Peer, String)]) -> String {
    let mut rows = vec![head(results)];
    for case in &results.cases {
        for (index, (figure, name)) in case.rows().iter().enumerate() {
            let title = if index == 0 { case.title } else { "" };
            rows.push(row(results, case, title, *figure, name));
        }
    }
    let mut text = String::new();
    for (peer, version) in versions.iter().filter(|(_, version)| !version.is_empty()) {
        text += &format!("{}: {version}\n", peer.name());
    }
    text += "\n";
    text += &align(&rows);
    text +=
        "\nmedian ±half the range in per cent; ratio: median (range) of the repetitions' ratios;\n";
    text += "ok: in every repetition, ok?: by the median only\n";
    for (case, peer, repetition, error) in results.errors() {
        text += &format!("ERROR {case}, {}, repetition {repetition}: {error}\n", peer.name());
    }
    text
}

fn head(results: &Results) -> Vec<String> {
    let mut row = vec!["case".to_owned(), "figure".to_owned()];
    row.extend(results.peers.iter().map(|peer| peer.name().to_owned()));
    row.extend(["gateway/haproxy", "target", ""].map(str::to_owned));
    row
}

fn row(results: &Results, case: &Case, title: &str, figure: Figure, name: &str) -> Vec<String> {
    let mut row = vec![title.to_owned(), name.to_owned()];
    for peer in &results.peers {
        row.push(match results.summary(case, figure, *peer) {
            Some(summary) => cell(&summary),
            None if results.failed(case, *peer) => "error".to_owned(),
            None => "-".to_owned(),
        });
    }
    row.push(results.ratio(case, figure).map_or_else(String::new, |ratio| ratio_cell(&ratio)));
    row.push(target_cell(case, figure));
    row.push(verdict(results, case, figure).to_owned());
    row
}

fn target_cell(case: &Case, figure: Figure) -> String {
    let target = match case.target(figure) {
        Some(Target::Ratio(target)) => format!("<= {target}x"),
        Some(Target::Value(target)) => format!("<= {target}"),
        None => return String::new(),
    };
    case.goal(figure).map_or_else(|| target.clone(), |goal| format!("{target}, goal {goal}x"))
}

fn verdict(results: &Results, case: &Case, figure: Figure) -> &'static str {
    match results.verdict(case, figure) {
        Some(Verdict::Met) => "ok",
        Some(Verdict::MetBarely) => "ok?",
        Some(Verdict::Missed) => "MISSED",
        None if case.target(figure).is_some() && results.peers.contains(&Peer::Gateway) => "?",
        None => "",
    }
}

fn cell(summary: &Summary) -> String {
    let value = number(summary.median);
    if summary.values.len() < 2 || summary.median == 0.0 {
        return value;
    }
    let half = (summary.most - summary.least) / 2.0 / summary.median.abs() * 100.0;
    format!("{value} ±{half:.0}%")
}

fn ratio_cell(ratio: &Summary) -> String {
    if ratio.values.len() < 2 {
        return format!("{:.2}", ratio.median);
    }
    format!("{:.2} ({:.2}-{:.2})", ratio.median, ratio.least, ratio.most)
}

/// Three significant digits, but never fewer than the whole number.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;
    use crate::run::Figures;

    #[test]
    fn a_missed_target_and_a_failed_run_are_marked() {
        let cases = cases::all();
        let mut results = Results::new(cases[..2].to_vec(), Peer::ALL.to_vec());
        let cpu = |value| Ok(Figures::from([(Figure::Cpu, value)]));
        results.add(&cases[0], Peer::Gateway, cpu(2.0));
        results.add(&cases[0], Peer::Haproxy, cpu(1.0));
        results.add(&cases[1], Peer::Gateway, Err(anyhow::anyhow!("lost a message")));
        results.add(&cases[1], Peer::Haproxy, cpu(1.0));
        let text = render(&results, &[]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[2].ends_with("2.00  <= 1.15x  MISSED"), "{text}");
        assert!(lines[5].contains("error") && lines[5].ends_with('?'), "{text}");
        assert!(text.contains("ERROR publish-16b-c50, gateway, repetition 1: lost a message"));
    }
}

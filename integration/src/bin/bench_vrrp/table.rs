//! The table for people.

use integration::benchmark::align;

use crate::cases::{Case, Figure};
use crate::results::{Results, Summary, Verdict};

/// The table with what went wrong below it; ends with a newline.
pub(crate) fn render(results: &Results) -> String {
    let mut head = vec!["case".to_owned(), "figure".to_owned(), "runs".to_owned()];
    head.extend(results.peers.iter().map(|peer| peer.name().to_owned()));
    head.push(String::new());
    let mut rows = vec![head];
    for case in results.cases() {
        for (index, (figure, name, judged)) in case.rows().iter().enumerate() {
            let title = if index == 0 { case.title() } else { "" };
            rows.push(row(results, case, title, (*figure, name, *judged)));
        }
    }
    let mut text = String::new();
    for (peer, version) in results.peers.iter().zip(&results.versions) {
        text += &format!("{}: {version}\n", peer.name());
    }
    text += "VRRP version 3, 100 ms, priorities 100 and 90, multicast; a datagram every 5 ms\n\n";
    text += &align(&rows);
    text += "\nleast / median / most over the runs; black holes: more than 500 ms without an answer after the rejoin\n\
             ahead, behind: of the runs as a whole or of the worst, by more than chance explains; even: neither\n";
    for (case, peer, repetition, error) in &results.errors {
        text +=
            &format!("ERROR {}, {}, repetition {repetition}: {error}\n", case.id(), peer.name());
    }
    text
}

fn row(
    results: &Results,
    case: Case,
    title: &str,
    (figure, name, judged): (Figure, &str, bool),
) -> Vec<String> {
    let summaries: Vec<Option<Summary>> =
        results.peers.iter().map(|peer| results.summary(case, figure, *peer)).collect();
    let runs = summaries.iter().flatten().map(|summary| summary.values.len()).min();
    let mut row = vec![
        title.to_owned(),
        name.to_owned(),
        runs.map_or_else(String::new, |runs| runs.to_string()),
    ];
    for (peer, summary) in results.peers.iter().zip(&summaries) {
        let failed = results.errors.iter().any(|error| (error.0, error.1) == (case, *peer));
        row.push(match summary {
            Some(summary) => cell(figure, summary),
            None if failed => "error".to_owned(),
            None => "-".to_owned(),
        });
    }
    let verdict = if judged { results.verdict(case, figure) } else { None };
    row.push(verdict.map_or_else(String::new, |verdict| word(verdict).to_owned()));
    row
}

/// How a verdict is called.
pub(crate) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ahead => "ahead",
        Verdict::Even => "even",
        Verdict::Mixed => "mixed",
        Verdict::Behind => "BEHIND",
    }
}

fn cell(figure: Figure, summary: &Summary) -> String {
    if figure == Figure::BlackHoles {
        let runs = summary.values.len();
        let black = summary.values.iter().filter(|value| **value > 0.0).count();
        return format!("{:.0} ({black} of {runs})", summary.mean);
    }
    format!("{:.0} / {:.0} / {:.0}", summary.least, summary.median, summary.most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::Peer;
    use crate::run::Figures;

    #[test]
    fn a_row_shows_both_sides_and_the_verdict_and_an_error_is_marked() {
        let mut results = Results::new(Peer::ALL.to_vec(), vec!["1".to_owned(), "2".to_owned()]);
        for (peer, outage) in [(Peer::Gateway, 40.0), (Peer::Keepalived, 301.0)] {
            results.add(Case::Crash, peer, 1, Ok(Figures::from([(Figure::Outage, outage)])));
        }
        results.add(
            Case::Goodbye,
            Peer::Keepalived,
            1,
            Ok(Figures::from([(Figure::Outage, 66.0)])),
        );
        results.add(Case::Goodbye, Peer::Gateway, 1, Err(anyhow::anyhow!("stayed")));
        let text = render(&results);
        assert!(text.contains("40 / 40 / 40  301 / 301 / 301  ahead"), "{text}");
        assert!(text.contains("error     66 / 66 / 66"), "{text}");
        assert!(text.contains("ERROR goodbye, gateway, repetition 1: stayed"), "{text}");
    }
}

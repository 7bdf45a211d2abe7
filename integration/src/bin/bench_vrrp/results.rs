//! The figures of all runs, and how the gateway did beside keepalived.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::candidate::Peer;
use crate::cases::{Case, Figure};
use crate::run::Figures;

/// A difference of this many milliseconds means nothing: the client asks every five.
const RESOLUTION_MS: f64 = 5.0;
/// What chance alone makes of a single run: an event may come right before an advertisement or right after one.
const INTERVAL_MS: f64 = 100.0;
/// The rank sum of one side is this many standard deviations away from what chance gives: once in twenty.
const SIGNIFICANT: f64 = 1.96;

/// All runs.
pub(crate) struct Results {
    pub(crate) peers: Vec<Peer>,
    pub(crate) versions: Vec<String>,
    pub(crate) errors: Vec<(Case, Peer, usize, String)>,
    runs: BTreeMap<(Case, Peer), Vec<Figures>>,
}

/// The values of a figure over the runs that have it, in their order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
    pub(crate) mean: f64,
    pub(crate) values: Vec<f64>,
}

/// How the gateway did beside keepalived. Runs as a whole are compared by the test of Wilcoxon, Mann and Whitney; the
/// worst runs by whether they are further apart than chance explains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// The runs as a whole are better, or the worst one is, and neither is worse.
    Ahead,
    /// No difference that chance does not explain.
    Even,
    /// One is better, the other one is worse.
    Mixed,
    Behind,
}

impl Results {
    /// Nothing measured yet.
    pub(crate) fn new(peers: Vec<Peer>, versions: Vec<String>) -> Self {
        Self { peers, versions, errors: Vec::new(), runs: BTreeMap::new() }
    }

    /// Adds a run.
    pub(crate) fn add(
        &mut self,
        case: Case,
        peer: Peer,
        repetition: usize,
        outcome: Result<Figures>,
    ) {
        match outcome {
            Ok(figures) => self.runs.entry((case, peer)).or_default().push(figures),
            Err(error) => self.errors.push((case, peer, repetition, format!("{error:#}"))),
        }
    }

    /// The cases of which there is a run.
    pub(crate) fn cases(&self) -> Vec<Case> {
        let ran =
            |case: &Case| self.peers.iter().any(|peer| self.runs.contains_key(&(*case, *peer)));
        Case::ALL.into_iter().filter(ran).collect()
    }

    /// A figure over all runs; none when no run has it.
    pub(crate) fn summary(&self, case: Case, figure: Figure, peer: Peer) -> Option<Summary> {
        let runs = self.runs.get(&(case, peer))?;
        summarize(runs.iter().filter_map(|figures| figures.get(&figure).copied()).collect())
    }

    /// How the gateway did in a figure of which less is better; none unless both have it.
    pub(crate) fn verdict(&self, case: Case, figure: Figure) -> Option<Verdict> {
        let gateway = self.summary(case, figure, Peer::Gateway)?;
        let keepalived = self.summary(case, figure, Peer::Keepalived)?;
        Some(compare(figure, &gateway, &keepalived))
    }
}

fn compare(figure: Figure, gateway: &Summary, keepalived: &Summary) -> Verdict {
    let all = tendency(&gateway.values, &keepalived.values);
    let worst = gateway.most - keepalived.most;
    // Of black holes the worst run says only whether there was one.
    let judged = figure != Figure::BlackHoles;
    let better = all < -SIGNIFICANT || (judged && worst < -INTERVAL_MS);
    let worse = all > SIGNIFICANT || (judged && worst > INTERVAL_MS);
    match (better, worse) {
        (true, false) => Verdict::Ahead,
        (false, false) => Verdict::Even,
        (true, true) => Verdict::Mixed,
        (false, true) => Verdict::Behind,
    }
}

/// By how many standard deviations the values of `one` are larger than those of `other`, by their ranks: values of
/// the same step of the probe share one.
fn tendency(one: &[f64], other: &[f64]) -> f64 {
    let step = |value: &f64| (value / RESOLUTION_MS).floor();
    let (one, other): (Vec<f64>, Vec<f64>) =
        (one.iter().map(step).collect(), other.iter().map(step).collect());
    let all = [&one[..], &other[..]].concat();
    let wins = |value: &f64| {
        other
            .iter()
            .map(|against| {
                if value > against {
                    1.0
                } else if value < against {
                    0.0
                } else {
                    0.5
                }
            })
            .sum::<f64>()
    };
    let won: f64 = one.iter().map(wins).sum();
    let (m, n, total) = (one.len() as f64, other.len() as f64, all.len() as f64);
    // Each value counts its own tie group once, so that a group of t adds t * (t^2 - 1).
    let ties: f64 = all
        .iter()
        .map(|value| all.iter().filter(|same| *same == value).count() as f64)
        .map(|size| size * size - 1.0)
        .sum();
    let variance = m * n / 12.0 * ((total + 1.0) - ties / (total * (total - 1.0)));
    if variance > 0.0 { (won - m * n / 2.0) / variance.sqrt() } else { 0.0 }
}

fn summarize(values: Vec<f64>) -> Option<Summary> {
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let (least, most) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let odd = sorted.len() % 2 == 1;
    let median =
        if odd { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    Some(Summary { least, median, most, mean, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(figure: Figure, gateway: &[f64], keepalived: &[f64]) -> Verdict {
        let mut results = Results::new(Peer::ALL.to_vec(), Vec::new());
        for (peer, values) in [(Peer::Gateway, gateway), (Peer::Keepalived, keepalived)] {
            for value in values {
                results.add(Case::Crash, peer, 1, Ok(Figures::from([(figure, *value)])));
            }
        }
        results.verdict(Case::Crash, figure).expect("both were measured")
    }

    #[test]
    fn what_chance_explains_is_even_and_what_it_does_not_is_ahead_or_behind() {
        let keepalived = [275.0, 290.0, 300.0, 310.0, 324.0, 330.0, 340.0, 350.0, 360.0, 375.0];
        let outage = |gateway: &[f64]| verdict(Figure::Outage, gateway, &keepalived);
        assert_eq!(outage(&keepalived.map(|value| value + 12.0)), Verdict::Even);
        assert_eq!(outage(&keepalived.map(|value| value - 250.0)), Verdict::Ahead);
        assert_eq!(outage(&keepalived.map(|value| value + 60.0)), Verdict::Behind);
        let mut one_is_late = keepalived.map(|value| value - 250.0);
        one_is_late[3] = 900.0;
        assert_eq!(outage(&one_is_late), Verdict::Mixed);
        assert_eq!(
            verdict(Figure::Outage, &[0.0; 10], &[4.0; 10]),
            Verdict::Even,
            "below the resolution"
        );
        assert_eq!(
            verdict(Figure::Outage, &[0.0; 9], &[0.0, 0.0, 3400.0]),
            Verdict::Ahead,
            "the worst run"
        );
    }

    #[test]
    fn a_rank_test_gives_the_value_of_the_textbook() {
        // Without ties: U = 9 of 25, variance 5 * 5 * 11 / 12.
        let (one, other) = ([10.0, 30.0, 50.0, 60.0, 90.0], [20.0, 40.0, 70.0, 80.0, 100.0]);
        let expected = (9.0 - 12.5) / (25.0_f64 * 11.0 / 12.0).sqrt();
        assert!((tendency(&one, &other) - expected).abs() < 1e-9);
    }

    #[test]
    fn black_holes_are_ahead_only_with_enough_runs() {
        let some = |black: usize, of: usize| [vec![100.0; black], vec![0.0; of - black]].concat();
        assert_eq!(verdict(Figure::BlackHoles, &some(0, 30), &some(8, 30)), Verdict::Ahead);
        assert_eq!(verdict(Figure::BlackHoles, &some(0, 3), &some(1, 3)), Verdict::Even);
        assert_eq!(verdict(Figure::BlackHoles, &some(8, 30), &some(0, 30)), Verdict::Behind);
    }
}

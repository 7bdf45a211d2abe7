//! The figures of all runs, and how the gateway did beside keepalived.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::candidate::Peer;
use crate::cases::{Case, Figure};
use crate::run::Figures;

/// A difference of this many milliseconds means nothing: the client asks every five.
const RESOLUTION_MS: f64 = 5.0;

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

/// How the gateway did beside keepalived.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Median and worst are better, or one of them is and the other one is alike.
    Ahead,
    /// Neither median nor worst differs by more than can be seen.
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
    if figure == Figure::BlackHoles {
        return judge(gateway.mean - keepalived.mean, 0.0, 0.0);
    }
    judge(gateway.median - keepalived.median, gateway.most - keepalived.most, RESOLUTION_MS)
}

fn judge(median: f64, worst: f64, resolution: f64) -> Verdict {
    let (better, worse) = (|value: f64| value < -resolution, |value: f64| value > resolution);
    match (better(median) || better(worst), worse(median) || worse(worst)) {
        (true, false) => Verdict::Ahead,
        (false, false) => Verdict::Even,
        (true, true) => Verdict::Mixed,
        (false, true) => Verdict::Behind,
    }
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
    fn the_verdict_looks_at_the_median_and_at_the_worst_run() {
        let outage = |gateway: &[f64]| verdict(Figure::Outage, gateway, &[60.0, 300.0, 310.0]);
        assert_eq!(outage(&[50.0, 60.0, 70.0]), Verdict::Ahead);
        assert_eq!(outage(&[50.0, 60.0, 312.0]), Verdict::Ahead);
        assert_eq!(outage(&[50.0, 60.0, 900.0]), Verdict::Mixed);
        assert_eq!(outage(&[60.0, 303.0, 308.0]), Verdict::Even);
        assert_eq!(outage(&[60.0, 306.0, 310.0]), Verdict::Behind);
    }

    #[test]
    fn black_holes_are_counted_over_all_runs() {
        assert_eq!(
            verdict(Figure::BlackHoles, &[0.0, 0.0, 0.0], &[0.0, 0.0, 100.0]),
            Verdict::Ahead
        );
        assert_eq!(
            verdict(Figure::BlackHoles, &[0.0, 100.0, 0.0], &[0.0, 0.0, 0.0]),
            Verdict::Behind
        );
    }
}

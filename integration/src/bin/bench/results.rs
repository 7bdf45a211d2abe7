//! The figures of all runs, and what follows from them: medians, spreads, ratios, verdicts.

use crate::cases::{Case, Figure, Target};
use crate::peers::Peer;
use crate::run::Figures;
use anyhow::Result;
use std::collections::BTreeMap;

/// All runs by case and peer, in the order of the repetitions.
pub(crate) struct Results {
    pub(crate) cases: Vec<Case>,
    pub(crate) peers: Vec<Peer>,
    runs: BTreeMap<(&'static str, Peer), Vec<Result<Figures, String>>>,
}

/// The values of one figure of one peer over the repetitions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) values: Vec<f64>,
}

/// How the gateway did against its target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// In every repetition.
    Met,
    /// By the median, but not in every repetition.
    MetBarely,
    Missed,
}

impl Results {
    /// Nothing measured yet.
    pub(crate) fn new(cases: Vec<Case>, peers: Vec<Peer>) -> Self {
        Self { cases, peers, runs: BTreeMap::new() }
    }

    /// Adds the next repetition of a case against a peer.
    pub(crate) fn add(&mut self, case: &Case, peer: Peer, outcome: Result<Figures>) {
        let outcome = outcome.map_err(|error| format!("{error:#}"));
        self.runs.entry((case.id, peer)).or_default().push(outcome);
    }

    /// What went wrong: case, peer, repetition from 1, reason.
    pub(crate) fn errors(&self) -> Vec<(&'static str, Peer, usize, &str)> {
        let mut errors = Vec::new();
        for ((case, peer), runs) in &self.runs {
            for (index, run) in runs.iter().enumerate() {
                if let Err(error) = run {
                    errors.push((*case, *peer, index + 1, error.as_str()));
                }
            }
        }
        errors
    }

    /// A figure over the repetitions; none if there is none or any repetition failed.
    pub(crate) fn summary(&self, case: &Case, figure: Figure, peer: Peer) -> Option<Summary> {
        let runs = self.runs.get(&(case.id, peer))?.len();
        summarize((0..runs).map(|index| self.value(case, figure, peer, index)).collect())
    }

    /// Whether a repetition of the case against the peer failed.
    pub(crate) fn failed(&self, case: &Case, peer: Peer) -> bool {
        self.runs.get(&(case.id, peer)).is_some_and(|runs| runs.iter().any(Result::is_err))
    }

    /// The gateway's figure divided by HAProxy's, repetition by repetition: the two were measured
    /// one right after the other, so what disturbs the machine for longer cancels out.
    pub(crate) fn ratio(&self, case: &Case, figure: Figure) -> Option<Summary> {
        let gateway = self.summary(case, figure, Peer::Gateway)?;
        let haproxy = self.summary(case, figure, Peer::Haproxy)?;
        if haproxy.values.iter().any(|value| *value <= 0.0) {
            return None;
        }
        let pairs = gateway.values.iter().zip(&haproxy.values);
        summarize(pairs.map(|(one, other)| Some(one / other)).collect())
    }

    /// How the gateway did in a figure that has a target.
    pub(crate) fn verdict(&self, case: &Case, figure: Figure) -> Option<Verdict> {
        let (reached, target) = match case.target(figure)? {
            Target::Ratio(target) => (self.ratio(case, figure)?, target),
            Target::Value(target) => (self.summary(case, figure, Peer::Gateway)?, target),
        };
        Some(if reached.median > target {
            Verdict::Missed
        } else if reached.most > target {
            Verdict::MetBarely
        } else {
            Verdict::Met
        })
    }

    fn value(&self, case: &Case, figure: Figure, peer: Peer, index: usize) -> Option<f64> {
        let less = match figure {
            Figure::AddedP50 => Figure::P50,
            Figure::AddedP99 => Figure::P99,
            _ => return self.figure(case, figure, peer, index),
        };
        if peer == Peer::Direct {
            return None;
        }
        let direct = self.figure(case, less, Peer::Direct, index)?;
        Some(self.figure(case, less, peer, index)? - direct)
    }

    fn figure(&self, case: &Case, figure: Figure, peer: Peer, index: usize) -> Option<f64> {
        let run = self.runs.get(&(case.id, peer))?.get(index)?;
        run.as_ref().ok()?.get(&figure).copied()
    }
}

/// None unless every repetition has a value.
fn summarize(values: Vec<Option<f64>>) -> Option<Summary> {
    let values: Vec<f64> = values.into_iter().collect::<Option<_>>()?;
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let (least, most) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    };
    Some(Summary { median, least, most, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;

    fn results(gateway: &[f64], haproxy: &[f64]) -> (Results, Case) {
        let case = cases::all().remove(0);
        let mut results = Results::new(vec![case.clone()], Peer::ALL.to_vec());
        for (peer, values) in [(Peer::Gateway, gateway), (Peer::Haproxy, haproxy)] {
            for value in values {
                results.add(&case, peer, Ok(Figures::from([(Figure::Cpu, *value)])));
            }
        }
        (results, case)
    }

    #[test]
    fn the_verdict_tells_a_target_met_always_from_one_met_by_the_median_only() {
        let verdicts = [[1.0, 1.1, 1.1], [1.0, 1.1, 1.2], [1.0, 1.2, 1.2]].map(|gateway| {
            let (results, case) = results(&gateway, &[1.0, 1.0, 1.0]);
            results.verdict(&case, Figure::Cpu)
        });
        let expected = [Verdict::Met, Verdict::MetBarely, Verdict::Missed];
        assert_eq!(verdicts, expected.map(Some));
    }

    #[test]
    fn a_machine_that_slows_down_for_all_leaves_the_ratio_alone() {
        let (results, case) = results(&[1.0, 4.0, 2.0], &[2.0, 8.0, 4.0]);
        let ratio = results.ratio(&case, Figure::Cpu).expect("both were measured");
        assert_eq!((ratio.least, ratio.median, ratio.most), (0.5, 0.5, 0.5));
    }

    #[test]
    fn a_failed_repetition_leaves_no_figure() {
        let (mut results, case) = results(&[1.0, 1.0], &[1.0, 1.0]);
        results.add(&case, Peer::Gateway, Err(anyhow::anyhow!("lost a message")));
        assert_eq!(results.summary(&case, Figure::Cpu, Peer::Gateway), None);
        assert_eq!(results.verdict(&case, Figure::Cpu), None);
        assert_eq!(results.errors(), [(case.id, Peer::Gateway, 3, "lost a message")]);
    }
}

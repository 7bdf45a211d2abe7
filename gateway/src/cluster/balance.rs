//! Which of several nodes takes a new session. Pure: randomness and turn come in as arguments.

use std::num::NonZeroU32;

use crate::config::model::Strategy;

/// A node that could take a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its place in the cluster.
    pub index: usize,
    /// Its share relative to the others.
    pub weight: NonZeroU32,
    /// Its live sessions.
    pub sessions: usize,
}

/// Picks a candidate; `None` if there is none. `turn` grows by one at each pick; `random` is any number.
#[must_use]
pub fn pick(
    strategy: Strategy,
    candidates: &[Candidate],
    turn: usize,
    random: u64,
) -> Option<usize> {
    match strategy {
        Strategy::RoundRobin => by_share(candidates, turn as u64),
        Strategy::LeastConnections => least(candidates, turn),
        Strategy::RandomTwo => {
            let first = by_share(candidates, random & u64::from(u32::MAX))?;
            let second = by_share(candidates, random >> 32)?;
            let two: Vec<_> =
                candidates.iter().filter(|c| [first, second].contains(&c.index)).copied().collect();
            least(&two, turn)
        }
        Strategy::SourceHash | Strategy::VhostHash => by_share(candidates, turn as u64),
        Strategy::First => candidates.first().map(|candidate| candidate.index),
    }
}

/// Goes round the candidates, each as many times as its weight.
fn by_share(candidates: &[Candidate], position: u64) -> Option<usize> {
    let total: u64 = candidates.iter().map(|c| u64::from(c.weight.get())).sum();
    let mut at = position.checked_rem(total)?;
    for candidate in candidates {
        let weight = u64::from(candidate.weight.get());
        if at < weight {
            return Some(candidate.index);
        }
        at -= weight;
    }
    None
}

/// The least loaded for its weight; equals take turns.
fn least(candidates: &[Candidate], turn: usize) -> Option<usize> {
    let start = turn.checked_rem(candidates.len())?;
    let (before, after) = candidates.split_at(start);
    let load = |c: &&Candidate| {
        // One more session than now, so that weights count on empty nodes, too. Scaled to compare as integers.
        ((c.sessions as u128 + 1) << 32) / u128::from(c.weight.get())
    };
    after.iter().chain(before).min_by_key(load).map(|c| c.index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, proptest};

    use super::*;

    const STRATEGIES: [Strategy; 3] =
        [Strategy::RoundRobin, Strategy::LeastConnections, Strategy::RandomTwo];

    fn candidate(index: usize, weight: u32, sessions: usize) -> Candidate {
        Candidate { index, weight: NonZeroU32::new(weight).expect("weight"), sessions }
    }

    /// Sessions on each node after `count` picks that all stay.
    fn spread(strategy: Strategy, weights: &[u32], count: usize) -> Vec<usize> {
        let mut nodes: Vec<_> =
            weights.iter().enumerate().map(|(i, &w)| candidate(i, w, 0)).collect();
        let mut random = fastrand::Rng::with_seed(7);
        for turn in 0..count {
            let picked = pick(strategy, &nodes, turn, random.u64(..)).expect("a node");
            nodes[picked].sessions += 1;
        }
        nodes.iter().map(|n| n.sessions).collect()
    }

    #[test]
    fn nobody_is_picked_from_nothing() {
        for strategy in STRATEGIES {
            assert_eq!(pick(strategy, &[], 3, 5), None);
        }
    }

    #[test]
    fn least_connections_prefers_the_emptiest_for_its_weight() {
        let nodes = [candidate(4, 1, 10), candidate(5, 2, 12), candidate(6, 1, 7)];
        assert_eq!(pick(Strategy::LeastConnections, &nodes, 0, 0), Some(5));
    }

    #[test]
    fn sessions_that_come_and_go_at_once_still_take_turns() {
        let nodes = [candidate(0, 1, 0), candidate(1, 1, 0), candidate(2, 1, 0)];
        let picked: Vec<_> =
            (0..3).map(|turn| pick(Strategy::LeastConnections, &nodes, turn, 0)).collect();
        assert_eq!(picked, [Some(0), Some(1), Some(2)]);
    }

    proptest! {
        #[test]
        fn shares_follow_the_weights(weights in prop::collection::vec(1u32..9, 1..7)) {
            let total: u32 = weights.iter().sum();
            let count = 3000;
            for strategy in STRATEGIES {
                let tolerance = match strategy {
                    // Two random picks even out the load, they do not promise exact shares.
                    Strategy::RandomTwo => count / 10,
                    _ => count / 50,
                };
                for (got, weight) in spread(strategy, &weights, count).iter().zip(&weights) {
                    let fair = count * *weight as usize / total as usize;
                    prop_assert!(got.abs_diff(fair) <= tolerance, "{strategy:?} {got} {fair}");
                }
            }
        }

        #[test]
        fn whoever_is_picked_was_a_candidate(
            weights in prop::collection::vec(1u32..u32::MAX, 1..5),
            turn in any::<usize>(),
            random in any::<u64>(),
        ) {
            let nodes: Vec<_> =
                weights.iter().enumerate().map(|(i, &w)| candidate(i * 3, w, i)).collect();
            for strategy in STRATEGIES {
                let picked = pick(strategy, &nodes, turn, random).expect("a node");
                prop_assert!(nodes.iter().any(|n| n.index == picked));
            }
        }
    }
}

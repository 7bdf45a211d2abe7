//! Which of several nodes takes a new session. Pure: randomness and turn come in as arguments.

mod rendezvous;

use std::num::NonZeroU32;

use crate::config::model::Strategy;

/// The ramp of a node that takes its whole share.
pub const FULL: u16 = 1000;

/// A node that could take a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Its place in the cluster.
    pub index: usize,
    /// Its name, by which the hashes go.
    pub name: &'a str,
    /// Its share relative to the others.
    pub weight: NonZeroU32,
    /// How much of its share it may have by now, from 1 to [`FULL`]. Hashes and `first` do not ask for it.
    pub ramp: u16,
    /// Its live sessions.
    pub sessions: usize,
}

/// What is drawn or known for one pick.
#[derive(Debug, Clone, Copy)]
pub struct Draw<'a> {
    /// Grows by one at each pick.
    pub turn: usize,
    /// Any number.
    pub random: u64,
    /// What the hashes go by.
    pub key: &'a [u8],
}

impl Candidate<'_> {
    /// Weight by now: as many times [`FULL`] as the configuration says if the node takes its whole share.
    fn pull(&self) -> u64 {
        u64::from(self.weight.get()) * u64::from(self.ramp.clamp(1, FULL))
    }
}

/// Picks a candidate; `None` if there is none.
#[must_use]
pub fn pick(strategy: Strategy, candidates: &[Candidate<'_>], draw: &Draw<'_>) -> Option<usize> {
    match strategy {
        Strategy::RoundRobin => in_turn(candidates, draw.turn),
        Strategy::LeastConnections => least(candidates, draw.turn),
        Strategy::RandomTwo => {
            let first = by_share(candidates, draw.random << 32)?;
            let second = by_share(candidates, draw.random)?;
            let two: Vec<_> =
                candidates.iter().filter(|c| [first, second].contains(&c.index)).copied().collect();
            least(&two, draw.turn)
        }
        Strategy::SourceHash | Strategy::VhostHash => rendezvous::owner(candidates, draw.key),
        Strategy::First => candidates.first().map(|candidate| candidate.index),
    }
}

/// Goes round the candidates, each as many times as its weight.
fn in_turn(candidates: &[Candidate<'_>], turn: usize) -> Option<usize> {
    if candidates.iter().any(|candidate| candidate.ramp < FULL) {
        // Multiples of the golden ratio lie evenly spread, so that fractions of a weight are met, too.
        return by_share(candidates, (turn as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    let total: u64 = candidates.iter().map(|c| u64::from(c.weight.get())).sum();
    let mut at = (turn as u64).checked_rem(total)?;
    let found = candidates.iter().find(|candidate| {
        let weight = u64::from(candidate.weight.get());
        let here = at < weight;
        at = at.saturating_sub(weight);
        here
    });
    found.map(|candidate| candidate.index)
}

/// The candidate at `position` on a line on which each has a part as long as its weight; the whole line is 2^64 long.
fn by_share(candidates: &[Candidate<'_>], position: u64) -> Option<usize> {
    let total: u128 = candidates.iter().map(|c| u128::from(c.pull())).sum();
    let mut at = (u128::from(position) * total) >> 64;
    for candidate in candidates {
        let pull = u128::from(candidate.pull());
        if at < pull {
            return Some(candidate.index);
        }
        at -= pull;
    }
    None
}

/// The least loaded for its weight; equals take turns.
fn least(candidates: &[Candidate<'_>], turn: usize) -> Option<usize> {
    let start = turn.checked_rem(candidates.len())?;
    let (before, after) = candidates.split_at(start);
    let load = |c: &&Candidate<'_>| {
        // One more session than now, so that weights count on empty nodes, too. Scaled to compare as integers.
        ((c.sessions as u128 + 1) << 48) / u128::from(c.pull())
    };
    after.iter().chain(before).min_by_key(load).map(|c| c.index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, proptest};

    use super::*;

    /// Those that look at weights alone, and not at keys.
    const BY_WEIGHT: [Strategy; 3] =
        [Strategy::RoundRobin, Strategy::LeastConnections, Strategy::RandomTwo];
    const ALL: [Strategy; 6] = [
        Strategy::RoundRobin,
        Strategy::LeastConnections,
        Strategy::RandomTwo,
        Strategy::SourceHash,
        Strategy::VhostHash,
        Strategy::First,
    ];

    fn candidate(index: usize, weight: u32, sessions: usize) -> Candidate<'static> {
        let name = ["a", "b", "c", "d", "e", "f", "g"][index % 7];
        let weight = NonZeroU32::new(weight).expect("weight");
        Candidate { index, name, weight, ramp: FULL, sessions }
    }

    fn draw(turn: usize, random: u64) -> Draw<'static> {
        Draw { turn, random, key: b"key" }
    }

    /// Sessions on each node after `count` picks that all stay.
    fn spread(strategy: Strategy, mut nodes: Vec<Candidate<'_>>, count: usize) -> Vec<usize> {
        let mut random = fastrand::Rng::with_seed(7);
        for turn in 0..count {
            let picked = pick(strategy, &nodes, &draw(turn, random.u64(..))).expect("a node");
            nodes[picked].sessions += 1;
        }
        nodes.iter().map(|n| n.sessions).collect()
    }

    #[test]
    fn nobody_is_picked_from_nothing() {
        for strategy in ALL {
            assert_eq!(pick(strategy, &[], &draw(3, 5)), None);
        }
    }

    #[test]
    fn least_connections_prefers_the_emptiest_for_its_weight() {
        let nodes = [candidate(4, 1, 10), candidate(5, 2, 12), candidate(6, 1, 7)];
        assert_eq!(pick(Strategy::LeastConnections, &nodes, &draw(0, 0)), Some(5));
    }

    #[test]
    fn sessions_that_come_and_go_at_once_still_take_turns() {
        let nodes = [candidate(0, 1, 0), candidate(1, 1, 0), candidate(2, 1, 0)];
        for strategy in [Strategy::LeastConnections, Strategy::RoundRobin] {
            let picked: Vec<_> =
                (0..3).map(|turn| pick(strategy, &nodes, &draw(turn, 0))).collect();
            assert_eq!(picked, [Some(0), Some(1), Some(2)]);
        }
    }

    #[test]
    fn first_is_the_first_however_full() {
        let nodes = [candidate(4, 1, 1000), candidate(5, 9, 0)];
        assert_eq!(pick(Strategy::First, &nodes, &draw(1, 1)), Some(4));
    }

    #[test]
    fn a_node_on_its_way_up_takes_as_much_of_its_share_as_it_may() {
        for strategy in BY_WEIGHT {
            let nodes = vec![candidate(0, 1, 0), Candidate { ramp: 250, ..candidate(1, 1, 0) }];
            let got = spread(strategy, nodes, 1000);
            // A quarter of the other one's share: one of five sessions.
            assert!(got[1].abs_diff(200) <= 20, "{strategy:?} {got:?}");
        }
    }

    proptest! {
        #[test]
        fn shares_follow_the_weights(weights in prop::collection::vec(1u32..9, 1..7)) {
            let total: u32 = weights.iter().sum();
            let count = 3000;
            for strategy in BY_WEIGHT {
                let nodes = weights.iter().enumerate().map(|(i, &w)| candidate(i, w, 0)).collect();
                for (got, weight) in spread(strategy, nodes, count).iter().zip(&weights) {
                    let fair = count * *weight as usize / total as usize;
                    prop_assert!(got.abs_diff(fair) <= count / 20, "{strategy:?} {got} {fair}");
                }
            }
        }

        #[test]
        fn whoever_is_picked_was_a_candidate(
            weights in prop::collection::vec((1u32..u32::MAX, any::<u16>()), 1..5),
            turn in any::<usize>(),
            random in any::<u64>(),
        ) {
            let node = |(i, &(w, ramp))| Candidate { ramp, ..candidate(i, w, i) };
            let mut nodes: Vec<_> = weights.iter().enumerate().map(node).collect();
            nodes.iter_mut().for_each(|node| node.index *= 3);
            for strategy in ALL {
                let picked = pick(strategy, &nodes, &draw(turn, random)).expect("a node");
                prop_assert!(nodes.iter().any(|n| n.index == picked));
            }
        }
    }
}

//! Weighted rendezvous hashing: for each key every candidate has a score of its own, and the highest one has it.
//!
//! So a candidate that is lost gives up its own keys and no others, and a new one takes its share from all alike. Scores
//! hang on the names alone: gateways side by side agree, and so does one that was restarted.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::Candidate;

/// The candidate that has `key`. Equal weights give equal shares of all keys, and double ones double shares.
pub(super) fn owner(candidates: &[Candidate<'_>], key: &[u8]) -> Option<usize> {
    let scored = candidates.iter().map(|candidate| (score(candidate, key), candidate));
    let by_score = |a: &(f64, &Candidate<'_>), b: &(f64, &Candidate<'_>)| {
        // Names break a tie, so that it does not hang on the order.
        a.0.total_cmp(&b.0).then_with(|| a.1.name.cmp(b.1.name))
    };
    scored.max_by(by_score).map(|(_, candidate)| candidate.index)
}

/// Of two exponentially distributed times with rates 1 and 2, the second is the shorter one in two of three cases: the
/// inverse of such a time is the score.
fn score(candidate: &Candidate<'_>, key: &[u8]) -> f64 {
    let mut hasher = SipHasher13::new();
    hasher.write(candidate.name.as_bytes());
    // No name holds this byte: names and keys do not run into each other.
    hasher.write(&[0xff]);
    hasher.write(key);
    f64::from(candidate.weight.get()) / -uniform(hasher.finish()).ln()
}

/// A number in the open interval from 0 to 1, from as many bits as it can hold exactly.
#[allow(clippy::cast_precision_loss)]
fn uniform(hash: u64) -> f64 {
    ((hash >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::num::NonZeroU32;

    use proptest::prelude::{ProptestConfig, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::cluster::balance::FULL;

    const KEYS: u32 = 4000;

    fn candidates<'n>(names: &'n [String], weights: &[u32]) -> Vec<Candidate<'n>> {
        let candidate = |(index, (name, &weight)): (usize, (&'n String, &u32))| Candidate {
            index,
            name,
            weight: NonZeroU32::new(weight).expect("weight"),
            ramp: FULL,
            sessions: 0,
        };
        names.iter().zip(weights).enumerate().map(candidate).collect()
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("rabbit{i}")).collect()
    }

    /// Who has each key, by name.
    fn owners<'n>(candidates: &[Candidate<'n>]) -> Vec<&'n str> {
        let owner = |key: u32| {
            let index = owner(candidates, format!("vhost-{key}").as_bytes()).expect("an owner");
            candidates.iter().find(|c| c.index == index).expect("a candidate").name
        };
        (0..KEYS).map(owner).collect()
    }

    #[test]
    fn the_hash_is_the_same_in_every_version() {
        let names = names(3);
        let candidates = candidates(&names, &[1, 1, 1]);
        let first: Vec<_> = owners(&candidates).into_iter().take(8).collect();
        let pinned = [0, 2, 0, 0, 1, 1, 0, 0].map(|i| &*names[i]);
        assert_eq!(first, pinned);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn shares_follow_the_weights(weights in prop::collection::vec(1u32..9, 1..7)) {
            let names = names(weights.len());
            let mut shares: HashMap<&str, u32> = HashMap::new();
            for owner in owners(&candidates(&names, &weights)) {
                *shares.entry(owner).or_default() += 1;
            }
            let total: u32 = weights.iter().sum();
            for (name, weight) in names.iter().zip(&weights) {
                let (got, fair) = (shares.get(&**name).copied().unwrap_or(0), KEYS * weight / total);
                prop_assert!(got.abs_diff(fair) <= KEYS / 20, "{name}: {got}, not {fair}");
            }
        }

        #[test]
        fn a_node_lost_or_added_moves_only_its_own_share(
            weights in prop::collection::vec(1u32..9, 2..7),
            which in 0usize..7,
        ) {
            let names = names(weights.len());
            let all = candidates(&names, &weights);
            let mut without = all.clone();
            let changed = without.remove(which % weights.len()).name;
            for (before, after) in owners(&all).into_iter().zip(owners(&without)) {
                prop_assert!(before == after || before == changed, "{before} -> {after}");
            }
        }

        #[test]
        fn the_order_of_the_nodes_says_nothing(
            weights in prop::collection::vec(1u32..9, 1..7),
            by in 0usize..7,
        ) {
            let names = names(weights.len());
            let all = candidates(&names, &weights);
            let mut turned = all.clone();
            turned.rotate_left(by % weights.len());
            for (index, candidate) in turned.iter_mut().enumerate() {
                candidate.index = index;
            }
            prop_assert_eq!(owners(&all), owners(&turned));
        }
    }
}

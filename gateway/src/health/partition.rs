//! After a partition: which nodes are on the smaller side. Pure.
//!
//! All checks of a broker pass on both sides of a partition. Only what each node says of the others tells: its own list
//! of `partitions`, and whom it sees running.

use std::collections::HashSet;

/// How one node sees its cluster, by the brokers' own names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// What it calls itself.
    pub name: String,
    /// The nodes it sees running.
    pub running: HashSet<String>,
    /// The nodes from which it knows itself to be parted.
    pub partitions: HashSet<String>,
}

/// Which nodes are in the minority, given how each sees the cluster, in the order of the configuration.
///
/// A node is in the minority if it is parted from another one that answers and whose side is larger: side = the node and
/// whom it sees running. Between equal sides the one wins that holds the earlier node of the configuration. Two nodes are
/// parted if one of them says so and neither sees the other running.
///
/// A node that does not answer (`None`: stopped, hung, or its API is cut off) proves nothing, for nobody may be on its
/// side: it never puts others into the minority, and is not in it. A healthy node that sees it not running does not say
/// that it is parted from it, or finds nobody who answers there.
#[must_use]
pub fn minority(views: &[Option<View>]) -> Vec<bool> {
    let strength = |view: &View| {
        let first = views.iter().position(|other| other.as_ref().is_some_and(|o| view.holds(o)));
        (view.side_size(), std::cmp::Reverse(first))
    };
    let loses = |view: &View| {
        let others = views.iter().flatten().filter(|other| view.is_parted_from(other));
        others.into_iter().any(|other| strength(other) > strength(view))
    };
    views.iter().map(|view| view.as_ref().is_some_and(loses)).collect()
}

impl View {
    /// Is `other` on this node's side?
    fn holds(&self, other: &Self) -> bool {
        self.name == other.name || self.running.contains(&other.name)
    }

    fn side_size(&self) -> usize {
        self.running.len() + usize::from(!self.running.contains(&self.name))
    }

    fn is_parted_from(&self, other: &Self) -> bool {
        let said = self.partitions.contains(&other.name) || other.partitions.contains(&self.name);
        said && !self.holds(other) && !other.holds(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `r1: r1 r2 | r3` = r1 sees itself and r2 running, and says that it is parted from r3.
    fn view(text: &str) -> Option<View> {
        let (name, rest) = text.split_once(':')?;
        let (running, partitions) = rest.split_once('|').unwrap_or((rest, ""));
        let set = |names: &str| names.split_whitespace().map(str::to_owned).collect();
        Some(View { name: name.to_owned(), running: set(running), partitions: set(partitions) })
    }

    fn found(views: [&str; 3]) -> [bool; 3] {
        minority(&views.map(view)).try_into().expect("as many as there are nodes")
    }

    #[test]
    fn the_smaller_side_is_the_minority() {
        // As RabbitMQ 3.10 told it after r3 had been paused for over a minute: r3 alone says so.
        assert_eq!(found(["r1: r1 r2", "r2: r1 r2", "r3: r3 | r1 r2"]), [false, false, true]);
        let both_say_so = ["r1: r1 | r2 r3", "r2: r2 r3 | r1", "r3: r2 r3 | r1"];
        assert_eq!(found(both_say_so), [true, false, false]);
    }

    #[test]
    fn a_member_of_the_larger_side_that_does_not_answer_still_counts_for_it() {
        assert_eq!(found(["-", "r2: r1 r2", "r3: r3 | r1 r2"]), [false, false, true]);
    }

    #[test]
    fn of_equal_sides_the_one_with_the_first_node_stays() {
        assert_eq!(found(["r1: r1 | r2", "r2: r2 | r1", "-"]), [false, true, false]);
        let in_four_parts = ["r1: r1 | r2 r3", "r2: r2 | r1 r3", "r3: r3 | r1 r2"];
        assert_eq!(found(in_four_parts), [false, true, true]);
    }

    #[test]
    fn hung_and_stopped_members_make_nobody_a_minority() {
        assert_eq!(found(["r1: r1 r2 r3", "r2: r1 r2 r3", "-"]), [false; 3], "hung, not noticed");
        assert_eq!(found(["r1: r1 r2", "r2: r1 r2", "-"]), [false; 3], "stopped, or noticed");
        assert_eq!(found(["r1: r1", "-", "-"]), [false; 3], "the only one left");
        assert_eq!(found(["r1: r1 | r2 r3", "-", "-"]), [false; 3], "nobody answers over there");
    }

    #[test]
    fn a_node_that_is_back_ends_the_minority_whatever_old_lists_say() {
        let stale = ["r1: r1 r2 r3 | r3", "r2: r1 r2 r3 | r3", "r3: r1 r2 r3"];
        assert_eq!(found(stale), [false; 3]);
        let halfway = ["r1: r1 r2 | r3", "r2: r1 r2 | r3", "r3: r1 r2 r3"];
        assert_eq!(found(halfway), [false; 3], "r3 has joined, the others have not heard of it");
    }

    fn any_views() -> impl Strategy<Value = Vec<Option<View>>> {
        let names =
            prop::collection::hash_set(prop::sample::select(vec!["r0", "r1", "r2", "r3"]), 0..4);
        let view = prop::option::of((names.clone(), names));
        prop::collection::vec(view, 4).prop_map(|views| {
            let owned = |set: HashSet<&str>| set.into_iter().map(str::to_owned).collect();
            let with_name = |(at, view): (usize, Option<(_, _)>)| {
                view.map(|(running, partitions)| View {
                    name: format!("r{at}"),
                    running: owned(running),
                    partitions: owned(partitions),
                })
            };
            views.into_iter().enumerate().map(with_name).collect()
        })
    }

    proptest! {
        #[test]
        fn whatever_they_say_one_that_answers_stays(views in any_views()) {
            let lost = minority(&views);
            let answering = views.iter().zip(&lost).filter(|(view, _)| view.is_some());
            let (all, kept) = answering.fold((0, 0), |(all, kept), (_, lost)| {
                (all + 1, kept + usize::from(!lost))
            });
            prop_assert!(all == 0 || kept > 0);
        }

        #[test]
        fn without_a_partition_nobody_is_a_minority(mut views in any_views()) {
            views.iter_mut().flatten().for_each(|view| view.partitions.clear());
            prop_assert_eq!(minority(&views), vec![false; views.len()]);
        }
    }
}

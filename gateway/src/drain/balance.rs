//! Which nodes of a cluster have too many sessions. Pure.

/// What a node is to a rebalance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It takes its share.
    Takes,
    /// It shall have none while others can take them: a backup.
    Gives,
    /// It has no part in it: neither do sessions go there, nor are those there moved.
    Apart,
}

/// A node as a rebalance sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Its part.
    pub role: Role,
    /// Its share relative to the others.
    pub weight: u32,
    /// Its sessions, less those that have been told to leave it.
    pub sessions: usize,
    /// Sessions at once; `None` = no limit.
    pub most: Option<usize>,
}

/// How many sessions of each node are too many, in the order of `nodes`.
///
/// `coming` = moved clients on their way back, which nobody has yet. Whoever takes sessions keeps at least its fair
/// share; no more are moved than find a place elsewhere.
#[must_use]
pub fn surplus(nodes: &[Load], coming: usize) -> Vec<usize> {
    let allowed = allowed(nodes, coming);
    let free = |(node, &allowed): (&Load, &usize)| match node.role {
        Role::Takes => allowed.saturating_sub(node.sessions),
        Role::Gives | Role::Apart => 0,
    };
    let mut places = nodes.iter().zip(&allowed).map(free).sum::<usize>().saturating_sub(coming);
    let of_node = |(node, &allowed): (&Load, &usize)| {
        let much = match node.role {
            Role::Takes | Role::Gives => node.sessions.saturating_sub(allowed).min(places),
            Role::Apart => 0,
        };
        places -= much;
        much
    };
    nodes.iter().zip(&allowed).map(of_node).collect()
}

/// How many sessions each node may have: what it has when all of them have been placed one by one where the fewest are
/// for its weight, as least-connections does. So nobody is moved who would come back to the same node; and whatever the
/// rounding, that is never less than the fair share.
fn allowed(nodes: &[Load], coming: usize) -> Vec<usize> {
    let parts = nodes.iter().filter(|node| node.role != Role::Apart);
    let total = coming + parts.map(|node| node.sessions).sum::<usize>();
    let takes = nodes.iter().filter(|node| node.role == Role::Takes);
    let weights: u128 = takes.map(|node| u128::from(node.weight)).sum();
    let fair = |node: &Load| (total as u128 * u128::from(node.weight) / weights.max(1)) as usize;
    let mut placed: Vec<usize> = nodes.iter().map(|node| fair(node).min(room(node))).collect();
    let mut level = 0;
    for _ in placed.iter().sum()..total {
        let open = (0..nodes.len()).filter(|&at| placed[at] < room(&nodes[at]));
        let Some(next) = open.min_by_key(|&at| load(&nodes[at], placed[at])) else { break };
        level = load(&nodes[next], placed[next]);
        placed[next] += 1;
    }
    // Where two were equal, it might have been the other one.
    for (node, placed) in nodes.iter().zip(&mut placed) {
        while *placed < room(node) && load(node, *placed) <= level {
            *placed += 1;
        }
    }
    placed
}

/// How many sessions it may have at most.
fn room(node: &Load) -> usize {
    match node.role {
        Role::Takes => node.most.unwrap_or(usize::MAX),
        Role::Gives | Role::Apart => 0,
    }
}

/// How loaded a node is for its weight with one session more; as `cluster::balance` has it.
fn load(node: &Load, sessions: usize) -> u128 {
    ((sessions as u128 + 1) << 32) / u128::from(node.weight.max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_oneof, proptest};

    use super::*;

    fn node(sessions: usize) -> Load {
        Load { role: Role::Takes, weight: 1, sessions, most: None }
    }

    #[test]
    fn a_node_that_came_back_empty_gets_a_third_from_the_two_others() {
        assert_eq!(surplus(&[node(150), node(150), node(0)], 0), [50, 50, 0]);
        // Thirty are on their way: they count, so that no more are moved in the meantime.
        assert_eq!(surplus(&[node(135), node(135), node(0)], 30), [35, 35, 0]);
        assert_eq!(surplus(&[node(100), node(100), node(98)], 0), [0, 0, 0]);
    }

    #[test]
    fn shares_follow_weights_and_limits() {
        let heavy = Load { weight: 2, ..node(0) };
        assert_eq!(surplus(&[node(40), node(40), heavy], 0), [20, 20, 0]);
        let small = Load { most: Some(10), ..node(0) };
        assert_eq!(surplus(&[node(70), node(30), small], 0), [25, 0, 0]);
        assert_eq!(surplus(&[node(70), Load { most: Some(0), ..node(0) }], 0), [0, 0]);
    }

    #[test]
    fn a_backup_gives_all_and_a_node_apart_nothing() {
        let backup = Load { role: Role::Gives, ..node(30) };
        let apart = Load { role: Role::Apart, ..node(500) };
        assert_eq!(surplus(&[node(10), backup, apart, node(0)], 0), [0, 30, 0, 0]);
        assert_eq!(surplus(&[backup, apart], 0), [0, 0], "nobody takes them");
    }

    fn loads() -> impl Strategy<Value = Vec<Load>> {
        let role =
            prop_oneof![4 => Just(Role::Takes), 1 => Just(Role::Gives), 1 => Just(Role::Apart)];
        let most = prop_oneof![3 => Just(None), 1 => (0usize..300).prop_map(Some)];
        let load = (role, 1u32..9, 0usize..400, most);
        let load =
            load.prop_map(|(role, weight, sessions, most)| Load { role, weight, sessions, most });
        prop::collection::vec(load, 1..7)
    }

    /// The node with room that least-connections would pick.
    fn landing(nodes: &[Load]) -> Option<usize> {
        let open = nodes
            .iter()
            .enumerate()
            .filter(|(_, n)| n.role == Role::Takes && n.most.is_none_or(|most| n.sessions < most));
        open.min_by_key(|(_, n)| ((n.sessions as u64 + 1) << 32) / u64::from(n.weight))
            .map(|(at, _)| at)
    }

    proptest! {
        #[test]
        fn nobody_who_takes_sessions_falls_below_its_fair_share(nodes in loads(), coming in 0usize..100) {
            let surplus = surplus(&nodes, coming);
            let takes = |n: &&Load| n.role == Role::Takes;
            let parts = nodes.iter().filter(|n| n.role != Role::Apart);
            let total = coming + parts.map(|n| n.sessions).sum::<usize>();
            let weights: usize = nodes.iter().filter(takes).map(|n| n.weight as usize).sum();
            for (node, moved) in nodes.iter().zip(&surplus) {
                prop_assert!(*moved <= node.sessions);
                if node.role == Role::Takes && *moved > 0 {
                    let fair = (total * node.weight as usize / weights).min(node.most.unwrap_or(total));
                    prop_assert!(node.sessions - moved >= fair, "{node:?} {moved} {fair}");
                }
                prop_assert!(node.role != Role::Apart || *moved == 0);
            }
        }

        /// Moved one by one in any order of nodes, everybody landing where least-connections sends them.
        #[test]
        fn it_ends_after_at_most_the_first_surplus_and_stays_ended(
            mut nodes in loads(),
            choice in any::<u64>(),
        ) {
            let first: usize = surplus(&nodes, 0).iter().sum();
            let mut choice = fastrand::Rng::with_seed(choice);
            let mut moves = 0;
            loop {
                let surplus = surplus(&nodes, 0);
                let over: Vec<_> = (0..nodes.len()).filter(|&at| surplus[at] > 0).collect();
                if over.is_empty() {
                    break;
                }
                nodes[over[choice.usize(..over.len())]].sessions -= 1;
                let landed = landing(&nodes);
                prop_assert!(landed.is_some(), "a place was promised");
                nodes[landed.unwrap_or_default()].sessions += 1;
                moves += 1;
                prop_assert!(moves <= first, "{moves} of {first}: {nodes:?}");
            }
        }
    }
}

//! What the state of a node wants done with its sessions.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pace::Closing;
use crate::cluster::Cluster;
use crate::cluster::condition::{AdminState, Verdict};
use crate::cluster::node::Node;
use crate::config::model::OnDown;
use crate::session::registry::Order;

/// The sessions of a node that went down are told within this time: at once, but not so that all of them come back in
/// the same instant.
const DOWN_WITHIN: Duration = Duration::from_millis(300);

/// What the sessions of a node shall be told, if anything.
///
/// What checks and brokers say counts only while another node would take them, and has been found working while this one
/// fails: with nowhere to go, a session on a node that looks ill is better than none, and it may be the gateway that is cut
/// off. A node that only clients found to be down keeps its sessions until its checks fail, too. The operator's word counts
/// always.
pub(super) fn order(node: &Arc<Node>, cluster: &Cluster, now: Instant) -> Option<Order> {
    if !cluster.configures(node) {
        return Some(Order::NodeRemoved);
    }
    let condition = &node.condition;
    let (says, row) = (condition.says(), condition.row());
    let failing = row.filter(|row| !row.is_good());
    let another = || {
        cluster.has_another_that(std::slice::from_ref(node), now, |other| {
            match (failing, other.condition.row()) {
                (Some(failing), Some(other)) => failing.fails_beside(&other),
                (Some(_), None) => false,
                (None, other) => other.is_none_or(|other| other.is_good()),
            }
        })
    };
    let found_down = condition.verdict() == Verdict::Down && failing.is_some();
    if (found_down || says.minority) && cluster.model.health.on_down == OnDown::Close && another() {
        Some(Order::NodeDown)
    } else if condition.admin() == AdminState::Draining {
        Some(Order::NodeDraining)
    } else if says.maintenance && another() {
        Some(Order::NodeMaintenance)
    } else {
        None
    }
}

/// Why the sessions of a node are told that.
pub(super) fn in_words(order: Order) -> &'static str {
    match order {
        Order::NodeDown => "it is down",
        Order::NodeMaintenance => "its broker is in maintenance",
        Order::NodeRemoved => "it has been removed",
        _ => "it is being drained",
    }
}

/// How `total` sessions are told that.
pub(super) fn closing(
    order: Order,
    cluster: &Cluster,
    drain_rate: NonZeroU32,
    total: usize,
) -> Closing {
    let patience = cluster.model.drain_patience;
    match order {
        Order::NodeDown => {
            let a_second = total as u128 * 1000 / DOWN_WITHIN.as_millis();
            let rate = NonZeroU32::new(u32::try_from(a_second).unwrap_or(u32::MAX).max(100));
            Closing::new(order, rate.unwrap_or(NonZeroU32::MIN), Duration::ZERO)
        }
        Order::NodeMaintenance => Closing::new(order, cluster.model.rebalance_rate, patience),
        _ => Closing::new(order, drain_rate, patience),
    }
}

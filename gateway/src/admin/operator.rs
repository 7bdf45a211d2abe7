//! What the API asks of the gateway.

pub mod configure;
pub mod observe;
pub mod tapping;

use super::view;

/// Shows and changes nodes, clusters and virtual routers on behalf of whoever uses the API.
pub trait Operator: Send + Sync {
    /// All nodes, by cluster.
    fn nodes(&self) -> Vec<view::Node>;

    /// All clusters, by name.
    fn clusters(&self) -> Vec<view::Cluster>;

    /// Changes a node; how it is then.
    ///
    /// # Errors
    /// When there is no such node.
    fn change(
        &self,
        cluster: &str,
        node: &str,
        change: view::NodeChange,
    ) -> Result<view::Node, Refusal>;

    /// What a rebalance of a cluster would move. Changes nothing.
    ///
    /// # Errors
    /// When there is no such cluster, or it cannot be rebalanced.
    fn rebalance_plan(&self, cluster: &str) -> Result<view::RebalancePlan, Refusal>;

    /// Begins to rebalance a cluster; what will be moved.
    ///
    /// # Errors
    /// When there is no such cluster, or it cannot be rebalanced.
    fn rebalance(&self, cluster: &str) -> Result<view::Rebalance, Refusal>;

    /// Ends the rebalance of a cluster; what was moved.
    ///
    /// # Errors
    /// When there is no such cluster, or it is not being rebalanced.
    fn stop_rebalance(&self, cluster: &str) -> Result<view::Rebalance, Refusal>;

    /// All virtual routers, in the order of the configuration.
    fn virtual_routers(&self) -> Vec<view::vrrp::VirtualRouter>;

    /// Gives the addresses of a virtual router to another gateway until they are reclaimed; how it is at that moment.
    ///
    /// # Errors
    /// When there is no such virtual router, or VRRP does not run.
    fn release(&self, virtual_router: &str) -> Result<view::vrrp::VirtualRouter, Refusal>;

    /// Lets a virtual router that was released have its addresses again, if its priority says so.
    ///
    /// # Errors
    /// As [`Operator::release`].
    fn reclaim(&self, virtual_router: &str) -> Result<view::vrrp::VirtualRouter, Refusal>;
}

/// Why something is not done: a sentence for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It does not exist.
    Unknown(String),
    /// It is not possible as things are.
    Conflict(String),
    /// What was asked cannot be understood, or is not valid; all that is wrong, one by one.
    Invalid(String, Vec<String>),
}

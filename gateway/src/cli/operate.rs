//! The commands of an operator: what they ask of the gateway, and what they print.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json as value;
use ureq::http::Method;

use super::client::{Client, part};
use super::login::Admin;
use crate::admin::view::{
    AdminState, Cluster, Clusters, Node, NodeChange, Nodes, Rebalance, RebalanceNode, RebalancePlan,
};

/// How often it is asked how far a drain or rebalance is.
const LOOK: Duration = Duration::from_millis(200);

/// Why a command is not done: what to tell, or that nobody listens any more.
pub(super) enum Failed {
    Told(String),
    Output(io::Error),
}

impl From<String> for Failed {
    fn from(text: String) -> Self {
        Self::Told(text)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Prints what a program reads.
pub(super) fn json(out: &mut dyn Write, what: &impl Serialize) -> Result<(), Failed> {
    let text = serde_json::to_string_pretty(what).map_err(|error| error.to_string())?;
    Ok(writeln!(out, "{text}")?)
}

/// A node as operators name it: `cluster/node`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeName {
    cluster: String,
    node: String,
}

impl FromStr for NodeName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((cluster, node)) if !cluster.is_empty() && !node.is_empty() => {
                Ok(Self { cluster: cluster.to_owned(), node: node.to_owned() })
            }
            _ => Err("a node is named cluster/node; `amqp-gateway nodes` lists them"),
        }
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.node)
    }
}

impl NodeName {
    fn path(&self) -> String {
        format!("/api/v1/nodes/{}/{}", part(&self.cluster), part(&self.node))
    }

    fn names(&self, node: &Node) -> bool {
        (&self.cluster, &self.node) == (&node.cluster, &node.node)
    }
}

/// `nodes`
#[derive(Debug, Args)]
pub(super) struct ListNodes {
    #[command(flatten)]
    admin: Admin,
}

/// `clusters`
#[derive(Debug, Args)]
pub(super) struct ListClusters {
    #[command(flatten)]
    admin: Admin,
}

/// `enable` and `disable`
#[derive(Debug, Args)]
pub(super) struct OfNode {
    /// The node, as cluster/node.
    #[arg(value_name = "NODE")]
    node: NodeName,
    #[command(flatten)]
    admin: Admin,
}

/// `drain`
#[derive(Debug, Args)]
pub(super) struct Drain {
    #[command(flatten)]
    of: OfNode,
    /// Return at once: the gateway goes on by itself.
    #[arg(long)]
    no_wait: bool,
}

/// `rebalance`
#[derive(Debug, Args)]
pub(super) struct RebalanceCluster {
    /// The cluster.
    #[arg(value_name = "CLUSTER")]
    cluster: String,
    /// Return at once: the gateway goes on by itself.
    #[arg(long)]
    no_wait: bool,
    /// End the rebalance that is under way.
    #[arg(long, conflicts_with = "no_wait")]
    stop: bool,
    /// Only tell what would be moved.
    #[arg(long, conflicts_with_all = ["no_wait", "stop"])]
    dry_run: bool,
    #[command(flatten)]
    admin: Admin,
}

impl ListNodes {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failed> {
        let client = self.admin.client()?;
        if self.admin.json {
            return json(out, &client.get::<serde_json::Value>("/api/v1/nodes")?);
        }
        let answer: Nodes = client.get("/api/v1/nodes")?;
        Ok(write!(out, "{}", super::table::nodes(&answer.nodes))?)
    }
}

impl ListClusters {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failed> {
        let client = self.admin.client()?;
        if self.admin.json {
            return json(out, &client.get::<serde_json::Value>("/api/v1/clusters")?);
        }
        let answer: Clusters = client.get("/api/v1/clusters")?;
        Ok(write!(out, "{}", super::table::clusters(&answer.clusters))?)
    }
}

impl OfNode {
    pub(super) fn set(&self, state: AdminState, out: &mut dyn Write) -> Result<(), Failed> {
        let node = self.change(&self.admin.client()?, state)?;
        if self.admin.json {
            return json(out, &node);
        }
        let (name, state, sessions) = (&self.node, state.name(), node.sessions);
        Ok(writeln!(out, "{name}: {state}, {sessions} sessions on it")?)
    }

    fn change(&self, client: &Client, state: AdminState) -> Result<Node, String> {
        let change = NodeChange { admin_state: Some(state), weight: None };
        client.send(Method::PATCH, &self.node.path(), &change)
    }

    /// The node as it is now, if there is one of this name.
    fn find(&self, client: &Client) -> Result<Option<Node>, String> {
        let Nodes { nodes } = client.get("/api/v1/nodes")?;
        Ok(nodes.into_iter().find(|node| self.node.names(node)))
    }
}

impl Drain {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failed> {
        let (client, begun) = (self.of.admin.client()?, Instant::now());
        let name = &self.of.node;
        let mut node = self.of.change(&client, AdminState::Draining)?;
        if self.no_wait && self.of.admin.json {
            return json(out, &node);
        }
        if self.no_wait {
            let sessions = node.sessions;
            return Ok(writeln!(out, "{name}: draining, {sessions} sessions on it")?);
        }
        let total = node.drain.as_ref().map_or(node.sessions, |drain| drain.total);
        let bar = bar(&format!("{name}: {{pos}} of {{len}} sessions closed"), total);
        while node.sessions > 0 {
            sleep(LOOK);
            // One that no name leads to any more is not listed once it is empty.
            let Some(found) = self.of.find(&client)? else {
                node.sessions = 0;
                break;
            };
            node = found;
            if node.admin_state != AdminState::Draining {
                bar.abandon();
                let (state, left) = (node.admin_state.name(), node.sessions);
                return Err(format!(
                    "{name}: somebody has set it to {state}; {left} sessions are left"
                )
                .into());
            }
            bar.set_position(total.saturating_sub(node.sessions) as u64);
        }
        bar.finish_and_clear();
        if self.of.admin.json {
            return json(out, &node);
        }
        let took = begun.elapsed().as_secs_f64();
        Ok(writeln!(
            out,
            "{name}: drained, {total} sessions closed in {took:.1} s; it gets no new ones"
        )?)
    }
}

impl RebalanceCluster {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failed> {
        let (client, begun) = (self.admin.client()?, Instant::now());
        let (name, of_cluster) =
            (&self.cluster, format!("/api/v1/clusters/{}", part(&self.cluster)));
        let path = format!("{of_cluster}/rebalance");
        if self.dry_run {
            return self.tell(&client.get(&path)?, out);
        }
        let method = if self.stop { Method::DELETE } else { Method::POST };
        let run: Rebalance = client.send(method, &path, &value!({}))?;
        let Rebalance { planned, moved, rate, .. } = run;
        if self.admin.json && (self.stop || planned == 0 || self.no_wait) {
            return json(out, &run);
        }
        if self.stop {
            return Ok(writeln!(out, "{name}: stopped, {moved} of {planned} sessions were moved")?);
        }
        if planned == 0 {
            return Ok(writeln!(out, "{name}: every node has its share")?);
        }
        if self.no_wait {
            return Ok(writeln!(out, "{name}: moving {planned} sessions, {rate} a second")?);
        }
        let bar = bar(&format!("{name}: {{pos}} of {{len}} sessions moved"), planned);
        let mut last = run;
        while let Some(run) = client.get::<Cluster>(&of_cluster)?.rebalance {
            last = run;
            bar.set_position(last.moved as u64);
            sleep(LOOK);
        }
        bar.finish_and_clear();
        if self.admin.json {
            return json(out, &last);
        }
        let moved = last.moved;
        let took = begun.elapsed().as_secs_f64();
        Ok(writeln!(out, "{name}: {moved} sessions moved in {took:.1} s")?)
    }
}

impl RebalanceCluster {
    fn tell(&self, plan: &RebalancePlan, out: &mut dyn Write) -> Result<(), Failed> {
        if self.admin.json {
            return json(out, plan);
        }
        let (name, RebalancePlan { planned, rate, nodes }) = (&self.cluster, plan);
        if *planned == 0 {
            return Ok(writeln!(out, "{name}: every node has its share")?);
        }
        for RebalanceNode { node, sessions, surplus } in nodes {
            writeln!(out, "{name}/{node}: {surplus} of {sessions} sessions would be moved")?;
        }
        Ok(writeln!(out, "{name}: {planned} sessions would be moved, {rate} a second")?)
    }
}

/// A bar on the terminal; nothing where standard error is none.
fn bar(text: &str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!("{text} {{wide_bar}} {{elapsed}}"));
    // The template is ours, but for names, which may hold braces.
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length as u64).with_style(style)
}

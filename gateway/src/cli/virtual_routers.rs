//! `virtual-routers`: shows them, and moves their addresses.

use std::io::Write;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::json as value;
use ureq::http::Method;

use super::client::{Client, part};
use super::login::Admin;
use super::operate::{Failed, json};
use crate::admin::view::vrrp::{VirtualRouter, VirtualRouters};

const ALL: &str = "/api/v1/virtual-routers";
/// How often it is asked whether the addresses are gone.
const LOOK: Duration = Duration::from_millis(100);
/// The longest advertisement interval is 255 s, but who has such a one will not wait for it here.
const PATIENCE: Duration = Duration::from_secs(30);

/// `virtual-routers`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct OfVirtualRouters {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    admin: Admin,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Give the addresses of a virtual router to another gateway, and leave them there until it is reclaimed.
    ///
    /// The other one takes over first; then the connections here are closed with 320. Waits until this gateway is not
    /// active any more. Exits with 0; 1 if the gateway does not answer or refuses, with why.
    Release(Release),
    /// Let a virtual router that was released have its addresses again, if its priority says so.
    ///
    /// Exits with 0; 1 if the gateway does not answer or refuses, with why.
    Reclaim(OfVirtualRouter),
}

#[derive(Debug, Args)]
struct OfVirtualRouter {
    /// The virtual router, as `amqp-gateway virtual-routers` lists it.
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    admin: Admin,
}

#[derive(Debug, Args)]
struct Release {
    #[command(flatten)]
    of: OfVirtualRouter,
    /// Return at once: the gateway goes on by itself.
    #[arg(long)]
    no_wait: bool,
}

impl OfVirtualRouters {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failed> {
        match &self.action {
            Some(Action::Release(release)) => release.run(out),
            Some(Action::Reclaim(of)) => of.reclaim(out),
            None => self.list(out),
        }
    }

    fn list(&self, out: &mut dyn Write) -> Result<(), Failed> {
        let client = self.admin.client()?;
        if self.admin.json {
            return json(out, &client.get::<serde_json::Value>(ALL)?);
        }
        let answer: VirtualRouters = client.get(ALL)?;
        Ok(write!(out, "{}", super::table::virtual_routers(&answer.virtual_routers))?)
    }
}

impl OfVirtualRouter {
    fn path(&self) -> String {
        format!("{ALL}/{}", part(&self.name))
    }

    fn send(&self, client: &Client, what: &str) -> Result<VirtualRouter, String> {
        client.send(Method::POST, &format!("{}/{what}", self.path()), &value!({}))
    }

    fn reclaim(&self, out: &mut dyn Write) -> Result<(), Failed> {
        let router = self.send(&self.admin.client()?, "reclaim")?;
        if self.admin.json {
            return json(out, &router);
        }
        let (name, priority) = (&self.name, router.effective_priority.unwrap_or(router.priority));
        Ok(writeln!(out, "{name}: reclaimed, priority {priority}")?)
    }
}

impl Release {
    fn run(&self, out: &mut dyn Write) -> Result<(), Failed> {
        let client = self.of.admin.client()?;
        let name = &self.of.name;
        let before: VirtualRouter = client.get(&self.of.path())?;
        let begun = Instant::now();
        let mut router = self.of.send(&client, "release")?;
        if self.no_wait && self.of.admin.json {
            return json(out, &router);
        }
        if self.no_wait {
            return Ok(writeln!(out, "{name}: released, state {}", router.state)?);
        }
        while !is_away(&router) && !is_back(&before, &router) {
            if begun.elapsed() > PATIENCE {
                let state = &router.state;
                let waited = PATIENCE.as_secs();
                return Err(format!("{name}: still {state} after {waited} s").into());
            }
            sleep(LOOK);
            router = client.get(&self.of.path())?;
        }
        if self.of.admin.json {
            return json(out, &router);
        }
        let took = begun.elapsed().as_secs_f64();
        let peer = match &router.peer {
            _ if is_back(&before, &router) => {
                "no other gateway took its addresses, and it has them again".to_owned()
            }
            Some(peer) => format!("{} has priority {}", peer.address, peer.priority),
            None => "no other gateway has been heard".to_owned(),
        };
        Ok(writeln!(out, "{name}: released in {took:.1} s, state {}; {peer}", router.state)?)
    }
}

fn is_away(router: &VirtualRouter) -> bool {
    router.released && router.state != "active"
}

/// Was it given up since `before`, and is active again? Where no other gateway takes it, a release may begin and end between
/// two looks.
fn is_back(before: &VirtualRouter, now: &VirtualRouter) -> bool {
    let count = |of: &VirtualRouter| of.counters.transitions.values().sum::<u64>();
    let new = count(now).saturating_sub(count(before));
    let new = now.history.iter().rev().take(usize::try_from(new).unwrap_or(usize::MAX));
    let left = new.into_iter().any(|transition| transition.from == "active");
    left && now.state == "active" && !now.released
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::view::vrrp::{Counters, Transition};

    /// It went through these states, of which the last `kept` transitions are in its history.
    fn router(states: &[&str], kept: usize) -> VirtualRouter {
        let mut counters = Counters::default();
        let mut history = Vec::new();
        for pair in states.windows(2) {
            let (from, to) = (pair[0].to_owned(), pair[1].to_owned());
            *counters.transitions.entry(to.clone()).or_default() += 1;
            let (reason, at) = (String::new(), String::new());
            history.push(Transition { from, to, priority: 100, reason, at });
        }
        let history = history.split_off(history.len().saturating_sub(kept));
        VirtualRouter {
            virtual_router: "amqp".to_owned(),
            interface: "eth0".to_owned(),
            virtual_router_id: 51,
            version: 3,
            addresses: Vec::new(),
            sync_group: None,
            state: (*states.last().unwrap_or(&"unknown")).to_owned(),
            since: None,
            reason: None,
            priority: 100,
            effective_priority: Some(100),
            released: false,
            holds_addresses: true,
            peer: None,
            alarms: Vec::new(),
            counters,
            history,
        }
    }

    #[test]
    fn a_release_that_is_over_between_two_looks_is_noticed() {
        let states = ["initialize", "backup", "active", "backup", "active"];
        let before = router(&states[..3], 100);
        assert!(!is_back(&before, &before), "it has not begun yet");
        assert!(is_back(&before, &router(&states, 100)));
        assert!(is_back(&before, &router(&states, 2)), "however short the history is");
        assert!(!is_away(&router(&states, 100)));
        let again = VirtualRouter { released: true, ..router(&states, 100) };
        assert!(!is_back(&before, &again), "it was for another reason that it left");
    }

    #[test]
    fn what_was_given_up_before_the_order_does_not_count() {
        let before = router(&["backup", "active", "backup"], 100);
        assert!(!is_back(&before, &router(&["backup", "active", "backup", "active"], 100)));
    }
}

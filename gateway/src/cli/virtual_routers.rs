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
        let (client, begun) = (self.of.admin.client()?, Instant::now());
        let name = &self.of.name;
        let mut router = self.of.send(&client, "release")?;
        if self.no_wait && self.of.admin.json {
            return json(out, &router);
        }
        if self.no_wait {
            return Ok(writeln!(out, "{name}: released, state {}", router.state)?);
        }
        while !router.released || router.state == "active" {
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
            Some(peer) => format!("{} has priority {}", peer.address, peer.priority),
            None => "no other gateway has been heard".to_owned(),
        };
        Ok(writeln!(out, "{name}: released in {took:.1} s, state {}; {peer}", router.state)?)
    }
}

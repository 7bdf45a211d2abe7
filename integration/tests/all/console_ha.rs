//! The web console in a real browser, at a gateway that shares addresses with another one: what it shows of virtual
//! routers, and what an operator does with them there.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use integration::suites::{Client, Script};
use integration::vrrp_lab::*;

use crate::admin_http::{ADMIN, OPERATOR, VIEWER, users};
use crate::vrrp_member::{LONG, config, router};

/// How many checks the script has: one that vanishes silently is noticed.
const CHECKS: usize = 12 + 4 + 2;

/// Two virtual routers that move together. Not so fast that a busy browser beside them matters.
fn shared(priority: u8) -> String {
    let of = |vrid, addresses: &[&str]| {
        let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        Settings { vrid, addresses, interval: 0.5, ..Settings::new(priority) }
    };
    let group = "sync_group = \"edge\"\n";
    config(&of(51, &["10.77.0.100/24", "10.77.0.101/24"]))
        + group
        + &router("six", &of(52, &["fe80::100/64", "fd77::100/64"]))
        + group
}

/// What the script has things done to.
struct Stage<'lab> {
    lab: &'lab Lab,
    second: Gateway,
}

impl Stage<'_> {
    /// What the script asks for, in a word or two.
    fn act(&mut self, what: &str) -> Result<String> {
        match what.split_once(' ').unwrap_or((what, "")) {
            ("holder", gateway) => {
                for address in [VIP, VIP6] {
                    self.lab.wait_for_holder(gateway, address, LONG)?;
                }
            }
            // Its other process gives the addresses up.
            ("kill", "gw2") => self.second.kill_gateway()?,
            ("double", address) => {
                self.lab.ip(CLIENT, &format!("addr add {address}/32 dev eth0"))?;
            }
            ("cut", gateway) => self.lab.cut(gateway)?,
            ("heal", gateway) => self.lab.heal(gateway)?,
            _ => bail!("nobody knows how to do that"),
        }
        Ok("done".to_owned())
    }
}

#[test]
fn the_page_of_high_availability_shows_takeovers_and_releases_the_addresses() -> Result<()> {
    let Some(lab) = or_skip("console, high availability", || Lab::new(2)) else { return Ok(()) };
    let first = Gateway::start(&lab, "gw1", &(shared(100) + &users()))?;
    let (_, page) = first.get(&lab, "/ui/")?;
    ensure!(
        page.contains("<script"),
        "the console is not in this gateway: `make console`, then build it again\n{page}"
    );
    lab.wait_for_holder("gw1", VIP, LONG)?;
    lab.wait_for_holder("gw1", VIP6, LONG)?;
    let mut stage = Stage { lab: &lab, second: Gateway::start(&lab, "gw2", &shared(90))? };

    let admin = SocketAddr::from(([127, 0, 0, 1], 15680));
    let passwords = [ADMIN, OPERATOR, VIEWER].map(|(password, _)| password.to_owned());
    // The browser is in the gateway's namespace, as whatever is started from there.
    let report = lab.inside_async("gw1", || async {
        let script = Script::start(Client::Browser, "console/ha", admin, &passwords)?;
        script.report_doing(async |what| stage.act(what)).await
    })?;
    let logs = || format!("gw1 says:\n{}\ngw2 says:\n{}", first.log(), stage.second.log());
    let report = report.with_context(logs)?;
    ensure!(report.failures().is_empty(), "{:#?}\n{}", report.failures(), logs());
    ensure!(report.len() == CHECKS, "a check is missing or new: {report}");
    Ok(())
}

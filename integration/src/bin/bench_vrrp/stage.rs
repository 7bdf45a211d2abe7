//! A lab with a pair of gateways in it, the service on both, and a client.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use integration::vrrp_lab::{Echo, Lab, Probe, VIP, wait};

use crate::candidate::{Candidate, Node};

/// For anything that a busy machine may delay.
const LONG: Duration = Duration::from_secs(20);
/// A rejoin is over once the client was answered all this time.
const CALM: Duration = Duration::from_secs(2);
/// The longest that a client was ever seen in the dark is 7 s.
const DARKEST: Duration = Duration::from_secs(12);

/// The pair: `gw1` with priority 100, active, and `gw2` with 90.
pub(crate) struct Stage {
    /// What is hurt.
    pub(crate) first: Box<dyn Node>,
    _second: Box<dyn Node>,
    service: Option<Echo>,
    _other: Echo,
    probe: Probe,
    pub(crate) lab: Lab,
}

impl Stage {
    /// Sets it up, and returns when the client is served by the first.
    ///
    /// # Errors
    /// When anything does not start or settle.
    pub(crate) fn set(candidate: &dyn Candidate) -> Result<Self> {
        let lab = Lab::with_broker(2)?;
        let first = candidate.start(&lab, "gw1", 100)?;
        lab.wait_for_holder("gw1", VIP, LONG)?;
        let second = candidate.start(&lab, "gw2", 90)?;
        ensure!(wait(LONG, || first.settled() && second.settled()), "the pair does not settle");
        let service = Some(Echo::start(&lab, "gw1", VIP)?);
        let other = Echo::start(&lab, "gw2", VIP)?;
        let probe = Probe::start(&lab, VIP)?;
        probe.wait_for("gw1", LONG)?;
        let stage = Self { first, _second: second, service, _other: other, probe, lab };
        stage.rest();
        lab_is_calm(&stage.lab)?;
        Ok(stage)
    }

    /// Time goes by without an event: five intervals and a part of one, as events do not keep to advertisements.
    pub(crate) fn rest(&self) {
        std::thread::sleep(Duration::from_millis(500 + fastrand::u64(0..100)));
    }

    /// The service of the first is gone.
    pub(crate) fn stop_service(&mut self) {
        self.service = None;
    }

    /// It is there again.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn restart_service(&mut self) -> Result<()> {
        self.service = Some(Echo::start(&self.lab, "gw1", VIP)?);
        Ok(())
    }

    /// Waits until `gateway` serves the client.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn wait_for(&self, gateway: &str) -> Result<()> {
        self.probe.wait_for(gateway, LONG)
    }

    /// Waits until one gateway holds the address and the client was served without a gap for two seconds, at most
    /// for twelve.
    pub(crate) fn wait_for_calm(&self) {
        let start = Instant::now();
        wait(DARKEST, || {
            std::thread::sleep(Duration::from_millis(50));
            let Some(since) = Instant::now().checked_sub(CALM).filter(|since| *since > start)
            else {
                return false;
            };
            // The answers to the last ones are under way.
            let until = Instant::now() - 4 * Probe::INTERVAL;
            self.lab.holders(VIP).len() == 1 && self.probe.trace().lost([since, until]) == 0
        });
    }

    /// The longest time without an answer since `event`, in milliseconds.
    pub(crate) fn outage(&self, event: Instant) -> f64 {
        let now = Instant::now();
        ms(self.probe.trace_until(now).outage([event, now]))
    }

    /// From `event` to the first answer of another gateway than `before`, in milliseconds; none when none came.
    pub(crate) fn take(&self, event: Instant, before: &str) -> Option<f64> {
        self.probe.trace().take(event, before).map(ms)
    }

    /// How long both held the address since `event`, in milliseconds.
    pub(crate) fn dual(&self, event: Instant) -> f64 {
        ms(self.lab.dual(["gw1", "gw2"], VIP, [event, Instant::now()]))
    }
}

fn lab_is_calm(lab: &Lab) -> Result<()> {
    let holders = lab.holders(VIP);
    ensure!(
        holders == ["gw1"],
        "gw1 alone should hold the address before the event, but {holders:?} do"
    );
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

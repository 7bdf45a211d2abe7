//! The measuring window: warm-up, then samples of all counters at its two borders.

use crate::broker_link::BrokerLink;
use crate::cpu::Meter;
use crate::talk::Counters;
use anyhow::{Context, Result};
use integration::stop;
use std::time::{Duration, Instant};

/// All counters at one border of the window.
pub(crate) struct Sample {
    at: Instant,
    /// On-CPU nanoseconds of the proxy so far.
    cpu: u64,
    /// And of its threads that relay.
    workers: u64,
    /// What the client counted.
    client: u64,
    broker: Counters,
}

/// One run's window.
pub(crate) struct Window<'a> {
    broker: &'a mut BrokerLink,
    meter: Option<&'a mut Meter>,
    opens: Instant,
    length: Duration,
    first: Option<Sample>,
    last: Option<Sample>,
}

/// What lies between the borders.
pub(crate) struct Span {
    /// Seconds.
    pub(crate) time: f64,
    /// On-CPU seconds of the proxy, if there is one.
    pub(crate) cpu: Option<f64>,
    /// And of the gateway's threads that relay.
    pub(crate) workers: f64,
    /// What the client counted.
    pub(crate) client: u64,
    /// Whole messages that reached the broker.
    pub(crate) published: u64,
}

impl<'a> Window<'a> {
    /// A window of `length` that opens after `warm_up`, starting now.
    pub(crate) fn new(
        broker: &'a mut BrokerLink,
        meter: Option<&'a mut Meter>,
        warm_up: Duration,
        length: Duration,
    ) -> Self {
        let opens = Instant::now() + warm_up;
        Self { broker, meter, opens, length, first: None, last: None }
    }

    /// To be asked all the time, with the client's own count: whether to go on. Takes the samples.
    ///
    /// # Errors
    /// When a sample cannot be taken, or on a signal.
    pub(crate) fn running(&mut self, client: u64) -> Result<bool> {
        let now = Instant::now();
        if self.last.is_some() || now < self.opens {
            stop::check()?;
            return Ok(self.last.is_none());
        }
        match &self.first {
            None => self.first = Some(self.sample(client)?),
            Some(first) if now.duration_since(first.at) >= self.length => {
                self.last = Some(self.sample(client)?);
            }
            Some(_) => {}
        }
        Ok(self.last.is_none())
    }

    /// Whether the window is open.
    pub(crate) fn measuring(&self) -> bool {
        self.first.is_some() && self.last.is_none()
    }

    /// The difference of the two samples.
    ///
    /// # Errors
    /// When the run ended before the window did.
    pub(crate) fn span(&self) -> Result<Span> {
        let (first, last) =
            self.first.as_ref().zip(self.last.as_ref()).context("the run ended too early")?;
        let cpu = (last.cpu - first.cpu) as f64 / 1e9;
        Ok(Span {
            time: last.at.duration_since(first.at).as_secs_f64(),
            cpu: self.meter.is_some().then_some(cpu),
            workers: (last.workers - first.workers) as f64 / 1e9,
            client: last.client - first.client,
            published: last.broker.published - first.broker.published,
        })
    }

    fn sample(&mut self, client: u64) -> Result<Sample> {
        let broker = self.broker.counters()?;
        let cpu = self.meter.as_mut().map_or(Ok(0), |meter| meter.on_cpu())?;
        let workers = self.meter.as_ref().map_or(0, |meter| meter.of_workers());
        Ok(Sample { at: Instant::now(), cpu, workers, client, broker })
    }
}

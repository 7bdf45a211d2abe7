//! Hears the peers and the gateway.

use std::time::Duration;

use super::{Driver, Ear};
use crate::vrrp::machine::{Event, Heard};
use crate::vrrp::packet::{self, Advert, Checksum, Datagram, Flaw};
use crate::vrrp::process::hear::{flaw_alarm, judge};
use crate::vrrp::process::sockets::Buffer;
use crate::vrrp::talk::{Level, Order, Word};

/// Advertisements read of one interface before timers get their turn: more than all virtual routers send at once.
const AT_ONCE: usize = 512;

impl Driver {
    /// Reads what peers have sent.
    pub(super) fn hear_peers(&mut self, now: Duration) {
        let mut buffer = std::mem::replace(&mut self.buffer, Buffer::new());
        let receivers = std::mem::take(&mut self.receivers);
        for (ear, receiver) in &receivers {
            for _ in 0..AT_ONCE {
                match receiver.receive(&mut buffer) {
                    Ok(Some(Ok(datagram))) => self.hear(ear, &datagram, now),
                    Ok(Some(Err(flaw))) => self.flawed(ear, &flaw, None, now),
                    // An error is one of the interface, of which the kernel tells otherwise.
                    Ok(None) | Err(_) => break,
                }
            }
        }
        self.receivers = receivers;
        self.buffer = buffer;
    }

    fn hear(&mut self, ear: &Ear, datagram: &Datagram<'_>, now: Duration) {
        match packet::parse(datagram) {
            Ok((advert, checksum)) => self.heard(ear, datagram, &advert, checksum, now),
            Err(flaw) => self.flawed(ear, &flaw, Some(datagram), now),
        }
    }

    fn heard(
        &mut self,
        ear: &Ear,
        datagram: &Datagram<'_>,
        advert: &Advert,
        checksum: Checksum,
        now: Duration,
    ) {
        // Of no concern: other virtual routers share the network.
        let Some(index) = self.station_of(ear, advert.vrid.get()) else { return };
        let station = &mut self.stations[index];
        let judgement = judge(station, datagram, advert);
        match judgement.dropped {
            Some(reason) => station.count_error(reason),
            None => station.counters.received += 1,
        }
        if judgement.dropped.is_none() && station.learn(checksum) {
            let text = format!("{} uses another checksum: sending that one, too", datagram.source);
            self.log_rarely(index, Level::Info, text, now);
        }
        if let Some((alarm, text)) = judgement.alarm {
            self.raise(index, alarm, text, now);
        }
        if judgement.dropped.is_none() {
            if self.gateway_is_gone && advert.priority > 0 && self.stations[index].leaving.is_some()
            {
                self.remove(index);
            }
            let heard = Heard {
                source: datagram.source,
                priority: advert.priority,
                interval: advert.interval.duration(),
            };
            self.step(index, Event::Advertisement(heard), now);
        }
    }

    fn flawed(&mut self, ear: &Ear, flaw: &Flaw, datagram: Option<&Datagram<'_>>, now: Duration) {
        let Some(vrid) = flaw.vrid() else { return };
        let Some(index) = self.station_of(ear, vrid.get()) else { return };
        self.stations[index].count_error(flaw.reason());
        let source = datagram.map(|datagram| datagram.source);
        match flaw_alarm(flaw, source) {
            Some((alarm, text)) => self.raise(index, alarm, text, now),
            None => {
                let source = source.map_or_else(String::new, |source| format!(" from {source}"));
                let text = format!("an advertisement{source} was dropped: {flaw}");
                self.log_rarely(index, Level::Warn, text, now);
            }
        }
    }

    fn release(&mut self, router: usize, released: bool, now: Duration) {
        let event = if released { Event::Release } else { Event::Reclaim };
        if let Some(index) = self.index_of(router) {
            self.step(index, event, now);
        } else if let Some(standing) = self.beginning.standing_of(router) {
            standing.released = released;
        }
        self.news = true;
    }

    fn station_of(&self, ear: &Ear, vrid: u8) -> Option<usize> {
        self.stations.iter().position(|station| {
            station.vrid.get() == vrid
                && station.ipv6 == ear.ipv6
                && station.link.as_ref().is_some_and(|link| link.index == ear.index)
        })
    }

    /// Does what the gateway says. False if it is gone.
    pub(super) fn hear_gateway(&mut self, now: Duration) -> bool {
        match self.pipe.receive() {
            Ok(orders) => {
                for order in orders {
                    self.heard = now;
                    self.obey(order, now);
                }
            }
            Err(_) => return false,
        }
        let silent = now.saturating_sub(self.heard) >= self.patience;
        if silent != self.gateway_is_silent {
            self.gateway_is_silent = silent;
            self.judge_all(now);
        }
        true
    }

    fn obey(&mut self, order: Order, now: Duration) {
        match order {
            Order::Start(_) => {}
            Order::Beat(number) => self.pipe.say(&Word::Beat(number)),
            Order::Track { router, penalty, fault } => {
                if let Some(index) = self.index_of(router) {
                    let station = &mut self.stations[index];
                    station.gateway_penalty = penalty;
                    station.gateway_fault = fault;
                    self.judge(index, now);
                } else if let Some(standing) = self.beginning.standing_of(router) {
                    (standing.penalty, standing.fault) = (penalty, fault);
                }
            }
            Order::Release { router } => self.release(router, true, now),
            Order::Reclaim { router } => self.release(router, false, now),
            Order::Closed { router } => {
                self.index_of(router).into_iter().for_each(|index| self.close(index));
            }
            Order::Change(change) => self.change(change, now),
            Order::Stop => {
                self.stopping = true;
                self.beginning.take();
                for index in 0..self.stations.len() {
                    self.step(index, Event::Stop, now);
                }
            }
        }
    }
}

//! Tells the gateway what happens and how everything is.

use std::time::Duration;

use super::{Driver, STATUS};
use crate::vrrp::machine::State;
use crate::vrrp::talk::{self, Level, Word};

/// Lines that may come again and again are kept in mind up to here; what is beyond is not written.
const LINES: usize = 100;
/// What peers cause again and again, and what fails each time it is tried, is told so often.
const REMINDER: Duration = Duration::from_secs(60);

/// A line of a virtual router that was written, and until when it is not written again.
#[derive(Debug)]
pub(super) struct Line {
    id: Option<usize>,
    text: String,
    until: Duration,
}

impl Driver {
    /// Tells the gateway how everything is.
    pub(super) fn tell(&mut self, now: Duration) {
        if !self.news && now < self.told + STATUS {
            return;
        }
        self.news = false;
        self.told = now;
        self.ask_for_doubles(now);
        self.ask_for_rivals(now);
        for index in 0..self.stations.len() {
            for alarm in self.stations[index].alarms.over(now) {
                let router = self.stations[index].config.id;
                self.pipe.say(&Word::Alarm { router, alarm, text: None });
            }
        }
        let statuses = self.routers.iter().zip(&self.stations);
        let statuses = statuses.map(|(router, station)| talk::Status {
            router: station.config.id,
            state: state(router.state()),
            priority: router.effective_priority(),
            released: router.is_released(),
            holds: station.holds || station.leaving.is_some(),
            peer: router.peer().map(|peer| talk::Peer {
                address: peer.source,
                priority: peer.priority,
                heard_ms: now.saturating_sub(peer.heard).as_millis() as u64,
            }),
            counters: station.counters.clone(),
        });
        let word = Word::Status(statuses.collect());
        self.pipe.say(&word);
    }

    pub(super) fn log(&mut self, level: Level, router: Option<String>, text: String) {
        self.pipe.say(&Word::Log { level, router, text });
    }

    pub(super) fn log_of(&mut self, index: usize, level: Level, text: String) {
        let router = self.stations[index].config.name.clone();
        self.log(level, Some(router), text);
    }

    /// A line that a peer can cause: each text once a minute, and few texts. Metrics count all.
    pub(super) fn log_rarely(&mut self, index: usize, level: Level, text: String, now: Duration) {
        self.log_once_in(REMINDER, Some(index), level, text, now);
    }

    /// A line on what is tried again each second: once a minute.
    pub(super) fn log_failure(&mut self, router: Option<usize>, text: String, now: Duration) {
        self.failed.get_or_insert(now);
        self.log_once_in(REMINDER, router, Level::Error, text, now);
    }

    fn log_once_in(
        &mut self,
        pause: Duration,
        router: Option<usize>,
        level: Level,
        text: String,
        now: Duration,
    ) {
        self.lines.retain(|line| line.until > now);
        let id = router.map(|index| self.stations[index].config.id);
        let known = self.lines.iter().any(|line| line.id == id && line.text == text);
        if known || self.lines.len() >= LINES {
            return;
        }
        self.lines.push(Line { id, text: text.clone(), until: now + pause });
        let name = router.map(|index| self.stations[index].config.name.clone());
        self.log(level, name, text);
    }
}

pub(super) fn state(state: State) -> talk::State {
    match state {
        State::Initialize => talk::State::Initialize,
        State::Backup => talk::State::Backup,
        State::Active => talk::State::Active,
        State::Fault => talk::State::Fault,
    }
}

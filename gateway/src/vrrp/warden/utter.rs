//! What the VRRP process says, as lines of the log: in keepalived's words where it has them.

use tracing::{debug, error, info, warn};

use crate::vrrp::talk::{Level, State, Word};

/// Logs a word, if it is one for the log.
pub(super) fn log(word: &Word, name_of: impl Fn(usize) -> String) {
    match word {
        Word::Log { level, router, text } => {
            let text = match router {
                Some(router) => format!("({router}) {text}"),
                None => format!("VRRP: {text}"),
            };
            match level {
                Level::Debug => debug!("{text}"),
                Level::Info => info!("{text}"),
                Level::Warn => warn!("{text}"),
                Level::Error => error!("{text}"),
            }
        }
        Word::Transition { router, from, to, priority, reason } => {
            let (name, state) = (name_of(*router), to.keepalived());
            let from = from.name();
            if *to == State::Fault {
                warn!(%priority, %reason, from, "({name}) Entering {state} STATE");
            } else {
                info!(%priority, %reason, from, "({name}) Entering {state} STATE");
            }
        }
        Word::Alarm { router, alarm, text } => {
            let (name, alarm) = (name_of(*router), alarm.name());
            match text {
                Some(text) => error!(alarm, "({name}) {text}"),
                None => info!(alarm, "({name}) the alarm is over"),
            }
        }
        Word::Ready
        | Word::Broken(_)
        | Word::Beat(_)
        | Word::Leaving { .. }
        | Word::Gone { .. }
        | Word::Changed { .. }
        | Word::Restored { .. }
        | Word::Status(_)
        | Word::Stopped => {}
    }
}

/// Logs that a virtual router has changed its state `more` times, and is in this one now.
pub(super) fn more(name: &str, more: u64, state: State) {
    let state = state.keepalived();
    warn!("({name}) ... and {more} more transitions, now {state}: look for peers that disagree");
}

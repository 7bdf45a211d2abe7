//! What happens to virtual routers, for the log of events.

use std::sync::Arc;

use tokio::sync::broadcast::{self, error::RecvError};

use crate::config::model::VirtualRouter;
use crate::telemetry::events::{EventLog, Kind, Severity, What};
use crate::vrrp::board::{News, Transition};
use crate::vrrp::talk::{Alarm, State};

/// Keeps transitions and alarms, as long as there are any to come.
pub(super) async fn keep(mut news: broadcast::Receiver<News>, log: impl Fn(What)) {
    loop {
        match news.recv().await {
            Ok(News::Transition(router, transition)) => log(of_transition(&router, &transition)),
            Ok(News::Alarm(router, alarm, text)) => log(of_alarm(&router, alarm, text)),
            Ok(News::Routers(_)) => {}
            Err(RecvError::Lagged(missed)) => {
                let text = format!("{missed} transitions or alarms came too fast to be kept");
                log(What::new(Kind::VirtualRouter, Severity::Warning, "", text));
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn of_transition(router: &Arc<VirtualRouter>, transition: &Transition) -> What {
    let Transition { from, to, priority, reason, .. } = transition;
    // The one that gives its addresses up without having to is a loss, if another one serves or not.
    let severity = match (from, to) {
        (_, State::Fault) => Severity::Warning,
        _ => Severity::Info,
    };
    let text = format!("{} -> {}: {reason}", from.name(), to.name());
    let mut what = What::new(Kind::VirtualRouter, severity, &*router.name, text);
    what.details.insert("from".to_owned(), from.name().to_owned());
    what.details.insert("to".to_owned(), to.name().to_owned());
    what.details.insert("priority".to_owned(), priority.to_string());
    what
}

/// An alarm is told while two gateways may have the addresses.
fn of_alarm(router: &Arc<VirtualRouter>, alarm: Alarm, text: Option<String>) -> What {
    let name = alarm.name();
    let (severity, text) = match text {
        Some(text) => (Severity::Critical, format!("alarm {name}: {text}")),
        None => (Severity::Info, format!("the alarm {name} is over")),
    };
    let mut what = What::new(Kind::VirtualRouter, severity, &*router.name, text);
    what.details.insert("alarm".to_owned(), name.to_owned());
    what
}

/// For [`keep`].
pub(super) fn into(log: Arc<EventLog>) -> impl Fn(What) {
    move |what| log.add(what)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::vrrp::board::Board;
    use crate::vrrp::samples;
    use crate::vrrp::talk::Word;

    #[tokio::test]
    async fn transitions_and_alarms_are_kept_and_told_apart_by_how_bad_they_are() {
        let (board, log) = (Board::new(&[samples::router("amqp")]), Arc::new(EventLog::default()));
        let keeping = keep(board.subscribe(), into(log.clone()));
        for to in [State::Active, State::Fault] {
            let (from, reason) = (State::Backup, "a test".to_owned());
            let word = Word::Transition { router: 0, from, to, priority: 150, reason };
            board.hear(&word, UNIX_EPOCH);
        }
        for text in [Some("use the same".to_owned()), None] {
            let alarm = Alarm::OtherPassword;
            board.hear(&Word::Alarm { router: 0, alarm, text }, UNIX_EPOCH);
        }
        drop(board);
        keeping.await;
        let kept = log.since(0);
        let kept: Vec<_> = kept.iter().map(|e| (e.what.severity, &*e.what.text)).collect();
        let expected = [
            (Severity::Info, "backup -> active: a test"),
            (Severity::Warning, "backup -> fault: a test"),
            (Severity::Critical, "alarm other_password: use the same"),
            (Severity::Info, "the alarm other_password is over"),
        ];
        assert_eq!(kept, expected);
        let first = &log.since(0)[0].what;
        assert_eq!((first.kind, &*first.subject), (Kind::VirtualRouter, "amqp"));
        assert_eq!(first.details["priority"], "150");
    }
}

//! What is told, in the words of a mail and of a webhook.

use std::sync::Arc;
use std::time::SystemTime;

use humantime::{format_rfc3339_millis, format_rfc3339_seconds};
use serde_json::{Value, json};

use crate::config::model::VirtualRouter;
use crate::vrrp::board::Transition;
use crate::vrrp::talk::{Alarm, State};

/// Something that happened.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) what: What,
    pub(super) at: SystemTime,
}

/// What happened.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// A virtual router changed its state.
    Transition(Arc<VirtualRouter>, Transition),
    /// A misconfiguration was noticed (with what is wrong), or is over (`None`).
    Alarm(Arc<VirtualRouter>, Alarm, Option<String>),
    /// A node does not serve (with why), or does again (`None`).
    Node { name: String, address: String, trouble: Option<String> },
}

impl Event {
    /// In the words of keepalived's mails where it has them.
    pub(super) fn subject(&self) -> String {
        match &self.what {
            What::Transition(router, transition) => {
                let name = &router.name;
                match transition.to {
                    State::Initialize => format!("VRRP Instance {name} - Stopped"),
                    to => format!("VRRP Instance {name} - Entering {} state", to.keepalived()),
                }
            }
            What::Alarm(router, alarm, Some(_)) => {
                format!("VRRP Instance {} - ALARM {}", router.name, alarm.name())
            }
            What::Alarm(router, alarm, None) => {
                format!("VRRP Instance {} - alarm {} is over", router.name, alarm.name())
            }
            What::Node { name, trouble, .. } => {
                format!("Node {name} - {}", if trouble.is_some() { "DOWN" } else { "UP" })
            }
        }
    }

    /// A line with all that is known of it.
    pub(super) fn line(&self) -> String {
        let at = format_rfc3339_seconds(self.at);
        let subject = self.subject();
        let more = match &self.what {
            What::Transition(router, transition) => {
                let Transition { from, priority, reason, .. } = transition;
                let (from, addresses) = (from.keepalived(), addresses(router).join(", "));
                format!("from {from}, priority {priority}, addresses {addresses}: {reason}")
            }
            What::Alarm(_, _, text) => text.clone().unwrap_or_default(),
            What::Node { address, trouble: Some(why), .. } => format!("{address}: {why}"),
            What::Node { address, trouble: None, .. } => address.clone(),
        };
        let more = more.replace(|c: char| c.is_control(), " ");
        format!("{at}  {subject}{}{more}", if more.is_empty() { "" } else { "; " })
    }

    /// The body of a webhook; `None` = it is not posted.
    pub(super) fn json(&self, gateway: &str) -> Option<Value> {
        let at = format_rfc3339_millis(self.at).to_string();
        match &self.what {
            What::Transition(router, transition) => Some(json!({
                "event": "transition",
                "gateway": gateway,
                "virtual_router": *router.name,
                "from": transition.from.name(),
                "to": transition.to.name(),
                "priority": transition.priority,
                "reason": transition.reason,
                "at": at,
                "addresses": addresses(router),
            })),
            What::Alarm(router, alarm, text) => Some(json!({
                "event": if text.is_some() { "alarm" } else { "alarm-over" },
                "gateway": gateway,
                "virtual_router": *router.name,
                "alarm": alarm.name(),
                "reason": text,
                "at": at,
                "addresses": addresses(router),
            })),
            What::Node { .. } => None,
        }
    }
}

fn addresses(router: &VirtualRouter) -> Vec<String> {
    router.addresses.iter().map(|a| format!("{}/{}", a.address, a.prefix)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::vrrp::samples::{router, transition};

    fn event(what: What) -> Event {
        Event { what, at: UNIX_EPOCH + Duration::from_millis(1_700_000_000_250) }
    }

    #[test]
    fn a_transition_is_told_in_the_words_of_keepalived() {
        let what = What::Transition(Arc::new(router("amqp")), transition(State::Active));
        let event = event(what);
        assert_eq!(event.subject(), "VRRP Instance amqp - Entering MASTER state");
        assert_eq!(
            event.line(),
            "2023-11-14T22:13:20Z  VRRP Instance amqp - Entering MASTER state; from BACKUP, priority 150, \
             addresses 10.0.0.9/24: Receive advertisement timeout"
        );
        let expected = json!({
            "event": "transition",
            "gateway": "gw1",
            "virtual_router": "amqp",
            "from": "backup",
            "to": "active",
            "priority": 150,
            "reason": "Receive advertisement timeout",
            "at": "2023-11-14T22:13:20.250Z",
            "addresses": ["10.0.0.9/24"],
        });
        assert_eq!(event.json("gw1"), Some(expected));
    }

    #[test]
    fn an_alarm_is_told_when_it_begins_and_when_it_is_over() {
        let router = Arc::new(router("amqp"));
        let begins = event(What::Alarm(router.clone(), Alarm::OtherPassword, Some("a\nb".into())));
        assert_eq!(begins.subject(), "VRRP Instance amqp - ALARM other_password");
        assert!(begins.line().ends_with("ALARM other_password; a b"), "{}", begins.line());
        assert_eq!(begins.json("g").expect("it is posted")["event"], "alarm");
        let over = event(What::Alarm(router, Alarm::OtherPassword, None));
        assert!(over.line().ends_with("alarm other_password is over"), "{}", over.line());
        assert_eq!(over.json("g").expect("it is posted")["reason"], Value::Null);
    }

    #[test]
    fn a_node_is_told_of_in_mail_alone() {
        let node = |trouble: Option<&str>| {
            let trouble = trouble.map(str::to_owned);
            event(What::Node { name: "main/r1".into(), address: "10.0.0.1:5672".into(), trouble })
        };
        let down = node(Some("tcp: connection refused"));
        assert_eq!(down.subject(), "Node main/r1 - DOWN");
        assert!(down.line().ends_with("DOWN; 10.0.0.1:5672: tcp: connection refused"));
        assert_eq!(node(None).subject(), "Node main/r1 - UP");
        assert_eq!(down.json("gw1"), None);
    }
}

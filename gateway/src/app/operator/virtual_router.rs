//! Virtual routers, as the admin API shows and moves them.

use std::sync::{Arc, OnceLock};

use super::time;
use crate::admin::operator::Refusal;
use crate::admin::view::vrrp::{Alarm, Counters, Peer, Transition, VirtualRouter};
use crate::config::model::{self, VrrpVersion};
use crate::vrrp::board::{self, Board, Known};
use crate::vrrp::talk;
use crate::vrrp::warden::Hand;

/// All of them.
pub(super) fn all(board: &Board) -> Vec<VirtualRouter> {
    board.list().iter().map(|(router, known)| view(router, known)).collect()
}

/// Tells the VRRP process what is wished of one of them; how it is at that moment.
pub(super) fn wish(
    board: &Board,
    hand: &OnceLock<Hand>,
    name: &str,
    tell: impl FnOnce(&Hand, &Arc<str>),
) -> Result<VirtualRouter, Refusal> {
    let router = board.routers().into_iter().find(|router| &*router.name == name);
    let unknown = || Refusal::Unknown(format!("There is no virtual router {name}."));
    let router = router.ok_or_else(unknown)?;
    let idle = || Refusal::Conflict(format!("Virtual router {name}: VRRP does not run yet."));
    tell(hand.get().ok_or_else(idle)?, &router.name);
    all(board).into_iter().find(|router| router.virtual_router == name).ok_or_else(unknown)
}

fn view(router: &model::VirtualRouter, known: &Known) -> VirtualRouter {
    let (status, last) = (known.status.as_ref(), known.history.last());
    let state = status.map(|status| status.state).or_else(|| last.map(|last| last.to));
    let peer = status.and_then(|status| status.peer.as_ref());
    VirtualRouter {
        virtual_router: router.name.to_string(),
        interface: router.interface.to_string(),
        virtual_router_id: router.virtual_router_id,
        version: match router.version {
            VrrpVersion::V2 => 2,
            VrrpVersion::V3 => 3,
        },
        addresses: router.addresses.iter().map(|a| format!("{}/{}", a.address, a.prefix)).collect(),
        sync_group: router.sync_group.as_deref().map(str::to_owned),
        state: state.map_or("unknown", talk::State::name).to_owned(),
        since: last.map(|last| time(last.at)),
        reason: last.map(|last| last.reason.clone()),
        priority: router.priority,
        effective_priority: status.map(|status| status.priority),
        released: status.is_some_and(|status| status.released),
        holds_addresses: status.is_some_and(|status| status.holds),
        peer: peer.map(|peer| Peer {
            address: peer.address.to_string(),
            priority: peer.priority,
            heard_ms: peer.heard_ms,
        }),
        alarms: known.alarms.iter().map(alarm).collect(),
        counters: counters(known),
        history: known.history.iter().map(transition).collect(),
    }
}

fn alarm((alarm, text): &(talk::Alarm, String)) -> Alarm {
    Alarm { alarm: alarm.name().to_owned(), text: text.clone() }
}

fn counters(known: &Known) -> Counters {
    let totals = &known.totals;
    Counters {
        sent: totals.sent,
        received: totals.received,
        announcements: totals.announced,
        errors: totals.errors.iter().cloned().collect(),
        transitions: known.transitions.iter().map(|(to, n)| ((*to).to_owned(), *n)).collect(),
    }
}

fn transition(transition: &board::Transition) -> Transition {
    Transition {
        from: transition.from.name().to_owned(),
        to: transition.to.name().to_owned(),
        priority: transition.priority,
        reason: transition.reason.clone(),
        at: time(transition.at),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::vrrp::samples;
    use crate::vrrp::talk::{State, Status, Word};

    fn board() -> Board {
        let board = Board::new(&[samples::router("amqp"), samples::router("other")]);
        let (from, to) = (State::Backup, State::Active);
        let reason = "Receive advertisement timeout".to_owned();
        board.hear(&Word::Transition { router: 0, from, to, priority: 150, reason }, UNIX_EPOCH);
        let text = Some("use the same password".to_owned());
        board.hear(&Word::Alarm { router: 0, alarm: talk::Alarm::OtherPassword, text }, UNIX_EPOCH);
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
        board.hear(
            &Word::Status(vec![Status {
                router: 0,
                state: State::Active,
                priority: 110,
                released: false,
                holds: true,
                peer: Some(talk::Peer { address, priority: 90, heard_ms: 7 }),
                counters: talk::Counters {
                    sent: 3,
                    received: 2,
                    errors: vec![("ttl".to_owned(), 1)],
                    announced: 5,
                },
            }]),
            UNIX_EPOCH,
        );
        board
    }

    #[test]
    fn what_the_board_knows_is_shown() {
        let [amqp, other] = <[VirtualRouter; 2]>::try_from(all(&board())).expect("two");
        assert_eq!((&*amqp.state, &*other.state), ("active", "unknown"));
        assert_eq!(amqp.addresses, ["10.0.0.9/24"]);
        assert_eq!((amqp.priority, amqp.effective_priority), (150, Some(110)));
        assert_eq!(amqp.since.as_deref(), Some("1970-01-01T00:00:00.000Z"));
        assert_eq!(amqp.reason.as_deref(), Some("Receive advertisement timeout"));
        assert_eq!(amqp.peer.expect("it was heard").address, "10.0.0.2");
        assert_eq!(amqp.alarms[0].alarm, "other_password");
        assert_eq!((amqp.counters.sent, amqp.counters.announcements), (3, 5));
        assert_eq!(amqp.counters.errors["ttl"], 1);
        assert_eq!(amqp.counters.transitions["active"], 1);
        assert_eq!(amqp.history.len(), 1);
        assert_eq!((other.effective_priority, other.history.len()), (None, 0));
    }

    #[test]
    fn nothing_moves_before_vrrp_runs() {
        let (board, hand) = (board(), OnceLock::new());
        let wish = |name: &str| wish(&board, &hand, name, |_, _| panic!("there is no hand"));
        assert!(matches!(wish("x"), Err(Refusal::Unknown(text)) if text.contains("router x")));
        assert!(matches!(wish("amqp"), Err(Refusal::Conflict(text)) if text.contains("not run")));
    }
}

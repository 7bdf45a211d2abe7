//! Closes whatever is connected to an address that leaves.

use std::net::IpAddr;
use std::sync::Arc;

use crate::session::Shared;
use crate::session::registry::{Order, Registry};
use crate::stream::shared::SharedAddresses;
use crate::vrrp::warden::{Close, Closer};

/// For the warden.
pub(super) fn closer(shared: Arc<Shared>, addresses: Arc<SharedAddresses>) -> Closer {
    Box::new(move |lost: &[IpAddr], how| close(&shared.registry, &addresses, lost, how))
}

/// How many connections are left.
fn close(registry: &Registry, addresses: &SharedAddresses, lost: &[IpAddr], how: Close) -> usize {
    let order = match how {
        Close::Tell => Order::AddressLost,
        Close::Cut => Order::Cut,
        Close::Over => {
            addresses.welcome(lost);
            return 0;
        }
    };
    addresses.lose(lost);
    let left = addresses.live(lost);
    if left > 0 {
        registry.each(|session| {
            if session.arrival.shared_address().is_some_and(|address| lost.contains(&address)) {
                session.order(order);
            }
        });
    }
    left
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Instant;

    use super::*;
    use crate::config::model::ListenerName;
    use crate::session::registry::{Session, SessionId};
    use crate::stream::arrival::Arrival;

    const OURS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn session(id: u64, addresses: &SharedAddresses, at: IpAddr) -> Arc<Session> {
        let client = ([127, 0, 0, 1], 4000).into();
        let mut arrival = Arrival::new(ListenerName("amqp".into()), client);
        arrival.here = addresses.arrive(at);
        Arc::new(Session::new(SessionId(id), arrival))
    }

    #[test]
    fn the_sessions_of_a_lost_address_are_told_and_no_others_however_many_there_are() {
        let (registry, addresses) = (Registry::default(), SharedAddresses::new([OURS, OTHER]));
        for id in 0..20_000 {
            let at = if id % 2 == 0 { OURS } else { OTHER };
            registry.insert(session(id, &addresses, at));
        }
        let begun = Instant::now();
        assert_eq!(close(&registry, &addresses, &[OURS], Close::Tell), 10_000);
        println!("10,000 of 20,000 told within {:?} (criterion: 10 ms)", begun.elapsed());
        registry.each(|session| {
            let ours = session.id.0 % 2 == 0;
            let order = session.poll_order(Waker::noop());
            assert_eq!(order, ours.then_some(Order::AddressLost));
        });
        close(&registry, &addresses, &[OURS], Close::Cut);
        let cut = registry.list()[0].poll_order(Waker::noop());
        assert_eq!(cut, Some(Order::Cut));
    }

    #[test]
    fn a_session_that_has_left_its_address_is_not_cut() {
        let (registry, addresses) = (Registry::default(), SharedAddresses::new([OURS]));
        let [first, second] = [1, 2].map(|id| session(id, &addresses, OURS));
        registry.insert(first.clone());
        registry.insert(second);
        first.arrival.left();
        assert_eq!(close(&registry, &addresses, &[OURS], Close::Cut), 1);
        assert_eq!(first.poll_order(Waker::noop()), None);
    }
}

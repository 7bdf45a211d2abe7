//! Virtual routers in their place: what they need of the gateway, and what becomes of it.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Dispatch, info, warn};

use super::Gateway;
use crate::config::model::Model;
use crate::session::Shared;
use crate::session::registry::Order;
use crate::stream::shared::SharedAddresses;
use crate::vrrp::notify;
use crate::vrrp::warden::{Burden, Close, Closer, Warden};

/// All addresses of virtual routers.
pub(super) fn addresses(model: &Model) -> SharedAddresses {
    let routers = model.virtual_routers.iter();
    SharedAddresses::new(routers.flat_map(|router| router.addresses.iter().map(|a| a.address)))
}

/// Closes whatever is connected to an address that leaves.
fn closer(shared: Arc<Shared>, addresses: Arc<SharedAddresses>) -> Closer {
    Box::new(move |lost: &[IpAddr], how| {
        addresses.lose(lost);
        let order = match how {
            Close::Tell => Order::AddressLost,
            Close::Cut => Order::Cut,
        };
        shared.registry.each(|session| {
            if session.arrival.shared_address().is_some_and(|address| lost.contains(&address)) {
                session.order(order);
            }
        });
        addresses.live(lost)
    })
}

/// Starts the VRRP process, if there are virtual routers. The gateway serves already.
///
/// # Errors
/// Why it cannot work.
pub(super) async fn start(
    gateway: &Gateway,
    model: &Model,
    log: &Dispatch,
) -> Result<Option<Warden>, String> {
    if model.virtual_routers.is_empty() {
        return Ok(None);
    }
    let closer = closer(gateway.shared.clone(), gateway.addresses.clone());
    let burdens = vec![Burden::default(); model.virtual_routers.len()];
    let warden = Warden::start(gateway.board.clone(), burdens, closer, log);
    let mut warden = warden.map_err(|error| format!("cannot start its thread: {error}"))?;
    gateway.tasks.spawn(warden.live());
    match warden.ready().await {
        Ok(()) => {
            // Once a gateway.
            let _ = gateway.hand.set(warden.hand());
            Ok(Some(warden))
        }
        Err(text) => {
            warden.end();
            Err(text)
        }
    }
}

/// Whoever tells commands, web servers and people of what happens.
pub(super) struct Telling {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Begins to tell.
pub(super) fn tell(gateway: &Gateway, model: &Model) -> Telling {
    let stop = CancellationToken::new();
    let (name, health) = (gateway.shared.name.clone(), gateway.health.subscribe());
    let run = notify::run(name, &gateway.board, model.email.clone(), health, stop.clone());
    Telling { task: tokio::spawn(run), stop }
}

impl Telling {
    /// What happens from now on is not told any more.
    pub(super) fn end(&self) {
        self.stop.cancel();
    }

    /// What happened before is told, or given up.
    pub(super) async fn done(self) {
        let _ = self.task.await;
    }
}

/// Hands the addresses over while clients are still served. `cut` ends that: was it cut?
pub(super) async fn stop(warden: Warden, cut: impl Future<Output = ()>) -> bool {
    info!("handing the shared addresses over; a second signal gives them up at once");
    let hurried = tokio::select! {
        () = warden.stop() => false,
        () = cut => true,
    };
    if hurried {
        warn!("second signal: giving the shared addresses up");
    }
    warden.end();
    hurried
}

//! EXTERNAL, for clients whose certificate stands for a login.
//!
//! Their TLS ends at the gateway, so a node cannot see who they are. The gateway can: it offers EXTERNAL in a broker's
//! place, and tells nodes of the login that the cluster has for such a certificate.

use super::Handshake;
use crate::cluster::Cluster;
use crate::config::model::Login;
use crate::route::Decision;
use crate::session::end::End;
use crate::stream::arrival::Arrival;

impl Handshake<'_> {
    /// Is the client to be offered EXTERNAL? If its certificate stands for a login at the cluster that is decided, or at
    /// one that may still be.
    pub(super) fn offers_external(&self, decision: &Decision) -> bool {
        let (snapshot, arrival) = (&self.snapshot, &self.session.arrival);
        match decision {
            Decision::To(target) => {
                let cluster = snapshot.clusters.get(&target.cluster);
                cluster.is_some_and(|cluster| login(cluster, arrival).is_some())
            }
            Decision::NeedsMore => {
                let mut reachable = snapshot.reachable(&arrival.listener).iter();
                reachable.any(|cluster| login(cluster, arrival).is_some())
            }
            Decision::Rejected(_) => false,
        }
    }

    /// Has nodes told of the login that the certificate stands for at `cluster`, if the client has chosen EXTERNAL.
    ///
    /// # Errors
    /// The end of the session, if there is none.
    pub(super) fn map_login(&mut self, cluster: &Cluster) -> Result<(), End> {
        if !self.external || !self.bridge.wants_mapping() {
            return Ok(());
        }
        if let Some(login) = login(cluster, &self.session.arrival) {
            self.bridge.log_in_as(&login.username, &login.password);
            return Ok(());
        }
        let cause = format!("the certificate stands for no user of cluster {}", cluster.name);
        let forbidden = self.bridge.forbid(&cause);
        Err(self.ended(forbidden))
    }
}

/// The login that the certificate of a client stands for at a cluster: that of the first identity that matches.
fn login<'c>(cluster: &'c Cluster, arrival: &Arrival) -> Option<&'c Login> {
    let shown = arrival.tls.as_ref()?.certificate.as_ref()?;
    let mut identities = cluster.model.identities.iter();
    let matches = identities.find(|one| one.matches(shown.common_name.as_deref(), &shown.sans))?;
    Some(&matches.login)
}

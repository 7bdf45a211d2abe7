//! What can go wrong with a link, made at the bridge: whoever is at its other end sees what a real fault shows.

use anyhow::Result;

use super::command::batch;
use super::{Lab, SWITCH};

impl Lab {
    /// The cable is out: both ends lose their carrier.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn cut(&self, namespace: &str) -> Result<()> {
        self.ip(SWITCH, &format!("link set p-{namespace} down"))
    }

    /// A silent partition: nothing passes, and the carrier stays.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn isolate(&self, namespace: &str) -> Result<()> {
        self.ip(SWITCH, &format!("link set p-{namespace} nomaster"))
    }

    /// Nobody gets the VRRP packets that this one sends; all else passes.
    ///
    /// # Errors
    /// When `tc` refuses.
    pub fn mute(&self, namespace: &str) -> Result<()> {
        self.take_vrrp_away(namespace, "ingress")
    }

    /// This one gets no VRRP packets; all else passes.
    ///
    /// # Errors
    /// When `tc` refuses.
    pub fn deafen(&self, namespace: &str) -> Result<()> {
        self.take_vrrp_away(namespace, "egress")
    }

    /// Takes all faults of this one away.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn heal(&self, namespace: &str) -> Result<()> {
        // Fails when there was no filter.
        let _ =
            batch("tc", self.full_name(SWITCH)?, &format!("qdisc del dev p-{namespace} clsact\n"));
        self.ip(SWITCH, &format!("link set p-{namespace} master br0 up"))
    }

    /// `hook`: at the bridge's end of the link, ingress is what the namespace sends.
    ///
    /// The packets go into a link that leads nowhere, as not every kernel has the action that drops them.
    fn take_vrrp_away(&self, namespace: &str, hook: &str) -> Result<()> {
        let (switch, port) = (self.full_name(SWITCH)?, format!("p-{namespace}"));
        // Fails when it is there already, for the other direction.
        let _ = batch("tc", switch, &format!("qdisc add dev {port} clsact\n"));
        let filter = |protocol: &str, matcher: &str| {
            format!(
                "filter add dev {port} {hook} protocol {protocol} u32 \
                 match {matcher} protocol 112 0xff action mirred egress redirect dev sink0\n"
            )
        };
        batch("tc", switch, &(filter("ip", "ip") + &filter("ipv6", "ip6")))
    }
}

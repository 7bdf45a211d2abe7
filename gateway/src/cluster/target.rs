//! What the address of a node leads to, and which node of the cluster that makes.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::config::model::{self, ManagementUrl};

/// One place that the address of a node leads to: an IP address leads to itself, a name to one or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The place.
    pub address: SocketAddr,
    /// `host:port` as an SRV record has it, if that is a single address.
    pub host: Option<String>,
    /// Its share among the targets of its name.
    pub weight: NonZeroU32,
    /// Is it behind others by its SRV priority, so that it serves only while they cannot?
    pub later: bool,
}

impl Target {
    /// A place as good as any.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self { address, host: None, weight: NonZeroU32::MIN, later: false }
    }

    pub(super) fn node_name(&self, section: &model::Node) -> Arc<str> {
        if section.address.literal().is_some() {
            return section.name.clone();
        }
        let behind = match (&self.host, section.address.is_srv(), self.address.ip()) {
            (Some(host), ..) => host.clone(),
            (None, true, _) => self.address.to_string(),
            (None, false, IpAddr::V4(ip)) => ip.to_string(),
            (None, false, IpAddr::V6(ip)) => format!("[{ip}]"),
        };
        format!("{}@{behind}", section.name).into()
    }

    /// The name that whoever configured it, or DNS, knows it by.
    pub(super) fn host_in(&self, section: &model::Node) -> Arc<str> {
        match &self.host {
            Some(host) => host.rsplit_once(':').map_or(&**host, |(host, _)| host).into(),
            None if section.address.is_srv() => self.address.ip().to_string().into(),
            None => section.address.host.as_str().into(),
        }
    }

    pub(super) fn weight_in(&self, section: &model::Node) -> NonZeroU32 {
        section.weight.saturating_mul(self.weight)
    }

    pub(super) fn is_backup_in(&self, section: &model::Node) -> bool {
        section.backup || self.later
    }

    /// Each node answers for itself: where the section names the same host for AMQP and management, its nodes are asked at
    /// their own addresses.
    pub(super) fn management(&self, section: &model::Node) -> Option<ManagementUrl> {
        let url = section.management.clone()?;
        match *url.host == *section.address.host {
            true => Some(ManagementUrl { host: self.address.ip().to_string().into(), ..url }),
            false => Some(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{NodeAddress, samples};

    fn section(host: &str, port: Option<u16>) -> model::Node {
        let address = NodeAddress { host: host.to_owned(), port };
        model::Node { address, ..samples::node("new1", 5672) }
    }

    fn target(address: &str) -> Target {
        Target::at(address.parse().expect("an address"))
    }

    #[test]
    fn a_node_is_named_after_its_section_and_what_a_name_led_to() {
        let (v4, v6) = (target("10.0.0.5:5672"), target("[fd00::1]:5672"));
        let literal = section("10.0.0.5", Some(5672));
        assert_eq!(&*v4.node_name(&literal), "new1");
        let name = section("rabbit.internal", Some(5672));
        assert_eq!(&*v4.node_name(&name), "new1@10.0.0.5");
        assert_eq!(&*v6.node_name(&name), "new1@[fd00::1]");
        let srv = section("_amqp._tcp.rabbit.internal", None);
        assert_eq!(&*v6.node_name(&srv), "new1@[fd00::1]:5672");
        let hosted = Target { host: Some("r1.internal:5672".to_owned()), ..v4 };
        assert_eq!(&*hosted.node_name(&srv), "new1@r1.internal:5672");
    }

    #[test]
    fn a_node_behind_a_name_is_asked_for_itself_unless_management_is_elsewhere() {
        let url = |host: &str| {
            let host = host.into();
            Some(ManagementUrl { tls: false, host, port: 15672, prefix: "".into() })
        };
        let mut section = section("rabbit.internal", Some(5672));
        assert_eq!(target("10.0.0.5:5672").management(&section), None);
        section.management = url("rabbit.internal");
        assert_eq!(target("10.0.0.5:5672").management(&section), url("10.0.0.5"));
        assert_eq!(target("[fd00::1]:5672").management(&section), url("fd00::1"));
        section.management = url("console.internal");
        assert_eq!(target("10.0.0.5:5672").management(&section), section.management);
    }

    #[test]
    fn weight_and_priority_of_an_srv_record_count_beside_the_sections() {
        let mut section = section("_amqp._tcp.rabbit.internal", None);
        section.weight = NonZeroU32::new(3).expect("not 0");
        let weight = NonZeroU32::new(2).expect("not 0");
        let target = Target { weight, later: true, ..target("10.0.0.5:5672") };
        assert_eq!(target.weight_in(&section).get(), 6);
        assert!(target.is_backup_in(&section) && !section.backup);
    }
}

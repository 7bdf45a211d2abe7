//! `[vrrp.NAME]` and `[notify.email]` on their way to the model.

use std::time::Duration;

use super::{SMALLEST, read};
use crate::config::model::{
    Cost, EmailTls, Garp, Model, VirtualAddress, VrrpChecksum, VrrpPassword, VrrpVersion,
};

fn full() -> Model {
    read(include_str!("full.toml")).unwrap().0
}

fn address(text: &str, prefix: u8) -> VirtualAddress {
    VirtualAddress { address: text.parse().unwrap(), prefix }
}

#[test]
fn every_key_of_a_virtual_router_reaches_the_model() {
    let model = full();
    let [first, second] = model.virtual_routers.as_slice() else { panic!() };
    assert_eq!((&*first.name, &*first.interface), ("first", "eth0"));
    assert_eq!((first.virtual_router_id, first.priority), (51, 150));
    assert_eq!(first.addresses, [address("192.168.1.100", 24), address("192.168.1.101", 32)]);
    assert_eq!(first.version, VrrpVersion::V2);
    assert_eq!(first.advertisement_interval, Duration::from_secs(3));
    assert_eq!((first.preempt, first.preempt_delay), (true, Duration::from_secs(5)));
    assert_eq!(first.authentication, Some(VrrpPassword(*b"mypass\0\0")));
    assert_eq!(first.peers, ["192.168.1.2".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(first.source_address, Some("192.168.1.1".parse().unwrap()));
    assert!(first.virtual_mac);
    assert_eq!(first.sync_group.as_deref(), Some("edge"));
    let (delay, refresh) = (Duration::from_secs(1), Some(Duration::from_secs(60)));
    assert_eq!(first.garp, Garp { repeat: 2, delay, refresh });
    assert_eq!(first.checksum, VrrpChecksum::Auto);
    assert_eq!((second.preempt, second.garp.refresh), (false, None));
}

#[test]
fn every_key_of_track_and_notify_reaches_the_model() {
    let model = full();
    let (first, second) = (&model.virtual_routers[0], &model.virtual_routers[1]);
    let track = &first.track;
    assert_eq!(track.listeners, Some(Cost::Weight(100)));
    let clusters: Vec<_> = track.clusters.iter().map(|(n, cost)| (n.to_string(), *cost)).collect();
    assert_eq!(clusters, [("main".to_owned(), Cost::Weight(40))]);
    let interfaces: Vec<_> = track.interfaces.iter().map(|(n, cost)| (&**n, *cost)).collect();
    assert_eq!(interfaces, [("eth1", Cost::Fault), ("eth2", Cost::Weight(7))]);
    let script = track.script.as_ref().unwrap();
    assert_eq!(script.script.command, ["/bin/check", ""]);
    assert_eq!(script.script.timeout, Duration::from_secs(3));
    assert_eq!((script.interval, script.rise, script.fall), (Duration::from_secs(4), 5, 6));
    assert_eq!(script.cost, Cost::Weight(20));
    let notify = &first.notify;
    assert_eq!(notify.command.as_deref(), Some(&["/bin/notify".to_owned(), "x".to_owned()][..]));
    assert_eq!(notify.webhook.as_deref(), Some("https://ops.internal/hook"));
    assert_eq!(
        (second.track.listeners, second.track.clusters[0].1),
        (Some(Cost::Fault), Cost::Fault)
    );
    assert!(second.notify.command.is_none() && second.notify.webhook.is_none());
}

#[test]
fn every_key_of_email_reaches_the_model() {
    let email = full().email.unwrap();
    assert_eq!(
        (&*email.smtp.0, email.smtp.1, &*email.from),
        ("mail.company.com", 587, "gateway@company.com")
    );
    assert_eq!(
        email.to.iter().map(|to| &**to).collect::<Vec<_>>(),
        ["a@company.com", "b@company.com"]
    );
    assert_eq!(email.tls, EmailTls::Implicit);
    assert_eq!(&*email.login.unwrap().password, "from the file");
}

#[test]
fn a_virtual_router_needs_only_interface_number_and_address() {
    let section = "[vrrp.a]\ninterface = 'eth0'\nvirtual_router_id = 7\naddresses = '10.0.0.9'\n";
    let (model, warnings) = read(&format!("{SMALLEST}{section}")).unwrap();
    assert_eq!(warnings, []);
    let router = &model.virtual_routers[0];
    assert_eq!((router.priority, router.version), (100, VrrpVersion::V3));
    assert_eq!(router.addresses, [address("10.0.0.9", 32)]);
    assert_eq!(router.advertisement_interval, Duration::from_millis(100));
    assert_eq!((router.preempt, router.preempt_delay), (true, Duration::ZERO));
    assert!(router.fast_takeover);
    assert_eq!((router.authentication, router.source_address), (None, None));
    assert!(router.peers.is_empty() && !router.virtual_mac && router.sync_group.is_none());
    let (delay, refresh) = (Duration::from_secs(5), Some(Duration::from_secs(10)));
    assert_eq!(router.garp, Garp { repeat: 5, delay, refresh });
    assert_eq!(router.checksum, VrrpChecksum::Auto);
    let track = &router.track;
    assert!(track.listeners.is_none() && track.script.is_none());
    assert!(track.clusters.is_empty() && track.interfaces.is_empty());
    let (model, _) = read(&format!("{SMALLEST}{section}version = 2\n")).unwrap();
    assert_eq!(model.virtual_routers[0].advertisement_interval, Duration::from_secs(1));
    let (model, _) = read(&format!("{SMALLEST}{section}track.listeners = false\n")).unwrap();
    assert_eq!(model.virtual_routers[0].track.listeners, None);
}

#[test]
fn mail_to_another_host_is_encrypted_by_default() {
    let tls = |server: &str| {
        let section = format!("[notify.email]\nsmtp = '{server}'\nfrom = 'a@b'\nto = 'c@d'\n");
        let (model, warnings) = read(&format!("{SMALLEST}{section}")).unwrap();
        assert_eq!(warnings, []);
        model.email.unwrap().tls
    };
    for near in ["127.0.0.1:25", "[::1]:25", "localhost:25"] {
        assert_eq!(tls(near), EmailTls::Off);
    }
    for far in ["192.168.1.9:25", "mail.company.com:587"] {
        assert_eq!(tls(far), EmailTls::Starttls);
    }
}

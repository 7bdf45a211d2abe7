//! Settings that do not match those of keepalived: told by an alarm, and borne wherever one side can.

use anyhow::{Result, ensure};
use integration::vrrp_lab::{self as lab, *};

use super::vrrp_member::{LONG, Member, Who};
use super::vrrp_setup::{side_by_side, span, wait_for_entry, watch};

/// What differs, and what has to come of it.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    /// Changes the settings of both alike.
    both: fn(&mut Settings),
    /// Changes those of keepalived.
    theirs: fn(&mut Settings),
    alarm: &'static str,
    /// Whether the product goes by keepalived's advertisements all the same: then it never is a second holder.
    borne: bool,
    /// Whether keepalived goes by the product's.
    borne_by_keepalived: bool,
    /// What keepalived says of the product's advertisements, if anything.
    complaint: Option<&'static str>,
}

const CASES: [Case; 7] = [
    Case {
        name: "one address more",
        both: |_| {},
        theirs: |settings| settings.addresses.push("10.77.0.101".to_owned()),
        alarm: "other_addresses",
        borne: true,
        borne_by_keepalived: false,
        complaint: Some("received an unexpected ip number count"),
    },
    Case {
        name: "another second address",
        both: |settings| settings.addresses.push("10.77.0.101".to_owned()),
        theirs: |settings| settings.addresses[1] = "10.77.0.102".to_owned(),
        alarm: "other_addresses",
        borne: true,
        borne_by_keepalived: false,
        complaint: Some("ip address associated"),
    },
    Case {
        name: "interval, version 3",
        both: |_| {},
        theirs: |settings| settings.interval = 0.2,
        alarm: "other_interval",
        borne: true,
        borne_by_keepalived: true,
        complaint: None,
    },
    Case {
        name: "interval, version 2",
        both: |settings| (settings.version, settings.interval) = (2, 1.0),
        theirs: |settings| settings.interval = 2.0,
        alarm: "other_interval",
        borne: true,
        borne_by_keepalived: false,
        complaint: Some("advertisement interval mismatch"),
    },
    Case {
        name: "password",
        both: |settings| {
            (settings.version, settings.interval) = (2, 1.0);
            settings.password = Some("ours".to_owned());
        },
        theirs: |settings| settings.password = Some("theirs".to_owned()),
        alarm: "other_password",
        borne: false,
        borne_by_keepalived: false,
        complaint: Some("received an invalid passwd"),
    },
    Case {
        name: "version",
        both: |settings| settings.interval = 1.0,
        theirs: |settings| settings.version = 2,
        alarm: "other_version",
        borne: false,
        borne_by_keepalived: false,
        complaint: Some("wrong version"),
    },
    Case {
        name: "multicast and unicast",
        both: |_| {},
        theirs: |settings| settings.peers = vec![lab::address("gw1").unwrap().into()],
        alarm: "unknown_peer",
        borne: false,
        borne_by_keepalived: false,
        complaint: None,
    },
];

/// The product on `gw1`, keepalived on `gw2`; the one of priority 100 holds the address before the other comes.
fn mismatch(case: Case, ours: u8) -> Result<()> {
    let product_first = ours == 100;
    let role = if product_first { "P active" } else { "K active" };
    let scenario = format!("S-10 {}, {role}", case.name);
    let Some(lab) = or_skip(&scenario, || Lab::new(2)) else { return Ok(()) };
    let [mut settings, mut theirs] = [Settings::new(ours), Settings::new(190 - ours)];
    (case.both)(&mut settings);
    (case.both)(&mut theirs);
    (case.theirs)(&mut theirs);
    let product = || Member::start(&lab, "gw1", Who::Product, &settings);
    let keepalived = || Member::start(&lab, "gw2", Who::Keepalived, &theirs);
    let holder = if product_first { "gw1" } else { "gw2" };
    let (product, keepalived) = if product_first {
        let product = product()?;
        lab.wait_for_holder(holder, VIP, LONG)?;
        (product, keepalived()?)
    } else {
        let keepalived = keepalived()?;
        lab.wait_for_holder(holder, VIP, LONG)?;
        (product()?, keepalived)
    };
    for member in [&product, &keepalived] {
        wait_for_entry(member, "BACKUP", 1)?;
    }

    let borne = if product_first { case.borne_by_keepalived } else { case.borne };
    if borne {
        // Longer than any of the down timers.
        watch(span(8, 30).mul_f64(settings.interval.max(theirs.interval).min(1.0)));
    } else {
        lab.wait_for_holders(&["gw1", "gw2"], VIP, LONG)?;
    }
    let log = product.log();
    // A backup is silent: then there is nothing to be noticed.
    let told = !(borne && product_first);
    if told {
        let alarm = format!("alarm={}", case.alarm);
        let found = lab::wait(LONG, || product.log().contains(&alarm));
        ensure!(found, "{scenario}: no {alarm}:\n{}\n{}", product.log(), keepalived.log());
    }
    if let Some(complaint) = case.complaint.filter(|_| !borne && product_first) {
        let found = lab::wait(LONG, || keepalived.log().contains(complaint));
        ensure!(found, "{scenario}: keepalived should say {complaint:?}:\n{}", keepalived.log());
    }
    let expected: &[&str] = if borne { &[holder] } else { &["gw1", "gw2"] };
    ensure!(lab.holders(VIP) == expected, "{:?}\n{log}\n{}", lab.holders(VIP), keepalived.log());
    if borne && !product_first {
        ensure!(lab.changes("gw1", VIP).is_empty(), "the product took it:\n{log}");
    }
    let alarm = if told { case.alarm } else { "none" };
    figure(&scenario, &format!("holders {expected:?}, alarm {alarm}"));
    Ok(())
}

fn both_roles(cases: &[Case]) -> Result<()> {
    let all: Vec<_> = cases.iter().flat_map(|case| [(*case, 100), (*case, 90)]).collect();
    side_by_side(&all, |(case, ours)| mismatch(case, ours))
}

#[test]
fn s10_beside_keepalived_with_other_addresses_no_second_holder_comes_from_here() -> Result<()> {
    both_roles(&CASES[..2])
}

#[test]
fn s10_beside_keepalived_with_another_interval_no_second_holder_comes_from_here() -> Result<()> {
    both_roles(&CASES[2..4])
}

#[test]
fn s10_keepalived_with_another_password_version_or_way_to_send_is_told_by_an_alarm() -> Result<()> {
    both_roles(&CASES[4..])
}

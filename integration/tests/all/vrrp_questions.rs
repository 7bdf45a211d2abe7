//! An active router whose advertisement is lost is asked, if it is one that answers; if not, it is waited for.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration::vrrp_lab::*;

use super::vrrp_member::{KP, LONG, PP, Pair, name, settled_with};
use super::vrrp_setup::{entered, side_by_side, watch};

/// Long, so that a busy machine does not add up to a down time.
const INTERVAL: Duration = Duration::from_secs(2);

#[test]
fn a_router_that_lost_an_advertisement_is_asked_and_keeps_the_address() -> Result<()> {
    side_by_side(&[PP, KP], |who| one_lost(who, ""))
}

#[test]
fn a_keepalived_that_answers_no_question_keeps_the_address_when_an_advertisement_is_lost()
-> Result<()> {
    one_lost(KP, "vrrp_lower_prio_no_advert true")
}

fn one_lost(who: Pair, global: &str) -> Result<()> {
    let scenario = format!("one lost, {} {global}", name(who));
    let Some(lab) = or_skip(&scenario, || Lab::new(2)) else { return Ok(()) };
    let members = settled_with(&lab, who, |settings| {
        settings.interval = INTERVAL.as_secs_f64();
        settings.global = global.to_owned();
    })?;
    let sniffer = lab.sniff()?;
    // A router that answers is tried once, another one three times.
    watch(INTERVAL * 4);
    let begun = Instant::now();
    let from = |gateway: &str, frame: &Frame| frame.place == gateway && frame.vrrp().is_some();
    let heard = sniffer.wait_for(begun, LONG, |frame| from("gw1", frame)).context("silence")?.at;
    let before = entered(&members[1], "MASTER");
    lab.mute("gw1")?;
    // The next one is lost, and so is the answer to the first question; the second question gets through.
    watch((heard + INTERVAL * 13 / 10).saturating_duration_since(Instant::now()));
    lab.heal("gw1")?;
    watch(INTERVAL * 2);

    let question = |frame: &Frame| {
        from("gw2", frame) && frame.vrrp().is_some_and(|advertisement| advertisement.priority == 1)
    };
    let questions = sniffer.between([heard, Instant::now()]).into_iter().filter(question).count();
    let answers = global.is_empty();
    figure(&scenario, &format!("{questions} questions while it was silent"));
    ensure!(answers == (questions > 0), "who answers is asked, and nobody else");
    ensure!(lab.holders(VIP) == ["gw1"]);
    let [_, second] = members;
    ensure!(entered(&second, "MASTER") == before, "the backup took over:\n{}", second.log());
    Ok(())
}

//! What an operator sees and does: the command line on both sides, releases, mails, counters, alarms.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration::process::Process;
use integration::target;
use integration::vrrp_lab::{self as lab, *};
use serde_json::Value;

use super::vrrp_member::{LONG, Member, PP, Who, config};
use super::vrrp_setup::{Pair, rest, side_by_side, watch};
use super::vrrp_tell::{operate_at, receiver, web};

const LIST: &[&str] = &["virtual-routers"];
const RELEASE: &[&str] = &["virtual-routers", "release", "lab"];
const RECLAIM: &[&str] = &["virtual-routers", "reclaim", "lab"];

/// What `virtual-routers --json` says of the only virtual router.
fn listed(lab: &Lab, gateway: &str) -> Result<Value> {
    let text = operate_at(lab, gateway, &["virtual-routers", "--json"])?;
    let mut answer: Value = serde_json::from_str(&text).context(text)?;
    Ok(answer["virtual_routers"][0].take())
}

/// Waits until it is listed in this state, and whether as released.
fn wait_for_state(lab: &Lab, gateway: &str, state: &str, released: bool) -> Result<()> {
    let is = || {
        listed(lab, gateway).is_ok_and(|now| now["state"] == state && now["released"] == released)
    };
    ensure!(lab::wait(LONG, is), "not {state}: {:#}", listed(lab, gateway)?);
    Ok(())
}

/// The line of the table below its head, split at spaces.
fn row(lab: &Lab, gateway: &str) -> Result<Vec<String>> {
    let table = operate_at(lab, gateway, LIST)?;
    let mut lines = table.lines();
    ensure!(lines.next().is_some_and(|head| head.starts_with("NAME  INTERFACE  VRID")), "{table}");
    let row = lines.next().context("no virtual router is listed")?;
    Ok(row.split_ascii_whitespace().map(str::to_owned).collect())
}

#[test]
fn a_release_moves_the_address_without_loss_and_a_reclaim_brings_it_back() -> Result<()> {
    let Some(lab) = or_skip("release", || Lab::new(2)) else { return Ok(()) };
    let pair = Pair::set(lab, PP)?;
    let lab = &pair.lab;
    wait_for_state(lab, "gw1", "active", false)?;
    wait_for_state(lab, "gw2", "backup", false)?;
    let heard = lab::wait(LONG, || listed(lab, "gw2").is_ok_and(|it| it["peer"].is_object()));
    ensure!(heard, "{:#}", listed(lab, "gw2")?);
    let first = row(lab, "gw1")?;
    ensure!(first[..6] == ["lab", "eth0", "51", "active", "100", "10.77.0.100/32"], "{first:?}");
    let second = row(lab, "gw2")?;
    let expected = ["lab", "eth0", "51", "backup", "90", "10.77.0.100/32", "10.77.0.11", "(100)"];
    ensure!(second == expected, "{second:?}");

    let mut lost = Vec::new();
    for _ in 0..3 {
        for (order, says, to) in
            [(RELEASE, "lab: released in ", "gw2"), (RECLAIM, "lab: reclaimed", "gw1")]
        {
            rest();
            let event = Instant::now();
            let printed = operate_at(lab, "gw1", order)?;
            ensure!(printed.starts_with(says), "{printed}");
            pair.wait_for(to)?;
            rest();
            let end = Instant::now();
            lost.push(pair.probe.trace_until(end).lost([event, end]));
        }
        wait_for_state(lab, "gw1", "active", false)?;
    }
    figure("release", &format!("and reclaim: lost {lost:?} (criterion: 0)"));
    ensure!(lost.iter().sum::<usize>() <= lost.len(), "{lost:?}");
    Ok(())
}

/// Kills the VRRP process of `gw1` and waits for the next one.
fn renew_vrrp_process(pair: &mut Pair) -> Result<()> {
    let gateway = pair.first().product();
    let before = gateway.vrrp_process()?;
    gateway.kill_vrrp()?;
    let anew = || gateway.vrrp_process().is_ok_and(|now| now != before);
    ensure!(lab::wait(LONG, anew), "{}", gateway.log());
    Ok(())
}

#[test]
fn a_release_outlives_the_vrrp_process_and_a_reload_but_not_the_need_for_it_nor_a_restart()
-> Result<()> {
    let Some(lab) = or_skip("released", || Lab::new(2)) else { return Ok(()) };
    let mut pair = Pair::set(lab, PP)?;
    operate_at(&pair.lab, "gw1", RELEASE)?;
    pair.wait_for("gw2")?;

    renew_vrrp_process(&mut pair)?;
    wait_for_state(&pair.lab, "gw1", "backup", true)?;
    pair.first().product().reload(&config(&Settings::new(110)))?;
    // It would take the address within half a second.
    watch(Duration::from_secs(2));
    ensure!(pair.lab.holders(VIP) == ["gw2"], "{:?}", pair.lab.holders(VIP));
    wait_for_state(&pair.lab, "gw1", "backup", true)?;

    // Somebody has to have the address.
    pair.second.stop()?;
    pair.wait_for("gw1")?;
    wait_for_state(&pair.lab, "gw1", "active", false)?;
    // What is over stays over: it takes the address back.
    pair.second = Member::start(&pair.lab, "gw2", Who::Product, &Settings::new(90))?;
    renew_vrrp_process(&mut pair)?;
    wait_for_state(&pair.lab, "gw1", "active", false)?;
    pair.wait_for("gw1")?;

    operate_at(&pair.lab, "gw1", RELEASE)?;
    pair.wait_for("gw2")?;
    pair.restart_first()?;
    wait_for_state(&pair.lab, "gw1", "active", false)?;
    Ok(())
}

#[test]
fn metrics_and_the_api_count_the_same_as_the_wire() -> Result<()> {
    let Some(lab) = or_skip("counters", || Lab::new(2)) else { return Ok(()) };
    let sniffer = lab.sniff()?;
    let begin = Instant::now();
    let first = Gateway::start(&lab, "gw1", &config(&Settings::new(100)))?;
    let second = Gateway::start(&lab, "gw2", &config(&Settings::new(90)))?;
    lab.wait_for_holder("gw1", VIP, LONG)?;
    operate_at(&lab, "gw1", RELEASE)?;
    lab.wait_for_holder("gw2", VIP, LONG)?;
    wait_for_state(&lab, "gw1", "backup", true)?;

    // gw1 says nothing any more.
    let said = || {
        let frames = sniffer.between([begin, Instant::now()]);
        frames.iter().filter(|frame| frame.place == "gw1" && frame.vrrp().is_some()).count()
    };
    let metric = |name: &str, labels: &[&str]| {
        first.metric(&lab, &format!("amqp_gateway_vrrp_{name}"), labels).unwrap_or(f64::NAN)
    };
    let sent = || metric("advertisements_total", &["direction=\"sent\""]);
    let all = || said() as f64 == sent() && said() > 0;
    ensure!(lab::wait(LONG, all), "on the wire {}, in metrics {}", said(), sent());
    // A question of the backup's may come between the two.
    let same =
        || listed(&lab, "gw1").is_ok_and(|now| now["counters"]["sent"].as_f64() == Some(sent()));
    ensure!(lab::wait(LONG, same), "{:#}, {}", listed(&lab, "gw1")?, sent());
    let listed = listed(&lab, "gw1")?;
    let counters = &listed["counters"];

    let states = ["initialize", "backup", "active", "fault"]
        .map(|state| metric("state", &[&format!("state=\"{state}\"")]));
    ensure!(states == [0.0, 1.0, 0.0, 0.0] && listed["state"] == "backup", "{states:?}");
    for to in ["backup", "active"] {
        let total = metric("transitions_total", &[&format!("to=\"{to}\"")]);
        ensure!(counters["transitions"][to].as_f64() == Some(total), "{to} {total}: {counters:#}");
    }
    let history = listed["history"].as_array().map_or(0, Vec::len) as f64;
    ensure!(metric("transitions_total", &[]) == history, "{listed:#}");
    ensure!(metric("priority", &[]) == 100.0 && metric("alarm", &[]) == 0.0);
    let errors = metric("errors_total", &[]);
    ensure!(errors == 0.0, "{errors} advertisements were dropped: {}", second.log());
    let received = || metric("advertisements_total", &["direction=\"received\""]);
    let before = received();
    ensure!(lab::wait(LONG, || received() > before), "{}", first.log());
    Ok(())
}

/// A mail server, and the file that it writes mails to.
fn mail_server(lab: &Lab) -> Result<(SocketAddr, Process, std::path::PathBuf)> {
    let (at, file) = (SocketAddr::from(([127, 0, 0, 1], 2525)), lab.dir()?.join("mails"));
    let mut command = lab.command("gw1", target::interop()?.join("venv/bin/python"))?;
    command.args(["-u", "-m", "aiosmtpd", "-n", "-l", &at.to_string()]);
    command.args(["-c", "aiosmtpd.handlers.Debugging", "stdout"]);
    let output = fs::File::create(&file)?;
    command.stdout(output.try_clone()?).stderr(output);
    let server = Process::spawn(&mut command)?;
    let listens = || lab.inside("gw1", || TcpStream::connect(at).is_ok()).unwrap_or(false);
    ensure!(lab::wait(LONG, listens), "{}", fs::read_to_string(&file)?);
    Ok((at, server, file))
}

#[test]
fn a_mail_server_gets_a_mail_that_names_gateway_router_and_state() -> Result<()> {
    let Some(lab) = or_skip("mail", || Lab::new(1)) else { return Ok(()) };
    let (at, _server, file) = mail_server(&lab)?;
    let config = config(&Settings::new(100))
        + &format!("[notify.email]\nsmtp = \"{at}\"\nfrom = \"gw1@lab.test\"\n")
        + "to = [\"ops@lab.test\", \"night@lab.test\"]\n";
    let gateway = Gateway::start(&lab, "gw1", &config)?;
    lab.wait_for_holder("gw1", VIP, LONG)?;

    let mails = || fs::read_to_string(&file).unwrap_or_default();
    let there = lab::wait(LONG, || mails().contains("END MESSAGE"));
    ensure!(there, "{}\n{}", mails(), gateway.log());
    let mail = mails();
    for part in [
        "Subject: ",
        "From: gw1@lab.test",
        "ops@lab.test",
        "night@lab.test",
        "VRRP Instance lab - Entering MASTER state",
    ] {
        ensure!(mail.contains(part), "no {part:?} in {mail}");
    }
    ensure!(mail.matches("END MESSAGE").count() == 1, "{mail}");
    Ok(())
}

/// A keepalived that is wrong, the alarm, and the gateway's settings.
fn misconfigured(alarm: &'static str) -> (Settings, Settings) {
    let mut ours = Settings::new(100);
    match alarm {
        "other_password" => {
            let password = Some("secret".to_owned());
            ours = Settings { version: 2, interval: 1.0, password, ..ours };
        }
        // keepalived falls silent when it hears another version more often than it speaks itself.
        "other_version" => ours.interval = 1.0,
        _ => {}
    }
    let right = Settings { priority: 90, ..ours.clone() };
    let wrong = match alarm {
        "other_version" => Settings { version: 2, ..right },
        "other_password" => Settings { password: Some("wrong".to_owned()), ..right },
        "other_interval" => Settings { interval: 0.2, ..right },
        _ => Settings { addresses: vec![VIP.to_string(), "10.77.0.102".to_owned()], ..right },
    };
    (ours, wrong)
}

/// Everybody is told of a misconfigured peer, and that it has been mended.
fn misconfigure(alarm: &'static str) -> Result<()> {
    let Some(lab) = or_skip(&format!("alarm {alarm}"), || Lab::new(2)) else { return Ok(()) };
    let (ours, wrong) = misconfigured(alarm);
    let (port, posted) = receiver(&lab, web)?;
    let config =
        config(&ours) + &format!("[vrrp.lab.notify]\nwebhook = \"http://127.0.0.1:{port}/hook\"\n");
    // Silent, it would not be noticed as long as we are active: it has to be there first.
    let mut peer = Keepalived::start(&lab, "gw2", &wrong)?;
    peer.wait_for_state("MASTER", LONG)?;
    let gateway = Gateway::start(&lab, "gw1", &config)?;

    let named = format!("alarm={alarm}");
    let line = gateway.wait_for_log(&named, LONG).with_context(|| peer.log())?;
    ensure!(
        line.contains("ERROR") && line.contains("(lab)") && line.contains("10.77.0.12"),
        "{line}"
    );
    let label = format!("alarm=\"{alarm}\"");
    let metric = || gateway.metric(&lab, "amqp_gateway_vrrp_alarm", &[&label]).unwrap_or(-1.0);
    ensure!(lab::wait(LONG, || metric() == 1.0), "{}", gateway.log());
    let shown = listed(&lab, "gw1")?;
    ensure!(shown["alarms"][0]["alarm"] == alarm, "{shown:#}");
    let table = operate_at(&lab, "gw1", LIST)?;
    ensure!(table.contains(&format!("ALARM {alarm}: ")), "{table}");

    peer.reload(&Settings { priority: 90, ..ours })?;
    ensure!(lab::wait(2 * LONG, || metric() == 0.0), "{alarm}: {}", gateway.log());
    gateway.wait_for_log("(lab) the alarm is over", LONG)?;
    lab.wait_for_holder("gw1", VIP, LONG)?;
    let shown = listed(&lab, "gw1")?;
    ensure!(shown["alarms"] == serde_json::json!([]), "{shown:#}");
    let log = gateway.log();
    ensure!(log.matches(&named).count() == 2, "once, and once over: {log}");

    let events = || -> Vec<Value> {
        let posted = posted.lock().unwrap();
        let all = posted.iter().filter_map(|body| serde_json::from_str::<Value>(body).ok());
        all.filter(|body| body["alarm"] == alarm).map(|body| body["event"].clone()).collect()
    };
    ensure!(lab::wait(LONG, || events().len() >= 2), "{:?}", events());
    ensure!(events() == ["alarm", "alarm-over"], "{:?}", events());
    Ok(())
}

#[test]
fn a_misconfigured_peer_is_an_alarm_for_everybody_until_it_is_mended() -> Result<()> {
    side_by_side(
        &["other_version", "other_password", "other_interval", "other_addresses"],
        |alarm| misconfigure(alarm).with_context(|| alarm.to_owned()),
    )
}

/// keepalived of version 2 hears so many advertisements of version 3 that it says nothing any more.
#[test]
fn a_keepalived_that_is_silent_and_a_stranger_are_found_to_have_the_address() -> Result<()> {
    let Some(lab) = or_skip("alarm address_in_use", || Lab::new(3)) else { return Ok(()) };
    let old = Settings { version: 2, interval: 1.0, ..Settings::new(90) };
    let mut peer = Keepalived::start(&lab, "gw2", &old)?;
    peer.wait_for_state("MASTER", LONG)?;
    let gateway = Gateway::start(&lab, "gw1", &config(&Settings::new(100)))?;
    let alarm = || {
        gateway
            .metric(&lab, "amqp_gateway_vrrp_alarm", &["alarm=\"address_in_use\""])
            .unwrap_or(-1.0)
    };
    let line = gateway.wait_for_log("alarm=address_in_use", LONG)?;
    ensure!(
        line.contains(&format!("10.77.0.100 is also on another host, {:?}", lab::mac("gw2")?)),
        "{line}"
    );
    ensure!(lab::wait(LONG, || alarm() == 1.0), "{}", gateway.log());
    // Longer than an alarm that was not seen again.
    watch(Duration::from_secs(12));
    ensure!(alarm() == 1.0, "{}", gateway.log());

    peer.terminate()?;
    lab.wait_for_holder("gw1", VIP, LONG)?;
    gateway.wait_for_log("the alarm is over alarm=address_in_use", LONG)?;
    ensure!(lab::wait(LONG, || alarm() == 0.0), "{}", gateway.log());
    ensure!(gateway.log().matches("alarm=address_in_use").count() == 2, "{}", gateway.log());

    lab.ip("gw3", &format!("addr add {VIP}/24 dev eth0"))?;
    gateway.wait_for_log(&format!("another host, {:?}", lab::mac("gw3")?), LONG)?;
    ensure!(lab::wait(LONG, || alarm() == 1.0), "{}", gateway.log());
    Ok(())
}

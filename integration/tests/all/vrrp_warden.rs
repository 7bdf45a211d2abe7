//! Virtual routers and the rest of the gateway: clients, clusters, the user it runs as.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration::gateway_process::GatewayProcess;
use integration::peer::{Peer, ScriptedBroker};
use integration::process::Signal;
use integration::vrrp_lab::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// For whatever has to come about on a busy machine.
const LONG: Duration = Duration::from_secs(20);
/// As the scenarios have it: what leaves, has told its clients by then.
const CLOSED: Duration = Duration::from_millis(100);
const CLIENTS: usize = 20;

fn config(number: u8, port: u16, more: &str) -> String {
    let priority = 110 - 10 * u16::from(number);
    format!(
        "[gateway]
name = \"gw{number}\"
workers = 1
drain_timeout = \"5s\"
[log]
level = \"debug\"
[listener.amqp]
bind = [\"{VIP}:5672\"]
cluster = \"main\"
[listener.web]
bind = [\"{VIP}:15672\"]
protocol = \"http\"
cluster = \"main\"
[cluster.main.node.r1]
address = \"10.77.0.60:{port}\"
management = \"http://10.77.0.60:15672\"
[cluster.main.health]
interval = \"1s\"
fast_interval = \"100ms\"
[vrrp.amqp]
interface = \"eth0\"
virtual_router_id = 51
priority = {priority}
addresses = [\"{VIP}\"]
advertisement_interval = \"100ms\"
{more}"
    )
}

/// Brokers at these ports; ends each when its sender is dropped, and all when `work` is over.
fn with_brokers<T: Send>(
    lab: &Lab,
    ports: &[u16],
    work: impl FnOnce(Vec<oneshot::Sender<()>>) -> Result<T> + Send,
) -> Result<T> {
    std::thread::scope(|scope| {
        let mut ends = Vec::new();
        for &port in ports {
            let (end, ended) = oneshot::channel();
            let (bound, is_bound) = std::sync::mpsc::channel();
            ends.push(end);
            scope.spawn(move || {
                lab.inside_async(BROKER, || async move {
                    let broker = ScriptedBroker::bind_at(([10, 77, 0, 60], port).into()).await;
                    let told = bound.send(broker.as_ref().map(drop).map_err(ToString::to_string));
                    let (Ok(broker), Ok(())) = (broker, told) else { return };
                    tokio::select! {
                        () = broker.serve_all() => {}
                        _ = ended => {}
                    }
                })
            });
            is_bound.recv()?.map_err(anyhow::Error::msg)?;
        }
        work(ends)
    })
}

async fn open() -> Result<Peer> {
    let mut peer = Peer::connect(SocketAddr::new(VIP, 5672)).await?;
    peer.open("app", "secret", "orders").await?;
    Ok(peer)
}

/// As client libraries do: again and again. Who comes too early meets the gateway that leaves.
async fn open_again() -> Result<Peer> {
    let deadline = Instant::now() + LONG;
    loop {
        match open().await {
            Ok(peer) => return Ok(peer),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

const NET_ADMIN: u64 = 1 << 12;
const NET_RAW: u64 = 1 << 13;
/// What VRRP takes, and what helps it: locked memory, real-time priority.
const VRRP: u64 = NET_ADMIN | NET_RAW | 1 << 14 | 1 << 23;

/// The capabilities of a thread, or of what a script has written: permitted, in effect, or to be given to others.
fn rights(status: &str) -> Result<u64> {
    let sets = status.lines().filter(|line| line.starts_with("Cap") && !line.starts_with("CapBnd"));
    let mut all = 0;
    for line in sets {
        let set = line.split_whitespace().nth(1).context("no capabilities")?;
        all |= u64::from_str_radix(set, 16)?;
    }
    Ok(all)
}

/// All threads of a process by name, with the text of their status.
fn threads(process: u32) -> Result<Vec<(String, String)>> {
    let mut threads = Vec::new();
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // One may end meanwhile.
        let Ok(status) = fs::read_to_string(thread?.path().join("status")) else { continue };
        let name = status.lines().next().and_then(|line| line.split_whitespace().nth(1));
        threads.push((name.unwrap_or_default().to_owned(), status));
    }
    Ok(threads)
}

/// The VRRP process that one of its threads has started.
fn vrrp_process(gateway: u32) -> Option<u32> {
    let threads = fs::read_dir(format!("/proc/{gateway}/task")).ok()?.flatten();
    let children = threads.filter_map(|t| fs::read_to_string(t.path().join("children")).ok());
    let all: Vec<u32> = children
        .flat_map(|c| c.split(' ').filter_map(|c| c.parse().ok()).collect::<Vec<_>>())
        .collect();
    all.into_iter().find(|child| {
        let line = fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
        line.contains("vrrp-process")
    })
}

/// Runs a gateway that is, or becomes, a user without rights: who has which capabilities?
fn ensure_vrrp_alone_has_rights(
    lab: &Lab,
    more: &str,
    start: impl FnOnce(&str) -> Result<GatewayProcess>,
) -> Result<()> {
    let dir = tempfile::tempdir()?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777))?;
    let [script, notify] = ["script", "notify"].map(|name| dir.path().join(name));
    let tell = |file: &Path| {
        let file = file.display();
        format!(
            "command = [\"sh\", \"-c\", \"grep -E '^Cap|^Uid' /proc/self/status > {file}.new && mv {file}.new {file}\"]"
        )
    };
    let track = format!(
        "[vrrp.amqp.track.script]\n{}\n[vrrp.amqp.notify]\n{}\n",
        tell(&script),
        tell(&notify)
    );
    let config = config(1, 5672, &track).replace("workers = 1", &format!("workers = 2\n{more}"));
    let mut gateway = start(&config)?;
    ensure!(wait(LONG, || lab.holds("gw1", VIP)), "no address:\n{}", gateway.log());
    ensure!(wait(LONG, || script.exists() && notify.exists()), "none ran:\n{}", gateway.log());
    for file in [script, notify] {
        let status = fs::read_to_string(&file)?;
        ensure!(status.contains("Uid:\t65534\t65534") && rights(&status)? == 0, "{status}");
    }
    let of_gateway = threads(gateway.id())?;
    ensure!(of_gateway.len() > 4, "{of_gateway:?}");
    for (name, status) in &of_gateway {
        let (rights, is_vrrp) = (rights(status)?, name == "vrrp");
        let allowed = if is_vrrp { VRRP } else { 0 };
        ensure!(status.contains("Uid:\t65534\t65534"), "{status}");
        ensure!(rights & !allowed == 0, "thread {name} has {rights:x}");
        ensure!(!is_vrrp || rights & NET_ADMIN != 0, "thread {name} has {rights:x}");
    }
    ensure!(of_gateway.iter().filter(|(name, _)| name == "vrrp").count() == 1);
    let process = vrrp_process(gateway.id()).context("no VRRP process")?;
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let rights = rights(&status)?;
    let net = NET_ADMIN | NET_RAW;
    ensure!(status.contains("Uid:\t65534\t65534") && rights & net == net, "{status}");
    ensure!(rights & !VRRP == 0, "{status}");
    gateway.terminate()?;
    ensure!(wait(LONG, || gateway.log().contains("stopped")), "{}", gateway.log());
    ensure!(wait(LONG, || !lab.holds("gw1", VIP)), "it has kept the address");
    Ok(())
}

#[test]
fn when_a_gateway_stops_its_clients_are_told_and_find_the_other_one() -> Result<()> {
    let Some(lab) = or_skip("handover of clients", || Lab::with_broker(2)) else { return Ok(()) };
    with_brokers(&lab, &[5672], |_ends| {
        let mut first = Gateway::start(&lab, "gw1", &config(1, 5672, ""))?;
        let second = Gateway::start(&lab, "gw2", &config(2, 5672, ""))?;
        lab.wait_for_holder("gw1", VIP, LONG)?;
        lab.inside_async(CLIENT, || async {
            let mut peers = Vec::new();
            for _ in 0..CLIENTS {
                peers.push(open().await?);
            }
            let mut silent = TcpStream::connect((VIP, 5672)).await?;
            let mut web = TcpStream::connect((VIP, 15672)).await?;
            web.write_all(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n").await?;
            ensure!(web.read(&mut [0; 1024]).await? > 0, "no answer over HTTP");
            let begun = Instant::now();
            first.terminate()?;
            let mut told = 0;
            for mut peer in peers {
                // Whoever acknowledges something when the address has just moved is reset by the other gateway.
                let Ok((code, text)) = peer.expect_close().await else { continue };
                ensure!(code == 320 && text.contains("moved to another gateway"), "{code} {text}");
                told += 1;
                // The answer may find the other gateway already.
                let _ = peer.send_close_ok().await;
            }
            // One that has said nothing is closed without a word.
            let _ = tokio::time::timeout(LONG, silent.read(&mut [0])).await?;
            let idle = async { while web.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {} };
            tokio::time::timeout(LONG, idle).await?;
            let closed = begun.elapsed();
            let mut again = Vec::new();
            for _ in 0..CLIENTS {
                again.push(open_again().await?);
            }
            let back = begun.elapsed();
            ensure!(told > 0, "all were reset");
            figure(
                "clients, SIGTERM",
                &format!(
                    "{told} of {CLIENTS} told, all closed within {closed:?} (criterion: {CLOSED:?}), \
                     back within {back:?} (criterion: 1 s)"
                ),
            );
            Ok(())
        })??;
        lab.wait_for_holders(&["gw2"], VIP, LONG)?;
        first.wait_for_log("stopped", LONG)?;
        let ends = |log: &str| log.matches("reason=address-lost").count();
        ensure!(ends(&first.log()) == CLIENTS + 1, "{}", first.log());
        second.wait_for_log("Entering MASTER STATE", LONG)?;
        Ok(())
    })
}

#[test]
fn when_the_vrrp_process_dies_another_one_goes_on_and_no_session_ends() -> Result<()> {
    let Some(lab) = or_skip("death of the VRRP process", || Lab::with_broker(2)) else {
        return Ok(());
    };
    with_brokers(&lab, &[5672], |_ends| {
        // A second, so that a busy machine has the time to start a process.
        let slow = |number| {
            let often = "advertisement_interval = \"100ms\"";
            config(number, 5672, "").replace(often, "advertisement_interval = \"1s\"")
        };
        let mut first = Gateway::start(&lab, "gw1", &slow(1))?;
        lab.wait_for_holders(&["gw1"], VIP, LONG)?;
        let second = Gateway::start(&lab, "gw2", &slow(2))?;
        second.wait_for_log("Entering BACKUP STATE", LONG)?;
        let transitions = second.log().matches("Entering").count();
        let before = first.vrrp_process()?;
        lab.inside_async(CLIENT, || async {
            let mut peer = open().await?;
            first.kill_vrrp()?;
            let again = Instant::now() + LONG;
            while first.vrrp_process().ok().is_none_or(|process| process == before) {
                ensure!(Instant::now() < again, "no other VRRP process was started");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // Longer than the other gateway waits for an advertisement: what does not happen is waited for.
            tokio::time::sleep(Duration::from_secs(4)).await;
            peer.open_channel(1).await
        })??;
        ensure!(lab.holds("gw1", VIP) && !lab.holds("gw2", VIP));
        let since = second.log().matches("Entering").count();
        ensure!(since == transitions, "the other gateway took over:\n{}", second.log());
        Ok(())
    })
}

#[test]
fn a_gateway_that_stands_still_loses_the_address_and_gets_it_back() -> Result<()> {
    let Some(lab) = or_skip("hung gateway", || Lab::new(2)) else { return Ok(()) };
    let mut first = Gateway::start(&lab, "gw1", &config(1, 5672, ""))?;
    let _second = Gateway::start(&lab, "gw2", &config(2, 5672, ""))?;
    lab.wait_for_holders(&["gw1"], VIP, LONG)?;
    let vrrp = first.vrrp_process()?;
    let begun = Instant::now();
    first.process().signal(Signal::STOP)?;
    lab.wait_for_holders(&["gw2"], VIP, LONG)?;
    let took = begun.elapsed();
    figure("SIGSTOP of the gateway alone", &format!("moved within {took:?} (criterion: 1 s)"));
    first.process().signal(Signal::CONT)?;
    lab.wait_for_holders(&["gw1"], VIP, LONG)?;
    ensure!(first.vrrp_process()? == vrrp, "it was not killed for the silence:\n{}", first.log());
    Ok(())
}

#[test]
fn an_address_follows_the_cluster_that_has_nodes() -> Result<()> {
    let Some(lab) = or_skip("tracked cluster", || Lab::with_broker(2)) else { return Ok(()) };
    with_brokers(&lab, &[5671, 5672], |mut ends| {
        let track = "[vrrp.amqp.track]\ncluster = { name = \"main\", weight = 40 }\n";
        let first = Gateway::start(&lab, "gw1", &config(1, 5671, track))?;
        let _second = Gateway::start(&lab, "gw2", &config(2, 5672, track))?;
        lab.wait_for_holders(&["gw1"], VIP, LONG)?;
        first.wait_for_log("cluster main has a usable node: +40", LONG)?;
        drop(ends.remove(0));
        let line = first.wait_for_log("cluster main has no usable node: -40", LONG)?;
        lab.wait_for_holders(&["gw2"], VIP, LONG)?;
        let left = first.wait_for_log("Entering BACKUP STATE priority=60", LONG)?;
        let clock = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        let verdict = first.wait_for_log("WARN  node is down", LONG)?;
        figure(
            "tracked cluster",
            &format!(
                "verdict {}, noticed {}, left {} (criterion: 50 ms from the first to the last)",
                clock(&verdict),
                clock(&line),
                clock(&left)
            ),
        );
        Ok(())
    })
}

#[test]
fn started_as_root_the_vrrp_thread_alone_keeps_capabilities_and_gives_them_to_its_process()
-> Result<()> {
    let Some(lab) = or_skip("user and capabilities", || Lab::new(1)) else { return Ok(()) };
    let full = lab.full_name("gw1")?;
    ensure_vrrp_alone_has_rights(&lab, "user = \"nobody\"", |config| {
        GatewayProcess::spawn_by(config, |scratch, binary| {
            let mut command = scratch.command("ip");
            command.args(["netns", "exec", full]).arg(binary);
            command
        })
    })
}

#[test]
fn ambient_capabilities_of_the_service_reach_the_vrrp_process_and_no_script() -> Result<()> {
    let Some(lab) = or_skip("ambient capabilities", || Lab::new(1)) else { return Ok(()) };
    let full = lab.full_name("gw1")?;
    // As systemd does with User= and AmbientCapabilities=.
    ensure_vrrp_alone_has_rights(&lab, "", |config| {
        GatewayProcess::spawn_by(config, |scratch, binary| {
            let mut command = scratch.command("ip");
            command.args(["netns", "exec", full, "setpriv", "--reuid", "65534", "--clear-groups"]);
            let given = "-all,+net_raw,+net_admin,+sys_nice";
            command.args([format!("--inh-caps={given}"), format!("--ambient-caps={given}")]);
            command.arg(binary);
            command
        })
    })
}

#[test]
fn without_the_capabilities_it_does_not_start_and_says_which_are_missing() -> Result<()> {
    let Some(lab) = or_skip("missing capabilities", || Lab::new(1)) else { return Ok(()) };
    let full = lab.full_name("gw1")?;
    for (kept, missing) in [("net_raw", "no CAP_NET_ADMIN,"), ("net_admin", "no CAP_NET_RAW,")] {
        let mut gateway = GatewayProcess::spawn_by(&config(1, 5672, ""), |scratch, binary| {
            let mut command = scratch.command("ip");
            command.args(["netns", "exec", full, "setpriv", "--reuid", "65534", "--clear-groups"]);
            command.arg(format!("--inh-caps=-all,+{kept}"));
            command.arg(format!("--ambient-caps=-all,+{kept}")).arg(binary);
            command
        })?;
        let ended = wait(LONG, || gateway.exit_status().is_ok_and(|status| status.is_some()));
        ensure!(ended && gateway.log().contains(missing), "{}", gateway.log());
        ensure!(gateway.log().contains("setcap cap_net_raw,cap_net_admin=p"), "{}", gateway.log());
    }
    Ok(())
}

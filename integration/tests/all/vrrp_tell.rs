//! Whoever is to know of a virtual router is told: a command, a web server, people, metrics, the admin API.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::{Context, Result, ensure};
use integration::vrrp_lab::{self as lab, *};

use crate::vrrp_member::{LONG, config};

pub(crate) type Heard = Arc<Mutex<Vec<String>>>;

/// Listens on a port of `gw1`, and has `serve` answer one connection after another: what each has said.
pub(crate) fn receiver(lab: &Lab, serve: fn(TcpStream) -> Option<String>) -> Result<(u16, Heard)> {
    let listener = lab.inside("gw1", || TcpListener::bind("127.0.0.1:0"))??;
    let (port, heard) = (listener.local_addr()?.port(), Heard::default());
    let all = heard.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let timeout = stream.set_read_timeout(Some(LONG));
            let said = timeout.ok().and_then(|()| serve(stream));
            all.lock().unwrap().extend(said);
        }
    });
    Ok((port, heard))
}

/// The body of one request.
pub(crate) fn web(mut stream: TcpStream) -> Option<String> {
    let mut request = read_until(&mut stream, String::new(), "}")?;
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").ok()?;
    let body = request.find("\r\n\r\n")?;
    Some(request.split_off(body + 4))
}

/// One mail, its headers included.
fn mail(mut stream: TcpStream) -> Option<String> {
    stream.write_all(b"220 lab\r\n").ok()?;
    for (said, answer) in
        [("EHLO", "250 lab"), ("MAIL", "250 fine"), ("RCPT", "250 fine"), ("DATA", "354 go on")]
    {
        let line = read_until(&mut stream, String::new(), "\r\n")?;
        assert!(line.starts_with(said), "{line}");
        stream.write_all(format!("{answer}\r\n").as_bytes()).ok()?;
    }
    let mail = read_until(&mut stream, String::new(), "\r\n.\r\n")?;
    stream.write_all(b"250 taken\r\n").ok()?;
    Some(mail.replace("=\r\n", ""))
}

fn read_until(stream: &mut TcpStream, mut said: String, end: &str) -> Option<String> {
    let mut buffer = [0; 4096];
    while !said.ends_with(end) {
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        said += std::str::from_utf8(&buffer[..length]).ok()?;
    }
    Some(said)
}

/// Runs a command of the operator's beside the gateway of `gw1`; what it printed.
fn operate(lab: &Lab, arguments: &[&str]) -> Result<String> {
    operate_at(lab, "gw1", arguments)
}

/// The same in another namespace.
pub(crate) fn operate_at(lab: &Lab, gateway: &str, arguments: &[&str]) -> Result<String> {
    let mut command = lab.command(gateway, integration::target::gateway()?)?;
    let output = command.args(arguments).args(["--admin", "http://127.0.0.1:15680"]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn wait_for_lines(file: &Path, expected: &[String]) -> Result<()> {
    let lines = || -> Vec<String> {
        fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
    };
    ensure!(lab::wait(LONG, || lines() == expected), "{expected:?}, not {:?}", lines());
    Ok(())
}

fn lines(priority: u8, states: &[&str]) -> Vec<String> {
    states.iter().map(|state| format!("INSTANCE lab {state} {priority}")).collect()
}

#[test]
fn a_release_and_a_reclaim_move_the_address_and_everybody_is_told() -> Result<()> {
    let Some(lab) = or_skip("telling", || Lab::new(2)) else { return Ok(()) };
    let (told, told_by_keepalived) = (lab.dir()?.join("told"), lab.dir()?.join("keepalived"));
    let ((web_port, posted), (mail_port, mails)) = (receiver(&lab, web)?, receiver(&lab, mail)?);
    let script = format!("echo \"$@\" >> {}", told.display());
    // States are counted, and no time is judged: a busy machine is not late for three of these.
    let calm = |priority| Settings { interval: 0.5, ..Settings::new(priority) };
    let config = config(&calm(100))
        + &format!(
            "[vrrp.lab.notify]\ncommand = [\"/bin/sh\", \"-c\", {script:?}, \"notify\"]\n\
             webhook = \"http://127.0.0.1:{web_port}/hook\"\n\
             [notify.email]\nsmtp = \"127.0.0.1:{mail_port}\"\nfrom = \"gw1@lab\"\nto = \"ops@lab\"\n"
        );
    let mut first = Gateway::start(&lab, "gw1", &config)?;
    lab.wait_for_holder("gw1", VIP, LONG)?;
    let mut other = calm(90);
    other.notify = Some(format!("echo \"$@\" >> {}", told_by_keepalived.display()));
    let second = Keepalived::start(&lab, "gw2", &other)?;
    second.wait_for_state("BACKUP", LONG)?;

    let printed = operate(&lab, &["virtual-routers", "release", "lab"])?;
    ensure!(printed.starts_with("lab: released in "), "{printed}");
    lab.wait_for_holder("gw2", VIP, LONG)?;
    let state = |of: &Gateway, state: &str| {
        let state = format!("state=\"{state}\"");
        of.metric(&lab, "amqp_gateway_vrrp_state", &["virtual_router=\"lab\"", &state])
    };
    ensure!(state(&first, "backup")? == 1.0 && state(&first, "active")? == 0.0);
    let listed = || operate(&lab, &["virtual-routers"]).unwrap_or_else(|error| error.to_string());
    let (now, parts) = (listed(), ["backup", "released"]);
    ensure!(parts.iter().all(|part| now.contains(part)), "{now}");
    // It may take the address before it says so.
    ensure!(lab::wait(LONG, || listed().contains("10.77.0.12 (90)")), "{}", listed());

    operate(&lab, &["virtual-routers", "reclaim", "lab"])?;
    lab.wait_for_holder("gw1", VIP, LONG)?;
    ensure!(lab::wait(LONG, || state(&first, "active").is_ok_and(|is| is == 1.0)));
    let total = |to: &str| {
        let to = format!("to=\"{to}\"");
        first.metric(&lab, "amqp_gateway_vrrp_transitions_total", &[&to])
    };
    ensure!(total("active")? == 2.0 && total("backup")? == 2.0);
    let (status, body) = first.get(&lab, "/api/v1/virtual-routers/lab")?;
    let shown: serde_json::Value = serde_json::from_str(&body).context(body)?;
    ensure!(status == 200 && shown["history"].as_array().map(Vec::len) == Some(4), "{shown:#}");
    ensure!(shown["released"] == false && shown["holds_addresses"] == true, "{shown:#}");

    first.terminate()?;
    let states = ["BACKUP", "MASTER", "BACKUP", "MASTER", "STOP"];
    wait_for_lines(&told, &lines(100, &states))?;
    // The words are keepalived's own.
    let states = ["BACKUP", "MASTER", "BACKUP", "MASTER"];
    wait_for_lines(&told_by_keepalived, &lines(90, &states))?;

    let bodies = || -> Vec<serde_json::Value> {
        let posted = posted.lock().unwrap();
        posted.iter().filter_map(|body| serde_json::from_str(body).ok()).collect()
    };
    ensure!(lab::wait(LONG, || bodies().len() >= 5), "{:#?}", bodies());
    let to: Vec<_> = bodies().iter().map(|body| body["to"].clone()).collect();
    ensure!(to == ["backup", "active", "backup", "active", "initialize"], "{to:?}");
    ensure!(bodies()[1]["addresses"] == serde_json::json!(["10.77.0.100/32"]), "{:#?}", bodies());

    // Whether it was one or two hangs on how long all this took.
    let mails = || mails.lock().unwrap().concat();
    ensure!(lab::wait(LONG, || mails().contains("VRRP Instance lab - Stopped")), "{}", mails());
    let moved = "VRRP Instance lab - Entering MASTER state; from BACKUP, priority 100";
    ensure!(mails().matches(moved).count() == 2, "{}", mails());
    Ok(())
}

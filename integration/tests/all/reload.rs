//! Another configuration while the gateway runs: whoever it does not concern notices nothing, and one that cannot be put in
//! force changes nothing.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use integration::certificates::Authority;
use integration::crowd::Crowd;
use integration::peer::{Frame, Peer, ScriptedBroker};
use integration::ports::PortBlock;
use integration::process::Signal;
use integration::tls::ClientTls;
use integration::{GatewayProcess, http, wait};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::front::SOON;

/// What a configuration of these tests says beside what all say.
#[derive(Debug, Clone)]
struct Says {
    gateway: String,
    log: String,
    /// Of the first listener.
    name: &'static str,
    listener: String,
    node: String,
    more: String,
    admin: SocketAddr,
}

/// A gateway in front of brokers that send each message back, and its file.
struct Stage {
    gateway: GatewayProcess,
    address: SocketAddr,
    says: Says,
    broker: SocketAddr,
    ports: PortBlock,
}

fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

fn config(address: SocketAddr, broker: SocketAddr, says: &Says) -> String {
    let Says { gateway, log, name, listener, node, more, admin } = says;
    format!(
        "[gateway]\nname = \"gw\"\n{gateway}\n[log]\nformat = \"json\"\n{log}\n[admin]\nbind = \"{admin}\"\n\
         [listener.{name}]\nbind = \"{address}\"\ncluster = \"main\"\n{listener}\n{more}\n\
         [cluster.main.health]\nchecks = []\n\
         [cluster.main.node.n1]\naddress = \"{broker}\"\n{node}\n"
    )
}

impl Stage {
    async fn start() -> Self {
        let broker = ScriptedBroker::bind().await.unwrap();
        let node = broker.address();
        tokio::spawn(broker.serve_all());
        let ports = PortBlock::claim().unwrap();
        let address = local(ports.port(0));
        let says = Says {
            gateway: String::new(),
            log: String::new(),
            name: "amqp",
            listener: String::new(),
            node: String::new(),
            more: String::new(),
            admin: local(ports.port(1)),
        };
        let gateway = GatewayProcess::start(&config(address, node, &says)).await.unwrap();
        Self { gateway, address, says, broker: node, ports }
    }

    fn write(&self, says: &Says) {
        self.write_text(&config(self.address, self.broker, says));
    }

    fn write_text(&self, text: &str) {
        fs::write(self.gateway.dir().join("gateway.toml"), text).unwrap();
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/api/v1/{path}", self.says.admin)
    }

    /// The answer to an order to reload.
    async fn reload(&self) -> (u16, Value) {
        http::post_for_json(&self.url("config/reload"), &json!({})).await.unwrap()
    }

    /// Writes it, and puts it in force.
    async fn becomes(&mut self, says: Says) -> Value {
        self.write(&says);
        let (status, answer) = self.reload().await;
        assert_eq!(status, 200, "{answer:#}");
        self.says = says;
        answer
    }

    /// All the texts of what was wrong with a configuration that was refused.
    async fn is_refused(&self) -> String {
        let (status, answer) = self.reload().await;
        assert_eq!(status, 422, "{answer:#}");
        answer["reasons"].to_string()
    }

    async fn revision(&self) -> u64 {
        let config = http::get_json(&self.url("config")).await.unwrap();
        config["running"]["revision"].as_u64().unwrap()
    }

    /// Orders to reload that have come to an end, whatever it was.
    async fn reloads(&self) -> f64 {
        self.gateway.metric("amqp_gateway_config_reloads_total", &[]).await.unwrap()
    }

    async fn session(&self, address: SocketAddr) -> Peer {
        let mut client = Peer::connect(address).await.unwrap();
        client.open("app", "secret", "orders").await.unwrap();
        client
    }

    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.gateway.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// Sends messages and waits for each to come back, until dropped.
fn talkers(address: SocketAddr, count: usize) -> (JoinSet<()>, Arc<AtomicU64>) {
    let (mut talkers, messages) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
    for _ in 0..count {
        let messages = messages.clone();
        talkers.spawn(async move {
            let mut peer = Peer::connect(address).await.unwrap();
            peer.open("app", "secret", "orders").await.unwrap();
            peer.open_channel(1).await.unwrap();
            loop {
                peer.send_frame(&Frame::body(1, &[7; 500])).await.unwrap();
                let echo =
                    [peer.read_frame().await, peer.read_frame().await, peer.read_frame().await];
                let body = echo.map(|frame| frame.unwrap()).into_iter().next_back().unwrap();
                assert_eq!((body.kind, body.payload.len()), (3, 500));
                messages.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        });
    }
    (talkers, messages)
}

/// The configuration of a round, valid or not, and what is said to be wrong with it.
fn of_round(stage: &Stage, round: u16, taken: SocketAddr) -> (Says, Vec<String>) {
    let mut says = stage.says.clone();
    let wrong = |parts: &[&str]| parts.iter().map(ToString::to_string).collect();
    says.node = format!("weight = {}", round % 7 + 1);
    let wrong = match round % 10 {
        0 => {
            says.log = "level = \"debug\"".to_owned();
            Vec::new()
        }
        1 | 2 => {
            let extra = local(stage.ports.port(2));
            says.more = format!("[listener.extra]\nbind = \"{extra}\"\ncluster = \"main\"\n");
            Vec::new()
        }
        3 => {
            says.more = "[[route]]\nvhost = \"elsewhere\"\ncluster = \"main\"\n".to_owned();
            Vec::new()
        }
        4 => {
            says.more = "[[route]]\nvhost = \"nobody\"\ncluster = \"other\"\n[cluster.other.node.a]\naddress = \"127.0.0.1:1\"\n".to_owned();
            Vec::new()
        }
        5 => {
            says.gateway = format!("max_connections = {}\nworkers = 3", 1000 + round);
            Vec::new()
        }
        6 => {
            says.more = "[listener.broken\n".to_owned();
            wrong(&["gateway.toml:"])
        }
        7 => {
            says.more = "[[route]]\nvhost = \"a\"\ncluster = \"nowhere\"\n[[route]]\nvhost = \"b\"\ncluster = \"nirvana\"\n".to_owned();
            wrong(&["nowhere", "nirvana"])
        }
        8 => {
            says.more = format!("[listener.taken]\nbind = \"{taken}\"\ncluster = \"main\"\n");
            wrong(&["listener taken: cannot bind", &taken.to_string()])
        }
        _ => {
            says.more = format!(
                "[listener.taken]\nbind = \"{taken}\"\ncluster = \"main\"\n\
                 tls.certificates = [{{ bundle = \"/nowhere/one.pem\" }}, {{ bundle = \"/nowhere/two.pem\" }}]\n"
            );
            wrong(&["/nowhere/one.pem", "/nowhere/two.pem", "listener taken: cannot bind"])
        }
    };
    (says, wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_reloads_valid_and_not_close_none_of_500_sessions_and_keep_no_memory() {
    let mut stage = Stage::start().await;
    let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = holder.local_addr().unwrap();
    let crowd = Crowd::start(stage.address, 480);
    let (mut talkers, messages) = talkers(stage.address, 20);
    wait::until("all sessions to be open", SOON, async || crowd.open() == 480).await.unwrap();
    let (mut revision, mut after_ten) = (stage.revision().await, 0);
    for round in 0..50 {
        let (says, wrong) = of_round(&stage, round, taken);
        stage.write(&says);
        let before = stage.reloads().await;
        if round % 3 == 0 {
            stage.gateway.signal(Signal::HUP).unwrap();
            let done = async || stage.reloads().await > before;
            wait::until("the reload", SOON, done).await.unwrap();
        } else if wrong.is_empty() {
            let (status, answer) = stage.reload().await;
            assert_eq!((status, answer["sessions_closed"].as_u64()), (200, Some(0)), "{answer:#}");
        } else {
            stage.is_refused().await;
        }
        let config = http::get_json(&stage.url("config")).await.unwrap();
        let last = &config["history"][0];
        let told = last["changes"].to_string();
        match wrong.is_empty() {
            true => {
                revision += 1;
                assert_eq!(last["outcome"], "applied", "round {round}: {told}");
                assert_eq!(told.contains("takes a restart"), round % 10 == 5, "{told}");
            }
            false => {
                assert_eq!(last["outcome"], "refused", "round {round}: {told}");
                assert!(wrong.iter().all(|part| told.contains(part)), "round {round}: {told}");
            }
        }
        assert_eq!(config["running"]["revision"].as_u64(), Some(revision), "round {round}");
        let by = if round % 3 == 0 { "SIGHUP" } else { "local" };
        assert_eq!(last["by"], by);
        if round == 9 {
            after_ten = stage.memory();
        }
    }
    let after_fifty = stage.memory();
    println!("memory after 10 reloads: {after_ten} kB, after 50: {after_fifty} kB");
    assert!(after_fifty < after_ten + 16 * 1024, "{after_ten} kB -> {after_fifty} kB");
    assert_eq!((crowd.open(), crowd.told().len()), (480, 0));
    assert_eq!(crowd.lost(), [""; 0]);
    let so_far = messages.load(Ordering::Relaxed);
    wait::until("more messages", SOON, async || messages.load(Ordering::Relaxed) > so_far + 100)
        .await
        .unwrap();
    assert!(talkers.try_join_next().is_none(), "no talker has ended");
    let mut ends = stage.gateway.json_lines();
    ends.retain(|line| line["message"] == "session");
    assert_eq!(ends, Vec::<Value>::new());
    let restarts = stage.gateway.metric("amqp_gateway_config_reloads_total", &["refused"]);
    assert_eq!(restarts.await.unwrap(), 20.0);
    drop(holder);
}

#[tokio::test]
async fn reload_keeps_the_old_config_when_a_certificate_is_missing() {
    let mut stage = Stage::start().await;
    let mut client = stage.session(stage.address).await;
    let tls = "tls.certificates = [{ bundle = \"/nowhere/new.pem\" }]".to_owned();
    stage.write(&Says { listener: tls, ..stage.says.clone() });
    stage.gateway.signal(Signal::HUP).unwrap();
    let refused = stage.gateway.wait_for_log("configuration refused", SOON).await.unwrap();
    assert!(refused.contains("SIGHUP"), "{refused}");
    stage.gateway.wait_for_log("/nowhere/new.pem", SOON).await.unwrap();
    assert!(stage.is_refused().await.contains("gateway.toml:"), "with its place");
    assert_eq!(stage.revision().await, 1);
    stage.session(stage.address).await.close().await.unwrap();
    client.open_channel(1).await.unwrap();
    let metric = stage.gateway.metric("amqp_gateway_config_revision", &[]);
    assert_eq!(metric.await.unwrap(), 1.0);
    let says = stage.says.clone();
    stage.write(&says);
    let (status, answer) = stage.reload().await;
    assert_eq!((status, answer["revision"].as_u64()), (200, Some(1)), "nothing new: {answer:#}");
}

#[tokio::test]
async fn a_listener_comes_with_one_reload_and_goes_with_another_and_its_sessions_with_it() {
    let mut stage = Stage::start().await;
    let (before, extra) = (stage.says.clone(), local(stage.ports.port(2)));
    let mut stays = stage.session(stage.address).await;
    let more = format!("[listener.extra]\nbind = \"{extra}\"\ncluster = \"main\"\n");
    let answer = stage.becomes(Says { more, ..before.clone() }).await;
    assert_eq!(answer["changes"][0]["section"], "listener.extra");
    let mut goes = stage.session(extra).await;
    let mut half = Peer::connect(extra).await.unwrap();
    half.login("app", "secret").await.unwrap();

    stage.write(&before);
    let (_, diff) = http::post_for_json(&stage.url("config/diff"), &json!({})).await.unwrap();
    assert_eq!((diff["valid"].as_bool(), diff["sessions_closed"].as_u64()), (Some(true), Some(1)));
    assert!(diff["text"].as_str().unwrap().contains("-[listener.extra]"), "{diff:#}");
    let answer = stage.becomes(before).await;
    assert_eq!(answer["sessions_closed"].as_u64(), Some(1), "{answer:#}");
    for client in [&mut goes, &mut half] {
        let (code, text) = client.expect_close().await.unwrap();
        assert!(code == 320 && text.contains("listener"), "{code} {text}");
        client.send_close_ok().await.unwrap();
    }
    let gone = async || TcpStream::connect(extra).await.is_err();
    wait::until("nobody to listen there", SOON, gone).await.unwrap();
    stays.open_channel(1).await.unwrap();
    stage.gateway.wait_for_log("listener-removed", SOON).await.unwrap();
}

#[tokio::test]
async fn an_address_stays_bound_through_a_change_of_its_listener() {
    let mut stage = Stage::start().await;
    let mut client = stage.session(stage.address).await;
    let before = stage.says.clone();
    stage.becomes(Says { listener: "max_connections = 1".to_owned(), ..before.clone() }).await;
    let waits = TcpStream::connect(stage.address).await.unwrap();
    stage
        .becomes(Says {
            listener: "proxy_protocol = \"required\"\ntrusted_proxies = [\"127.0.0.1\"]".to_owned(),
            ..before.clone()
        })
        .await;
    let refused = stage.gateway.wait_for_log("proxy-", SOON);
    let mut stranger = Peer::connect(stage.address).await.unwrap();
    stranger.send_raw(b"AMQP\x00\x00\x09\x01").await.unwrap();
    stranger.read_until_gone().await.unwrap();
    refused.await.unwrap();
    drop(waits);
    client.open_channel(1).await.unwrap();

    // Another name is another listener: those of the old one are told, the next client is served.
    let renamed = Says { name: "front", ..before.clone() };
    stage.becomes(renamed.clone()).await;
    assert_eq!(client.expect_close().await.unwrap().0, 320);
    client.send_close_ok().await.unwrap();
    stage.session(stage.address).await.close().await.unwrap();
    stage.gateway.wait_for_log("\"listener\":\"front\"", SOON).await.unwrap();

    // HTTP, and back.
    let to_https = "protocol = \"http\"\nredirect_to_https = 15671\n";
    let text = config(stage.address, stage.broker, &renamed);
    stage.write_text(&text.replacen("cluster = \"main\"\n", to_https, 1));
    let (status, answer) = stage.reload().await;
    assert_eq!(status, 200, "{answer:#}");
    let mut browser = Peer::connect(stage.address).await.unwrap();
    browser.send_raw(b"GET / HTTP/1.0\r\nHost: gw\r\n\r\n").await.unwrap();
    let redirected = String::from_utf8(browser.read_until_gone().await.unwrap()).unwrap();
    assert!(redirected.contains("https://gw:15671/"), "{redirected}");
    stage.becomes(renamed).await;
    stage.session(stage.address).await.close().await.unwrap();
}

#[tokio::test]
async fn a_listener_turns_to_tls_and_back_while_its_sessions_go_on() {
    let mut stage = Stage::start().await;
    let mut plain = stage.session(stage.address).await;
    let before = stage.says.clone();
    let authority = Authority::new("ca").unwrap();
    let own = authority.server(&["localhost"]).unwrap().write("server").unwrap();
    let (chain, key) = (own.chain.display(), own.key.display());
    let tls = format!("tls.certificates = [{{ chain = \"{chain}\", key = \"{key}\" }}]");
    stage.becomes(Says { listener: tls, ..before.clone() }).await;
    let client = ClientTls::new(&authority, "localhost").connector().unwrap();
    let mut secure = Peer::connect_tls(stage.address, &client).await.unwrap();
    secure.open("app", "secret", "orders").await.unwrap();
    stage.becomes(before).await;
    stage.session(stage.address).await.close().await.unwrap();
    plain.open_channel(1).await.unwrap();
    secure.open_channel(1).await.unwrap();
}

#[tokio::test]
async fn log_and_admin_address_change_without_a_restart() {
    let mut stage = Stage::start().await;
    let (before, old) = (stage.says.clone(), stage.says.admin);
    let admin = local(stage.ports.port(3));
    stage.write(&Says { log: "level = \"warn\"".to_owned(), admin, ..before.clone() });
    let (status, answer) = stage.reload().await;
    assert_eq!(status, 200, "the old address still answers this: {answer:#}");
    stage.says.admin = admin;
    assert_eq!(stage.revision().await, 2);
    let gone = async || TcpStream::connect(old).await.is_err();
    wait::until("the old admin address to be gone", SOON, gone).await.unwrap();

    stage.becomes(Says { admin, ..before.clone() }).await;
    let in_force = stage.gateway.wait_for_log("configuration in force", SOON).await.unwrap();
    assert!(in_force.contains("\"revision\":3"), "of the second one nothing is logged: {in_force}");

    let file = stage.gateway.dir().join("other.log");
    let log = format!("output = \"file\"\nfile = \"{}\"\naccess = false", file.display());
    stage.becomes(Says { log, admin, ..before.clone() }).await;
    stage.session(stage.address).await.close().await.unwrap();
    let logged = || fs::read_to_string(&file).unwrap_or_default();
    let said = async || logged().contains("\"revision\":4");
    wait::until("lines in the other file", SOON, said).await.unwrap();
    stage.becomes(Says { admin, ..before }).await;
    stage.gateway.wait_for_log("\"revision\":5", SOON).await.unwrap();
    assert!(!logged().contains("\"message\":\"session\""), "{}", logged());
}

/// A pipe that nobody reads stands for a log file on a disk that hangs.
#[tokio::test]
async fn a_log_file_that_does_not_open_is_refused_and_keeps_nothing_else_from_going_on() {
    let mut stage = Stage::start().await;
    let before = stage.says.clone();
    let file = stage.gateway.dir().join("pipe.log");
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    let log = format!("output = \"file\"\nfile = \"{}\"", file.display());
    stage.write(&Says { log, ..before.clone() });
    let why = stage.is_refused().await;
    assert!(why.contains("log.file: the disk did not answer within"), "{why}");
    stage.becomes(Says { node: "weight = 5".to_owned(), ..before }).await;
    assert_eq!(stage.revision().await, 2);
}

#[tokio::test]
async fn the_alarm_of_a_refused_configuration_ends_when_the_file_is_put_back() {
    let mut stage = Stage::start().await;
    let alarms = async |stage: &Stage| {
        let status = http::get_json(&stage.url("status")).await.unwrap();
        status["alarms"].as_array().unwrap().iter().filter(|a| a["kind"] == "config").count()
    };
    stage.write_text("[listener");
    stage.is_refused().await;
    assert_eq!(alarms(&stage).await, 1);
    let answer = stage.becomes(stage.says.clone()).await;
    assert_eq!((answer["revision"].as_u64(), alarms(&stage).await), (Some(1), 0));
}

#[tokio::test]
async fn a_rollback_puts_an_earlier_text_in_force_and_the_next_reload_the_file_again() {
    let mut stage = Stage::start().await;
    let (before, extra) = (stage.says.clone(), local(stage.ports.port(2)));
    let health = "username = \"monitor\"\npassword = \"s3cret-before\"\nchecks = []";
    let more = format!(
        "[listener.extra]\nbind = \"{extra}\"\ncluster = \"other\"\n[cluster.other.health]\n{health}\n\
         [cluster.other.node.a]\naddress = \"{}\"\n",
        stage.broker
    );
    stage.becomes(Says { more: more.clone(), ..before.clone() }).await;
    let changed = more.replace("s3cret-before", "s3cret-after!!");
    let answer = stage.becomes(Says { more: changed, ..before.clone() }).await;
    assert_eq!(answer["changes"][0]["what"][0], "password: changed");
    stage.becomes(before).await;
    let gone = async || TcpStream::connect(extra).await.is_err();
    wait::until("the listener that is not in the file", SOON, gone).await.unwrap();

    let rollback = stage.url("config/rollback");
    let (status, answer) = http::post_for_json(&rollback, &json!({ "revision": 2 })).await.unwrap();
    assert_eq!((status, answer["revision"].as_u64()), (200, Some(5)), "{answer:#}");
    stage.session(extra).await.close().await.unwrap();
    let config = http::get_json(&stage.url("config")).await.unwrap();
    assert_eq!(config["file_differs"], true);
    let text = http::get_json(&stage.url("config/revisions/2")).await.unwrap();
    assert!(text["text"].as_str().unwrap().contains("password = \"*****"), "{text:#}");
    for shown in [config.to_string(), text.to_string(), stage.gateway.log()] {
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    let (status, _) = http::post_for_json(&rollback, &json!({ "revision": 77 })).await.unwrap();
    assert_eq!(status, 404);
    let (status, answer) = stage.reload().await;
    assert_eq!((status, answer["revision"].as_u64()), (200, Some(6)), "{answer:#}");
    wait::until("the listener of the file alone", SOON, gone).await.unwrap();
}

#[tokio::test]
async fn the_file_is_taken_over_by_itself_when_that_is_wanted_and_only_then() {
    let mut stage = Stage::start().await;
    let before = stage.says.clone();
    let watched = Says { gateway: "reload_on_change = true".to_owned(), ..before.clone() };
    stage.becomes(watched.clone()).await;
    stage.write(&Says { node: "weight = 5".to_owned(), ..watched.clone() });
    let third = async || stage.revision().await == 3;
    wait::until("the file to be taken over", SOON, third).await.unwrap();
    let config = http::get_json(&stage.url("config")).await.unwrap();
    assert_eq!(config["history"][0]["by"], "file change");
    stage.write_text("[listener");
    stage.gateway.wait_for_log("configuration refused", SOON).await.unwrap();
    stage.write(&before);
    let fourth = async || stage.revision().await == 4;
    wait::until("the file to be taken over once more", SOON, fourth).await.unwrap();
    let config = http::get_json(&stage.url("config")).await.unwrap();
    assert_eq!(config["reload_on_change"], false);
}

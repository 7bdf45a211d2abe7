//! Certificates are renewed while clients come and go, and nobody notices.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use integration::certificates::{Authority, Issued, Key};
use integration::peer::{Args, Frame, Peer, ScriptedBroker};
use integration::tls::{ClientTls, Connector};
use integration::wait;
use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::front::{Front, SOON, Setup, heavy};

/// Sessions that live through all renewals, and how often each says something.
const LIVING: usize = 500;
const SAYS: Duration = Duration::from_secs(4);
/// New clients: 200 a second, if the machine of the test can do that many.
const BETWEEN: Duration = Duration::from_millis(5);
const AT_ONCE: usize = 32;
/// So many new clients tell that nothing has changed: the files were looked at more than once meanwhile.
const MANY: usize = 600;

/// How files are replaced.
enum Way {
    Rename,
    InPlace,
    Link,
}

/// The pair of a listener, where the gateway looks for it.
struct Place {
    authority: Authority,
    dir: PathBuf,
    issued: Vec<Issued>,
}

impl Place {
    fn new() -> Self {
        let authority = Authority::new("ca").unwrap();
        let dir = authority.dir().join("live");
        fs::create_dir(&dir).unwrap();
        let mut place = Self { authority, dir, issued: Vec::new() };
        place.issue(Key::EcdsaP256);
        place.put(Way::Rename);
        place
    }

    fn chain(&self) -> PathBuf {
        self.dir.join("tls.crt")
    }

    fn key(&self) -> PathBuf {
        self.dir.join("tls.key")
    }

    /// One more certificate with a key of its own, in files elsewhere.
    fn issue(&mut self, key: Key) {
        let name = format!("pair{}", self.issued.len());
        let leaf = self.authority.server(&["localhost"]).unwrap().key(key);
        self.issued.push(leaf.write(&name).unwrap());
    }

    fn newest(&self) -> &Issued {
        self.issued.last().unwrap()
    }

    fn put(&self, way: Way) {
        match way {
            Way::Rename => self.by_rename(),
            Way::InPlace => self.in_place(),
            Way::Link => self.by_link(),
        }
    }

    /// As most clients of ACME do it.
    fn by_rename(&self) {
        let draft = self.dir.join("draft");
        for (from, to) in [(&self.newest().key, self.key()), (&self.newest().chain, self.chain())] {
            fs::copy(from, &draft).unwrap();
            fs::rename(&draft, to).unwrap();
        }
    }

    /// As `cp` does it: for a moment the key belongs to another certificate.
    fn in_place(&self) {
        for (from, to) in [(&self.newest().chain, self.chain()), (&self.newest().key, self.key())] {
            fs::write(to, fs::read(from).unwrap()).unwrap();
        }
    }

    /// As Kubernetes does it: the files are links into a directory that is itself a link.
    fn by_link(&self) {
        let version = format!("..version{}", self.issued.len());
        fs::create_dir(self.dir.join(&version)).unwrap();
        fs::copy(&self.newest().chain, self.dir.join(&version).join("tls.crt")).unwrap();
        fs::copy(&self.newest().key, self.dir.join(&version).join("tls.key")).unwrap();
        self.put_link(Path::new(&version), "..data");
        for name in ["tls.crt", "tls.key"] {
            if !self.dir.join(name).is_symlink() {
                self.put_link(&Path::new("..data").join(name), name);
            }
        }
    }

    fn put_link(&self, target: &Path, name: &str) {
        let draft = self.dir.join("..draft");
        symlink(target, &draft).unwrap();
        fs::rename(&draft, self.dir.join(name)).unwrap();
    }

    /// Which of the pairs it is.
    fn number(&self) -> impl Fn(&[u8]) -> usize + Send + Sync + use<> {
        let der = |issued: &Issued| {
            CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap().to_vec()
        };
        let known: Vec<_> = self.issued.iter().map(der).collect();
        move |shown: &[u8]| known.iter().position(|der| der == shown).unwrap()
    }
}

/// A client that came and left again.
struct Visit {
    came: Instant,
    left: Instant,
    shown: Vec<u8>,
}

/// What new clients were shown.
#[derive(Default)]
struct Shown {
    visits: Mutex<Vec<Visit>>,
    failures: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl Shown {
    fn count(&self) -> usize {
        self.visits.lock().unwrap().len()
    }

    fn last(&self) -> Vec<u8> {
        self.visits.lock().unwrap().last().map(|visit| visit.shown.clone()).unwrap_or_default()
    }
}

/// New clients, until they are told to stop.
async fn come_and_go(address: SocketAddr, tls: Connector, shown: Arc<Shown>) {
    let (mut ticks, room) = (interval(BETWEEN), Arc::new(Semaphore::new(AT_ONCE)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut clients = JoinSet::new();
    while !shown.stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let place = room.clone().acquire_owned().await.unwrap();
        let (tls, shown) = (tls.clone(), shown.clone());
        clients.spawn(async move {
            let came = Instant::now();
            match visit(address, &tls).await {
                Ok((der, _)) => {
                    let visit = Visit { came, left: Instant::now(), shown: der };
                    shown.visits.lock().unwrap().push(visit);
                }
                Err(error) => shown.failures.lock().unwrap().push(format!("{error:#}")),
            }
            drop(place);
        });
        while clients.try_join_next().is_some() {}
    }
    clients.join_all().await;
}

/// A session, from connect to close: the certificate shown, and how the TLS handshake went.
async fn visit(address: SocketAddr, tls: &Connector) -> anyhow::Result<(Vec<u8>, HandshakeKind)> {
    let mut client = Peer::connect_tls(address, tls).await?;
    client.open("app", "secret", "orders").await?;
    let tls = client.tls().unwrap();
    let kind = tls.handshake_kind().unwrap();
    let der = tls.peer_certificates().and_then(<[_]>::first).map(|leaf| leaf.to_vec());
    client.close().await?;
    Ok((der.unwrap_or_default(), kind))
}

/// A session that lives until it is told to end: how many of its messages came back.
async fn live(mut client: Peer, index: usize, stop: Arc<AtomicBool>) -> anyhow::Result<usize> {
    let publish = Args::new().u16(0).shortstr("").shortstr("q").u8(0);
    let publish = Frame::method(1, (60, 40), publish);
    let message = [publish, Frame::content_header(1, 4), Frame::body(1, b"ping")];
    let message = message.map(|frame| frame.encode()).concat();
    tokio::time::sleep(SAYS * index as u32 / LIVING as u32).await;
    let (mut ticks, mut came_back) = (interval(SAYS), 0);
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        client.send_raw(&message).await?;
        while client.read_frame().await?.kind != 3 {}
        came_back += 1;
    }
    client.close().await?;
    Ok(came_back)
}

/// Opens the sessions that live.
async fn the_living(front: &Front, tls: &Connector, stop: &Arc<AtomicBool>) -> JoinSet<usize> {
    let (mut living, room) = (JoinSet::new(), Arc::new(Semaphore::new(AT_ONCE)));
    let open = Arc::new(AtomicUsize::new(0));
    for index in 0..LIVING {
        let (tls, stop, room, address) = (tls.clone(), stop.clone(), room.clone(), front.address);
        let open = open.clone();
        living.spawn(async move {
            let place = room.acquire_owned().await.unwrap();
            let mut client = Peer::connect_tls(address, &tls).await.unwrap();
            client.open("app", "secret", "orders").await.unwrap();
            client.open_channel(1).await.unwrap();
            open.fetch_add(1, Ordering::Relaxed);
            drop(place);
            live(client, index, stop).await.unwrap()
        });
    }
    let all = async || open.load(Ordering::Relaxed) == LIVING;
    wait::until("sessions that live", 3 * SOON, all).await.unwrap();
    living
}

/// Files that were taken over, and refused.
async fn counted(front: &Front) -> (f64, f64) {
    let count = async |result: &str| {
        let label = format!("result=\"{result}\"");
        let name = "amqp_gateway_certificate_reloads_total";
        front.gateway.metric(name, &[&label]).await.unwrap()
    };
    (count("success").await, count("failure").await)
}

#[test]
fn renewals_lose_no_client_and_no_session_and_a_broken_pair_changes_nothing() {
    let _alone = heavy();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(renew());
}

async fn renew() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let node = broker.address();
    tokio::spawn(broker.serve_all());
    let mut place = Place::new();
    let (chain, key) = (place.chain(), place.key());
    let (chain, key) = (chain.display(), key.display());
    let tls = format!("tls.certificates = [{{ chain = \"{chain}\", key = \"{key}\" }}]");
    let front = Setup::at_accept().listener(&tls).start(&[node]).await;
    let tls = ClientTls::new(&place.authority, "localhost").connector().unwrap();
    let full = tls.without_resumption();

    let over = Arc::new(AtomicBool::new(false));
    let living = the_living(&front, &full, &over).await;
    let shown = Arc::new(Shown::default());
    let coming = tokio::spawn(come_and_go(front.address, full, shown.clone()));
    visit(front.address, &tls).await.unwrap();
    let began = Instant::now();

    let ways = [
        (Key::Rsa2048, Way::Rename),
        (Key::EcdsaP256, Way::InPlace),
        (Key::Rsa2048, Way::Link),
        (Key::EcdsaP256, Way::Link),
        (Key::EcdsaP256, Way::Rename),
    ];
    for (renewals, (key, way)) in (1..).zip(ways) {
        place.issue(key);
        place.put(way);
        wait_for_newest(&place, &shown).await;
        // Counted a moment after it is in use.
        let all = async || counted(&front).await == (f64::from(renewals), 0.0);
        wait::until("the renewal to be counted", SOON, all).await.unwrap();
        let (_, kind) = visit(front.address, &tls).await.unwrap();
        assert_eq!(kind, HandshakeKind::Resumed, "a ticket of before is good");
    }

    let good = fs::read(place.chain()).unwrap();
    let broken: [(&str, &[u8]); 3] = [
        ("the key does not belong", &fs::read(&place.issued[0].chain).unwrap()),
        ("tls.crt", &good[..good.len() / 2]),
        ("tls.crt", b""),
    ];
    for (failures, (said, chain)) in (1..).zip(broken) {
        fs::write(place.chain(), chain).unwrap();
        let refused = async || counted(&front).await.1 >= f64::from(failures);
        wait::until(said, SOON, refused).await.unwrap();
        let before = shown.count();
        let more = async || shown.count() >= before + MANY;
        wait::until("more clients", 3 * SOON, more).await.unwrap();
        assert_eq!(counted(&front).await, (5.0, f64::from(failures)));
    }
    place.issue(Key::Rsa2048);
    place.put(Way::Rename);
    wait_for_newest(&place, &shown).await;

    let took = began.elapsed();
    shown.stop.store(true, Ordering::Relaxed);
    coming.await.unwrap();
    over.store(true, Ordering::Relaxed);
    let messages: Vec<usize> = living.join_all().await;
    let came = shown.count();
    let rate = came as f64 / took.as_secs_f64();
    println!(
        "{came} clients in {took:.0?} ({rate:.0} a second) saw {} certificates; {} messages of {} sessions came back",
        place.issued.len(),
        messages.iter().sum::<usize>(),
        messages.len()
    );
    assert_eq!(*shown.failures.lock().unwrap(), Vec::<String>::new());
    assert_eq!(messages.len(), LIVING);
    in_order(&place, &shown);
    told_once(&front);
}

async fn wait_for_newest(place: &Place, shown: &Shown) {
    let newest = place.newest().certificate.clone();
    let newest = CertificateDer::from_pem_slice(newest.as_bytes()).unwrap();
    let seen = async || shown.last() == *newest;
    wait::until("a client that is shown the new certificate", SOON, seen).await.unwrap();
}

/// Each pair was shown, and none after a newer one had been.
fn in_order(place: &Place, shown: &Shown) {
    let number = place.number();
    let shown = shown.visits.lock().unwrap();
    let visits: Vec<_> = shown.iter().map(|visit| (visit, number(&visit.shown))).collect();
    for pair in 0..place.issued.len() {
        let of_pair = visits.iter().filter(|(_, shown)| *shown == pair);
        let first = of_pair.map(|(visit, _)| visit.left).min();
        let first = first.unwrap_or_else(|| panic!("pair {pair} was never shown"));
        let late = visits.iter().find(|(visit, shown)| visit.came > first && *shown < pair);
        assert!(late.is_none(), "an older pair than {pair} was shown after it");
    }
}

/// A line for each broken pair and no more, and no session that did not end in order.
fn told_once(front: &Front) {
    let lines = front.gateway.json_lines();
    let refused = |line: &&serde_json::Value| {
        line["message"].as_str().unwrap_or_default().contains("changed certificate refused")
    };
    let causes: Vec<_> = lines.iter().filter(refused).map(|line| &line["cause"]).collect();
    assert_eq!(causes.len(), 3, "{causes:?}");
    let sessions = lines.iter().filter(|line| line["message"] == "session");
    let odd: Vec<_> = sessions.filter(|line| line["reason"] != "client-closed").collect();
    assert_eq!(odd, Vec::<&serde_json::Value>::new());
}

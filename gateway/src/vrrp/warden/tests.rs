//! The thread with a scripted peer in the place of the VRRP process.

#![allow(clippy::unwrap_used)]

mod reloads;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Instant;

use super::child::Process;
use super::*;
use crate::config::model::{VirtualAddress, VirtualRouter};
use crate::vrrp::board::News;
use crate::vrrp::samples;
use crate::vrrp::talk::{Alarm, Counters, Order, Setup, Standing, State, Status, Word};

const LONG: Duration = Duration::from_secs(20);

/// In the place of the VRRP process.
struct Peer {
    lines: BufReader<UnixStream>,
    killed: Arc<AtomicBool>,
}

struct Scripted {
    peers: mpsc::Sender<Peer>,
    /// Starts that fail before one succeeds.
    failing: usize,
    /// Do all fail for now, and how many have?
    fails: Arc<AtomicBool>,
    failed: Arc<AtomicUsize>,
}

struct Actor(Arc<AtomicBool>);

impl Launcher for Scripted {
    fn launch(&mut self) -> io::Result<(UnixStream, Box<dyn Process>)> {
        if self.failing > 0 {
            self.failing -= 1;
            return Err(io::Error::other("no memory"));
        }
        if self.fails.load(Ordering::Relaxed) {
            self.failed.fetch_add(1, Ordering::Relaxed);
            return Err(io::Error::other("no memory"));
        }
        let (ours, theirs) = UnixStream::pair()?;
        theirs.set_read_timeout(Some(LONG))?;
        let killed = Arc::new(AtomicBool::new(false));
        let actor = Box::new(Actor(killed.clone()));
        let _ = self.peers.send(Peer { lines: BufReader::new(theirs), killed });
        Ok((ours, actor))
    }
}

impl Process for Actor {
    fn kill(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn ended(&mut self) -> Option<String> {
        Some("killed".to_owned())
    }
}

impl Peer {
    fn say(&mut self, word: &Word) {
        let mut line = serde_json::to_vec(word).unwrap();
        line.push(b'\n');
        self.lines.get_mut().write_all(&line).unwrap();
    }

    fn hear(&mut self) -> Order {
        let mut line = String::new();
        assert!(self.lines.read_line(&mut line).unwrap() > 0, "the socket is closed");
        serde_json::from_str(&line).unwrap()
    }

    /// The next order that is no beat; beats are answered.
    fn order(&mut self) -> Order {
        loop {
            match self.hear() {
                Order::Beat(count) => self.say(&Word::Beat(count)),
                order => return order,
            }
        }
    }

    /// Gets ready, and tells what it was set up with.
    fn begin(&mut self) -> Setup {
        let Order::Start(setup) = self.order() else { panic!("no start") };
        self.say(&Word::Ready);
        setup
    }

    fn goes(&mut self, to: State) {
        let (from, reason) = (State::Backup, "a test".to_owned());
        self.say(&Word::Transition { router: 0, from, to, priority: 100, reason });
    }

    /// Lets it be known that the socket is closed.
    fn is_left(&mut self) -> bool {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {}
        true
    }
}

/// The virtual router of all tests here.
pub(crate) fn router() -> VirtualRouter {
    samples::router("amqp")
}

/// What the closer was asked for.
type Told = (Close, Vec<IpAddr>);

/// A warden whose control runtime is this test's.
struct Stage {
    warden: Warden,
    board: Arc<Board>,
    peers: mpsc::Receiver<Peer>,
    told: Arc<Mutex<Vec<Told>>>,
    left: Arc<AtomicUsize>,
    fails: Arc<AtomicBool>,
    failed: Arc<AtomicUsize>,
    runtime: tokio::runtime::Runtime,
}

impl Stage {
    fn new() -> Self {
        Self::failing(0)
    }

    fn failing(failing: usize) -> Self {
        let (peers, launched) = mpsc::channel();
        let board = Arc::new(Board::new(&[router()]));
        let (told, left) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (telling, counted) = (told.clone(), left.clone());
        let closer: Closer = Box::new(move |addresses, how| {
            telling.lock().unwrap().push((how, addresses.to_vec()));
            counted.load(Ordering::Relaxed)
        });
        let (fails, failed) = (Arc::default(), Arc::default());
        let launcher =
            Scripted { peers, failing, fails: Arc::clone(&fails), failed: Arc::clone(&failed) };
        let (log, burdens) = (Dispatch::none(), Vec::new());
        let thread = Thread::start().unwrap();
        let warden = Warden::start_with(thread, board.clone(), burdens, closer, &log, launcher);
        let warden = warden.unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self { warden, board, peers: launched, told, left, fails, failed, runtime }
    }

    fn live(&self) -> &Self {
        self.runtime.spawn(self.warden.live());
        self
    }

    fn peer(&self) -> Peer {
        self.peers.recv_timeout(LONG).unwrap()
    }

    /// A process that is set up.
    fn begun(&self) -> (Peer, Setup) {
        let mut peer = self.peer();
        let setup = peer.begin();
        assert!(matches!(peer.order(), Order::Track { router: 0, penalty: 0, fault: None }));
        (peer, setup)
    }

    fn has_told(&self, how: Close) -> usize {
        self.has_told_of("10.0.0.9", how)
    }

    /// How often the connections of this address alone were told.
    fn has_told_of(&self, address: &str, how: Close) -> usize {
        let of = (how, vec![address.parse().unwrap()]);
        self.told.lock().unwrap().iter().filter(|told| **told == of).count()
    }

    /// The configuration has these virtual routers from now on.
    fn change(&self, routers: &[VirtualRouter]) {
        let routers = routers.iter().cloned().map(|r| (Arc::new(r), Burden::default())).collect();
        let taken = self.warden.hand().change(routers);
        let _ = self.runtime.block_on(async { timeout(LONG, taken).await.unwrap() });
    }
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_process_is_set_up_and_beats_follow() {
    let mut stage = Stage::new();
    stage.live();
    let (mut peer, setup) = stage.begun();
    assert!(setup.patience >= Duration::from_millis(300) && setup.orphaned.is_empty());
    assert_eq!(setup.routers[0].name, "amqp");
    assert_eq!(stage.runtime.block_on(stage.warden.ready()), Ok(()));
    let Order::Beat(first) = peer.hear() else { panic!("no beat") };
    assert!(matches!(peer.hear(), Order::Beat(next) if next == first + 1));
    stage.warden.end();
    assert!(peer.is_left() && !peer.killed.load(Ordering::Relaxed));
}

#[test]
fn what_it_says_stands_on_the_board() {
    let stage = Stage::new();
    let (mut peer, _) = stage.begun();
    let mut news = stage.board.subscribe();
    peer.goes(State::Active);
    let text = Some("another password".to_owned());
    peer.say(&Word::Alarm { router: 0, alarm: Alarm::OtherPassword, text });
    stage.runtime.block_on(async { (news.recv().await.unwrap(), news.recv().await.unwrap()) });
    let known = stage.board.list().remove(0).1;
    assert_eq!(known.history[0].to, State::Active);
    assert_eq!(known.alarms[0].0, Alarm::OtherPassword);
}

#[test]
fn alarms_of_a_process_that_has_died_are_over() {
    let stage = Stage::new();
    stage.live();
    let (mut peer, _) = stage.begun();
    let mut news = stage.board.subscribe();
    let text = Some("another password".to_owned());
    peer.say(&Word::Alarm { router: 0, alarm: Alarm::OtherPassword, text });
    let alarms = || stage.board.list().remove(0).1.alarms;
    until("it stands", || !alarms().is_empty());
    drop(peer);
    stage.begun();
    assert_eq!(alarms(), []);
    let mut told = Vec::new();
    while let Ok(next) = news.try_recv() {
        if let News::Alarm(_, Alarm::OtherPassword, text) = next {
            told.push(text.is_some());
        }
    }
    assert_eq!(told, [true, false], "and its end is told once");
}

#[test]
fn one_that_cannot_work_keeps_the_gateway_from_starting_and_says_why() {
    let mut stage = Stage::new();
    let mut peer = stage.peer();
    peer.say(&Word::Broken("no interface eth7".to_owned()));
    let ready = stage.runtime.block_on(stage.warden.ready());
    assert_eq!(ready, Err("no interface eth7".to_owned()));
    let mut stage = Stage::failing(1);
    let ready = stage.runtime.block_on(stage.warden.ready()).unwrap_err();
    assert!(ready.contains("no memory"), "{ready}");
    let mut stage = Stage::new();
    drop(stage.peer());
    let ready = stage.runtime.block_on(stage.warden.ready()).unwrap_err();
    assert!(ready.contains("closed its socket"), "{ready}");
}

#[test]
fn when_it_dies_another_one_goes_on_with_what_was_active_and_no_client_is_told() {
    let stage = Stage::new();
    stage.live().left.store(1, Ordering::Relaxed);
    let (mut peer, setup) = stage.begun();
    assert!(setup.resumed.is_empty());
    peer.goes(State::Active);
    drop(peer);
    let mut peer = stage.peer();
    let Order::Start(setup) = peer.order() else { panic!("no start") };
    assert_eq!((&setup.resumed[..], &setup.orphaned[..]), (&[0][..], &[][..]));
    assert_eq!(stage.has_told(Close::Tell), 0);
    // The next one is lost before it is set up: by now a peer may have.
    drop(peer);
    let (_peer, setup) = stage.begun();
    assert_eq!((&setup.resumed[..], &setup.orphaned[..]), (&[][..], &[0][..]));
    until("clients are told", || stage.has_told(Close::Tell) > 0);
}

#[test]
fn when_it_dies_released_another_one_is_started_that_gives_up_what_was_active() {
    let stage = Stage::new();
    stage.live().left.store(1, Ordering::Relaxed);
    let (mut peer, _) = stage.begun();
    stage.warden.hand().release(&"amqp".into());
    assert!(matches!(peer.order(), Order::Release { router: 0 }));
    peer.goes(State::Active);
    drop(peer);
    let (mut peer, setup) = stage.begun();
    assert_eq!(setup.orphaned, [0]);
    assert!(setup.standings[0].released, "it is still released");
    assert!(stage.has_told(Close::Tell) > 0);
    let history = stage.board.list().remove(0).1.history;
    assert_eq!(history.last().unwrap().to, State::Initialize);
    until("who is left is cut", || stage.has_told(Close::Cut) > 0);
    peer.goes(State::Backup);
    drop(peer);
    assert!(stage.begun().1.orphaned.is_empty());
}

#[test]
fn a_flood_of_transitions_is_summed_up_and_its_end_is_told() {
    let stage = Stage::new();
    stage.live();
    let mut news = stage.board.subscribe();
    let (mut peer, _) = stage.begun();
    for _ in 0..60 {
        peer.goes(State::Active);
        peer.goes(State::Backup);
    }
    let mut told = Vec::new();
    until("the last one is told", || {
        while let Ok(News::Transition(_, transition)) = news.try_recv() {
            told.push(transition.to);
        }
        // This one lives.
        peer.say(&Word::Beat(0));
        told.len() > 20
    });
    assert!(told.len() < 60 && told.last() == Some(&State::Backup), "{told:?}");
    assert_eq!(stage.board.list()[0].1.transitions["active"], 60);
}

#[test]
fn one_that_says_nothing_is_killed() {
    let stage = Stage::new();
    stage.live();
    let (mut peer, _) = stage.begun();
    let killed = peer.killed.clone();
    assert!(peer.is_left());
    assert!(killed.load(Ordering::Relaxed));
    stage.begun();
}

#[test]
fn a_gateway_whose_control_runtime_hangs_sends_no_beat() {
    let mut stage = Stage::new();
    let living = stage.runtime.spawn(stage.warden.live());
    let (mut peer, _) = stage.begun();
    stage.runtime.block_on(stage.warden.ready()).unwrap();
    living.abort();
    peer.lines.get_mut().set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut line = String::new();
    let silent = loop {
        match peer.lines.read_line(&mut line) {
            Ok(1..) => peer.say(&Word::Beat(0)),
            other => break other,
        }
    };
    assert!(silent.is_err(), "the gateway is silent, and keeps the socket: {silent:?}");
    // As the real one does.
    drop(peer);
    stage.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(300)).await });
    assert!(stage.peers.try_recv().is_err(), "no other one is started");
    stage.live();
    stage.begun();
}

#[test]
fn connections_are_told_before_the_addresses_leave() {
    let stage = Stage::new();
    stage.live().left.store(2, Ordering::Relaxed);
    let (mut peer, _) = stage.begun();
    peer.say(&Word::Leaving { router: 0, linger: true });
    until("they are told", || stage.has_told(Close::Tell) > 0);
    stage.left.store(0, Ordering::Relaxed);
    assert!(matches!(peer.order(), Order::Closed { router: 0 }));
    peer.say(&Word::Leaving { router: 0, linger: false });
    assert!(matches!(peer.order(), Order::Closed { router: 0 }));
    assert!(stage.has_told(Close::Cut) > 0);
}

#[test]
fn what_is_tracked_is_told_at_once() {
    let stage = Stage::new();
    stage.live();
    let (mut peer, _) = stage.begun();
    let fault = Some("script".to_owned());
    stage.warden.hand().bear(&"amqp".into(), Burden { penalty: 40, fault: fault.clone() });
    let Order::Track { router: 0, penalty: 40, fault: told } = peer.order() else { panic!() };
    assert_eq!(told, fault);
    stage.warden.hand().bear(&"other".into(), Burden::default());
    stage.warden.hand().reclaim(&"other".into());
    stage.warden.hand().reclaim(&"amqp".into());
    assert!(matches!(peer.order(), Order::Reclaim { router: 0 }), "there is no other one");
}

#[test]
fn what_is_known_of_a_router_is_told_before_it_can_take_anything() {
    let stage = Stage::new();
    stage.live();
    let (peer, setup) = stage.begun();
    assert_eq!(setup.standings, [Standing::default()]);
    let fault = Some("script".to_owned());
    stage.warden.hand().bear(&"amqp".into(), Burden { penalty: 40, fault: fault.clone() });
    stage.warden.hand().release(&"amqp".into());
    drop(peer);
    let mut peer = stage.peer();
    let Order::Start(setup) = peer.order() else { panic!("no start") };
    assert_eq!(setup.standings, [Standing { penalty: 40, fault, released: true }]);
}

#[test]
fn stopping_waits_until_all_is_handed_over() {
    let stage = Stage::new();
    stage.live();
    let (mut peer, _) = stage.begun();
    let stopping = async {
        let stop = stage.warden.stop();
        tokio::pin!(stop);
        let early = timeout(Duration::from_millis(50), &mut stop).await;
        assert!(early.is_err(), "nothing is handed over yet");
        assert!(matches!(peer.order(), Order::Stop));
        peer.say(&Word::Stopped);
        timeout(LONG, stop).await.unwrap();
    };
    stage.runtime.block_on(stopping);
    assert!(!peer.killed.load(Ordering::Relaxed));
    stage.warden.end();
}

#[test]
fn what_one_that_dies_while_stopping_has_held_is_given_up_by_another() {
    let stage = Stage::new();
    stage.live();
    let (mut peer, _) = stage.begun();
    peer.goes(State::Active);
    let stopping = async {
        let stop = stage.warden.stop();
        tokio::pin!(stop);
        let _ = timeout(Duration::from_millis(20), &mut stop).await;
        assert!(matches!(peer.order(), Order::Stop));
        drop(peer);
        let (mut peer, setup) = stage.begun();
        assert_eq!(setup.orphaned, [0]);
        assert!(matches!(peer.order(), Order::Stop));
        peer.say(&Word::Stopped);
        timeout(LONG, stop).await.unwrap();
    };
    stage.runtime.block_on(stopping);
}

fn status(released: bool) -> Word {
    let (state, counters) = (State::Active, Counters::default());
    Word::Status(vec![Status {
        router: 0,
        state,
        priority: 100,
        released,
        holds: true,
        peer: None,
        counters,
    }])
}

#[test]
fn a_release_that_is_over_is_forgotten() {
    let stage = Stage::new();
    stage.live();
    let (mut peer, _) = stage.begun();
    stage.warden.hand().release(&"amqp".into());
    assert!(matches!(peer.order(), Order::Release { router: 0 }));
    // This one was on its way.
    peer.say(&status(false));
    peer.say(&status(true));
    // Nobody else was there.
    peer.goes(State::Active);
    peer.say(&status(false));
    drop(peer);
    let (_peer, setup) = stage.begun();
    assert_eq!((&setup.resumed[..], &setup.orphaned[..]), (&[0][..], &[][..]));
}

#[test]
fn what_a_process_was_to_give_up_is_given_up_by_the_next_one_if_it_dies_of_it() {
    let stage = Stage::new();
    stage.live();
    stage.begun().0.goes(State::Active);
    // It was to go on with it, and so the next one is to give it up; and the one after that.
    for _ in 0..2 {
        drop(stage.peer());
    }
    let mut peer = stage.peer();
    let Order::Start(setup) = peer.order() else { panic!("no start") };
    assert_eq!((&setup.resumed[..], &setup.orphaned[..]), (&[][..], &[0][..]));
}

#[test]
fn addresses_that_were_to_be_gone_on_with_are_given_up_at_a_stop() {
    let stage = Stage::new();
    stage.live();
    let (mut peer, _) = stage.begun();
    peer.goes(State::Active);
    stage.fails.store(true, Ordering::Relaxed);
    drop(peer);
    until("a start fails", || stage.failed.load(Ordering::Relaxed) > 0);
    stage.fails.store(false, Ordering::Relaxed);
    let stopping = async {
        let stop = stage.warden.stop();
        tokio::pin!(stop);
        let early = timeout(Duration::from_millis(20), &mut stop).await;
        assert!(early.is_err(), "nothing is given up yet");
        let (mut peer, setup) = stage.begun();
        assert_eq!(setup.orphaned, [0]);
        assert!(matches!(peer.order(), Order::Stop));
        peer.say(&Word::Stopped);
        timeout(LONG, stop).await.unwrap();
    };
    stage.runtime.block_on(stopping);
}

#[test]
fn whoever_leaves_at_once_waits_for_a_process_that_is_to_be_set_up_with_addresses() {
    let stage = Stage::new();
    stage.live();
    let (mut peer, _) = stage.begun();
    peer.goes(State::Active);
    drop(peer);
    let mut peer = stage.peer();
    stage.warden.hand().wish(Wish::Leave);
    let Order::Start(setup) = peer.order() else { panic!("no start") };
    assert_eq!(setup.resumed, [0]);
    std::thread::sleep(Duration::from_millis(50));
    peer.say(&Word::Ready);
    assert!(peer.is_left());
}

/// With this address alone.
fn at(address: &str, router: VirtualRouter) -> VirtualRouter {
    let addresses = vec![VirtualAddress { address: address.parse().unwrap(), prefix: 24 }];
    VirtualRouter { addresses, ..router }
}

fn ids(routers: &[crate::vrrp::talk::Router]) -> Vec<(usize, &str, u8)> {
    routers.iter().map(|router| (router.id, &*router.name, router.priority)).collect()
}

fn names(board: &Board) -> Vec<String> {
    board.routers().iter().map(|router| router.name.to_string()).collect()
}

#[test]
fn a_change_keeps_what_can_change_in_its_place_and_numbers_the_others_anew() {
    let stage = Stage::new();
    stage.live();
    let (mut peer, _) = stage.begun();
    peer.goes(State::Active);
    let other = at("10.0.0.8", samples::router("other"));
    stage.change(&[other.clone(), VirtualRouter { priority: 90, ..router() }]);
    assert_eq!(names(&stage.board), ["other", "amqp"]);
    let Order::Change(change) = peer.order() else { panic!("no change") };
    assert_eq!(ids(&change.routers), [(1, "other", 150), (0, "amqp", 90)]);
    assert_eq!(stage.has_told(Close::Tell), 0);
    // Another network has other addresses: that one begins anew, and the first one is gone.
    stage.change(&[VirtualRouter { interface: "eth1".into(), ..router() }]);
    let Order::Change(change) = peer.order() else { panic!("no change") };
    assert_eq!(ids(&change.routers), [(2, "amqp", 150)]);
    assert_eq!(names(&stage.board), ["amqp"]);
    assert_eq!(stage.board.all_routers().len(), 2);
    stage.left.store(1, Ordering::Relaxed);
    peer.say(&Word::Leaving { router: 0, linger: true });
    until("its clients are told", || stage.has_told(Close::Tell) > 0);
    peer.say(&Word::Gone { router: 0 });
    peer.say(&Word::Gone { router: 1 });
    until("the other one is gone", || stage.board.all_routers().len() == 1);
    stage.warden.hand().release(&"amqp".into());
    assert!(matches!(peer.order(), Order::Closed { router: 0 } | Order::Release { router: 2 }));
}

#[test]
fn clients_of_an_address_that_is_removed_are_told_and_no_others() {
    let stage = Stage::new();
    stage.live().left.store(1, Ordering::Relaxed);
    let (mut peer, _) = stage.begun();
    peer.goes(State::Active);
    until("it is active", || stage.has_told(Close::Over) > 0);
    let mut more = router();
    more.addresses.extend(at("10.0.0.8", router()).addresses);
    stage.change(&[more]);
    let Order::Change(change) = peer.order() else { panic!("no change") };
    assert_eq!(change.routers[0].addresses.len(), 2);
    assert_eq!(stage.has_told(Close::Tell), 0);
    stage.change(&[at("10.0.0.8", router())]);
    assert!(matches!(peer.order(), Order::Change(_)));
    until("they are told, and cut", || {
        stage.has_told(Close::Tell) > 0 && stage.has_told(Close::Cut) > 0
    });
    assert_eq!(stage.has_told_of("10.0.0.8", Close::Tell), 0);
}

#[test]
fn a_change_that_a_process_does_not_live_to_hear_is_told_to_the_next_one() {
    let stage = Stage::new();
    stage.live();
    let (mut peer, _) = stage.begun();
    peer.goes(State::Active);
    until("it is active", || stage.has_told(Close::Over) > 0);
    stage.fails.store(true, Ordering::Relaxed);
    drop(peer);
    until("a start fails", || stage.failed.load(Ordering::Relaxed) > 0);
    // One that was active and has left the configuration meanwhile: what it left behind is cleaned, and then it goes.
    stage.change(&[at("10.0.0.8", samples::router("other"))]);
    stage.fails.store(false, Ordering::Relaxed);
    let mut peer = stage.peer();
    let setup = peer.begin();
    assert_eq!(ids(&setup.routers), [(1, "other", 150), (0, "amqp", 150)]);
    assert_eq!((&setup.resumed[..], &setup.orphaned[..]), (&[][..], &[0][..]));
    assert!(setup.standings[1].fault.is_some(), "it takes nothing any more");
    let Order::Change(change) = peer.order() else { panic!("no change") };
    assert_eq!(ids(&change.routers), [(1, "other", 150)]);
    peer.say(&Word::Gone { router: 0 });
    until("it is gone", || stage.board.all_routers().len() == 1);
}

#[test]
fn a_setting_that_is_put_back_is_not_put_back_again_by_the_next_process() {
    let stage = Stage::new();
    stage.live();
    let (mut peer, _) = stage.begun();
    let [first, second] = ["arp_ignore", "arp_filter"].map(PathBuf::from);
    for setting in [&first, &second] {
        peer.say(&Word::Changed { setting: setting.clone(), before: "0".into() });
    }
    peer.say(&Word::Restored { setting: first });
    peer.goes(State::Active);
    until("all is heard", || stage.has_told(Close::Over) > 0);
    drop(peer);
    let setup = stage.peer().begin();
    assert_eq!(setup.changed, [(second, "0".to_owned())].into());
}

#[test]
fn an_address_that_moves_to_another_virtual_router_is_off_before_it_is_put_on_again() {
    let stage = Stage::new();
    stage.live();
    let (mut peer, _) = stage.begun();
    stage.change(&[router(), at("10.0.0.8", samples::router("other"))]);
    let Order::Change(_) = peer.order() else { panic!("no change") };
    stage.change(&[at("10.0.0.8", router()), at("10.0.0.7", samples::router("other"))]);
    let Order::Change(change) = peer.order() else { panic!("no change") };
    assert_eq!(ids(&change.routers), [(2, "amqp", 150), (1, "other", 150)]);
}

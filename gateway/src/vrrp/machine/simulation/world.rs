//! A few routers and what is between them. Time is that of an observer; each machine has a clock of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::tests::{ip, us};
use super::super::{Action, Event, Heard, LOWEST, Now, Router, Settings, State};

/// More steps than that at one moment are a loop.
const STEPS: u32 = 1000;

/// The routers, the network and the time.
pub(super) struct World {
    pub(super) now: Now,
    pub(super) machines: Vec<Machine>,
    pub(super) network: Network,
    under_way: BTreeMap<(Now, u64), (usize, Heard)>,
    sent: u64,
    pub(super) account: Account,
}

/// A machine with one router.
pub(super) struct Machine {
    pub(super) router: Router,
    pub(super) settings: Settings,
    /// How far its clock is ahead of the observer's.
    ahead: Duration,
    /// Its gateway ends, and starts anew when everything is well again.
    stopping: bool,
    /// It stands still until then.
    paused: Option<Now>,
    /// When it last did something, by its own clock.
    awake: Now,
    /// What has come while it stood still.
    inbox: Vec<Heard>,
    /// Its kernel has the address.
    claimed: bool,
    /// How often it has announced the address again.
    pub(super) announced: u32,
}

/// What happens to what is sent.
pub(super) struct Network {
    /// The longest delay; each copy has its own, so that they overtake each other.
    pub(super) delay: Duration,
    /// Of a hundred packets, so many are lost.
    pub(super) loss: u8,
    /// Of a hundred packets, so many come twice.
    pub(super) doubled: u8,
    /// From where to where nothing comes through.
    pub(super) cut: Vec<(usize, usize)>,
    /// Where chance stands.
    pub(super) chance: u64,
}

/// How long there was not exactly one.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Account {
    /// Altogether without an active router.
    pub(super) none: Duration,
    /// Altogether with more than one.
    pub(super) dual: Duration,
}

impl Network {
    /// One of `choices` by chance (splitmix64).
    fn draw(&mut self, choices: u64) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % choices.max(1)
    }

    /// When the copies of a packet come that is sent now.
    fn arrivals(&mut self, from: usize, to: usize) -> Vec<Duration> {
        if self.cut.contains(&(from, to)) {
            return Vec::new();
        }
        let copies = 1 + u32::from(self.draw(100) < u64::from(self.doubled));
        let mut arrivals = Vec::new();
        for _ in 0..copies {
            let longest = u64::try_from(self.delay.as_micros()).unwrap_or(u64::MAX);
            let delay = us(self.draw(longest + 1));
            if self.draw(100) >= u64::from(self.loss) {
                arrivals.push(delay);
            }
        }
        arrivals
    }
}

impl World {
    /// Routers 10.0.0.1, 10.0.0.2 ... that have not been started, with clocks that differ.
    pub(super) fn new(settings: &[Settings], delay: Duration, chance: u64) -> Self {
        let machines = settings.iter().enumerate().map(|(at, settings)| {
            let settings = Settings { own: address(at), ..settings.clone() };
            Machine {
                router: Router::new(settings.clone()),
                settings,
                ahead: Duration::from_secs(1000 * (at as u64 + 1)),
                stopping: false,
                paused: None,
                awake: Now::ZERO,
                inbox: Vec::new(),
                claimed: false,
                announced: 0,
            }
        });
        Self {
            now: Now::ZERO,
            machines: machines.collect(),
            network: Network { delay, loss: 0, doubled: 0, cut: Vec::new(), chance },
            under_way: BTreeMap::new(),
            sent: 0,
            account: Account::default(),
        }
    }

    /// Lets the time go on by so much.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut steps = 0;
        while let Some(next) = self.next().filter(|&next| next <= end) {
            steps = if next > self.now { 0 } else { steps + 1 };
            assert!(steps < STEPS, "a loop that takes no time");
            self.pass(next);
            self.happen();
        }
        self.pass(end);
    }

    /// Lets the time go on until nothing is under way, so that nothing overtakes what is sent then.
    pub(super) fn calm(&mut self) {
        while let Some((at, _)) = self.under_way.keys().next_back() {
            self.run(*at - self.now);
        }
    }

    /// Lets the time go on until it is so, at most so long. Returns how long it took.
    pub(super) fn until(&mut self, most: Duration, so: impl Fn(&Self) -> bool) -> Option<Duration> {
        let begun = self.now;
        while !so(self) {
            let next = self.next().filter(|&next| next <= begun + most)?;
            self.pass(next);
            self.happen();
        }
        Some(self.now - begun)
    }

    /// Tells a router something, if its machine runs.
    pub(super) fn tell(&mut self, at: usize, mut event: Event) {
        if self.machines[at].paused.is_some() {
            return;
        }
        if let Event::Change(settings) = &mut event {
            settings.own = address(at);
            self.machines[at].settings = settings.clone();
        }
        let mut out = Vec::new();
        let machine = &mut self.machines[at];
        machine.stopping |= event == Event::Stop;
        let before = machine.router.state();
        let now = self.now + machine.ahead;
        machine.awake = now;
        machine.router.step(event, now, &mut out);
        self.act(at, before, out);
    }

    /// A packet comes from nowhere.
    pub(super) fn forge(&mut self, to: usize, heard: Heard) {
        self.under_way.insert((self.now, self.sent), (to, heard));
        self.sent += 1;
    }

    /// The machine stands still.
    pub(super) fn pause(&mut self, at: usize, time: Duration) {
        self.machines[at].paused.get_or_insert(self.now + time);
    }

    /// The machine's clock jumps, as after a night in a hypervisor's store.
    pub(super) fn jump(&mut self, at: usize, by: Duration) {
        self.machines[at].ahead += by;
        if self.machines[at].paused.is_none() {
            self.wake(at);
        }
    }

    /// The machine is gone, with its address and all that it knows.
    pub(super) fn crash(&mut self, at: usize) {
        let settings = self.machines[at].settings.clone();
        let machine = &mut self.machines[at];
        machine.router = Router::new(settings);
        machine.claimed = false;
        machine.stopping = false;
        machine.inbox.clear();
        machine.paused = None;
    }

    /// All machines run and are well, and the network loses nothing.
    pub(super) fn heal(&mut self) {
        self.network.cut.clear();
        self.network.loss = 0;
        for at in 0..self.machines.len() {
            if self.machines[at].paused.take().is_some() {
                self.wake(at);
            }
            if self.machines[at].stopping {
                self.crash(at);
            }
            self.tell(at, Event::Start);
            self.tell(at, Event::Fault(false));
        }
    }

    /// Who has the address.
    pub(super) fn holders(&self) -> Vec<usize> {
        (0..self.machines.len()).filter(|&at| self.machines[at].claimed).collect()
    }

    pub(super) fn only(&self, at: usize) -> bool {
        self.holders() == [at]
    }

    /// When the next thing happens.
    fn next(&self) -> Option<Now> {
        let packet = self.under_way.keys().next().map(|(at, _)| *at);
        let due = self.machines.iter().filter_map(|machine| match machine.paused {
            Some(until) => Some(until),
            None => machine.router.due().map(|due| due.saturating_sub(machine.ahead)),
        });
        due.chain(packet).min().map(|next| next.max(self.now))
    }

    fn pass(&mut self, to: Now) {
        let time = to - self.now;
        match self.holders().len() {
            0 => self.account.none += time,
            1 => {}
            _ => self.account.dual += time,
        }
        self.now = to;
    }

    /// All that happens now: machines wake, packets come, timers end; packets are read before timers, as by the driver.
    fn happen(&mut self) {
        for at in 0..self.machines.len() {
            if self.machines[at].paused.is_some_and(|until| until <= self.now) {
                self.machines[at].paused = None;
                self.wake(at);
            }
        }
        while let Some(entry) = self.under_way.first_entry().filter(|e| e.key().0 <= self.now) {
            let (to, heard) = entry.remove();
            if self.machines[to].paused.is_some() {
                self.machines[to].inbox.push(heard);
            } else {
                self.tell(to, Event::Advertisement(heard));
            }
        }
        for at in 0..self.machines.len() {
            let machine = &self.machines[at];
            let now = self.now + machine.ahead;
            if machine.paused.is_none() && machine.router.due().is_some_and(|due| due <= now) {
                self.tell(at, Event::Timer);
                let due = self.machines[at].router.due();
                assert!(due.is_none_or(|due| due > now), "a timer that is over is still due");
            }
        }
    }

    /// The driver finds out by its clock that it stood still, then reads what has come.
    fn wake(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        let gap = (self.now + machine.ahead).saturating_sub(machine.awake);
        let inbox = std::mem::take(&mut machine.inbox);
        if gap > machine.router.down_interval() {
            self.tell(at, Event::Paused);
        }
        for heard in inbox {
            self.tell(at, Event::Advertisement(heard));
        }
    }

    /// Does what a router says, and sees to it that it makes sense.
    fn act(&mut self, at: usize, before: State, out: Vec<Action>) {
        let mut state = before;
        for action in out {
            let machine = &mut self.machines[at];
            match action {
                Action::Advertise { priority } => {
                    let is_active = machine.router.state() == State::Active;
                    assert!(
                        is_active || before == State::Active,
                        "advertises what it does not serve"
                    );
                    self.send(at, priority);
                }
                Action::Ask => {
                    assert_eq!(
                        machine.router.state(),
                        State::Backup,
                        "asks though it is no backup"
                    );
                    self.send(at, LOWEST);
                }
                Action::Claim => {
                    assert!(!machine.claimed, "claims what it has");
                    machine.claimed = true;
                }
                Action::Withdraw { .. } => {
                    assert!(machine.claimed, "withdraws what it has not");
                    machine.claimed = false;
                }
                Action::Announce => {
                    assert!(machine.claimed, "announces what it has not");
                    machine.announced += 1;
                }
                Action::Transition { from, to, .. } => {
                    assert_eq!(from, state, "a step is missing");
                    assert_ne!(from, to);
                    state = to;
                }
                Action::Notice(_) => {}
            }
        }
        let machine = &self.machines[at];
        assert_eq!(state, machine.router.state(), "a step was not told");
        assert_eq!(machine.claimed, state == State::Active, "only the active one has the address");
    }

    fn send(&mut self, from: usize, priority: u8) {
        let interval = self.machines[from].settings.interval;
        for to in (0..self.machines.len()).filter(|&to| to != from) {
            for delay in self.network.arrivals(from, to) {
                let heard = Heard { source: address(from), priority, interval };
                self.under_way.insert((self.now + delay, self.sent), (to, heard));
                self.sent += 1;
            }
        }
    }
}

/// The address of a machine.
pub(super) fn address(at: usize) -> std::net::IpAddr {
    ip(u8::try_from(at + 1).unwrap_or(u8::MAX))
}

//! `bench console`: what it costs the gateway that somebody looks at its sessions. The same load with nobody looking, one
//! console and three, in turn.

use crate::args::seconds;
use crate::broker_link::BrokerLink;
use crate::cpu::Meter;
use crate::dial::{self, Goal, Plan};
use crate::peers::{self, Peer, Running};
use crate::proxy::Proxy;
use crate::window::Window;
use crate::{load, raise_file_limit};
use anyhow::{Context, Result, ensure};
use integration::{benchmark, stop};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Consoles at once.
const LOOKING: [usize; 3] = [0, 1, 3];
/// How often a console asks, as its page of sessions does.
const EVERY: Duration = Duration::from_secs(2);
/// It asks for what its filters offer each half minute; here for one of the five each third time, so that each window has
/// its share.
const OFFERS: [&str; 5] = ["vhosts", "users", "nodes", "clusters", "listeners"];
const BETWEEN_OFFERS: usize = 3;
/// Sessions that publish.
const BUSY: usize = 50;
const BODY: usize = 1024;
const WARM_UP: Duration = Duration::from_secs(3);
/// What consoles may add to the CPU of a message, in hundredths.
const CRITERION: f64 = 3.0;

/// What is measured.
pub(crate) struct Args {
    sessions: usize,
    rounds: usize,
    window: Duration,
    rate: u32,
    json: PathBuf,
}

impl Args {
    /// Reads the words after `console`.
    ///
    /// # Errors
    /// For what is unknown or malformed.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut args = Self {
            sessions: 10_000,
            rounds: 5,
            window: Duration::from_secs(10),
            rate: 20_000,
            json: PathBuf::from("target/bench-console.json"),
        };
        while let Some(word) = words.next() {
            let value = words.next().with_context(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--sessions" => args.sessions = benchmark::positive(&value)?,
                "--rounds" => args.rounds = benchmark::positive(&value)?,
                "--window" => args.window = seconds(&value)?,
                "--rate" => args.rate = u32::try_from(benchmark::positive(&value)?)?,
                "--json" => args.json = PathBuf::from(value),
                _ => anyhow::bail!("unknown option {word}; --help lists the options"),
            }
        }
        Ok(args)
    }
}

/// CPU of one message, in microseconds.
#[derive(Clone, Copy, Default)]
struct Cost {
    /// Of the whole process.
    all: f64,
    /// Of the threads that relay.
    workers: f64,
}

/// Measures, prints the table, writes the figures.
///
/// # Errors
/// When anything at all went wrong.
pub(crate) fn bench(args: &Args) -> Result<()> {
    stop::listen()?;
    raise_file_limit(args.sessions + BUSY)?;
    let directory = tempfile::Builder::new().prefix("amqp-gateway-bench-").tempdir()?;
    let mut broker = BrokerLink::start()?;
    let running = peers::start(Peer::Gateway, broker.address, directory.path(), None)?;
    let plan = |goal| Plan { address: running.plain(), goal, tls: None, heartbeat: 0 };
    println!("opening {} sessions", args.sessions);
    let mut idle = dial::open_all(&plan(Goal::Channel), args.sessions)?;
    let mut costs: BTreeMap<usize, Vec<Cost>> = BTreeMap::new();
    for round in 0..args.rounds {
        let mut order = LOOKING;
        order.rotate_left(round % LOOKING.len());
        for consoles in order {
            stop::check()?;
            let (cost, asked) = one(args, &running, &plan(Goal::Channel), &mut broker, consoles)?;
            println!(
                "round {}, {consoles} consoles: {:.3} us a message, {:.3} of them workers; {asked} answers",
                round + 1,
                cost.all,
                cost.workers
            );
            costs.entry(consoles).or_default().push(cost);
        }
    }
    for session in &mut idle {
        session.finish(&[], false)?;
    }
    report(args, &costs)
}

/// One window with so many consoles; and how often these were answered in all.
fn one(
    args: &Args,
    running: &Running,
    plan: &Plan,
    broker: &mut BrokerLink,
    consoles: usize,
) -> Result<(Cost, u64)> {
    let pid = running.proxy.as_ref().map(Proxy::pid).context("the gateway does not run")?;
    // Spread over the time between two looks: those that come together are shown the same list, which costs less.
    let wait = |number: usize| EVERY.mul_f64(number as f64 / consoles as f64);
    let looking: Vec<_> =
        (0..consoles).map(|number| Console::open(running.admin(), wait(number))).collect();
    let publishers = dial::open_all(plan, BUSY)?;
    let mut meter = Meter::new(pid);
    let mut window = Window::new(broker, Some(&mut meter), WARM_UP, args.window);
    load::paced(publishers, BODY, args.rate, &mut window)?;
    let span = window.span()?;
    let mut asked = 0;
    for console in looking {
        asked += console.close()?;
    }
    ensure!(consoles == 0 || asked > 0, "the consoles were never answered");
    let messages = span.published as f64;
    ensure!(messages > 0.0, "nothing was published");
    let all = span.cpu.context("no CPU was measured")? * 1e6 / messages;
    Ok((Cost { all, workers: span.workers * 1e6 / messages }, asked))
}

/// A console with its page of sessions open: sorted by rate, with status and events.
struct Console {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    page: JoinHandle<Result<()>>,
}

impl Console {
    fn open(admin: SocketAddr, wait: Duration) -> Self {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (told, counted) = (stop.clone(), answers.clone());
        let page = thread::spawn(move || {
            thread::sleep(wait);
            look(admin, &told, &counted)
        });
        Self { stop, answers, page }
    }

    /// How often it was answered.
    fn close(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.page.join().map_err(|_| anyhow::anyhow!("a console panicked"))??;
        Ok(self.answers.load(Ordering::Relaxed))
    }
}

fn look(admin: SocketAddr, stop: &AtomicBool, answers: &AtomicU64) -> Result<()> {
    let mut events = events(admin)?;
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(EVERY * 5)).proxy(None).build().into();
    let pages = ["sessions?sort=published&descending=true&page_size=100", "status"];
    for turn in 0_usize.. {
        let next = Instant::now() + EVERY;
        let offer = OFFERS[turn / BETWEEN_OFFERS % OFFERS.len()];
        let offer = turn.is_multiple_of(BETWEEN_OFFERS).then_some(offer);
        for path in pages.into_iter().chain(offer) {
            let url = format!("http://{admin}/api/v1/{path}");
            let mut answer = agent.get(&url).call().with_context(|| format!("GET {url}"))?;
            answer.body_mut().read_to_string()?;
            answers.fetch_add(1, Ordering::Relaxed);
        }
        // Nobody looks at them; they are only not to pile up.
        let _ = events.read(&mut [0; 16 * 1024]);
        while Instant::now() < next {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

/// The stream of events, which has begun.
fn events(admin: SocketAddr) -> Result<TcpStream> {
    let mut events = TcpStream::connect(admin)?;
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: {admin}\r\nAccept: text/event-stream\r\n\r\n"
    );
    events.write_all(request.as_bytes())?;
    events.set_read_timeout(Some(EVERY * 5))?;
    let (mut begin, expected) = ([0; 12], b"HTTP/1.1 200");
    events.read_exact(&mut begin).context("no answer to GET /api/v1/events")?;
    ensure!(begin == *expected, "no events: {}", String::from_utf8_lossy(&begin));
    events.set_nonblocking(true)?;
    Ok(events)
}

/// Medians over the rounds; what consoles add is the median of the differences within a round.
fn report(args: &Args, costs: &BTreeMap<usize, Vec<Cost>>) -> Result<()> {
    let nobody = costs.get(&0).context("nothing was measured")?;
    println!(
        "\n{} sessions, {} messages a second of {BODY} octets; CPU of the gateway a message, medians of {} rounds",
        args.sessions, args.rate, args.rounds
    );
    println!(
        "{:>8}  {:>10}  {:>10}  {:>8}  {:>8}",
        "consoles", "all, us", "relay, us", "all", "relay"
    );
    let mut figures = Vec::new();
    for (consoles, runs) in costs {
        let of = |value: fn(&Cost) -> f64| median(runs.iter().map(value).collect());
        let more = |value: fn(&Cost) -> f64| {
            let pairs = runs.iter().zip(nobody);
            median(
                pairs.map(|(with, without)| (value(with) / value(without) - 1.0) * 100.0).collect(),
            )
        };
        let (all, workers) = (of(|cost| cost.all), of(|cost| cost.workers));
        let (more_all, more_workers) = (more(|cost| cost.all), more(|cost| cost.workers));
        println!(
            "{consoles:>8}  {all:>10.3}  {workers:>10.3}  {more_all:>+7.1}%  {more_workers:>+7.1}%"
        );
        figures.push(json!({
            "consoles": consoles,
            "cpu_us_a_message": all,
            "of_workers_us": workers,
            "more_percent": more_all,
            "more_of_workers_percent": more_workers,
            "rounds": runs.iter().map(|cost| [cost.all, cost.workers]).collect::<Vec<_>>(),
        }));
    }
    println!("criterion: one console adds less than {CRITERION} %");
    let document = json!({
        "sessions": args.sessions,
        "rate": args.rate,
        "body": BODY,
        "window_s": args.window.as_secs_f64(),
        "criterion_percent": CRITERION,
        "consoles": figures,
    });
    if let Some(parent) = args.json.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&args.json, serde_json::to_string_pretty(&document)? + "\n")?;
    println!("figures: {}", args.json.display());
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

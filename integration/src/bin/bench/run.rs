//! One run: one case against one peer, once, with every count checked at its end.

use crate::broker_link::BrokerLink;
use crate::cases::{Case, Figure, Kind};
use crate::cpu::{Meter, resident};
use crate::dial::{self, Goal, Plan};
use crate::load::{self, Done};
use crate::peers::Running;
use crate::session::Session;
use crate::talk::Counters;
use crate::tls::Client;
use crate::window::{Span, Window};
use crate::wire;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::time::Duration;

/// Messages a second in the paced case.
const PACE: u32 = 20_000;

/// How long and how many.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
    /// Sessions held in the idle cases, unless the case holds fewer.
    pub(crate) idle_sessions: usize,
}

impl Scale {
    /// Sessions held in an idle case.
    pub(crate) fn held(&self, case: &Case) -> usize {
        self.idle_sessions.min(case.connections)
    }
}

/// What a run found.
pub(crate) type Figures = BTreeMap<Figure, f64>;

/// Measures `case` against `running`; for the idle cases it must be a fresh process.
///
/// # Errors
/// When anything at all went wrong: then there are no figures.
pub(crate) fn measure(
    case: &Case,
    running: &mut Running,
    broker: &mut BrokerLink,
    scale: Scale,
) -> Result<Figures> {
    if let Some(proxy) = &mut running.proxy {
        proxy.check()?;
    }
    let before = broker.settled().context("left over from an earlier run")?;
    let plan = Plan {
        address: running.address(case),
        goal: goal(case),
        tls: client(case, running)?,
        heartbeat: 60,
    };
    let (opened, done, figures) = match case.kind {
        Kind::Connect => connect(case, &plan, running, broker, scale)?,
        Kind::Idle => idle(case, &plan, running, scale)?,
        _ => traffic(case, &plan, running, broker, scale)?,
    };
    verify(case, &before, &broker.settled()?, opened, &done)?;
    Ok(figures)
}

/// Each run has a client of its own, which remembers no session of another one.
fn client(case: &Case, running: &Running) -> Result<Option<Client>> {
    let Some(tls) = case.tls else {
        return Ok(None);
    };
    let certificates = running.certificates.as_ref().context("started without certificates")?;
    Client::new(tls, certificates).map(Some)
}

fn goal(case: &Case) -> Goal {
    match case.kind {
        Kind::Publish | Kind::Paced => Goal::Channel,
        Kind::Consume => Goal::Consumer(format!("flood-{}", case.body)),
        Kind::PingPong | Kind::Idle => Goal::Consumer("echo".to_owned()),
        Kind::Connect => Goal::Closed,
    }
}

/// Sessions opened, what was done over them, and the figures.
type Outcome = (u64, Done, Figures);

fn traffic(
    case: &Case,
    plan: &Plan,
    running: &Running,
    broker: &mut BrokerLink,
    scale: Scale,
) -> Result<Outcome> {
    let sessions = dial::open_all(plan, case.connections)?;
    let opened = sessions.len() as u64;
    let mut meter = meter(running);
    let mut window = Window::new(broker, meter.as_mut(), scale.warm_up, scale.window);
    let done = match case.kind {
        Kind::Publish => load::publish(sessions, case.body, &mut window)?,
        Kind::Consume => load::consume(sessions, &mut window)?,
        Kind::Paced => load::paced(sessions, case.body, PACE, &mut window)?,
        _ => load::ping_pong(sessions, case.body, &mut window)?,
    };
    let span = window.span()?;
    let units = match case.kind {
        Kind::Publish | Kind::Paced => span.published,
        _ => span.client,
    };
    let mut figures = common(&span, units)?;
    if case.kind == Kind::Paced {
        let rate = units as f64 / span.time;
        ensure!((rate / f64::from(PACE) - 1.0).abs() < 0.05, "only {rate:.0} messages/s arrived");
    }
    if let (Some(cpu), Kind::Publish | Kind::Consume) = (span.cpu, case.kind) {
        let message = match case.kind {
            Kind::Publish => wire::published(case.body),
            _ => wire::delivered(case.body),
        };
        figures.insert(Figure::CpuPerGb, cpu * 1e9 / (units as f64 * message.len() as f64));
    }
    if case.kind == Kind::PingPong {
        let mut times = done.round_trips.clone();
        times.sort_unstable();
        figures.insert(Figure::P50, percentile(&times, 50)?);
        figures.insert(Figure::P99, percentile(&times, 99)?);
    }
    Ok((opened, done, figures))
}

fn connect(
    case: &Case,
    plan: &Plan,
    running: &Running,
    broker: &mut BrokerLink,
    scale: Scale,
) -> Result<Outcome> {
    let collected = collect(case, plan)?;
    let mut meter = meter(running);
    let mut window = Window::new(broker, meter.as_mut(), scale.warm_up, scale.window);
    let closed = std::cell::Cell::new(0);
    dial::open_while(
        plan,
        case.connections,
        || window.running(closed.get()),
        |_| {
            closed.set(closed.get() + 1);
            Ok(())
        },
    )?;
    let span = window.span()?;
    Ok((collected + closed.get(), Done::default(), common(&span, span.client)?))
}

/// Opens and closes as many sessions as there will be at once, whose TLS sessions those may then
/// resume; how many.
fn collect(case: &Case, plan: &Plan) -> Result<u64> {
    if !case.tls.is_some_and(|tls| tls.resumed) {
        return Ok(0);
    }
    let plan = Plan { tls: plan.tls.as_ref().map(Client::collecting), ..plan.clone() };
    Ok(dial::open_all(&plan, 2 * case.connections)?.len() as u64)
}

fn idle(case: &Case, plan: &Plan, running: &Running, scale: Scale) -> Result<Outcome> {
    let Some(pid) = running.proxy.as_ref().map(crate::proxy::Proxy::pid) else {
        bail!("without a proxy there is no memory to measure");
    };
    // What the first session of all allocates belongs to the process, not to a session.
    let mut sessions = dial::open_all(plan, 1)?;
    let empty = settled_memory(pid)?;
    let held = scale.held(case);
    sessions.extend(dial::open_all(plan, held)?);
    let open = settled_memory(pid)?;
    load::exchange_two(&mut sessions, case.body)?;
    let used = settled_memory(pid)?;
    let received = close_all(&mut sessions)?;
    let each = |now: u64| (now as f64 - empty as f64) / held as f64;
    let figures = Figures::from([
        (Figure::Idle, each(open)),
        (Figure::IdleUsed, each(used)),
        (Figure::Empty, empty as f64 / 1e6),
    ]);
    let opened = sessions.len() as u64;
    Ok((opened, Done { sent: 2 * opened, received, ..Done::default() }, figures))
}

/// Resident memory once two readings agree.
fn settled_memory(pid: u32) -> Result<u64> {
    let mut last = resident(pid)?;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(50));
        let now = resident(pid)?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(last)
}

fn close_all(sessions: &mut [Session]) -> Result<u64> {
    for session in &mut *sessions {
        session.finish(&[], true)?;
    }
    Ok(sessions.iter().map(|session| session.received).sum())
}

fn meter(running: &Running) -> Option<Meter> {
    running.proxy.as_ref().map(|proxy| Meter::new(proxy.pid()))
}

fn common(span: &Span, units: u64) -> Result<Figures> {
    ensure!(units > 0, "nothing happened in the window");
    let mut figures = Figures::from([(Figure::Rate, units as f64 / span.time)]);
    if let Some(cpu) = span.cpu {
        figures.insert(Figure::Cpu, cpu * 1e6 / units as f64);
    }
    Ok(figures)
}

/// Microseconds; `times` in nanoseconds, sorted.
fn percentile(times: &[u64], percent: usize) -> Result<f64> {
    let time = times.get(times.len() * percent / 100).context("no round trip in the window")?;
    Ok(*time as f64 / 1e3)
}

/// Nothing may be lost, doubled or broken off.
fn verify(
    case: &Case,
    before: &Counters,
    after: &Counters,
    opened: u64,
    done: &Done,
) -> Result<()> {
    if after.errors != before.errors {
        let count = after.errors - before.errors;
        bail!("{count} sessions went wrong at the broker, the last one: {}", after.last_error);
    }
    let published = after.published - before.published;
    let counts = [
        ("sessions opened", opened, after.opened - before.opened),
        ("sessions closed", opened, after.closed - before.closed),
        ("messages published", done.sent, published),
        (
            "octets published",
            done.sent * case.body as u64,
            after.published_octets - before.published_octets,
        ),
        ("messages delivered", done.received, after.delivered - before.delivered),
    ];
    for (what, client, broker) in counts {
        ensure!(
            client == broker,
            "{what}: {client} by the client's count, {broker} by the broker's"
        );
    }
    Ok(())
}

//! Asks one node again and again, and passes judgement on it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::GOODBYE;
use super::machine::{Machine, Round, Rules};
use super::news::News;
use super::probe::amqp::AmqpCheck;
use super::probe::connection::Settings;
use super::probe::management::{Findings, ManagementCheck};
use super::probe::roundtrip::RoundtripCheck;
use super::probe::view::ViewProbe;
use super::probe::{Done, Site, Wrong, icmp, script, tcp, timed};
use crate::cluster::Cluster;
use crate::cluster::condition::{Fitness, Verdict};
use crate::cluster::node::Node;
use crate::cluster::notices::Noticed;
use crate::cluster::report::{CheckReport, Outcome, Report};
use crate::config::model::{Check, Health};

/// While a node does not say how it sees its cluster it is asked only so often: each question may wait there for a minute.
const VIEW_AGAIN: Duration = Duration::from_secs(10);

/// Watches over a node until told to stop.
pub(super) async fn drive(
    node: Arc<Node>,
    news: Arc<News>,
    gateway: Arc<str>,
    stop: CancellationToken,
) {
    let cluster = news.cluster();
    let health = cluster.model.health.clone();
    let mut questions = Questions::new(&node, &cluster, &gateway);
    let mut judge = Judge::new(node.clone(), health.clone(), news.clone());
    let site = Site::of(&node, &cluster).filter(|_| health.checks.contains(&Check::Management));
    drop(cluster);
    if site.is_none() {
        news.unasked(&node);
    }
    let rounds = Box::pin(judge.rounds(&mut questions));
    let views = Box::pin(views(&node, site, &health, &news));
    tokio::select! {
        () = rounds => {}
        () = views => {}
        () = stop.cancelled() => {}
    }
    questions.close().await;
}

/// The checks of a node, with the connections that are kept.
struct Questions {
    node: Arc<Node>,
    health: Arc<Health>,
    amqp: Option<AmqpCheck>,
    roundtrip: Option<RoundtripCheck>,
    management: Option<ManagementCheck>,
}

/// The answers of one round.
#[derive(Default)]
struct Answers {
    done: Vec<Done>,
    findings: Option<Findings>,
}

impl Questions {
    fn new(node: &Arc<Node>, cluster: &Cluster, gateway: &str) -> Self {
        let health = &cluster.model.health;
        let settings = |purpose: &str| Settings {
            node: node.clone(),
            health: health.clone(),
            proxy_protocol: cluster.model.proxy_protocol,
            tls: cluster.tls.clone(),
            name: format!("amqp-gateway {gateway} {purpose}"),
        };
        let asks = |check| health.checks.contains(&check);
        let queue = format!("{}.{gateway}.{}", health.queue, node.name);
        let roundtrip = || RoundtripCheck::new(settings("health roundtrip"), queue);
        let management = Site::of(node, cluster).filter(|_| asks(Check::Management));
        Self {
            amqp: asks(Check::Amqp).then(|| AmqpCheck::new(settings("health"))),
            roundtrip: asks(Check::ChannelRoundtrip).then(roundtrip),
            management: management.map(|site| ManagementCheck::new(site, health.login.as_ref())),
            node: node.clone(),
            health: health.clone(),
        }
    }

    /// All checks, side by side.
    async fn ask(&mut self) -> Answers {
        let Self { node, health, amqp, roundtrip, management } = self;
        let limit = health.timeout;
        let asks = |check| health.checks.contains(&check);
        let mut findings = None;
        let icmp = async {
            if !asks(Check::Icmp) {
                return None;
            }
            Some(timed(Check::Icmp, limit, icmp::check(node)).await)
        };
        let tcp = async {
            if !asks(Check::Tcp) {
                return None;
            }
            Some(timed(Check::Tcp, limit, tcp(node)).await)
        };
        let script = async {
            let script = health.script.as_ref().filter(|_| asks(Check::Script))?;
            Some(timed(Check::Script, script.timeout, script::check(script, node)).await)
        };
        let amqp = async { Some(timed(Check::Amqp, limit, amqp.as_mut()?.check()).await) };
        let roundtrip = async {
            let check = roundtrip.as_mut()?.check();
            Some(timed(Check::ChannelRoundtrip, limit, check).await)
        };
        let management = async {
            let management = management.as_mut()?;
            let check = async {
                findings = Some(management.check(limit).await?);
                Ok(None)
            };
            Some(timed(Check::Management, limit, check).await)
        };
        let all = tokio::join!(icmp, tcp, Box::pin(amqp), Box::pin(roundtrip), management, script);
        let all = [all.0, all.1, all.2, all.3, all.4, all.5];
        let mut done: Vec<Done> = all.into_iter().flatten().collect();
        let order = |done: &Done| health.checks.iter().position(|c| *c == done.report.check);
        done.sort_by_key(order);
        Answers { done, findings }
    }

    /// Leaves the node in order.
    async fn close(&mut self) {
        let amqp = async {
            if let Some(check) = &mut self.amqp {
                check.close(GOODBYE).await;
            }
        };
        let roundtrip = async {
            if let Some(check) = &mut self.roundtrip {
                check.close(GOODBYE).await;
            }
        };
        tokio::join!(amqp, roundtrip);
    }
}

/// What judges the answers.
struct Judge {
    node: Arc<Node>,
    health: Arc<Health>,
    news: Arc<News>,
    machine: Machine,
    /// What was wrong with each check in the last round.
    last: HashMap<Check, &'static str>,
    /// The API says that the node is in maintenance.
    out_of_service: bool,
}

impl Judge {
    fn new(node: Arc<Node>, health: Arc<Health>, news: Arc<News>) -> Self {
        let (verdict, says) = (node.condition.verdict(), node.condition.says());
        let machine = Machine::resumed(Rules::from(&*health), verdict, says.maintenance);
        Self { node, health, news, machine, last: HashMap::new(), out_of_service: false }
    }

    /// Round after round. What sessions notice meanwhile is dealt with at once.
    async fn rounds(&mut self, questions: &mut Questions) {
        let node = self.node.clone();
        loop {
            let begun = tokio::time::Instant::now();
            let mut again = false;
            let mut asking = Box::pin(questions.ask());
            let answers = loop {
                tokio::select! {
                    answers = &mut asking => break answers,
                    noticed = node.notices.take() => {
                        // Whoever asks now wants to know how it is from now on.
                        again |= noticed.asked;
                        self.notice(noticed);
                    }
                }
            };
            drop(asking);
            self.round(answers, begun.into_std());
            loop {
                if again {
                    break;
                }
                let next = begun + self.machine.wait(fastrand::f64());
                tokio::select! {
                    () = tokio::time::sleep_until(next) => break,
                    noticed = node.notices.take() => if self.notice(noticed) { break },
                }
            }
        }
    }

    /// Deals with what sessions noticed. Returns whether the node is to be asked at once.
    fn notice(&mut self, noticed: Noticed) -> bool {
        let Noticed { failed, served, stopping, maintenance, asked } = noticed;
        if served {
            self.machine.client_served();
        }
        if maintenance {
            self.machine.maintenance();
            self.says(None);
        }
        let reason = if stopping && self.machine.stopping() {
            "it said that it is shutting down".to_owned()
        } else if failed && self.machine.clients_failed(Instant::now()) {
            let within = self.health.passive.map(|passive| passive.within).unwrap_or_default();
            format!("connections of clients failed again and again within {within:?}")
        } else {
            return maintenance || asked;
        };
        self.down(&reason);
        true
    }

    fn round(&mut self, answers: Answers, begun: Instant) {
        let Answers { done, findings } = answers;
        let vouched = done.iter().any(|done| {
            matches!(done.report.check, Check::Amqp | Check::ChannelRoundtrip)
                && done.wrong.is_none()
        });
        self.note(&done, vouched);
        self.report(&done, findings.as_ref());
        let against = against(&done, vouched);
        let passed = done.iter().any(|done| done.wrong.is_none());
        let round = match (against.is_empty(), passed) {
            (false, _) => Round::Bad,
            (true, true) => Round::Good,
            (true, false) => Round::Mute,
        };
        // Before the verdict: whoever acts on that looks at the rounds, too.
        let row = (round != Round::Mute)
            .then(|| self.node.condition.round(round == Round::Good, begun, Instant::now()));
        let changed = self.machine.round(round);
        match self.machine.verdict() {
            Verdict::Down if changed => self.down(&against),
            verdict => {
                // Whoever hears that it is up finds it out of maintenance.
                self.says(findings.as_ref());
                if changed {
                    self.news.verdict(&self.node, verdict, None);
                }
            }
        }
        if let Some(failing) = row.filter(|row| !row.is_good())
            && self.node.condition.fitness() >= Fitness::Unfit
        {
            self.news.ask_others(&self.node, &failing);
        }
    }

    fn down(&self, reason: &str) {
        self.news.verdict(&self.node, Verdict::Down, Some(reason.into()));
        // What it said before it went is old.
        self.news.says(&self.node, |says| (says.memory_alarm, says.disk_alarm) = (false, false));
    }

    fn says(&mut self, findings: Option<&Findings>) {
        let seen = self.news.last_seen(&self.node);
        if let Some(Findings { maintenance, .. }) = findings {
            self.out_of_service = maintenance.unwrap_or(false);
        }
        let alarms = findings.map(|f| f.alarms.or_else(|| Some(seen.as_ref()?.alarms)));
        let drained = seen.and_then(|seen| seen.being_drained).unwrap_or(false);
        let maintenance = self.machine.in_maintenance() || self.out_of_service || drained;
        self.news.says(&self.node, |says| {
            says.maintenance = maintenance;
            if let Some((memory, disk)) = alarms.flatten() {
                (says.memory_alarm, says.disk_alarm) = (memory, disk);
            }
        });
    }

    fn report(&self, done: &[Done], findings: Option<&Findings>) {
        let old = self.node.report.load();
        let version = || self.node.learned()?.greeting.as_ref()?.version().map(Arc::from);
        let report = Report {
            broker: findings.and_then(|f| f.broker.clone()).or_else(|| old.broker.clone()),
            version: findings
                .and_then(|f| f.version.clone())
                .or_else(version)
                .or_else(|| old.version.clone()),
            asked: true,
            checks: done.iter().map(|done| after(&old, &done.report)).collect(),
            ..Report::clone(&old)
        };
        self.node.report.store(Arc::new(report));
    }

    /// Counts and logs what is wrong: once, not every round.
    fn note(&mut self, done: &[Done], vouched: bool) {
        let (cluster, name) = (&self.node.cluster, &self.node.name);
        for Done { report, wrong } in done {
            let check = report.check;
            let Some(wrong) = wrong else {
                if self.last.remove(&check).is_some() {
                    info!(%cluster, node = %name, check = check.name(), "check passes again");
                }
                continue;
            };
            self.news.metrics.node_probe_failed(&cluster.0, name, check.name(), wrong.reason);
            if self.last.insert(check, wrong.reason) == Some(wrong.reason) {
                debug!(%cluster, node = %name, check = check.name(), text = wrong.text, "check fails");
                continue;
            }
            let (check, text) = (check.name(), &wrong.text);
            if wrong.outcome == Outcome::Misconfigured {
                warn!(%cluster, node = %name, check, text, "check cannot be made: it does not count");
            } else if is_vouched_for(report.check, wrong, vouched) {
                warn!(%cluster, node = %name, check, text, "check fails: it does not count while AMQP works");
            } else {
                info!(%cluster, node = %name, check, text, "check fails");
            }
        }
    }
}

/// A result, behind those that its check came to before.
fn after(old: &Report, new: &CheckReport) -> CheckReport {
    new.clone().after(old.checks.iter().find(|before| before.check == new.check))
}

/// What speaks against the node.
fn against(done: &[Done], vouched: bool) -> String {
    let counts = |done: &&Done| {
        let check = done.report.check;
        done.wrong.as_ref().is_some_and(|wrong| {
            wrong.outcome == Outcome::Failed && !is_vouched_for(check, wrong, vouched)
        })
    };
    let texts = done.iter().filter(counts).map(|done| {
        format!("{}: {}", done.report.check.name(), done.report.text.as_deref().unwrap_or("failed"))
    });
    texts.collect::<Vec<_>>().join("; ")
}

/// A management API that does not answer is no reason to take a node from its clients that does all they ask of it.
fn is_vouched_for(check: Check, wrong: &Wrong, vouched: bool) -> bool {
    check == Check::Management && wrong.silent && vouched
}

/// Asks a node how it sees its cluster, again and again. This may hang, and has a pace of its own.
async fn views(node: &Arc<Node>, site: Option<Site>, health: &Health, news: &News) {
    let Some(site) = site else { return std::future::pending().await };
    let mut probe = ViewProbe::new(site, health.login.as_ref());
    loop {
        let broker = node.report.load().broker.clone();
        let seen = match broker.filter(|_| node.condition.verdict() != Verdict::Down) {
            Some(broker) => {
                let looking = tokio::time::timeout(health.timeout, probe.look(&broker)).await;
                looking.ok().and_then(Result::ok).flatten()
            }
            None => None,
        };
        let known = node.report.load().broker.is_some();
        let silent = known && seen.is_none() && node.condition.verdict() != Verdict::Down;
        news.sees(node, seen, Instant::now());
        let wait = if silent { health.interval.max(VIEW_AGAIN) } else { health.interval };
        tokio::time::sleep(if known { wait } else { health.fast_interval }).await;
    }
}

//! The metrics of one gateway: recorded here once a session, rendered for `/metrics`.
//!
//! What the hot path counts stays in plain counters of each data-plane thread; a collector folds
//! these into each scrape.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use metrics::{Counter, Histogram, Key, KeyName, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use metrics_util::MetricKindMask;

use super::latency::{Latencies, Spread};
use super::names::{self, Kind, Metric};
use super::process;

/// Different values of the label `vhost`; later ones count as `other`.
const VHOST_LIMIT: usize = 200;
/// A gauge that no collector reports for so long is left out.
const GAUGE_LIFETIME: Duration = Duration::from_secs(300);
/// The exporter keeps each observation of a histogram until a scrape; without one, so many.
const OBSERVATION_LIMIT: u32 = 1024;

/// From a fast handshake on a LAN up to the default deadline and beyond.
const HANDSHAKE_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// From a connection for one message up to a week.
const DURATION_BUCKETS: &[f64] =
    &[0.01, 0.1, 1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 14_400.0, 86_400.0, 604_800.0];

const METADATA: Metadata<'static> = Metadata::new("amqp_gateway", Level::INFO, None);

/// Part of a handshake that is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Accept to open.
    Client,
    /// Connect to open-ok.
    Upstream,
    /// Accept to open-ok.
    Total,
}

/// Folds counters kept elsewhere into one scrape.
pub type Collector = Box<dyn Fn(&mut Scrape<'_>) + Send + Sync>;

/// The metrics of one gateway; share it as `Arc<Metrics>`.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    duration: Histogram,
    handshake: [Histogram; 3],
    tls_handshake: Histogram,
    sessions: Family,
    handshake_failures: Family,
    accept_errors: Family,
    /// What handshakes have taken, as it is known when they are over.
    openings: Latencies,
    /// Observations since histograms were last folded.
    observed: AtomicU32,
    collectors: RwLock<Vec<Collector>>,
    /// The vhosts that have a label value of their own. Held during a scrape: one at a time.
    vhosts: Mutex<HashSet<String>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// A recorder of its own, so that two gateways in one process do not mix.
    #[must_use]
    pub fn new() -> Self {
        Self::with_gauge_lifetime(GAUGE_LIFETIME)
    }

    fn with_gauge_lifetime(lifetime: Duration) -> Self {
        let recorder = build_recorder(lifetime);
        describe(&recorder);
        let handshake = |stage: Stage| {
            let label = Label::from_static_parts("stage", stage.as_str());
            let key = Key::from_parts(names::HANDSHAKE_SECONDS.name, vec![label]);
            recorder.register_histogram(&key, &METADATA)
        };
        let duration = Key::from_static_name(names::SESSION_DURATION_SECONDS.name);
        let tls_handshake = Key::from_static_name(names::TLS_HANDSHAKE_SECONDS.name);
        Self {
            duration: recorder.register_histogram(&duration, &METADATA),
            tls_handshake: recorder.register_histogram(&tls_handshake, &METADATA),
            handshake: [Stage::Client, Stage::Upstream, Stage::Total].map(handshake),
            sessions: Family::new(&names::SESSIONS_TOTAL),
            handshake_failures: Family::new(&names::HANDSHAKE_FAILURES_TOTAL),
            accept_errors: Family::new(&names::ACCEPT_ERRORS_TOTAL),
            handle: recorder.handle(),
            recorder,
            openings: Latencies::default(),
            observed: AtomicU32::new(0),
            collectors: RwLock::default(),
            vhosts: Mutex::default(),
        }
    }

    /// A session ended, at whatever stage.
    pub fn session_ended(&self, listener: &str, reason: &'static str, duration: Duration) {
        self.sessions.increment(&self.recorder, listener, reason);
        self.observe(&self.duration, duration);
    }

    /// A session ended before open-ok.
    pub fn handshake_failed(&self, listener: &str, reason: &'static str) {
        self.handshake_failures.increment(&self.recorder, listener, reason);
    }

    /// A stage of a handshake is done.
    pub fn handshake(&self, stage: Stage, took: Duration) {
        self.observe(&self.handshake[stage as usize], took);
    }

    /// A session is open, so long after it was accepted. The histograms are told at its end; whoever looks at the last
    /// seconds wants to know it now.
    pub fn opened(&self, took: Duration) {
        self.openings.observe(took);
    }

    /// What handshakes have taken since the start.
    #[must_use]
    pub fn openings(&self) -> Spread {
        self.openings.spread()
    }

    /// A client's TLS handshake is done.
    pub fn tls_handshake(&self, version: &str, resumed: bool, took: Duration) {
        let resumed = if resumed { "yes" } else { "no" };
        let key = key(&names::TLS_HANDSHAKES_TOTAL, &[version, resumed].map(str::to_owned));
        self.recorder.register_counter(&key, &METADATA).increment(1);
        self.observe(&self.tls_handshake, took);
    }

    /// An accept failed.
    pub fn accept_error(&self, listener: &str, reason: &'static str) {
        self.accept_errors.increment(&self.recorder, listener, reason);
    }

    /// A node could not be reached, or was lost before open-ok.
    pub fn node_connect_failed(&self, cluster: &str, node: &str, reason: &'static str) {
        let values = [cluster, node, reason].map(str::to_owned);
        let key = key(&names::NODE_CONNECT_FAILURES_TOTAL, &values);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    /// A session waited so long for the admission of a connection to a node of `cluster`.
    pub fn admission(&self, cluster: &str, waited: Duration) {
        let key = key(&names::ADMISSION_WAIT_SECONDS, &[cluster.to_owned()]);
        self.observe(&self.recorder.register_histogram(&key, &METADATA), waited);
    }

    /// A request to an HTTP listener is answered, or has ended otherwise. `labels` are listener, cluster, node, and class of
    /// the status.
    pub fn http_request(&self, labels: [&str; 4], took: Duration) {
        let listener = key(&names::HTTP_REQUEST_SECONDS, &[labels[0].to_owned()]);
        let key = key(&names::HTTP_REQUESTS_TOTAL, &labels.map(str::to_owned));
        self.recorder.register_counter(&key, &METADATA).increment(1);
        self.observe(&self.recorder.register_histogram(&listener, &METADATA), took);
    }

    /// A check of a node failed, or could not be made.
    pub fn node_probe_failed(&self, cluster: &str, node: &str, check: &str, reason: &str) {
        let values = [cluster, node, check, reason].map(str::to_owned);
        let key = key(&names::NODE_PROBE_FAILURES_TOTAL, &values);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    /// Files of TLS had changed: `success` or `failure`.
    pub fn certificate_reload(&self, result: &'static str) {
        let key = key(&names::CERTIFICATE_RELOADS_TOTAL, &[result.to_owned()]);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    /// A configuration was to be put in force: `applied`, `unchanged` or `refused`.
    pub fn config_reload(&self, result: &'static str) {
        let key = key(&names::CONFIG_RELOADS_TOTAL, &[result.to_owned()]);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    /// Adds what is asked at each scrape. Collectors run in the order of their adding.
    pub fn add_collector(&self, collector: impl Fn(&mut Scrape<'_>) + Send + Sync + 'static) {
        let mut collectors = self.collectors.write().unwrap_or_else(PoisonError::into_inner);
        collectors.push(Box::new(collector));
    }

    /// The page of `/metrics` in the Prometheus text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut scrape = Scrape { vhosts: lock(&self.vhosts), values: BTreeMap::new() };
        scrape.gauge(&names::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
        for collector in self.collectors.read().unwrap_or_else(PoisonError::into_inner).iter() {
            collector(&mut scrape);
        }
        scrape.store(&self.recorder);
        self.observed.store(0, Ordering::Relaxed);
        let mut page = self.handle.render();
        process::render(&mut page);
        page
    }

    fn observe(&self, histogram: &Histogram, time: Duration) {
        histogram.record(time.as_secs_f64());
        if self.observed.fetch_add(1, Ordering::Relaxed) + 1 >= OBSERVATION_LIMIT {
            self.observed.store(0, Ordering::Relaxed);
            self.handle.run_upkeep();
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Total => "total",
        }
    }
}

/// The values of one scrape while collectors report them.
#[derive(Debug)]
pub struct Scrape<'a> {
    vhosts: MutexGuard<'a, HashSet<String>>,
    values: BTreeMap<(&'static str, Vec<String>), (&'static Metric, f64)>,
}

impl Scrape<'_> {
    /// Reports the total of a counter since the start. Values given under the same labels in one
    /// scrape are added up, so each thread can report its own.
    ///
    /// `labels` are the values for [`Metric::labels`], in that order.
    pub fn counter(&mut self, metric: &'static Metric, labels: &[&str], total: u64) {
        debug_assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
        self.add(metric, labels, total as f64);
    }

    /// Reports the present value of a gauge; added up as counters are.
    pub fn gauge(&mut self, metric: &'static Metric, labels: &[&str], value: f64) {
        debug_assert_eq!(metric.kind, Kind::Gauge, "{}", metric.name);
        self.add(metric, labels, value);
    }

    fn add(&mut self, metric: &'static Metric, labels: &[&str], value: f64) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
        let values = metric.labels.iter().zip(labels);
        let values = values.map(|(name, value)| self.label_value(name, value)).collect();
        self.values.entry((metric.name, values)).or_insert((metric, 0.0)).1 += value;
    }

    fn label_value(&mut self, name: &str, value: &str) -> String {
        if name != "vhost" || self.vhosts.contains(value) {
            return value.to_owned();
        }
        if self.vhosts.len() >= VHOST_LIMIT {
            return "other".to_owned();
        }
        self.vhosts.insert(value.to_owned());
        value.to_owned()
    }

    fn store(self, recorder: &PrometheusRecorder) {
        for ((_, labels), (metric, value)) in self.values {
            let key = key(metric, &labels);
            match metric.kind {
                Kind::Counter => {
                    recorder.register_counter(&key, &METADATA).absolute(value as u64);
                }
                Kind::Gauge => recorder.register_gauge(&key, &METADATA).set(value),
                Kind::Histogram => {}
            }
        }
    }
}

/// A counter by name (listener) and reason, whose handles are found without building a key.
struct Family {
    metric: &'static Metric,
    handles: RwLock<HashMap<Box<str>, HashMap<&'static str, Counter>>>,
}

impl Family {
    fn new(metric: &'static Metric) -> Self {
        Self { metric, handles: RwLock::default() }
    }

    fn increment(&self, recorder: &PrometheusRecorder, name: &str, reason: &'static str) {
        let handles = self.handles.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = handles.get(name).and_then(|reasons| reasons.get(reason)) {
            counter.increment(1);
            return;
        }
        drop(handles);
        let key = key(self.metric, &[name.to_owned(), reason.to_owned()]);
        let counter = recorder.register_counter(&key, &METADATA);
        counter.increment(1);
        let mut handles = self.handles.write().unwrap_or_else(PoisonError::into_inner);
        handles.entry(name.into()).or_default().insert(reason, counter);
    }
}

fn build_recorder(gauge_lifetime: Duration) -> PrometheusRecorder {
    let set = |builder: PrometheusBuilder, metric: &Metric, buckets| {
        // The only error is an empty list of buckets.
        let matcher = Matcher::Full(metric.name.to_owned());
        builder.set_buckets_for_metric(matcher, buckets).unwrap_or_default()
    };
    let builder = PrometheusBuilder::new();
    let builder = set(builder, &names::HANDSHAKE_SECONDS, HANDSHAKE_BUCKETS);
    let builder = set(builder, &names::TLS_HANDSHAKE_SECONDS, HANDSHAKE_BUCKETS);
    let builder = set(builder, &names::ADMISSION_WAIT_SECONDS, HANDSHAKE_BUCKETS);
    let builder = set(builder, &names::HTTP_REQUEST_SECONDS, HANDSHAKE_BUCKETS);
    let builder = set(builder, &names::SESSION_DURATION_SECONDS, DURATION_BUCKETS);
    builder.idle_timeout(MetricKindMask::GAUGE, Some(gauge_lifetime)).build_recorder()
}

fn describe(recorder: &PrometheusRecorder) {
    for Metric { name, kind, help, .. } in names::ALL {
        let (name, help) = (KeyName::from_const_str(name), (*help).into());
        match kind {
            Kind::Counter => recorder.describe_counter(name, None, help),
            Kind::Gauge => recorder.describe_gauge(name, None, help),
            Kind::Histogram => recorder.describe_histogram(name, None, help),
        }
    }
}

fn key(metric: &'static Metric, values: &[String]) -> Key {
    let labels = metric.labels.iter().zip(values);
    let labels: Vec<Label> = labels.map(|(name, v)| Label::new(*name, v.clone())).collect();
    Key::from_parts(metric.name, labels)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

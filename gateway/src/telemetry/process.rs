//! The metrics `process_*`, as Prometheus' own client libraries name them.
//!
//! They are written as text rather than through the recorder, whose counters are whole numbers: CPU
//! seconds need their fraction.

use std::fmt::Write as _;

use nix::sys::resource::{UsageWho, getrusage};

use super::names::{self, Metric};

/// What the process takes of the machine; zero where the kernel does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// CPU time since its start, user and system, in seconds.
    pub cpu_seconds: f64,
    /// Memory in RAM, in bytes.
    pub memory_bytes: u64,
    /// File descriptors in use.
    pub open_files: u64,
    /// Limit of file descriptors.
    pub max_open_files: u64,
}

/// What the kernel tells now.
#[must_use]
pub fn usage() -> Usage {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = status_value(&status, "VmRSS:").map(|kb| kb * 1024.0);
    let whole = |value: Option<f64>| value.unwrap_or_default() as u64;
    Usage {
        cpu_seconds: cpu_seconds().unwrap_or_default(),
        memory_bytes: whole(memory),
        open_files: whole(open_fds()),
        max_open_files: whole(max_fds()),
    }
}

/// When the process started, in seconds since 1970.
#[must_use]
pub fn started() -> Option<f64> {
    start_time()
}

/// Appends what the kernel tells; what it does not tell is left out.
pub(crate) fn render(out: &mut String) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = |key| status_value(&status, key).map(|kb| kb * 1024.0);
    push(out, &names::PROCESS_CPU_SECONDS_TOTAL, cpu_seconds());
    push(out, &names::PROCESS_RESIDENT_MEMORY_BYTES, kilobytes("VmRSS:"));
    push(out, &names::PROCESS_THREADS, status_value(&status, "Threads:"));
    push(out, &names::PROCESS_OPEN_FDS, open_fds());
    push(out, &names::PROCESS_MAX_FDS, max_fds());
    push(out, &names::PROCESS_START_TIME_SECONDS, start_time());
}

fn push(out: &mut String, metric: &Metric, value: Option<f64>) {
    if let Some(value) = value {
        let Metric { name, kind, help, .. } = metric;
        let kind = kind.as_str();
        // Writing into a String cannot fail.
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
    }
}

fn cpu_seconds() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let [user, system] = [usage.user_time(), usage.system_time()];
    let microseconds = user.tv_usec() + system.tv_usec();
    Some((user.tv_sec() + system.tv_sec()) as f64 + microseconds as f64 / 1e6)
}

/// First number after `key` in `/proc/self/status`.
fn status_value(status: &str, key: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

fn open_fds() -> Option<f64> {
    // Since Linux 6.2 the directory's size is their number: tens of thousands need not be listed.
    let size = std::fs::metadata("/proc/self/fd").ok()?.len();
    if size > 0 {
        return Some(size as f64);
    }
    // The directory being read is itself one of them.
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

fn max_fds() -> Option<f64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.map(|limit| limit as f64)
}

/// Boot time plus the ticks from boot to our start (field 22; the name before it may hold spaces).
fn start_time() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let ticks: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let system = std::fs::read_to_string("/proc/stat").ok()?;
    let boot = status_value(&system, "btime")?;
    Some(boot + ticks / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{SystemTime, UNIX_EPOCH};

    fn value(name: &str) -> f64 {
        let mut out = String::new();
        render(&mut out);
        let prefix = format!("{name} ");
        let line = out.lines().find_map(|line| line.strip_prefix(&prefix));
        line.and_then(|value| value.parse().ok()).expect("the metric is there")
    }

    #[test]
    fn every_figure_of_the_process_is_plausible() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs_f64();
        assert!((now - 86_400.0..=now + 2.0).contains(&value("process_start_time_seconds")));
        assert!((1e6..1e11).contains(&value("process_resident_memory_bytes")));
        assert!(value("process_threads") >= 2.0);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
    }

    #[test]
    fn cpu_time_grows_by_fractions_of_a_second() {
        let before = value("process_cpu_seconds_total");
        let mut spent = before;
        while spent == before {
            spent = value("process_cpu_seconds_total");
        }
        assert!(spent > before && spent - before < 60.0);
    }
}

//! What a proxy costs: on-CPU time and resident memory of its process and its children.

use anyhow::{Context, Result, ensure};
use std::collections::{HashMap, HashSet};
use std::fs;

/// Kernel ticks a second in `/proc/PID/stat` (fixed for user space on Linux).
const TICKS: u64 = 100;
/// How far the sum over threads may lag behind the process's own time, nanoseconds.
const TOLERATED_LAG: u64 = 40_000_000;

/// Reads the cost of one process and its children.
pub(crate) struct Meter {
    pid: u32,
    /// On-CPU nanoseconds by process and thread; a thread that ended keeps its last value.
    threads: HashMap<(u32, u32), u64>,
    /// Those of them that relay, if they are the gateway's.
    workers: HashSet<(u32, u32)>,
    /// Sum over threads and the processes' own time, when first read.
    base: Option<(u64, u64)>,
}

impl Meter {
    /// For the process `pid`.
    pub(crate) fn new(pid: u32) -> Self {
        Self { pid, threads: HashMap::new(), workers: HashSet::new(), base: None }
    }

    /// On-CPU nanoseconds of all threads seen so far.
    ///
    /// # Errors
    /// When the process has gone, or when threads that began and ended between two readings
    /// took time that this reading cannot see.
    pub(crate) fn on_cpu(&mut self) -> Result<u64> {
        let mut whole = 0;
        for pid in family(self.pid) {
            for tid in numbers(&format!("/proc/{pid}/task")) {
                let path = format!("/proc/{pid}/task/{tid}/schedstat");
                let Ok(text) = fs::read_to_string(path) else {
                    continue;
                };
                let spent = text.split_whitespace().next().and_then(|field| field.parse().ok());
                let spent = spent.context("schedstat is not a number")?;
                if self.threads.insert((pid, tid), spent).is_none() && is_worker(pid, tid) {
                    self.workers.insert((pid, tid));
                }
            }
            whole += process_time(pid)?;
        }
        let sum = self.threads.values().sum();
        let (base_sum, base_whole) = *self.base.get_or_insert((sum, whole));
        let (seen, whole) = (sum - base_sum, whole.saturating_sub(base_whole));
        ensure!(
            whole <= seen + seen / 10 + TOLERATED_LAG,
            "threads ended unseen: {} ms by thread, {} ms by process",
            seen / 1_000_000,
            whole / 1_000_000
        );
        Ok(sum)
    }

    /// Of these, those of the threads that relay, as of the last reading.
    pub(crate) fn of_workers(&self) -> u64 {
        self.workers.iter().filter_map(|thread| self.threads.get(thread)).sum()
    }
}

fn is_worker(pid: u32, tid: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/task/{tid}/comm"));
    name.is_ok_and(|name| name.starts_with("worker-"))
}

/// Resident octets of `pid` and its children.
///
/// # Errors
/// When the process has gone.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let mut total = 0;
    for pid in family(pid) {
        // Exact, where statm may lag by some hundred KiB.
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .with_context(|| format!("the memory of process {pid}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
        let field = line.and_then(|line| line.split_whitespace().next());
        let kib: u64 = field.context("no Rss in smaps_rollup")?.parse()?;
        total += kib * 1024;
    }
    Ok(total)
}

/// The process and its children.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let mut all = vec![pid];
    all.extend(
        children.iter().flat_map(|list| list.split_whitespace()).flat_map(str::parse::<u32>),
    );
    all
}

/// User and system time of all threads of a process, ended ones included, nanoseconds.
fn process_time(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} has ended"))?;
    let fields = text.rsplit_once(')').context("stat without a name")?.1;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("stat without times")?;
    Ok((user + system) * (1_000_000_000 / TICKS))
}

fn numbers(directory: &str) -> Vec<u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};

    /// A process of one busy thread.
    struct Busy(Child);

    impl Busy {
        fn start() -> Self {
            let mut command = Command::new("sh");
            Self(command.args(["-c", "while :; do :; done"]).spawn().expect("a shell"))
        }
    }

    impl Drop for Busy {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn the_time_a_busy_process_gets_is_counted_and_never_more_than_passed() {
        let busy = Busy::start();
        let (mut meter, start) = (Meter::new(busy.0.id()), Instant::now());
        let before = meter.on_cpu().expect("a running process");
        let mut spent = 0;
        while spent < 50_000_000 {
            assert!(start.elapsed() < Duration::from_secs(30), "{spent} ns in 30 s");
            std::thread::yield_now();
            spent = meter.on_cpu().expect("a running process") - before;
        }
        // The kernel brings the figure up to date at its ticks.
        let passed = start.elapsed() + Duration::from_millis(20);
        assert!(u128::from(spent) <= passed.as_nanos(), "{spent} ns in {passed:?}");
    }

    #[test]
    fn a_process_that_has_ended_is_an_error() {
        let pid = Busy::start().0.id();
        assert!(Meter::new(pid).on_cpu().is_err());
        assert!(resident(pid).is_err());
    }

    #[test]
    fn our_own_memory_is_more_than_a_page() {
        assert!(resident(std::process::id()).expect("our own process") > 4096);
    }
}

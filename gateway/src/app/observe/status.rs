//! The gateway as a whole.

use std::thread::available_parallelism;
use std::time::SystemTime;

use super::history::Lately;
use super::show::Moment;
use super::sums::Whole;
use super::{Sights, alarms};
use crate::admin::view::status::{Alarm, Process, Status};
use crate::app::operator::time;
use crate::telemetry::process::Usage;

/// As the API shows it.
pub(super) fn status(
    sights: &Sights,
    started: SystemTime,
    lately: &Lately,
    moment: Moment,
) -> Status {
    let (shared, whole) = (&sights.shared, Whole::take(&sights.shared));
    let not_ready = (sights.not_ready)();
    Status {
        gateway: shared.name.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        process_id: std::process::id(),
        started_at: time(started),
        now: time(moment.wall),
        revision: shared.snapshot.load().revision,
        ready: not_ready.is_empty(),
        not_ready,
        stopping: sights.stopping.is_cancelled(),
        sessions: whole.sessions,
        in_handshake: whole.in_handshake,
        max_connections: sights.gate.most(),
        channels: whole.channels,
        unconfirmed: whole.unconfirmed,
        totals: whole.totals,
        rates: lately.rates,
        process: process(lately),
        alarms: all_alarms(sights, lately, moment),
    }
}

fn process(lately: &Lately) -> Process {
    let Usage { cpu_seconds, memory_bytes, open_files, max_open_files } = lately.usage;
    Process {
        cpu_seconds,
        cpu: lately.cpu,
        cores: available_parallelism().map_or(1, usize::from),
        memory_bytes,
        open_files,
        max_open_files,
    }
}

fn all_alarms(sights: &Sights, lately: &Lately, moment: Moment) -> Vec<Alarm> {
    let Moment { now, wall } = moment;
    let (shared, stopping) = (&sights.shared, sights.stopping.is_cancelled());
    let board = &sights.board;
    let routers = board.list().into_iter();
    let of_routers = routers.flat_map(|(router, known)| alarms::of_router(&router, &known));
    let all = alarms::of_clusters(&shared.snapshot.load())
        .into_iter()
        .chain(alarms::of_listeners(&(sights.doors)(), stopping, now))
        .chain(of_routers)
        .chain(alarms::of_certificates(&(sights.tls)().certificates(), wall))
        .chain(alarms::of_config(&shared.events.since(0)))
        .chain(alarms::of_process(&shared.name, &lately.usage, lately.drops(now)));
    alarms::sorted(all.collect())
}

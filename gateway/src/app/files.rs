//! How many files the process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::warn;

use crate::config::model::Model;

/// Two sockets a session, and some for the rest.
pub(super) fn raise_limit(model: &Model) {
    let needed = model.gateway.max_connections as u64 * 2 + 200;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    if soft < needed && setrlimit(Resource::RLIMIT_NOFILE, needed.min(hard), hard).is_err() {
        warn!(soft, "cannot raise the limit on open files");
    }
    if hard < needed {
        let enough_for = hard.saturating_sub(200) / 2;
        warn!(
            hard,
            needed,
            enough_for,
            "the limit on open files is too low for gateway.max_connections: raise LimitNOFILE or ulimit -n"
        );
    }
}

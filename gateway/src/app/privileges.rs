//! Drops to the configured user once all addresses are bound, but keeps what virtual routers take.

use nix::unistd::{Group, User, initgroups, setgid, setuid};

use super::{StartError, capabilities};
use crate::config::model::Model;
use crate::vrrp::warden::Thread;

/// With virtual routers: starts the thread that has the capabilities they take, and gives these up in the calling one.
/// To be called before there is any other thread: those that are started later have them neither.
pub(super) fn part(model: &Model) -> Result<Option<Thread>, StartError> {
    if model.virtual_routers.is_empty() {
        return Ok(None);
    }
    let wanted = capabilities::for_vrrp().map_err(StartError::Vrrp)?;
    let thread = Thread::start()?;
    // Whoever becomes another user loses them otherwise.
    thread.ask(capabilities::keep)?.map_err(not_kept)?;
    capabilities::shed(wanted).map_err(not_kept)?;
    Ok(Some(thread))
}

/// May virtual routers still be begun with, in a gateway that was started without any?
///
/// # Errors
/// Why not, and what to do.
pub(super) fn late() -> Result<(), String> {
    capabilities::for_vrrp().map(drop).map_err(|missing| {
        format!(
            "vrrp: this gateway was started without any [vrrp.NAME], and {missing}; then restart it: until then no address \
             is shared, and all else of the configuration is in force"
        )
    })
}

/// Starts the thread that virtual routers take, for a gateway that was started without any. The other threads keep what
/// they may do: nobody can take it from them.
pub(super) fn part_late() -> Result<Thread, StartError> {
    let thread = Thread::start()?;
    thread.ask(capabilities::keep)?.map_err(not_kept)?;
    thread.ask(capabilities::confine)?.map_err(not_kept)?;
    Ok(thread)
}

/// Takes on `gateway.user` and `gateway.group`, if given, for all threads of the process. A log file that only root may
/// open cannot be reopened afterwards.
///
/// `thread` keeps the capabilities that virtual routers take, and no others.
pub(super) fn drop_to(model: &Model, thread: Option<&Thread>) -> Result<(), StartError> {
    become_user(model).map_err(StartError::User)?;
    let Some(thread) = thread else { return Ok(()) };
    thread.ask(capabilities::confine)?.map_err(not_kept)
}

fn not_kept(error: rustix::io::Errno) -> StartError {
    StartError::Vrrp(format!("cannot keep capabilities: {error}"))
}

fn become_user(model: &Model) -> Result<(), String> {
    let Some(name) = &model.gateway.user else { return Ok(()) };
    let user = User::from_name(name)
        .map_err(|error| format!("cannot look up user {name:?}: {error}"))?
        .ok_or_else(|| {
            format!(
                "there is no user {name:?}: create it (useradd --system {name}) or remove the key"
            )
        })?;
    if nix::unistd::geteuid() == user.uid {
        return Ok(());
    }
    let group = match &model.gateway.group {
        Some(name) => {
            Group::from_name(name)
                .map_err(|error| format!("cannot look up group {name:?}: {error}"))?
                .ok_or_else(|| format!("there is no group {name:?}"))?
                .gid
        }
        None => user.gid,
    };
    let denied = |error| format!("cannot become {name:?}: {error}: start as root, or as that user");
    let login = std::ffi::CString::new(name.as_str()).map_err(|error| error.to_string())?;
    initgroups(&login, group).map_err(denied)?;
    setgid(group).map_err(denied)?;
    setuid(user.uid).map_err(denied)?;
    Ok(())
}

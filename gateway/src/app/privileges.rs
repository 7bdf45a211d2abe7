//! Drops to the configured user once all addresses are bound, but keeps what virtual routers take.

use nix::unistd::{Group, User, initgroups, setgid, setuid};
use rustix::thread::set_keep_capabilities;

use super::{StartError, capabilities};
use crate::config::model::Model;

/// Takes on `gateway.user` and `gateway.group`, if given, for all threads of the process. A log file that only root may
/// open cannot be reopened afterwards.
///
/// With virtual routers, this thread and those it starts keep the capabilities that these take, and no others.
pub(super) fn drop_to(model: &Model) -> Result<(), StartError> {
    if model.virtual_routers.is_empty() {
        return become_user(model).map(drop).map_err(StartError::User);
    }
    let wanted = capabilities::for_vrrp().map_err(StartError::Vrrp)?;
    let kept = keeping(|| become_user(model)).map_err(StartError::User)?;
    capabilities::take(wanted, kept)
        .map_err(|error| StartError::Vrrp(format!("cannot keep capabilities: {error}")))
}

/// Has `change` of the user leave the permitted capabilities of this thread as they are.
fn keeping(change: impl FnOnce() -> Result<bool, String>) -> Result<bool, String> {
    let keep = |on| set_keep_capabilities(on).map_err(|error| error.to_string());
    keep(true)?;
    let changed = change()?;
    keep(false)?;
    Ok(changed)
}

/// Is it another user now than before?
fn become_user(model: &Model) -> Result<bool, String> {
    let Some(name) = &model.gateway.user else { return Ok(false) };
    let user = User::from_name(name)
        .map_err(|error| format!("cannot look up user {name:?}: {error}"))?
        .ok_or_else(|| {
            format!(
                "there is no user {name:?}: create it (useradd --system {name}) or remove the key"
            )
        })?;
    if nix::unistd::geteuid() == user.uid {
        return Ok(false);
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
    Ok(true)
}

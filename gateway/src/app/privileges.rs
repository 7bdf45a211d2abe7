//! Drops to the configured user once all addresses are bound.

use nix::unistd::{Group, User, initgroups, setgid, setuid};

use crate::config::model::Model;

/// Takes on `gateway.user` and `gateway.group`, if given, for all threads of the process. A log file that only root may
/// open cannot be reopened afterwards.
pub(super) fn drop_to(model: &Model) -> Result<(), String> {
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
    setuid(user.uid).map_err(denied)
}

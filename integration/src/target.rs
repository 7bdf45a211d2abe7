//! What the build and `install.sh` have put beside the running program.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// The gateway's binary: `AMQP_GATEWAY_BIN`, else the newer one of the release and debug builds.
///
/// # Errors
/// When there is none; says how to build it.
pub fn gateway() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("AMQP_GATEWAY_BIN") {
        return Ok(path.into());
    }
    let target = directory()?;
    let builds = ["release", "debug"].map(|profile| target.join(profile).join("amqp-gateway"));
    let age = |path: &&PathBuf| path.metadata().and_then(|file| file.modified()).ok();
    let newest = builds.iter().filter(|path| path.is_file()).max_by_key(age);
    newest.cloned().with_context(|| {
        let target = target.display();
        format!("no amqp-gateway in {target}: `cargo build -p amqp-gateway` makes it")
    })
}

/// The client libraries that `install.sh test` has put into `target/interop`.
///
/// # Errors
/// When they are missing; says how to install them.
pub fn interop() -> Result<PathBuf> {
    let interop = directory()?.join("interop");
    let missing = || format!("{} is missing: run `integration/install.sh test`", interop.display());
    interop.is_dir().then(|| interop.clone()).with_context(missing)
}

/// cargo's target directory: programs lie in `PROFILE/`, tests in `PROFILE/deps/`.
fn directory() -> Result<PathBuf> {
    let program = std::env::current_exe().context("the running program has no path")?;
    let parents = program.ancestors().skip(1);
    let profile = parents.into_iter().find(|dir| dir.join("deps").is_dir());
    let target = profile.and_then(|dir| dir.parent());
    let target = target.with_context(|| format!("{} is not in target/", program.display()))?;
    Ok(target.to_owned())
}

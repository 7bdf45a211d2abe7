//! A container without an engine: a program in namespaces of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::XattrFlags;
use rustix::process::{Pid, Resource, getrlimit, kill_process};

use super::file::{Service, repository};
use super::stand_in::StandIn;
use crate::process::{Process, Signal};
use crate::scratch::Scratch;
use crate::vrrp_lab::figure;
use crate::wait;

const SETUP: &str = include_str!("container.sh");
const DEADLINE: Duration = Duration::from_secs(60);

/// Where a container is put in.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) bridge: &'static str,
    pub(super) address: String,
    pub(super) router: Ipv4Addr,
}

/// A running container; dropping it kills it, and its end takes its network away, as an engine does.
#[derive(Debug)]
pub struct Container {
    name: String,
    process: Process,
    /// The first process inside, numbered as outside.
    inside: Pid,
    log: PathBuf,
    environment: BTreeMap<String, String>,
    restricted: Vec<String>,
}

impl Container {
    pub(super) async fn start(
        name: &str,
        service: &Service,
        stand_in: StandIn,
        place: &Place,
        hosts: &BTreeMap<String, String>,
        scratch: &Scratch,
    ) -> Result<Self> {
        let etc = scratch.dir().join(format!("{name}-etc"));
        write_etc(&etc, service, hosts).with_context(|| etc.display().to_string())?;
        let log = scratch.dir().join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let restricted = restricted(service, &stand_in);
        let mut command = scratch.command("unshare");
        command.args(["--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "--kill-child"]);
        command.args(["--mount-proc", "sh", "-c", SETUP, "container.sh"]);
        command.arg(service.hostname.as_deref().unwrap_or(name)).arg(&etc);
        if let Some((program, capabilities)) = &stand_in.program {
            command.arg(program).arg(capabilities);
        }
        command.arg("--").args(&restricted).args(&stand_in.command);
        // Its environment begins empty, but for what lets the scratch find it.
        let mark =
            command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)));
        let mark: Vec<_> = mark.collect();
        command.env_clear().envs(mark.into_iter().filter_map(|(name, value)| Some((name, value?))));
        command.envs(&stand_in.environment);
        command.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        let mut process = Process::spawn(&mut command)?;
        let inside = first_inside(&mut process).await.with_context(|| tail(&log))?;
        let mut container = Self {
            name: name.to_owned(),
            process,
            inside,
            log,
            environment: stand_in.environment,
            restricted,
        };
        container.plug_in(place)?;
        let mut input = container.process.input().context("no standard input")?;
        writeln!(input, "go").with_context(|| container.log_tail())?;
        Ok(container)
    }

    fn plug_in(&self, place: &Place) -> Result<()> {
        // The outer process is in the new network, too; its number serves as a name that nothing else has.
        let outer = self.process.id().to_string();
        let outside = format!("v{outer}");
        let pair =
            ["link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns", &outer];
        ip(&pair)?;
        ip(&["link", "set", &outside, "master", place.bridge, "up"])?;
        let within = |arguments: &[&str]| {
            let mut all = vec!["--target", &outer, "--net", "ip"];
            all.extend(arguments);
            run("nsenter", &all)
        };
        within(&["link", "set", "lo", "up"])?;
        within(&["addr", "add", &place.address, "dev", "eth0"])?;
        within(&["link", "set", "eth0", "up"])?;
        within(&["route", "add", "default", "via", &place.router.to_string()])
    }

    /// The name of its service.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All that the containers of this service have written so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of [`Container::log`].
    #[must_use]
    pub fn log_tail(&self) -> String {
        tail(&self.log)
    }

    /// Whether it has ended by itself.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.process.exit_status()?.is_some())
    }

    /// Runs a command inside, as `docker compose exec` does.
    ///
    /// # Errors
    /// When the container has ended, or the command takes too long.
    pub async fn execute(&self, command: &[String]) -> Result<Output> {
        let mut nsenter = tokio::process::Command::new("nsenter");
        nsenter.arg(format!("--target={}", self.inside.as_raw_nonzero()));
        nsenter.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--"]);
        nsenter.args(&self.restricted).args(command);
        nsenter.env_clear().envs(&self.environment).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(DEADLINE, nsenter.output()).await;
        output.with_context(|| format!("{command:?} took over {DEADLINE:?}"))?.context("nsenter")
    }

    /// What the kernel says of its first process: `/proc/PID/status`.
    ///
    /// # Errors
    /// When it has ended.
    pub fn status(&self) -> Result<String> {
        Ok(fs::read_to_string(format!("/proc/{}/status", self.inside.as_raw_nonzero()))?)
    }

    /// `docker compose kill`: SIGKILL to the first process, with which the kernel ends all others and the network.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn kill(self) -> Result<()> {
        kill_process(self.inside, Signal::KILL)?;
        self.end(DEADLINE).await.map(drop)
    }

    /// `docker compose stop`: SIGTERM. How the container ended.
    ///
    /// # Errors
    /// When it is still there after the grace period of the compose file, which is given here.
    pub async fn stop(self, grace: Duration) -> Result<ExitStatus> {
        kill_process(self.inside, Signal::TERM)?;
        self.end(grace).await
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it is still there after `deadline`.
    pub async fn end(mut self, deadline: Duration) -> Result<ExitStatus> {
        let ended = self.process.wait(deadline).await?;
        ended.with_context(|| format!("still there after {deadline:?}: {}", self.log_tail()))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Fails only when it has ended already. `--kill-child` reaches nobody who has changed the user.
        if self.process.exit_status().is_ok_and(|ended| ended.is_none()) {
            let _ = kill_process(self.inside, Signal::KILL);
        }
    }
}

/// What begins the command line of everything that runs inside: limits, user and capabilities.
fn restricted(service: &Service, stand_in: &StandIn) -> Vec<String> {
    let mut words = vec!["prlimit".to_owned()];
    words.extend(service.ulimits.iter().filter_map(|(name, limit)| prlimit(name, *limit)));
    let Some((uid, gid)) = stand_in.user.as_deref().and_then(|user| user.split_once(':')) else {
        return words;
    };
    let mut bounding =
        if service.cap_drop == ["ALL"] { "-all".to_owned() } else { DOCKER.to_owned() };
    for capability in &service.cap_add {
        let _ = write!(bounding, ",+{}", capability.to_lowercase());
    }
    words.extend(
        ["setpriv", "--clear-groups", "--inh-caps=-all", "--ambient-caps=-all"].map(str::to_owned),
    );
    words.extend([
        format!("--reuid={uid}"),
        format!("--regid={gid}"),
        format!("--bounding-set={bounding}"),
    ]);
    words
}

/// A limit as `prlimit` takes it; none where this machine's own is lower and may not be raised.
fn prlimit(name: &str, limit: i64) -> Option<String> {
    let resource = match name {
        "nofile" => Resource::Nofile,
        "rtprio" => Resource::Rtprio,
        "memlock" => Resource::Memlock,
        _ => panic!("the limit {name} is not known here"),
    };
    let wanted = u64::try_from(limit).ok();
    let highest = getrlimit(resource).maximum;
    if highest.is_some_and(|highest| wanted.is_none_or(|wanted| wanted > highest)) {
        let text = format!("{name}: {limit} left out, because {highest:?} is the most here");
        figure("compose", &text);
        return None;
    }
    Some(format!(
        "--{name}={}",
        wanted.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())
    ))
}

/// What Docker leaves to a container unless it is told otherwise.
const DOCKER: &str = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,\
                      +net_raw,+sys_chroot,+mknod,+audit_write,+setfcap";

/// What lies over /etc: the names of the services, no name server, and the mounted files.
fn write_etc(etc: &Path, service: &Service, hosts: &BTreeMap<String, String>) -> Result<()> {
    if etc.exists() {
        fs::remove_dir_all(etc)?;
    }
    let upper = etc.join("upper");
    fs::create_dir_all(&upper)?;
    fs::create_dir_all(etc.join("work"))?;
    let mut names = "127.0.0.1 localhost\n".to_owned();
    for (name, address) in hosts {
        let _ = writeln!(names, "{address} {name}");
    }
    fs::write(upper.join("hosts"), names)?;
    fs::write(upper.join("resolv.conf"), "")?;
    for volume in &service.volumes {
        let parts: Vec<&str> = volume.split(':').collect();
        let [source, to, "ro"] = parts[..] else { bail!("{volume} is not SOURCE:TARGET:ro") };
        let below = Path::new(to).strip_prefix("/etc");
        let below = below.with_context(|| format!("{to} is not below /etc"))?;
        let top = upper.join(below.components().next().context("no path below /etc")?);
        if !top.exists() {
            fs::create_dir_all(&top)?;
            // Nothing of this machine's own directory of that name shows through.
            rustix::fs::setxattr(&top, "trusted.overlay.opaque", b"y", XattrFlags::empty())?;
        }
        let target = upper.join(below);
        fs::create_dir_all(target.parent().context("no directory")?)?;
        fs::copy(repository().join(source), target).with_context(|| volume.clone())?;
    }
    Ok(())
}

/// The child of `unshare`; it is there once the namespaces are.
async fn first_inside(process: &mut Process) -> Result<Pid> {
    let children = format!("/proc/{0}/task/{0}/children", process.id());
    let mut child = None;
    wait::until("the namespaces of a container", DEADLINE, async || {
        child = fs::read_to_string(&children).ok().and_then(|pids| pids.trim().parse().ok());
        child.is_some()
    })
    .await?;
    child.and_then(Pid::from_raw).context("no process number")
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    format!("end of {}:\n{}", log.display(), lines[lines.len().saturating_sub(30)..].join("\n"))
}

pub(super) fn ip(arguments: &[&str]) -> Result<()> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {error}", arguments.join(" "));
    Ok(())
}

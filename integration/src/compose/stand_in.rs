//! What runs in the place of an image.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::dockerfile::Image;
use super::file::Service;
use crate::target;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Several nodes share few cores.
const ERLANG: &str = "+S 1:1 +A 16 +sbwt none +sbwtdcpu none +sbwtdio none";

/// A program with its surroundings.
#[derive(Debug)]
pub(super) struct StandIn {
    pub(super) command: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    /// Installed as the only file of /usr/local/bin, with these capabilities.
    pub(super) program: Option<(PathBuf, String)>,
    /// `UID:GID` with only the capabilities of the service; otherwise root with all.
    pub(super) user: Option<String>,
}

pub(super) fn of(name: &str, service: &Service, scratch: &Path) -> Result<StandIn> {
    let home = scratch.join(name);
    fs::create_dir_all(&home)?;
    let mut environment = service.environment.clone();
    environment.insert("PATH".to_owned(), PATH.to_owned());
    environment.insert("HOME".to_owned(), home.display().to_string());
    let stand_in = StandIn { command: Vec::new(), environment, program: None, user: None };
    if let Some((dockerfile, context)) = service.dockerfile() {
        return built(&Image::read(&dockerfile, &context)?, stand_in);
    }
    let image = service.image.as_deref().context("neither image nor build")?;
    match image.split(':').next() {
        Some("rabbitmq") => Ok(rabbitmq(stand_in, &home)),
        Some("prom/prometheus") => Ok(prometheus(stand_in, &home)),
        _ => bail!("nothing stands in for the image {image}"),
    }
}

fn built(image: &Image, mut stand_in: StandIn) -> Result<StandIn> {
    if let Some((capabilities, _)) = &image.file_capabilities {
        stand_in.program = Some((target::gateway()?, capabilities.clone()));
        stand_in.user = Some(image.user.clone());
        stand_in.command.clone_from(&image.command);
        return Ok(stand_in);
    }
    // The libraries may lie where only their owner reads: this one runs as whoever runs the tests.
    let python = target::interop()?.join("venv/bin");
    stand_in.environment.insert("PATH".to_owned(), format!("{}:{PATH}", python.display()));
    stand_in.environment.insert("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned());
    stand_in.command = image.command.iter().map(|word| source(image, word)).collect();
    Ok(stand_in)
}

/// A file of the image is where it was copied from.
fn source(image: &Image, word: &str) -> String {
    let copied = image.copies.iter().find(|(_, to)| to == Path::new(word));
    copied.map_or_else(|| word.to_owned(), |(from, _)| from.display().to_string())
}

/// Debian's, with its data here; its configuration comes from /etc/rabbitmq, as in the image.
fn rabbitmq(mut stand_in: StandIn, home: &Path) -> StandIn {
    let here = |name: &str| home.join(name).display().to_string();
    stand_in.environment.extend(
        [
            ("PATH", format!("/usr/lib/rabbitmq/bin:{PATH}")),
            ("RABBITMQ_BASE", home.display().to_string()),
            ("RABBITMQ_MNESIA_BASE", here("mnesia")),
            ("RABBITMQ_LOG_BASE", here("log")),
            ("RABBITMQ_LOGS", "-".to_owned()),
            ("RABBITMQ_GENERATED_CONFIG_DIR", here("generated")),
            ("RABBITMQ_SCHEMA_DIR", here("schema")),
            ("RABBITMQ_PID_FILE", here("pid")),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERLANG.to_owned()),
            ("RABBITMQ_CTL_ERL_ARGS", ERLANG.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    stand_in.command = ["rabbitmq-server", "-noinput"].map(str::to_owned).to_vec();
    stand_in
}

/// Debian's, with the arguments that the image has by itself.
fn prometheus(mut stand_in: StandIn, home: &Path) -> StandIn {
    let data = format!("--storage.tsdb.path={}", home.join("data").display());
    let config = "--config.file=/etc/prometheus/prometheus.yml".to_owned();
    stand_in.command = vec!["prometheus".to_owned(), config, data];
    stand_in
}

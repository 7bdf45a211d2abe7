//! The command line: its definition, and what each command does.

mod client;
mod figures;
mod login;
mod operate;
mod password;
mod reload;
mod sessions;
mod status;
mod table;
mod tap;
mod top;
mod virtual_routers;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::admin::view::AdminState;
use crate::config::diagnostic::{Problem, to_json};
use crate::config::model::Model;
use crate::config::{self, schema};
use crate::tls::{self, problem::located};
use operate::Failed;

const NAME: &str = "amqp-gateway";
const DEFAULT_CONFIG: &str = "/etc/amqp-gateway/gateway.toml";

/// Exit code of an operator's command that was not done.
const FAILED: u8 = 1;

/// Exit code of `check` for a configuration that cannot be used, and of a bad command line.
const INVALID: u8 = 2;

const EXAMPLE: &str = "\
Example:
  # /etc/amqp-gateway/gateway.toml
  [listener.amqp]
  bind = \"0.0.0.0:5672\"
  cluster = \"main\"
  [cluster.main.node.rabbit1]
  address = \"192.168.1.10:5672\"

  $ amqp-gateway check
  $ amqp-gateway run";

/// What the caller is to do after the command line has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Run the gateway with this configuration file.
    Run {
        /// `--config`
        config: PathBuf,
    },
    /// Be the VRRP process of the gateway that started this one.
    RunVrrp,
    /// Nothing: the command is done, the process ends with this code.
    Exit(u8),
}

/// Reads the command line (program name first) and does what it asks for, except `run`.
///
/// Results go to `out`; a bad command line, `--help` and `--version` to the standard streams.
pub fn start<I, T>(arguments: I, out: &mut dyn Write) -> Action
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let command = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli.command,
        Err(error) => {
            // A closed terminal cannot be told anything.
            let _ = error.print();
            return Action::Exit(if error.use_stderr() { INVALID } else { 0 });
        }
    };
    let done = match command {
        Command::Run { config } => return Action::Run { config },
        Command::VrrpProcess => return Action::RunVrrp,
        Command::Check { config, format } => check(&config, format, out),
        Command::Status(status) => told(status.run(out)),
        Command::Sessions(list) => told(list.run(out)),
        Command::Close(close) => told(close.run(out)),
        Command::Clusters(list) => told(list.run(out)),
        Command::Nodes(list) => told(list.run(out)),
        Command::Drain(drain) => told(drain.run(out)),
        Command::Enable(node) => told(node.set(AdminState::Enabled, out)),
        Command::Disable(node) => told(node.set(AdminState::Disabled, out)),
        Command::Rebalance(rebalance) => told(rebalance.run(out)),
        Command::VirtualRouters(of) => told(of.run(out)),
        Command::Reload(reload) => told(reload.run(out)),
        Command::Top(top) => told(top.run()),
        Command::Tap(tap) => told(tap.run(out)),
        Command::Events(events) => told(events.run(out)),
        Command::HashPassword => told(password::hash(out)),
        Command::NewToken(token) => told(token.make(out)),
        Command::Schema => out.write_all(schema::schema_text().as_bytes()).map(|()| 0),
        Command::Version => writeln!(out, "{} {}", NAME, env!("CARGO_PKG_VERSION")).map(|()| 0),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), NAME, &mut script);
            out.write_all(&script).map(|()| 0)
        }
        Command::Man => man_page(out).map(|()| 0),
    };
    // Whoever closed the output early (`| head`) has seen enough.
    Action::Exit(done.unwrap_or(1))
}

/// The exit code of an operator's command. What went wrong is told on standard error.
fn told(done: Result<(), Failed>) -> io::Result<u8> {
    match done {
        Ok(()) => Ok(0),
        Err(Failed::Output(error)) => Err(error),
        Err(Failed::Told(text)) => {
            // A closed terminal cannot be told anything.
            let _ = writeln!(io::stderr(), "{text}");
            Ok(FAILED)
        }
    }
}

/// An AMQP gateway in front of RabbitMQ clusters: routes vhosts, balances, drains.
#[derive(Debug, Parser)]
#[command(name = NAME, version, after_help = EXAMPLE)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway in the foreground.
    ///
    /// Logs one line a listener once it accepts, then "ready". SIGTERM drains: sessions are
    /// closed with 320 at `drain_rate`, what is left after `drain_timeout` is cut; a second
    /// SIGTERM cuts at once. Exits with 0 after a drain, 1 if it cannot start.
    Run {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
    },
    /// The process that holds the virtual addresses; the gateway starts it itself.
    #[command(hide = true)]
    VrrpProcess,
    /// Check a configuration file and list all its problems.
    ///
    /// Each problem comes with file, line, column, cause and advice. Certificates, keys and
    /// authorities that it names are read, too. Nothing is bound and no name is resolved. Exits with 0 if the file is valid, 2 if not.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
        /// How problems are printed.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Tell how a running gateway is: sessions, rates, what the process takes, and what is wrong.
    ///
    /// As all commands for operators it asks the admin API. Exits with 0; 1 if the gateway does not answer.
    Status(status::ShowStatus),
    /// List sessions of a running gateway, or tell all of one.
    ///
    /// Filters that are given all have to hold. Exits with 0; 1 if the gateway does not answer or refuses, with why.
    Sessions(sessions::ListSessions),
    /// Close a session with 320.
    ///
    /// Exits with 0; 1 if the gateway does not answer or refuses, with why.
    Close(sessions::CloseSession),
    /// Show rates, alarms, sessions and nodes of a running gateway, once a second, until q.
    ///
    /// Takes a terminal. Exits with 0; 1 if the gateway does not answer.
    Top(top::Top),
    /// Show AMQP methods of sessions as they pass, one a line, until Ctrl-C.
    ///
    /// Without a filter it shows all sessions of AMQP 0-9-1, those that begin meanwhile included. Each line has the time, the
    /// session, the direction (-> from the client, <- from the node), the channel, the method and its arguments. Secrets
    /// are never shown. What is too much is left out, and told. Exits with 0; 1 if the gateway does not answer or refuses.
    Tap(tap::Tap),
    /// Show what happened: nodes, virtual routers, certificates, reloads, logins, and what operators did.
    ///
    /// Exits with 0; 1 if the gateway does not answer.
    Events(tap::ShowEvents),
    /// Put in force what is in the configuration file of a running gateway.
    ///
    /// Tells what has changed. A file that is not valid changes nothing: all that is wrong with it is told, with its place.
    /// Exits with 0; 1 if the gateway does not answer or refuses, with why.
    Reload(reload::Reload),
    /// List the clusters of a running gateway.
    ///
    /// Exits with 0; 1 if the gateway does not answer.
    Clusters(operate::ListClusters),
    /// List the nodes of a running gateway: what state each is in, and how many sessions it has.
    ///
    /// As all commands for operators it asks the admin API. Exits with 0; 1 if the gateway does not answer.
    Nodes(operate::ListNodes),
    /// Take a node out of use: no new sessions, and those there are closed with 320, at a pace.
    ///
    /// Sessions with publishes under way are closed last. Waits until no session is left, and shows how far it is;
    /// Ctrl-C ends the waiting, not the drain. `enable` takes the node back. Exits with 0 when the node is empty; 1 if
    /// the gateway does not answer or refuses, with why.
    Drain(operate::Drain),
    /// Take a node back into use that was drained or disabled, and stop its drain.
    ///
    /// Exits with 0; 1 if the gateway does not answer or refuses, with why.
    Enable(operate::OfNode),
    /// Give a node no new sessions; those it has stay.
    ///
    /// Exits with 0; 1 if the gateway does not answer or refuses, with why.
    Disable(operate::OfNode),
    /// Move sessions from nodes of a cluster that have more than their share to the others.
    ///
    /// Just those that are too many are closed with 320, `rebalance_rate` a second, no client twice within a minute.
    /// Waits until they are back, and shows how far it is; Ctrl-C ends the waiting, not the rebalance. Exits with 0;
    /// 1 if the gateway does not answer or refuses, with why.
    Rebalance(operate::RebalanceCluster),
    /// List the virtual routers of a running gateway: who has the addresses that gateways share; or move them.
    ///
    /// Exits with 0; 1 if the gateway does not answer.
    VirtualRouters(virtual_routers::OfVirtualRouters),
    /// Read a password from standard input and print its hash, for [[admin.user]].
    ///
    /// On a terminal it is asked for twice and not shown. The hash is the last line that is printed.
    HashPassword,
    /// Make a token for a program, and print it with its section [[admin.token]].
    NewToken(password::NewToken),
    /// Print the JSON schema of the configuration file, for editors.
    Schema,
    /// Print the version.
    Version,
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page (roff): amqp-gateway man | man -l -
    Man,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: place, cause, the line, advice.
    Text,
    /// For programs: {"valid", "problems": [{file, line, column, severity, message, advice}]}.
    Json,
}

fn check(config: &Path, format: Format, out: &mut dyn Write) -> io::Result<u8> {
    let outcome = with_files(config, config::load(config));
    let code = if outcome.is_ok() { 0 } else { INVALID };
    let (model, problems) = match outcome {
        Ok((model, warnings)) => (Some(model), warnings),
        Err(problems) => (None, problems),
    };
    match format {
        Format::Json => writeln!(out, "{}", to_json(model.is_some(), &problems))?,
        Format::Text => {
            for problem in &problems {
                writeln!(out, "{problem}")?;
            }
            writeln!(out, "{}", verdict(config, model.as_ref(), &problems))?;
        }
    }
    Ok(code)
}

/// Looks at the files, too, that a valid configuration names.
fn with_files(path: &Path, outcome: config::Outcome) -> config::Outcome {
    let (model, mut problems) = outcome?;
    let tls = tls::prepare(&model);
    let found = match &tls {
        Ok(tls) => &tls.warnings,
        Err(wrong) => wrong,
    };
    problems.extend(located(path, found));
    problems.sort_by_key(|problem| (problem.line, problem.column));
    if tls.is_ok() { Ok((model, problems)) } else { Err(problems) }
}

fn verdict(config: &Path, model: Option<&Model>, problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let warnings = problems.len() - errors;
    let mut counts = match model {
        None => vec![counted(errors, "error")],
        Some(model) => vec![
            counted(model.listeners.len(), "listener"),
            counted(model.routes.len(), "route"),
            counted(model.clusters.len(), "cluster"),
            counted(model.clusters.iter().map(|cluster| cluster.nodes.len()).sum(), "node"),
        ],
    };
    if let Some(routers @ 1..) = model.map(|model| model.virtual_routers.len()) {
        counts.push(counted(routers, "virtual router"));
    }
    if warnings > 0 {
        counts.push(counted(warnings, "warning"));
    }
    let verdict = if model.is_some() { "valid" } else { "invalid" };
    format!("{}: {verdict}: {}", config.display(), counts.join(", "))
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A page for the program, then one for each command.
fn man_page(out: &mut dyn Write) -> io::Result<()> {
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    let mut pages = Vec::new();
    clap_mangen::Man::new(cli.clone()).render(&mut pages)?;
    for command in cli.get_subcommands() {
        clap_mangen::Man::new(command.clone()).render(&mut pages)?;
    }
    out.write_all(&pages)
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;

#![allow(clippy::unwrap_used)]
use std::fs;

use super::*;

fn run(arguments: &[&str]) -> (Action, String) {
    let mut out = Vec::new();
    let arguments = [&[NAME], arguments].concat();
    let action = start(arguments, &mut out);
    (action, String::from_utf8(out).unwrap())
}

fn check_text(text: &str, format: &str) -> (Action, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gateway.toml");
    fs::write(&file, text).unwrap();
    let (action, out) = run(&["check", "--config", file.to_str().unwrap(), "--format", format]);
    (action, out.replace(directory.path().to_str().unwrap(), "DIR"))
}

const VALID: &str = "[listener.amqp]\nbind = '127.0.0.1:5672'\ncluster = 'main'\n\
                     [cluster.main.node.rabbit1]\naddress = '127.0.0.1:5673'\n";

#[test]
fn the_definition_of_the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn run_is_left_to_the_caller() {
    let config = PathBuf::from("/x.toml");
    assert_eq!(run(&["run", "--config", "/x.toml"]).0, Action::Run { config });
    let config = PathBuf::from("/etc/amqp-gateway/gateway.toml");
    assert_eq!(run(&["run"]).0, Action::Run { config });
}

#[test]
fn check_counts_the_parts_of_a_valid_file_and_exits_with_0() {
    let (action, out) = check_text(VALID, "text");
    assert_eq!(action, Action::Exit(0));
    assert_eq!(out, "DIR/gateway.toml: valid: 1 listener, 0 routes, 1 cluster, 1 node\n");
}

#[test]
fn check_prints_each_problem_with_place_and_advice_and_exits_with_2() {
    let (action, out) = check_text(&VALID.replace("127.0.0.1:5673", "rabbit1"), "text");
    assert_eq!(action, Action::Exit(INVALID));
    let expected = "\
DIR/gateway.toml:5:11: error: cluster.main.node.rabbit1.address: \"rabbit1\" has no port
 5 | address = 'rabbit1'
   |           ^^^^^^^^^
   help: write \"rabbit1:5672\"

DIR/gateway.toml: invalid: 1 error
";
    assert_eq!(out, expected);
}

#[test]
fn check_speaks_json_to_programs() {
    let (_, out) = check_text(&VALID.replace("cluster = 'main'", "clutser = 'main'"), "json");
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["valid"], false);
    assert_eq!(answer["problems"].as_array().map(Vec::len), Some(1));
    let problem = &answer["problems"][0];
    assert_eq!(problem["file"], "DIR/gateway.toml");
    assert_eq!((&problem["line"], &problem["column"]), (&3.into(), &1.into()));
    assert_eq!(problem["severity"], "error");
    assert_eq!(problem["message"], "unknown key \"clutser\" in listener.amqp");
    assert_eq!(problem["advice"], "did you mean \"cluster\"?");
}

#[test]
fn an_unreadable_file_is_a_problem_like_any_other() {
    let (action, out) = run(&["check", "--config", "/nowhere/gateway.toml"]);
    assert_eq!(action, Action::Exit(INVALID));
    assert!(out.contains("/nowhere/gateway.toml:1:1: error: cannot read"), "{out}");
    let (action, out) = run(&["check", "--config", "/dev/zero", "--format", "json"]);
    assert_eq!(action, Action::Exit(INVALID));
    assert!(out.contains("larger than 16 MiB"), "{out}");
}

#[test]
fn a_bad_command_line_exits_with_2_and_help_with_0() {
    assert_eq!(run(&["chekc"]).0, Action::Exit(INVALID));
    assert_eq!(run(&["--help"]).0, Action::Exit(0));
}

#[test]
fn help_names_every_command_and_shows_an_example() {
    let help = Cli::command().render_long_help().to_string();
    for command in Cli::command().get_subcommands().filter(|c| !c.is_hide_set()) {
        assert!(help.contains(command.get_name()), "{}", command.get_name());
    }
    assert!(help.contains("[cluster.main.node.rabbit1]"));
}

#[test]
fn the_manual_page_and_the_completions_know_every_command() {
    for arguments in [&["man"][..], &["completions", "bash"]] {
        let (action, out) = run(arguments);
        assert_eq!(action, Action::Exit(0));
        for command in Cli::command().get_subcommands().map(|c| c.get_name().to_owned()) {
            let command = &*command;
            assert!(out.contains(command), "{command}");
        }
    }
}

#[test]
fn a_node_is_named_with_its_cluster() {
    for name in ["rabbit1", "/rabbit1", "main/", ""] {
        assert_eq!(run(&["drain", name]).0, Action::Exit(INVALID), "{name}");
    }
}

#[test]
fn commands_that_find_no_gateway_exit_with_1() {
    // Port 1 of this host: nobody listens there.
    for command in [
        &["status"][..],
        &["sessions", "--all", "--sort", "published"],
        &["close", "17"],
        &["top"],
        &["tap", "--vhost", "/"],
        &["events", "--follow"],
        &["reload"],
        &["reload", "--diff", "--json"],
        &["clusters"],
        &["nodes"],
        &["drain", "main/n1"],
        &["rebalance", "main"],
        &["virtual-routers"],
        &["virtual-routers", "release", "amqp"],
        &["virtual-routers", "reclaim", "amqp"],
    ] {
        let arguments = [command, &["--admin", "127.0.0.1:1"]].concat();
        assert_eq!(run(&arguments), (Action::Exit(FAILED), String::new()), "{command:?}");
    }
    let missing = ["enable", "main/n1", "--config", "/nowhere/gateway.toml"];
    assert_eq!(run(&missing), (Action::Exit(FAILED), String::new()));
}

#[test]
fn every_command_of_operators_takes_json_and_an_authority() {
    let cli = Cli::command();
    let asks = |c: &&clap::Command| c.get_arguments().any(|a| a.get_id() == "admin");
    let commands: Vec<_> = cli.get_subcommands().filter(asks).collect();
    assert!(commands.len() >= 13, "{}", commands.len());
    for command in commands {
        for option in ["json", "ca", "config"] {
            let has = command.get_arguments().any(|a| a.get_id() == option);
            assert!(has, "{} --{option}", command.get_name());
        }
    }
}

#[test]
fn version_is_that_of_the_package() {
    assert_eq!(run(&["version"]).1, concat!("amqp-gateway ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn an_output_closed_early_is_no_panic() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    assert_eq!(start([NAME, "schema"], &mut Closed), Action::Exit(1));
}

#[test]
fn check_looks_at_the_files_of_tls_too() {
    let missing = format!(
        "{VALID}[listener.amqps]\nbind = '127.0.0.1:5671'\ncluster = 'main'\n\
         tls.certificates = [{{ bundle = '/nowhere/amqp.pem' }}]\n"
    );
    let (action, out) = check_text(&missing, "text");
    assert_eq!(action, Action::Exit(INVALID));
    let expected = "\
DIR/gateway.toml:9:21: error: listener.amqps.tls.certificates: /nowhere/amqp.pem: cannot read it: \
No such file or directory (os error 2)
 9 | tls.certificates = [{ bundle = '/nowhere/amqp.pem' }]
   |                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   help: write the path of an existing PEM file

DIR/gateway.toml: invalid: 1 error
";
    assert_eq!(out, expected);
}

#[test]
fn check_lists_every_file_that_cannot_be_used() {
    let missing = format!(
        "{VALID}[cluster.main.tls]\nca = '/nowhere/ca.pem'\n\
         certificate = {{ chain = '/nowhere/gw.crt', key = '/nowhere/gw.key' }}\n\
         [listener.amqps]\nbind = '127.0.0.1:5671'\ncluster = 'main'\n\
         [listener.amqps.tls]\ncertificates = [{{ bundle = '/nowhere/amqp.pem' }}]\n\
         client_auth = 'required'\nclient_ca = '/nowhere/clients.pem'\n\
         client_crl = ['/nowhere/clients.crl']\n"
    );
    let (_, out) = check_text(&missing, "json");
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    let problems = answer["problems"].as_array().unwrap().iter();
    let places = problems.map(|p| (p["line"].as_u64().unwrap(), p["column"].as_u64().unwrap()));
    assert_eq!(
        places.collect::<Vec<_>>(),
        [(7, 6), (8, 15), (8, 15), (13, 17), (15, 13), (16, 15)],
        "{out}"
    );
}

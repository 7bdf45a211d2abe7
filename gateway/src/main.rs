//! The amqp-gateway binary.

use std::process::ExitCode;

use amqp_gateway::{cli, config};

fn main() -> ExitCode {
    match cli::start(std::env::args_os(), &mut std::io::stdout()) {
        cli::Action::Exit(code) => code.into(),
        cli::Action::Run { config } => match config::load(&config) {
            Ok(_) => ExitCode::FAILURE,
            Err(problems) => {
                problems.iter().for_each(|problem| eprintln!("{problem}"));
                ExitCode::FAILURE
            }
        },
    }
}

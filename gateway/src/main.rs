//! The amqp-gateway binary.

use std::process::ExitCode;

use amqp_gateway::vrrp::process;
use amqp_gateway::{app, cli};

/// Connections come and go: at every one some dozens of small pieces of memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::start(std::env::args_os(), &mut std::io::stdout()) {
        cli::Action::Exit(code) => code.into(),
        cli::Action::RunVrrp => process::run(),
        cli::Action::Run { config } => match app::run(&config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
    }
}

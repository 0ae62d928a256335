//! `jhe`: the standalone host.

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::telemetry::init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("jhe: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(command::run(&arguments)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("jhe: {}", command::explain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

//! What the clock calls, called by hand.

use super::{Result, operator, out::say, report, with_app};
use runtime::Scheduled;
use standalone::{SCHEDULED, server::request_id};
use std::process::ExitCode;

/// The scheduled function that the words name, and the rest of them.
pub fn named<'a>(words: &'a [&'a str]) -> Option<(&'static Scheduled, &'a [&'a str])> {
    SCHEDULED.iter().find_map(|function| {
        let command: Vec<&str> = function.command.split(' ').collect();
        Some((function, words.strip_prefix(command.as_slice())?))
    })
}

/// Whether somebody asks what a command does, and not for it to be done.
pub fn asks_for_help(options: &[&str]) -> bool {
    options.iter().any(|word| ["--help", "-h"].contains(word))
}

/// Calls it once, unless something is said that it does not know: what it does may not be to be undone.
pub async fn run(function: &Scheduled, options: &[&str]) -> Result<ExitCode> {
    if asks_for_help(options) {
        say(function.help())?;
        return Ok(ExitCode::SUCCESS);
    }
    match function.asked(&request_id(), options) {
        Ok(occasion) => {
            let occasion = occasion.by(operator());
            with_app(async |app| report(function, app, &occasion).await).await
        }
        Err(unknown) => {
            eprintln!("jhe {}: {unknown}", function.command);
            Ok(ExitCode::from(2))
        }
    }
}

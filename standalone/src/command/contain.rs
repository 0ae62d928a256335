//! `jhe contain`: what is open of an account, a client, an organization's people or everybody ends, and is blocked.

use super::{Result, operator, report, usage, with_app};
use runtime::Occasion;
use serde_json::{Map, Value};
use standalone::server;
use std::process::ExitCode;

/// The options that a text follows.
const WITH_TEXT: [&str; 4] = ["user", "client", "organization", "reason"];

/// The options that say all by themselves.
const PLAIN: [&str; 2] = ["everything", "release"];

/// Contains, or releases.
pub async fn run(words: &[&str]) -> Result<ExitCode> {
    let Some(input) = input(words) else {
        eprintln!("{}", usage());
        return Ok(ExitCode::from(2));
    };
    let occasion = Occasion::new(&server::request_id(), Value::Object(input)).by(operator());
    with_app(async |app| report(&::contain::FUNCTION, app, &occasion).await).await
}

/// What the options say, as the function takes it. None: something else is among them.
fn input(words: &[&str]) -> Option<Map<String, Value>> {
    let mut input = Map::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let name = word.strip_prefix("--")?;
        let value = if WITH_TEXT.contains(&name) {
            Value::from(*words.next()?)
        } else {
            PLAIN.contains(&name).then_some(Value::Bool(true))?
        };
        if input.insert(name.to_owned(), value).is_some() {
            return None;
        }
    }
    Some(input)
}

//! `jhe audit`: what is shown of the seals. Making and checking them are scheduled functions.

use super::{
    Result, operator,
    out::{say, say_all},
    with_app,
};
use runtime::Occasion;
use serde_json::{Value, to_string_pretty};
use standalone::server;
use std::process::ExitCode;

/// Prints the proof of an event.
pub async fn prove(event: &str) -> Result<ExitCode> {
    let event: i64 = event.parse().map_err(|_| "EVENT is the number of an event of the audit")?;
    with_app(async |app| {
        let occasion = Occasion::new(&server::request_id(), Value::Null).by(operator());
        let proof = seals::prove(app, &occasion, event).await.map_err(|failure| {
            failure.log();
            failure.detail()
        })?;
        say(to_string_pretty(&proof)?)?;
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// Prints the public half of the key that signs.
pub async fn public_key() -> Result<ExitCode> {
    with_app(async |app| {
        let key = seals::public_key(app).await?.ok_or("there is no key yet: `jhe audit seal` makes it")?;
        say_all(key.to_pem())?;
        Ok(ExitCode::SUCCESS)
    })
    .await
}

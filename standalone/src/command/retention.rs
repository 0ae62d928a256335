//! `jhe retention report` and `jhe retention certificate`. `jhe retention run` is the scheduled function itself.

use super::{Result, report as reported, with_app};
use runtime::Occasion;
use serde_json::{Value, json};
use standalone::server::request_id;
use std::process::ExitCode;

async fn call(input: Value) -> Result<ExitCode> {
    let occasion = Occasion::new(&request_id(), input);
    with_app(async |app| reported(&retention::FUNCTION, app, &occasion).await).await
}

/// Whether the one option is given that there is.
fn has(option: &str, options: &[&str]) -> Result<bool> {
    match options {
        [] => Ok(false),
        [given] if *given == option => Ok(true),
        _ => Err(format!("the one option here is {option}").into()),
    }
}

/// `jhe retention report [--patients]`.
pub async fn report(options: &[&str]) -> Result<ExitCode> {
    call(json!({ "report": true, "patients": has("--patients", options)? })).await
}

/// `jhe retention certificate N [--ids]`.
pub async fn certificate(plan: &str, options: &[&str]) -> Result<ExitCode> {
    call(json!({ "certificate": plan, "ids": has("--ids", options)? })).await
}

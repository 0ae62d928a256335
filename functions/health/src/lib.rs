//! `GET /health`: whether the process answers. It asks no database, so that a database that is down does not make a load
//! balancer end the processes too. Public.

use http::StatusCode;
use runtime::{Failure, Function, Needs, Protocol, Response, VERSION, json};
use serde_json::json;

/// The function.
pub const FUNCTION: Function =
    Function::new("health", Protocol::Rest, Needs::Nothing, |_, _| Box::pin(async { health() }));

fn health() -> Result<Response, Failure> {
    Ok(json(StatusCode::OK, &json!({ "status": "ok", "version": VERSION }))?)
}

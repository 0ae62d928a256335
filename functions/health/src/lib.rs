//! `GET /health`: whether the process answers. It asks no database, so that a database that is down does not make a load
//! balancer end the processes too. Public.

use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, VERSION, json};
use serde_json::json;

/// The function.
pub const FUNCTION: Function =
    Function::new("health", Protocol::Rest, Needs::Nothing, |app, request| Box::pin(handle(app, request)));

async fn handle(_: &App, _: &Request) -> Result<Response, Failure> {
    Ok(json(StatusCode::OK, &json!({ "status": "ok", "version": VERSION }))?)
}

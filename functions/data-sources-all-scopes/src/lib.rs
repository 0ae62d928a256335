//! `GET /api/v1/data_sources/all_scopes`: every scope that a study can ask for.

use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json};

/// The function.
pub const FUNCTION: Function =
    Function::new("data-sources-all-scopes", Protocol::Rest, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    request.actor(app).await?;
    Ok(json(StatusCode::OK, &app.store().await?.scopes().await?)?)
}

//! `GET /api/v1/data_sources/{id}`: one data source.

use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json};

/// The function.
pub const FUNCTION: Function =
    Function::new("data-sources-read", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    request.actor(app).await?;
    let id = request.id_variable("id")?;
    let rows = app.store().await?.data_sources(&[id]).await?;
    Ok(json(StatusCode::OK, rows.first().ok_or(Failure::NotFound)?)?)
}

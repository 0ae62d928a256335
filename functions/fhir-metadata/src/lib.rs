//! `GET /FHIR/R5/metadata`: the capability statement (<https://hl7.org/fhir/R5/http.html#capabilities>). Public.

use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, VERSION, text_json};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-metadata", Protocol::Fhir, Needs::Nothing, |app, request| Box::pin(handle(app, request)));

/// When this statement last changed in substance.
const DATE: &str = "2026-11-21";

async fn handle(app: &App, _: &Request) -> Result<Response, Failure> {
    let base = format!("{}/FHIR/R5", app.settings.site_url);
    Ok(text_json(StatusCode::OK, fhir::capability::statement(&base, VERSION, DATE)))
}

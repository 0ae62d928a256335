//! `GET /FHIR/R5/metadata`: the capability statement (<https://hl7.org/fhir/R5/http.html#capabilities>). Public.

use http::StatusCode;
use runtime::{App, Function, Needs, Protocol, Response, VERSION, text_json};

/// The function.
pub const FUNCTION: Function = Function::new("fhir-metadata", Protocol::Fhir, Needs::Nothing, |app, _| {
    Box::pin(std::future::ready(Ok(handle(app))))
});

/// When this statement last changed in substance.
const DATE: &str = "2026-11-23";

fn handle(app: &App) -> Response {
    let base = format!("{}/FHIR/R5", app.settings.site_url);
    text_json(StatusCode::OK, fhir::capability::statement(&base, VERSION, DATE))
}

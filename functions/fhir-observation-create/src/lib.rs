//! `POST /FHIR/R5/Observation`: store one observation (<https://hl7.org/fhir/R5/http.html#create>).

use authz::Actor;
use fhir::observation::{needs_source, write_resource};
use http::{HeaderValue, StatusCode, header};
use runtime::{
    App, Failure, Function, Interaction, Needs, Protocol, Request, Response, auxiliary::SOURCE_HEADER, read_response,
    upload,
};
use serde_json::Value;
use store::{Stored, UploadVerdict};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-observation-create", Protocol::Fhir, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Observation", Interaction::Create).await?;
    if request.header("if-none-exist").is_some() {
        // Ignoring the condition would store what the caller did not want.
        return Err(Failure::Invalid(
            "If-None-Exist is not supported: an identifier is stored once for a patient.".to_owned(),
        ));
    }
    let prepared = upload::prepare(app, &sourced(app, request, &actor, request.json()?).await?)?;
    let verdicts = upload::store(app, request, &actor, true, std::slice::from_ref(&prepared)).await?;
    match verdicts.into_iter().next() {
        Some(UploadVerdict::Stored(stored)) => Ok(created(app, &stored)),
        Some(verdict) => Err(upload::failure(&verdict, &prepared).unwrap_or(Failure::NotFound)),
        None => Err(Failure::NotFound),
    }
}

/// The resource with its subject and device. One that names no device is of the FHIR Source that `X-JHE-FHIR-Source-ID` or its
/// `meta.source` names, if one does.
async fn sourced(app: &App, request: &Request, actor: &Actor, resource: Value) -> Result<Value, Failure> {
    match needs_source(&resource)? {
        Some(named) if named.is_some() || request.header(SOURCE_HEADER).is_some() => {
            let source = upload::fhir_source(app, request, actor, request.fhir_source(named)?).await?;
            Ok(upload::adopt(app, &source, &resource)?)
        }
        _ => Ok(resource),
    }
}

fn created(app: &App, stored: &Stored) -> Response {
    let mut resource = String::with_capacity(stored.content.len() + 256);
    write_resource(&mut resource, stored.id, stored.last_updated, &stored.content);
    let mut response = read_response(StatusCode::CREATED, resource, stored.last_updated);
    let location = format!("{}/FHIR/R5/Observation/{}", app.settings.site_url, stored.id);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

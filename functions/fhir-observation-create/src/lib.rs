//! `POST /FHIR/R5/Observation`: store one observation (<https://hl7.org/fhir/R5/http.html#create>). It is of the FHIR Source that
//! `X-JHE-FHIR-Source-ID` or its `meta.source` names, if one does.

use fhir::observation::write_resource;
use http::{HeaderValue, StatusCode, header};
use runtime::{
    App, Failure, Function, Interaction, Needs, Protocol, Request, Response, read_response,
    upload::{self, Sources},
};
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
    let prepared = Sources::new(app, request).prepare(&actor, &request.json()?).await?;
    let verdicts = upload::store(app, request, &actor, true, std::slice::from_ref(&prepared)).await?;
    match verdicts.into_iter().next() {
        Some(UploadVerdict::Stored(stored)) => Ok(created(app, &stored)),
        Some(verdict) => Err(upload::failure(&verdict, &prepared).unwrap_or(Failure::NotFound)),
        None => Err(Failure::NotFound),
    }
}

fn created(app: &App, stored: &Stored) -> Response {
    let mut resource = String::with_capacity(stored.content.len() + 256);
    write_resource(&mut resource, &upload::place(stored), &stored.content);
    let mut response = read_response(StatusCode::CREATED, resource, stored.last_updated);
    let location = format!("{}/FHIR/R5/Observation/{}", app.settings.site_url, stored.id);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

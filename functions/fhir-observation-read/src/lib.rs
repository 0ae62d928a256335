//! `GET /FHIR/R5/Observation/{id}`: read one observation (<https://hl7.org/fhir/R5/http.html#read>).

use audit::Action;
use fhir::observation::write_resource;
use http::StatusCode;
use runtime::{
    App, Failure, Function, Interaction, Needs, Protocol, Request, Response, upload::found_place, version_response,
};
use store::{ReadOutcome, Reader};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-observation-read", Protocol::Fhir, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Observation", Interaction::Read).await?;
    let id = request.id_variable("id")?;
    let context = request.audit(Some(&actor), Action::Read, "Observation");
    match app.store().await?.read_observation(&context, Reader::from(&actor), id).await? {
        // Whatever the layer, the caller is told the same: an observation that may not be seen does not exist.
        ReadOutcome::Refused(_) => Err(Failure::NotFound),
        ReadOutcome::Found(found) => {
            let mut resource = String::with_capacity(found.content.len() + 256);
            write_resource(&mut resource, &found_place(&found), &found.content);
            Ok(version_response(StatusCode::OK, resource, found.version, found.last_updated))
        }
    }
}

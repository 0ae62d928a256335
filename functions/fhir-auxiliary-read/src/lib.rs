//! `GET /FHIR/R5/{type}/{id}`: read one resource of a type that is kept as it comes
//! (<https://hl7.org/fhir/R5/http.html#read>).

use api::{Content, Operation, fhir::Fhir};
use audit::Action;
use fhir::auxiliary::TYPES;
use http::StatusCode;
use runtime::{App, Failure, Function, Interaction, Needs, Protocol, Request, Response, auxiliary::resource_response};
use store::{AuxiliaryRead, Reader};

/// The function.
pub const FUNCTION: Function = Function::new("fhir-auxiliary-read", Protocol::Fhir, Needs::Database, |app, request| {
    Box::pin(handle(app, request))
})
.describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /FHIR/R5/{type}/{id}",
    "A resource that is kept as it came",
    "The patient; the practitioners whose studies the patient lets read such; super admins.",
)
.fhir(Fhir { types: &[&TYPES], body: None, locates: false })
.versioned()
.answers(&[(200, Content::Resource("Resource"))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let kind = request.resource_type(app).await?;
    let actor = request.fhir_actor(app, kind, Interaction::Read).await?;
    let id = request.uuid_variable()?;
    let context = request.audit(Some(&actor), Action::Read, kind);
    match app.store().await?.read_auxiliary(&context, Reader::from(&actor), kind, id).await? {
        // Whatever the layer, the caller is told the same: a resource that may not be seen does not exist.
        AuxiliaryRead::Refused(_) => Err(Failure::NotFound),
        AuxiliaryRead::Found(resource) => resource_response(StatusCode::OK, kind, &resource),
    }
}

//! `GET /api/v1/patients/{id}/consolidated_clients`: the clients of the patient's studies, with the patient's invitations.
//! `GET /api/v1/patients/{id}/wearable-status`: which wearables are connected. This exchange connects none by itself, so it says
//! that there are none.

use api::{
    Content, Kind, Operation, Shape, required,
    shapes::clients::{CLIENT_ID, CLIENT_INVITATION, ID, INVITATION_URL, NAME},
};
use audit::Action;
use authz::{Actor, PatientId};
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, patient};
use serde::Serialize;
use store::Reader;

/// The function.
pub const FUNCTION: Function =
    Function::new("patients-apps", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const CLIENT: Shape = Shape {
    name: "PatientClient",
    fields: &[
        ID,
        NAME,
        CLIENT_ID,
        INVITATION_URL,
        required("patientInvitations", Kind::List(&Kind::Object(&CLIENT_INVITATION), 10_000)),
    ],
};

const WEARABLES: Shape = Shape {
    name: "WearableStatus",
    fields: &[
        required("connections", Kind::List(&Kind::Document, 0)),
        required("connected", Kind::Boolean).about("False: apps of wearables upload by themselves."),
    ],
};

const WHO: &str = "The patient; members of an organization of the patient, in any role; super admins.";

const OPERATIONS: [Operation; 2] = [
    Operation::new(
        "GET /api/v1/patients/{id}/consolidated_clients",
        "The clients of the patient's studies, as far as the caller may know of them, with the patient's invitations",
        WHO,
    )
    .answers(&[(200, Content::List(&CLIENT))]),
    Operation::new("GET /api/v1/patients/{id}/wearable-status", "Which wearables are connected", WHO)
        .answers(&[(200, Content::Object(&WEARABLES))]),
];

#[derive(Serialize)]
struct Wearables {
    connections: [(); 0],
    connected: bool,
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id = request.id_variable("id")?;
    if request.path().ends_with("/wearable-status") {
        wearables(app, request, &actor, id).await
    } else {
        clients(app, request, &actor, id).await
    }
}

async fn clients(app: &App, request: &Request, actor: &Actor, id: PatientId) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Search, "Client");
    let clients = app.store().await?.clients_of_patient(&context, Reader::from(actor), id).await?;
    // Whatever refused, the caller is told the same: a patient who may not be seen does not exist.
    Ok(json(StatusCode::OK, &clients.map_err(|_| Failure::NotFound)?)?)
}

async fn wearables(app: &App, request: &Request, actor: &Actor, id: PatientId) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Read, "Patient");
    patient::by_id(app, &context, actor, id).await?;
    Ok(json(StatusCode::OK, &Wearables { connections: [], connected: false })?)
}

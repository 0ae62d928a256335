//! `GET /api/v1/users/profile`: the caller's own account.

use api::{Content, Operation, shapes};
use audit::Action;
use authz::Principal;
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, patient};
use serde::Serialize;
use store::Patient;

/// The function.
pub const FUNCTION: Function =
    Function::new("users-profile", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] =
    [Operation::new("GET /api/v1/users/profile", "The caller's own account", "Everybody.")
        .also_fails(&[404])
        .answers(&[(200, Content::Object(&shapes::USER))])];

/// The account. A patient has no settings; a practitioner has no record of a patient.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    id: i32,
    email: String,
    first_name: String,
    last_name: String,
    patient: Option<Patient>,
    user_type: String,
    is_superuser: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<serde_json::Value>,
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let profile = app.store().await?.profile(actor.user).await?.ok_or(Failure::NotFound)?;
    let patient = match actor.principal {
        Principal::Patient(own) => {
            let context = request.audit(Some(&actor), Action::Read, "Patient");
            Some(patient::by_id(app, &context, &actor, own).await?)
        }
        Principal::Practitioner(_) | Principal::SuperAdmin => None,
    };
    let body = Body {
        id: profile.id,
        email: profile.email,
        first_name: profile.first_name,
        last_name: profile.last_name,
        patient,
        user_type: profile.user_type,
        is_superuser: profile.is_superuser,
        settings: profile.settings,
    };
    Ok(json(StatusCode::OK, &body)?)
}

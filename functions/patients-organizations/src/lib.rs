//! `PATCH /api/v1/patients/{id}/global_add_organization?organizationId=`: ask a patient of other organizations to belong to one
//! of the caller's too. Nothing of the patient is visible to it before the patient accepts.
//! `GET /api/v1/patients/me/organization-requests`, and `POST …/{id}/accept` and `…/{id}/refuse`: the patient's answer.

use api::{Content, Kind, Operation, Parameter, Shape, parameter, required, shapes};
use audit::{Action, RefusedBy, Target};
use authz::{Actor, OrganizationId, PatientId, Permission};
use http::{Method, StatusCode};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, patient, rest::List};
use serde::Serialize;
use store::{Asking, Decision, Organization, Reader};

/// The function.
pub const FUNCTION: Function =
    Function::new("patients-organizations", Protocol::Rest, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    })
    .describing(&OPERATIONS);

const REQUEST: Shape = Shape {
    name: "OrganizationRequest",
    fields: &[
        required("id", Kind::Integer),
        required("patientId", Kind::Integer),
        required("organization", Kind::Object(&shapes::study::STUDY_ORGANIZATION)).about("The organization that asks."),
        required("status", Kind::OneOf(&["pending", "accepted", "refused"])),
        required("requestedAt", Kind::Instant),
        required("decidedAt", Kind::OrNull(&Kind::Instant)),
    ],
};

const ASKED: Shape = Shape {
    name: "AskedPatient",
    fields: &[
        required("patientId", Kind::Integer),
        required("organization", Kind::Object(&shapes::study::STUDY_ORGANIZATION)).about("The organization that asks."),
        required("status", Kind::OneOf(&["pending"])).about("What the patient decided is theirs to tell."),
    ],
};

const ORGANIZATION: Parameter =
    Parameter { required: true, ..parameter("organization_id", Kind::Integer, "The organization to belong to.") };

const OPERATIONS: [Operation; 4] = [
    Operation::new(
        "PATCH /api/v1/patients/{id}/global_add_organization",
        "Ask a patient to belong to an organization too: 200 with the record when they do already, else 202, also for a \
         number that no patient has (404 for super admins)",
        "Members and managers of the organization that is named; super admins; the patient, to accept a request.",
    )
    .versioned()
    .with(&[&[ORGANIZATION]])
    .answers(&[(200, Content::Object(&shapes::PATIENT)), (202, Content::Object(&ASKED))]),
    Operation::new("GET /api/v1/patients/me/organization-requests", "Which organizations ask, or asked", "The patient.")
        .answers(&[(200, Content::List(&REQUEST))]),
    Operation::new(
        "POST /api/v1/patients/me/organization-requests/{id}/accept",
        "Belong to the organization that asks",
        "The patient who is asked.",
    )
    .answers(&[(200, Content::Object(&REQUEST))]),
    Operation::new(
        "POST /api/v1/patients/me/organization-requests/{id}/refuse",
        "Do not belong to the organization that asks; it can be accepted later",
        "The patient who is asked.",
    )
    .answers(&[(200, Content::Object(&REQUEST))]),
];

/// What who asks is told, whether there is such a patient, and whether they refused: members do not learn whose number is whose.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    patient_id: i32,
    organization: AskingOrganization<'a>,
    status: &'static str,
}

#[derive(Serialize)]
struct AskingOrganization<'a> {
    id: i32,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

fn asked(patient: PatientId, organization: &Organization) -> Result<Response, Failure> {
    let Organization { id, name, kind, .. } = organization;
    let organization = AskingOrganization { id: *id, name, kind };
    Ok(json(StatusCode::ACCEPTED, &Asked { patient_id: patient.0, organization, status: "pending" })?)
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    match *request.method() {
        Method::PATCH => add(app, request, &actor).await,
        Method::GET => list(app, request, &actor).await,
        _ => decide(app, request, &actor).await,
    }
}

async fn add(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let id: PatientId = request.id_variable("id")?;
    let context = request.audit(Some(actor), Action::Create, "OrganizationRequest");
    let list = List::parse(app, request, actor.user).await?;
    let organization =
        list.id("organization_id")?.ok_or_else(|| list.problem("organization_id", "This field is required."))?;
    let organization = OrganizationId(organization);
    let target = Target::organization(organization).and_patients([id.0]);
    let store = app.store().await?;
    if actor.patient() == Ok(id) {
        // The patient's own call is their consent to a request. Without one, no organization is entered.
        let context = request.audit(Some(actor), Action::Update, "OrganizationRequest");
        return match store.decide_on_organization(&context, id, (None, Some(organization)), true).await? {
            Decision::Missing => {
                store.record_refusal(&context, &target, RefusedBy::NotFound).await?;
                Err(Failure::NotFound)
            }
            Decision::Decided(_) | Decision::AlreadyAccepted => record(app, request, actor, id).await,
        };
    }
    let role = store.role_in_organization(actor.practitioner(), organization).await?;
    request.permit(app, &context, &target, actor, Permission::ManagePatients, role).await?;
    // Only a super admin gets here with an organization that does not exist.
    let known = store.organizations(Reader::from(actor), &[organization.0]).await?;
    let [known] = known.as_slice() else {
        return Err(list.problem("organization_id", "There is no such organization."));
    };
    match store.ask_into_organization(&context, id, organization).await? {
        Asking::Member => record(app, request, actor, id).await,
        Asking::NoPatient if actor.is_privileged() => {
            store.record_refusal(&context, &target, RefusedBy::NotFound).await?;
            Err(Failure::NotFound)
        }
        Asking::Asked | Asking::NoPatient => asked(id, known),
    }
}

/// The record of a patient whom the caller sees.
async fn record(app: &App, request: &Request, actor: &Actor, id: PatientId) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Read, "Patient");
    patient::one(StatusCode::OK, &patient::by_id(app, &context, actor, id).await?)
}

async fn list(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Search, "OrganizationRequest");
    match actor.patient() {
        Ok(own) => Ok(json(StatusCode::OK, &app.store().await?.organization_requests(&context, own).await?)?),
        Err(refusal) => Err(request.refuse(app, &context, &Target::nothing(), refusal).await),
    }
}

async fn decide(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Update, "OrganizationRequest");
    let own = match actor.patient() {
        Ok(own) => own,
        Err(refusal) => return Err(request.refuse(app, &context, &Target::nothing(), refusal).await),
    };
    let id = request.id_variable("id")?;
    let accepts = request.path().ends_with("/accept");
    let store = app.store().await?;
    match store.decide_on_organization(&context, own, (Some(id), None), accepts).await? {
        Decision::Decided(decided) => Ok(json(StatusCode::OK, &decided)?),
        Decision::AlreadyAccepted => Err(Failure::Conflict("It was accepted before.")),
        Decision::Missing => {
            store.record_refusal(&context, &Target::nothing(), RefusedBy::NotFound).await?;
            Err(Failure::NotFound)
        }
    }
}

//! `POST /api/v1/studies/{id}/patients`: enrol patients of the study's organization.
//! `DELETE /api/v1/studies/{id}/patients`: end enrolments. What was consented stays in the ledger, and shows nothing.

mod body;

use api::{
    Completeness, Content, Operation,
    shapes::study::{ENROLMENTS, WHICH_PATIENTS},
};
use audit::{Action, RefusedBy, Target};
use authz::{Permission, StudyId};
use http::{Method, StatusCode};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, no_content, rest::Fields};
use store::Reader;

/// The function.
pub const FUNCTION: Function =
    Function::new("studies-patients-enrol", Protocol::Rest, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    })
    .describing(&OPERATIONS);

const WHO: &str = "Members and managers of the study's organization; super admins.";

const OPERATIONS: [Operation; 2] = [
    Operation::new(
        "POST /api/v1/studies/{id}/patients",
        "Enrol patients of the study's organization: all or none. Who is enrolled already stays so",
        WHO,
    )
    .conditional()
    .takes(&WHICH_PATIENTS)
    .answers(&[(201, Content::Object(&ENROLMENTS))]),
    Operation::new(
        "DELETE /api/v1/studies/{id}/patients",
        "End enrolments. What was consented stays in the ledger, and shows nothing",
        WHO,
    )
    .conditional()
    .takes(&WHICH_PATIENTS)
    .answers(&[(204, Content::Nothing)]),
];

/// Told when the study takes nobody.
const NOT_OPEN: &str = "Patients are enrolled in active studies only, and not after their last day.";

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id: StudyId = request.id_variable("id")?;
    let ends = *request.method() == Method::DELETE;
    let action = if ends { Action::Delete } else { Action::Create };
    let context = request.audit(Some(&actor), action, "Enrolment");
    let store = app.store().await?;
    let role = store.role_over_study(actor.practitioner(), id).await?;
    let patients = patients(request);
    let target = Target::study(id).and_patients(patients.iter().flatten().copied());
    request.permit(app, &context, &target, &actor, Permission::Enrol, role).await?;
    let patients = patients?;
    request.has_no_version()?;
    let studies = store.studies(Reader::from(&actor), &[id.0], None).await?;
    let Some(study) = studies.first() else {
        // Only a super admin gets here with a study that does not exist.
        store.record_refusal(&context, &target, RefusedBy::NotFound).await?;
        return Err(Failure::NotFound);
    };
    if ends {
        store.end_enrolment(&context, id, &patients).await?;
        return Ok(no_content());
    }
    if !study.life.plan().is_open(app.now()) {
        store.record_refusal(&context, &target, RefusedBy::Invalid).await?;
        return Err(Failure::Conflict(NOT_OPEN));
    }
    let enrolments = store
        .enrol(&context, Reader::from(&actor), id, &patients)
        .await?
        .ok_or_else(|| Failure::field("patientIds", "Each must be a patient of the study's organization."))?;
    Ok(json(StatusCode::CREATED, &body::Enrolled::new(study, &enrolments))?)
}

/// The patients that the body names.
fn patients(request: &Request) -> Result<Vec<i32>, Failure> {
    let fields = Fields::parse(request)?;
    fields.check(&WHICH_PATIENTS, Completeness::Whole)?;
    fields.ids("patientIds")
}

//! `POST /api/v1/studies/{id}/patients`: enrol patients of the study's organization.
//! `DELETE /api/v1/studies/{id}/patients`: end enrolments. What was consented stays in the ledger, and shows nothing.

mod body;

use audit::{Action, RefusedBy, Target};
use authz::{Permission, StudyId};
use http::{Method, StatusCode};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, no_content, rest::Fields};
use store::Reader;

/// The function.
pub const FUNCTION: Function =
    Function::new("studies-patients-enrol", Protocol::Rest, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

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
    let enrolments = store
        .enrol(&context, Reader::from(&actor), id, &patients)
        .await?
        .ok_or_else(|| Failure::field("patientIds", "Each must be a patient of the study's organization."))?;
    Ok(json(StatusCode::CREATED, &body::Enrolled::new(study, &enrolments))?)
}

/// The patients that the body names.
fn patients(request: &Request) -> Result<Vec<i32>, Failure> {
    let fields = Fields::parse(request)?;
    fields.only(&["patientIds"])?;
    fields.ids("patientIds")
}

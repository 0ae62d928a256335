//! `GET /api/v1/patients`: the patients of the caller's organizations, or of one organization or study.

use api::{Content, Kind, Operation, PAGE, Parameter, parameter, shapes};
use audit::{Action, RefusedBy, Target};
use authz::{Layer, Principal, Refusal};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, patient, rest::List};
use store::{COUNTED, PatientPage, Reader};

/// The function.
pub const FUNCTION: Function =
    Function::new("patients-list", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const FILTERS: [Parameter; 2] = [
    parameter("organization_id", Kind::Integer, "Only the patients of this organization."),
    parameter("study_id", Kind::Integer, "Only the patients enrolled in this study."),
];

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/patients",
    "The patients of the caller's organizations, or of one organization or study",
    "Practitioners, of their organizations in any role; super admins, all. Empty for patients.",
)
.with(&[&PAGE, &FILTERS])
.answers(&[(200, Content::Page(&shapes::PATIENT))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let list = List::parse(app, request, actor.user).await?;
    let mut filter = patient::filter(&list);
    filter.organization = list.id("organization_id")?;
    filter.study = list.id("study_id")?;
    let context = request.audit(Some(&actor), Action::Search, "Patient");
    let store = app.store().await?;
    // A patient's own record is `/api/v1/patients/me`; this list is for practitioners, and empty for patients.
    if matches!(actor.principal, Principal::Patient(_)) {
        let target = Target::nothing().and_organizations(filter.organization).and_studies(filter.study);
        store.record_refusal(&context, &target, RefusedBy::Layer(Layer::UserType)).await?;
        return patient::list(app, &actor, &list, &PatientPage::default()).await;
    }
    match store.patients(&context, Reader::from(&actor), &filter, Some(COUNTED)).await? {
        Ok(page) => patient::list(app, &actor, &list, &page).await,
        Err(RefusedBy::NotFound) => Err(Failure::NotFound),
        // The organization or the study is not the caller's. Whether it exists is not told.
        Err(_) => Err(Failure::Refused(Refusal::known(Layer::Organization))),
    }
}

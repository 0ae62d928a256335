//! `GET /api/v1/studies/{id}/patients`: the patients who are enrolled in a study.

use api::{Content, Operation, PAGE, shapes};
use audit::{Action, RefusedBy, Target};
use authz::{Layer, Principal, StudyId};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, patient, rest::List};
use store::{COUNTED, PatientPage, Reader};

/// The function.
pub const FUNCTION: Function =
    Function::new("studies-patients-list", Protocol::Rest, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    })
    .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/studies/{id}/patients",
    "The patients who are enrolled in a study",
    "Every role in the study's organization; super admins. To patients the list is empty.",
)
.with(&[&PAGE])
.answers(&[(200, Content::Page(&shapes::PATIENT))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let study: StudyId = request.id_variable("id")?;
    let list = List::parse(app, request, actor.user).await?;
    let mut filter = patient::filter(&list);
    filter.study = Some(study.0);
    let context = request.audit(Some(&actor), Action::Search, "Patient");
    let store = app.store().await?;
    // Who else takes part in a study is not for patients, whatever the study.
    if matches!(actor.principal, Principal::Patient(_)) {
        store.record_refusal(&context, &Target::study(study), RefusedBy::Layer(Layer::UserType)).await?;
        return patient::list(app, &actor, &list, &PatientPage::default()).await;
    }
    match store.patients(&context, Reader::from(&actor), &filter, Some(COUNTED)).await? {
        Ok(page) => patient::list(app, &actor, &list, &page).await,
        Err(_) => Err(Failure::NotFound),
    }
}

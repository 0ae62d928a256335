//! `POST /api/v1/studies`, `PATCH` and `DELETE /api/v1/studies/{id}`: the managers of an organization create, change and delete
//! its studies. What may follow what in a study's life is decided by `authz::study`.

mod input;

use api::{
    Completeness, Content, Operation,
    shapes::study::{CHANGED_STUDY, NEW_STUDY},
};
use audit::{Action, RefusedBy, Target};
use authz::{Actor, OrganizationId, Permission, StudyId};
use http::{Method, StatusCode};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, json, no_content, rest::Fields, study, versioned,
};
use store::{Changed, Study, StudyDeletion};

/// The function.
pub const FUNCTION: Function =
    Function::new("studies-manage", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const WHO: &str = "Managers of the study's organization; super admins.";

const OPERATIONS: [Operation; 3] = [
    Operation::new("POST /api/v1/studies", "Create a study of an organization", WHO)
        .versioned()
        .also_fails(&[404])
        .takes(&NEW_STUDY)
        .answers(&[(201, Content::Object(&CHANGED_STUDY))]),
    Operation::new("PATCH /api/v1/studies/{id}", "Change a study, or its place in its life", WHO)
        .versioned()
        .conditional()
        .also_fails(&[409])
        .changes(&NEW_STUDY)
        .answers(&[(200, Content::Object(&CHANGED_STUDY))]),
    Operation::new(
        "DELETE /api/v1/studies/{id}",
        "Delete a study in which nobody was ever enrolled and about which nobody decided. Others are archived",
        WHO,
    )
    .conditional()
    .also_fails(&[409])
    .answers(&[(204, Content::Nothing)]),
];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    match *request.method() {
        Method::POST => create(app, request, &actor).await,
        Method::PATCH => change(app, request, &actor).await,
        _ => delete(app, request, &actor).await,
    }
}

async fn create(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let fields = Fields::parse(request)?;
    let organization = OrganizationId(fields.id("organization").or_else(|failure| {
        // Without an organization there is nobody to ask; what else is wrong is told with it.
        fields.check(&NEW_STUDY, Completeness::Whole).and(Err(failure))
    })?);
    let context = request.audit(Some(actor), Action::Create, "Group");
    let store = app.store().await?;
    let role = store.role_in_organization(actor.practitioner(), organization).await?;
    let target = Target::organization(organization);
    request.permit(app, &context, &target, actor, Permission::ManageStudies, role).await?;
    fields.check(&NEW_STUDY, Completeness::Whole)?;
    let record = input::begin(&fields, app.settings.study_grace)?;
    match store.create_study(&context, organization, &record).await? {
        Some(created) => answer(StatusCode::CREATED, &created),
        // Only a super admin gets here with an organization that does not exist.
        None => Err(Failure::field("organization", "There is no such organization.")),
    }
}

async fn change(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let id: StudyId = request.id_variable("id")?;
    let context = request.audit(Some(actor), Action::Update, "Group");
    let store = app.store().await?;
    let role = store.role_over_study(actor.practitioner(), id).await?;
    let target = Target::study(id);
    request.permit(app, &context, &target, actor, Permission::ManageStudies, role).await?;
    let fields = Fields::parse(request)?;
    fields.check(&NEW_STUDY, Completeness::Part)?;
    let (now, grace) = (app.now(), app.settings.study_grace);
    let expected = request.expected();
    let judge = |current: &Study| input::follow(&fields, current, now, grace);
    match store.change_study(&context, id, &expected, judge).await? {
        Ok(Changed::Done(changed)) => answer(StatusCode::OK, &changed),
        Ok(Changed::Stale) => Err(Failure::Changed),
        Ok(Changed::Missing) => {
            store.record_refusal(&context, &target, RefusedBy::NotFound).await?;
            Err(Failure::NotFound)
        }
        Err(failure) => {
            if matches!(failure, Failure::Conflict(_)) {
                store.record_refusal(&context, &target, RefusedBy::Invalid).await?;
            }
            Err(failure)
        }
    }
}

async fn delete(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let id: StudyId = request.id_variable("id")?;
    let context = request.audit(Some(actor), Action::Delete, "Group");
    let store = app.store().await?;
    let role = store.role_over_study(actor.practitioner(), id).await?;
    let target = Target::study(id);
    request.permit(app, &context, &target, actor, Permission::ManageStudies, role).await?;
    match store.delete_study(&context, id, &request.expected()).await? {
        StudyDeletion::Deleted => Ok(no_content()),
        StudyDeletion::HadPatients => Err(Failure::Conflict(
            "Patients were enrolled in this study or decided about it, or a legal hold was on it, so it is kept. Archive it: set its status to archived.",
        )),
        StudyDeletion::Stale => Err(Failure::Changed),
        StudyDeletion::Missing => {
            store.record_refusal(&context, &target, RefusedBy::NotFound).await?;
            Err(Failure::NotFound)
        }
    }
}

fn answer(status: StatusCode, study: &Study) -> Result<Response, Failure> {
    Ok(versioned(json(status, &study::changed(study))?, study.last_updated))
}

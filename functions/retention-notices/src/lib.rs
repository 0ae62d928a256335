//! `GET /api/v1/organizations/{id}/retention-notices`: what is announced to be deleted of the observations that were given to an
//! organization's studies, and what was. `GET /api/v1/organizations/{id}/retention-report`: what is due now, patient by patient; nothing is
//! changed by asking. `GET /api/v1/patients/me/retention-notices`: what is announced of one's own.

use api::{Content, Kind, Operation, PAGE, Shape, required};
use audit::{Action, Target};
use authz::{Layer, OrganizationId, Permission, Principal, Refusal};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, rest::List};
use store::RetentionList;

/// The function.
pub const FUNCTION: Function =
    Function::new("retention-notices", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const NOTICE: Shape = Shape {
    name: "RetentionNotice",
    fields: &[
        required("plan", Kind::Long).about("By which it has a certificate when all is deleted."),
        required("patientId", Kind::Integer),
        required("code", Kind::AnyText).about("The kind of data."),
        required("noticedAt", Kind::Instant),
        required("deleteAfter", Kind::Instant),
        required("observations", Kind::Long).about("As many were due."),
        required("deleted", Kind::Long).about("As many are deleted."),
        required("closedAt", Kind::OrNull(&Kind::Instant))
            .about("When there was nothing more to delete: what is not, is not due any more."),
        required("held", Kind::Boolean).about("A legal hold keeps it: nothing is deleted until that ends."),
    ],
};

const KIND_DUE: Shape = Shape {
    name: "RetentionDueKind",
    fields: &[
        required("code", Kind::AnyText),
        required("observations", Kind::Long),
        required("studies", Kind::List(&Kind::Integer, 10_000)).about("Of the organization, that it was granted to."),
    ],
};

const DUE: Shape = Shape {
    name: "RetentionDue",
    fields: &[
        required("patientId", Kind::Integer),
        required("kinds", Kind::List(&Kind::Object(&KIND_DUE), 10_000)).about("Of which something is due."),
    ],
};

const MANAGERS: &str = "Managers of the organization; super admins.";

const OPERATIONS: [Operation; 3] = [
    Operation::new(
        "GET /api/v1/organizations/{id}/retention-notices",
        "What is announced to be deleted, and what was deleted, the newest first",
        MANAGERS,
    )
    .with(&[&PAGE])
    .answers(&[(200, Content::Page(&NOTICE))]),
    Operation::new(
        "GET /api/v1/organizations/{id}/retention-report",
        "What is due now by the policies, by patient. Nothing is changed",
        MANAGERS,
    )
    .with(&[&PAGE])
    .answers(&[(200, Content::Page(&DUE))]),
    Operation::new(
        "GET /api/v1/patients/me/retention-notices",
        "What is announced to be deleted of one's own observations, and what was deleted",
        "Patients.",
    )
    .with(&[&PAGE])
    .answers(&[(200, Content::Page(&NOTICE))]),
];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let context = request.audit(Some(&actor), Action::Search, "RetentionNotice");
    let wanted = if request.variable("id").is_none() {
        let Principal::Patient(patient) = actor.principal else {
            return Err(request.refuse(app, &context, &Target::nothing(), Refusal::known(Layer::UserType)).await);
        };
        RetentionList::Own(patient)
    } else {
        let id: OrganizationId = request.id_variable("id")?;
        let role = app.store().await?.role_in_organization(actor.practitioner(), id).await?;
        request.permit(app, &context, &Target::organization(id), &actor, Permission::ManageOrganization, role).await?;
        if request.path().ends_with("/retention-report") { RetentionList::Due(id) } else { RetentionList::Notices(id) }
    };
    let list = List::parse(app, request, actor.user).await?;
    let page = app.store().await?.retention_list(&context, wanted, list.slice()).await?;
    list.page(app, actor.user, page.total, &page.rows, page.next).await
}

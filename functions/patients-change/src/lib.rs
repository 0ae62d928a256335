//! `PATCH /api/v1/patients/{id}`: change the record of a patient of the caller's organizations.
//! `PATCH /api/v1/patients/me`: patients put right what is theirs to say of themselves.
//! `DELETE /api/v1/patients/{id}?organizationId=`: take the patient out of an organization. The record, the data and the
//! consents stay, also when it was the last organization: then only the patient and super admins see them.
//!
//! Who may is decided by the organizations of the patient, never by one that the request names beside them.

use api::{Completeness, Content, Kind, Operation, Parameter, Shape, optional, parameter, required, shapes};
use audit::{Action, Context, RefusedBy, Target};
use authz::{Actor, OrganizationId, PatientId, Permission};
use http::{Method, StatusCode};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, no_content, patient,
    rest::{Fields, List},
};
use store::{Changed, PatientChange, PatientChanged, StoreError};

/// The function.
pub const FUNCTION: Function =
    Function::new("patients-change", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const ORGANIZATION: Parameter =
    Parameter { required: true, ..parameter("organization_id", Kind::Integer, "The organization to be left.") };

/// An identifier as it is to be; its id is that of the answers, and not looked at.
const KEPT_IDENTIFIER: Shape = Shape {
    name: "KeptIdentifier",
    fields: &[
        optional("id", Kind::Integer),
        required("system", Kind::Text(255)).about("The namespace."),
        required("value", Kind::Text(255)),
    ],
};

const CHANGE: Shape = Shape {
    name: "PatientChange",
    fields: &[
        optional("telecomEmail", Kind::Email).about("Only as long as nobody has used the account."),
        optional("nameFamily", shapes::NAME),
        optional("nameGiven", shapes::NAME),
        optional("birthDate", Kind::Date),
        optional("telecomPhone", Kind::OrNull(&Kind::Text(30))),
        optional("identifiers", Kind::List(&Kind::Object(&KEPT_IDENTIFIER), 100))
            .about("All that the patient is to have."),
    ],
};

/// What patients say of themselves. The e-mail is their account's, identifiers are those of organizations.
const OWN_CHANGE: Shape = Shape {
    name: "OwnPatientChange",
    fields: &[
        optional("nameFamily", shapes::NAME),
        optional("nameGiven", shapes::NAME),
        optional("birthDate", Kind::Date),
        optional("telecomPhone", Kind::OrNull(&Kind::Text(30))),
    ],
};

const OPERATIONS: [Operation; 3] = [
    Operation::new("PATCH /api/v1/patients/me", "Change the record of the patient who asks", "Patients.")
        .versioned()
        .conditional()
        .changes(&OWN_CHANGE)
        .answers(&[(200, Content::Object(&shapes::PATIENT))]),
    Operation::new(
        "PATCH /api/v1/patients/{id}",
        "Change a patient's record",
        "Members and managers of an organization of the patient; super admins.",
    )
    .versioned()
    .conditional()
    .with(&[&[parameter(
        "organization_id",
        Kind::Integer,
        "Taken, and not needed: the patient's own organizations count.",
    )]])
    .changes(&CHANGE)
    .answers(&[(200, Content::Object(&shapes::PATIENT))]),
    Operation::new(
        "DELETE /api/v1/patients/{id}",
        "Take a patient out of an organization, which ends the enrolments in its studies",
        "Members and managers of the organization; super admins.",
    )
    .conditional()
    .with(&[&[ORGANIZATION]])
    .answers(&[(204, Content::Nothing)]),
];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    if request.variable("id").is_none() {
        return change_own(app, request, &actor).await;
    }
    let id = request.id_variable("id")?;
    match *request.method() {
        Method::PATCH => change(app, request, &actor, id).await,
        _ => remove(app, request, &actor, id).await,
    }
}

async fn change(app: &App, request: &Request, actor: &Actor, id: PatientId) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Update, "Patient");
    let target = Target::patient(id);
    let store = app.store().await?;
    let role = store.role_over_patient(actor.practitioner(), id).await?;
    request.permit(app, &context, &target, actor, Permission::ManagePatients, role).await?;
    let fields = Fields::parse(request)?;
    fields.check(&CHANGE, Completeness::Part)?;
    let change = patient::input::change(&fields, app.now())?;
    carry_out(app, request, actor, id, &context, &change).await
}

async fn change_own(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Update, "Patient");
    let own = match actor.patient() {
        Ok(own) => own,
        Err(refusal) => return Err(request.refuse(app, &context, &Target::nothing(), refusal).await),
    };
    let fields = Fields::parse(request)?;
    fields.only(&OWN_CHANGE.fields.iter().map(|field| field.name).collect::<Vec<_>>())?;
    fields.check(&OWN_CHANGE, Completeness::Part)?;
    let change = patient::input::change(&fields, app.now())?;
    carry_out(app, request, actor, own, &context, &change).await
}

async fn carry_out(
    app: &App,
    request: &Request,
    actor: &Actor,
    id: PatientId,
    context: &Context,
    change: &PatientChange,
) -> Result<Response, Failure> {
    let target = Target::patient(id);
    let store = app.store().await?;
    let changed = store.change_patient(context, actor.practitioner(), id, &request.expected(), change).await;
    match changed {
        Ok(Changed::Done(PatientChanged::Done)) => {}
        Ok(Changed::Done(PatientChanged::EmailInUse)) => {
            let problem = "The account has been used: its e-mail opens it, and cannot be changed here.";
            return Err(Failure::field("telecomEmail", problem));
        }
        Ok(Changed::Done(PatientChanged::IdentifierTaken(position))) => {
            let problem = "Another patient of the organization has this identifier.";
            return Err(Failure::field(&format!("identifiers[{position}]"), problem));
        }
        Ok(Changed::Stale) => return Err(Failure::Changed),
        Ok(Changed::Missing) => {
            // Only a super admin gets here with a patient who does not exist.
            store.record_refusal(context, &target, RefusedBy::NotFound).await?;
            return Err(Failure::NotFound);
        }
        Err(StoreError::Duplicate(_)) => {
            store.record_refusal(context, &target, RefusedBy::Invalid).await?;
            return Err(Failure::field("telecomEmail", "This e-mail cannot be used."));
        }
        Err(error) => return Err(error.into()),
    }
    let context = request.audit(Some(actor), Action::Read, "Patient");
    patient::one(StatusCode::OK, &patient::by_id(app, &context, actor, id).await?)
}

async fn remove(app: &App, request: &Request, actor: &Actor, id: PatientId) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Delete, "PatientOrganization");
    let list = List::parse(app, request, actor.user).await?;
    let organization =
        list.id("organization_id")?.ok_or_else(|| list.problem("organization_id", "This field is required."))?;
    let organization = OrganizationId(organization);
    let target = Target::organization(organization).and_patients([id.0]);
    let store = app.store().await?;
    let role = store.role_in_organization(actor.practitioner(), organization).await?;
    request.permit(app, &context, &target, actor, Permission::ManagePatients, role).await?;
    match store.remove_from_organization(&context, id, organization, &request.expected()).await? {
        Changed::Done(()) => Ok(no_content()),
        Changed::Stale => Err(Failure::Changed),
        Changed::Missing => {
            store.record_refusal(&context, &target, RefusedBy::NotFound).await?;
            Err(Failure::NotFound)
        }
    }
}

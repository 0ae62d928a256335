//! `POST /api/v1/patients`: create a patient of an organization, with an account that has no password yet.

use api::{Completeness, Content, Operation, shapes};
use audit::{Action, RefusedBy, Target};
use authz::{OrganizationId, PatientId, Permission};
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, patient, rest::Fields};
use store::{Creation, Reader, StoreError};

/// The function.
pub const FUNCTION: Function =
    Function::new("patients-create", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] = [Operation::new(
    "POST /api/v1/patients",
    "Create a patient of an organization, with an account that has no password yet",
    "Members and managers of the organization; super admins.",
)
.versioned()
.also_fails(&[404])
.takes(&shapes::NEW_PATIENT)
.answers(&[(201, Content::Object(&shapes::PATIENT))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let fields = Fields::parse(request)?;
    let organization = OrganizationId(fields.id("organizationId")?);
    let context = request.audit(Some(&actor), Action::Create, "Patient");
    let store = app.store().await?;
    let role = store.role_in_organization(actor.practitioner(), organization).await?;
    let target = Target::organization(organization);
    request.permit(app, &context, &target, &actor, Permission::ManagePatients, role).await?;
    fields.check(&shapes::NEW_PATIENT, Completeness::Whole)?;
    let new = patient::input::new(&fields, app.now())?;
    // Only a super admin gets here with an organization that does not exist.
    if store.organizations(Reader::from(&actor), &[organization.0]).await?.is_empty() {
        return Err(Failure::field("organizationId", "There is no such organization."));
    }
    let id = match store.create_patient(&context, organization, &new).await {
        Ok(Creation::Created(id)) => PatientId(id),
        Ok(Creation::IdentifierTaken(position)) => {
            let problem = "A patient of the organization has this identifier.";
            return Err(Failure::field(&format!("identifiers[{position}]"), problem));
        }
        Err(StoreError::Duplicate(_)) => {
            store.record_refusal(&context, &target, RefusedBy::Invalid).await?;
            // It has an account already. Whose is not told.
            return Err(Failure::field("telecomEmail", "This e-mail cannot be used."));
        }
        Err(error) => return Err(error.into()),
    };
    let context = request.audit(Some(&actor), Action::Read, "Patient");
    patient::one(StatusCode::CREATED, &patient::by_id(app, &context, &actor, id).await?)
}

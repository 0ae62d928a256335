//! `GET /api/v1/patients/global_lookup?email=`: find a patient by e-mail, also one of other organizations, to link
//! them to an organization.
//!
//! Of a patient of other organizations only the id is told, with the e-mail that was asked: names and birth dates do not
//! leave the patient's organizations.

use api::{Content, Kind, Operation, Parameter, Shape, parameter, required, shapes};
use audit::{Action, Target};
use authz::{Actor, Permission, Role};
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, rest::List};
use serde::Serialize;
use store::{Lookup, Reader};

/// The function.
pub const FUNCTION: Function =
    Function::new("patients-global-lookup", Protocol::Rest, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    })
    .describing(&OPERATIONS);

const EMAIL: Parameter =
    Parameter { required: true, ..parameter("email", Kind::AnyText, "The e-mail of the account.") };

const FOUND: Shape = Shape {
    name: "FoundPatient",
    fields: &[
        required("id", Kind::Integer).about("From 40001."),
        required("jheUserId", Kind::OrNull(&Kind::Integer)),
        required("identifiers", Kind::List(&Kind::Object(&shapes::IDENTIFIER), 100)),
        required("nameFamily", Kind::OrNull(&Kind::AnyText))
            .about("Null, as all but id and e-mail, of a patient of others."),
        required("nameGiven", Kind::OrNull(&Kind::AnyText)),
        required("birthDate", Kind::OrNull(&Kind::Date)),
        required("telecomPhone", Kind::OrNull(&Kind::AnyText)),
        required("telecomEmail", Kind::AnyText),
        required("organizations", Kind::List(&Kind::Object(&shapes::ORGANIZATION), 10_000)),
    ],
};

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/patients/global_lookup",
    "Find a patient by e-mail, also one of other organizations, to ask them into one",
    "Members and managers of any organization; super admins. Viewers find patients of their own organizations.",
)
.also_fails(&[404])
.with(&[&[EMAIL]])
.answers(&[(200, Content::List(&FOUND))])];

/// A patient of other organizations: the fields of a record, without what the record says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Elsewhere<'a> {
    id: i32,
    jhe_user_id: Option<i32>,
    identifiers: [(); 0],
    name_family: Option<&'a str>,
    name_given: Option<&'a str>,
    birth_date: Option<&'a str>,
    telecom_phone: Option<&'a str>,
    telecom_email: &'a str,
    organizations: [(); 0],
}

impl<'a> Elsewhere<'a> {
    const fn new(id: i32, asked: &'a str) -> Self {
        Self {
            id,
            jhe_user_id: None,
            identifiers: [],
            name_family: None,
            name_given: None,
            birth_date: None,
            telecom_phone: None,
            telecom_email: asked,
            organizations: [],
        }
    }
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let context = request.audit(Some(&actor), Action::Search, "Patient");
    let store = app.store().await?;
    let role = store.highest_role(actor.practitioner()).await?;
    let email = email(app, request, &actor).await;
    let target = email.as_deref().map_or_else(|_| Target::nothing(), Target::email);
    // Who only views finds the patients of their own organizations, whom they may read anyway; linking others is not theirs.
    let only_views = role == Some(Role::Viewer);
    if !only_views {
        request.permit(app, &context, &target, &actor, Permission::ManagePatients, role).await?;
    }
    let email = email?;
    Ok(match store.patient_by_email(&context, Reader::from(&actor), &email).await? {
        Lookup::Elsewhere(_) if only_views => json(StatusCode::OK, &[(); 0])?,
        Lookup::Nobody => json(StatusCode::OK, &[(); 0])?,
        Lookup::Elsewhere(id) => json(StatusCode::OK, &[Elsewhere::new(id, &email)])?,
        Lookup::Visible(patient) => json(StatusCode::OK, &[patient])?,
    })
}

/// The e-mail that is looked up.
async fn email(app: &App, request: &Request, actor: &Actor) -> Result<String, Failure> {
    let list = List::parse(app, request, actor.user).await?;
    list.text("email")
        .map(str::trim)
        .filter(|email| !email.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| Failure::field("email", "This field is required."))
}

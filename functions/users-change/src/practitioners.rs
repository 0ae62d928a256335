//! The same accounts by `/api/v1/practitioners`.

use crate::create::{self, Wanted};
use api::{Completeness, Field, Kind, Shape, optional, required, shapes};
use audit::{Action, Target};
use authz::{Actor, UserId};
use http::StatusCode;
use runtime::{App, Failure, Request, Response, json, rest::Fields, versioned};
use store::{PractitionerAccount, Slice, UserChange};

/// What consoles send with their form, and what no practitioner has here.
const fn not_kept(name: &'static str) -> Field {
    optional(name, Kind::OrNull(&Kind::AnyText)).about("Is understood, and not kept.")
}

/// A practitioner to be made, or changed.
pub const NEW: Shape = Shape {
    name: "NewPractitioner",
    fields: &[
        required("telecomEmail", Kind::Email).about("Also the name to sign in with. It cannot be changed."),
        required("nameFamily", shapes::NAME),
        required("nameGiven", shapes::NAME),
        not_kept("identifier"),
        not_kept("birthDate"),
        not_kept("telecomPhone"),
    ],
};

/// `POST /api/v1/practitioners`.
pub async fn create(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Create, "User");
    request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    let fields = Fields::parse(request)?;
    fields.check(&NEW, Completeness::Whole)?;
    let wanted = Wanted {
        email_field: "telecomEmail",
        email: &fields.text("telecomEmail", 254)?,
        first_name: &fields.name("nameGiven")?,
        last_name: &fields.name("nameFamily")?,
        is_superuser: false,
    };
    let (_, id) = create::practitioner(app, &context, &wanted).await?;
    answer(StatusCode::CREATED, &known(app, request, actor, id).await?)
}

/// `PATCH /api/v1/practitioners/{id}`.
pub async fn change(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Update, "User");
    request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    let id = request.id_variable("id")?;
    let fields = Fields::parse(request)?;
    fields.check(&NEW, Completeness::Part)?;
    let practitioner = known(app, request, actor, id).await?;
    let email = fields.optional_text("telecomEmail", 254)?;
    if email.is_some_and(|email| !email.eq_ignore_ascii_case(&practitioner.telecom_email)) {
        return Err(Failure::field("telecomEmail", "It cannot be changed."));
    }
    let (first_name, last_name) = (fields.optional_name("nameGiven")?, fields.optional_name("nameFamily")?);
    let change =
        UserChange { first_name: first_name.as_deref(), last_name: last_name.as_deref(), ..UserChange::default() };
    let user = UserId(practitioner.jhe_user_id);
    create::made(app, request, &context, user, &request.expected(), &change).await?;
    answer(StatusCode::OK, &known(app, request, actor, id).await?)
}

/// `DELETE /api/v1/practitioners/{id}`.
pub async fn end(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Delete, "User");
    request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    let practitioner = known(app, request, actor, request.id_variable("id")?).await?;
    create::end(app, request, actor, UserId(practitioner.jhe_user_id)).await
}

async fn known(app: &App, request: &Request, actor: &Actor, id: i32) -> Result<PractitionerAccount, Failure> {
    let context = request.audit(Some(actor), Action::Read, "Practitioner");
    let page = app.store().await?.practitioner_accounts(&context, &[id], Slice::ONE).await?;
    page.rows.into_iter().next().ok_or(Failure::NotFound)
}

fn answer(status: StatusCode, practitioner: &PractitionerAccount) -> Result<Response, Failure> {
    Ok(versioned(json(status, practitioner)?, practitioner.last_updated))
}

//! Accounts by `/api/v1/users`.

use crate::create::{self, Wanted};
use api::{Completeness, Kind, Shape, optional, required, shapes};
use audit::{Action, Target};
use authz::{Actor, UserId};
use http::StatusCode;
use runtime::{App, Failure, Request, Response, json, rest::Fields, versioned};
use serde_json::{Map, Value};
use store::{Reader, Standing, User, UserChange};

/// An account to be made.
pub const NEW: Shape = Shape {
    name: "NewUser",
    fields: &[
        required("email", Kind::Email).about("Also the name to sign in with."),
        required("firstName", shapes::NAME),
        required("lastName", shapes::NAME),
        required("userType", Kind::OneOf(&["practitioner"])).about("Patients are created as patients."),
        optional("isSuperuser", Kind::Boolean),
    ],
};

/// What can change of an account. The rest may be sent as it is.
pub const CHANGE: Shape = Shape {
    name: "UserChange",
    fields: &[
        required("firstName", shapes::NAME),
        required("lastName", shapes::NAME),
        required("settings", Kind::Object(&shapes::SETTINGS)).about("Of the caller, if a practitioner."),
        required("isSuperuser", Kind::Boolean).about("By another super admin."),
        required("isActive", Kind::Boolean).about("By another super admin."),
        required("email", Kind::Email).about("As it is."),
        required("userType", Kind::OneOf(&["patient", "practitioner"])).about("As it is."),
    ],
};

/// `POST /api/v1/users`.
pub async fn create(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Create, "User");
    request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    let fields = Fields::parse(request)?;
    fields.check(&NEW, Completeness::Whole)?;
    let wanted = Wanted {
        email_field: "email",
        email: &fields.text("email", 254)?,
        first_name: &fields.name("firstName")?,
        last_name: &fields.name("lastName")?,
        is_superuser: fields.flag("isSuperuser")?.unwrap_or_default(),
    };
    let (id, _) = create::practitioner(app, &context, &wanted).await?;
    answer(app, request, actor, StatusCode::CREATED, id).await
}

/// `PATCH /api/v1/users/{id}`.
pub async fn change(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Update, "User");
    let id: UserId = request.id_variable("id")?;
    let is_own = id == actor.user;
    if !is_own {
        request.permit_super_admin(app, &context, &Target::user(id), actor).await?;
    }
    let fields = Fields::parse(request)?;
    let standing = standing(app, request, actor, id, &fields).await?;
    if is_own && standing.is_some() {
        // Nobody gives themselves a right, and no super admin loses the last account by mistake.
        let refusal = authz::Refusal::known(authz::Layer::UserType);
        return Err(request.refuse(app, &context, &Target::user(id), refusal).await);
    }
    fields.check(&CHANGE, Completeness::Part)?;
    let settings = fields.value("settings").and_then(Value::as_object).map(in_camel_case);
    if settings.is_some() && !(is_own && actor.patient().is_err()) {
        return Err(Failure::field("settings", "Only a practitioner has settings, and only they change them."));
    }
    let (first_name, last_name) = (fields.optional_name("firstName")?, fields.optional_name("lastName")?);
    let change = UserChange {
        first_name: first_name.as_deref(),
        last_name: last_name.as_deref(),
        settings: settings.as_ref(),
        standing,
    };
    create::made(app, request, &context, id, &request.expected(), &change).await?;
    answer(app, request, actor, StatusCode::OK, id).await
}

/// What the body would change of the account's standing. What it must not change at all is refused.
async fn standing(
    app: &App,
    request: &Request,
    actor: &Actor,
    id: UserId,
    fields: &Fields,
) -> Result<Option<Standing>, Failure> {
    if !["email", "userType", "isSuperuser", "isActive"].iter().any(|name| fields.has(name)) {
        return Ok(None);
    }
    let known = known(app, request, actor, id).await?;
    for (name, is) in [("email", &known.email), ("userType", &known.user_type)] {
        let differs = |value: &Value| !value.as_str().is_some_and(|text| text.trim().eq_ignore_ascii_case(is));
        if fields.value(name).is_some_and(differs) {
            return Err(Failure::field(name, "It cannot be changed."));
        }
    }
    let standing = Standing {
        is_superuser: fields.flag("isSuperuser")?.filter(|wanted| *wanted != known.is_superuser),
        // Who asks about the own account has an active one.
        is_active: fields.flag("isActive")?.filter(|wanted| *wanted != known.is_active.unwrap_or(true)),
    };
    Ok((standing != Standing::default()).then_some(standing))
}

/// The settings under the names that consoles read.
fn in_camel_case(sent: &Map<String, Value>) -> Map<String, Value> {
    let name = |name: &str| {
        let known = shapes::SETTINGS.fields.iter().map(|field| field.name);
        known.into_iter().find(|known| api::snake_case(known) == name).unwrap_or(name).to_owned()
    };
    sent.iter().map(|(key, value)| (name(key), value.clone())).collect()
}

/// `DELETE /api/v1/users/{id}`.
pub async fn end(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Delete, "User");
    let id: UserId = request.id_variable("id")?;
    request.permit_super_admin(app, &context, &Target::user(id), actor).await?;
    create::end(app, request, actor, id).await
}

async fn known(app: &App, request: &Request, actor: &Actor, id: UserId) -> Result<User, Failure> {
    let context = request.audit(Some(actor), Action::Read, "User");
    Ok(app.store().await?.user(&context, Reader::from(actor), actor.user, id).await??)
}

async fn answer(
    app: &App,
    request: &Request,
    actor: &Actor,
    status: StatusCode,
    id: UserId,
) -> Result<Response, Failure> {
    let user = known(app, request, actor, id).await?;
    Ok(versioned(json(status, &user)?, user.last_updated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_kept_under_one_name() {
        let sent = serde_json::json!({ "current_study_id": 30001, "currentOrganizationId": 20003 });
        let kept = in_camel_case(sent.as_object().unwrap());
        assert_eq!(Value::from(kept), serde_json::json!({ "currentStudyId": 30001, "currentOrganizationId": 20003 }));
    }
}

//! `/api/v1/jhe_settings`: settings that super admins keep for consoles and apps.
//!
//! Those that the deployment's environment decides are shown and cannot be changed here. The others are kept; the exchange
//! itself reads only the facilities of `patient_access.brands`.

mod input;

use api::{Completeness, Content, Kind, Operation, PAGE, Shape, required};
use audit::{Action, Context, Target};
use authz::Actor;
use http::{Method, StatusCode};
use jiff::Timestamp;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, no_content, rest, versioned};
use serde::Serialize;
use serde_json::Value;
use store::{Changed, NewSetting, Setting, SettingChange, StoreError, WhenRevoked};

/// The function.
pub const FUNCTION: Function =
    Function::new("jhe-settings", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 5] = [
    Operation::new("GET /api/v1/jhe_settings", "The settings", "Super admins.")
        .with(&[&PAGE])
        .answers(&[(200, Content::Page(&SETTING))]),
    Operation::new("GET /api/v1/jhe_settings/{id}", "One setting", "Super admins.")
        .versioned()
        .answers(&[(200, Content::Object(&SETTING))]),
    Operation::new("POST /api/v1/jhe_settings", "Keep a setting", "Super admins. Secrets are not kept here.")
        .versioned()
        .takes(&input::NEW)
        .answers(&[(201, Content::Object(&SETTING))]),
    Operation::new(
        "PATCH /api/v1/jhe_settings/{id}",
        "Change a setting that the deployment's environment does not decide",
        "Super admins.",
    )
    .versioned()
    .conditional()
    .also_fails(&[409])
    .changes(&input::NEW)
    .answers(&[(200, Content::Object(&SETTING))]),
    Operation::new(
        "DELETE /api/v1/jhe_settings/{id}",
        "Delete a setting that the deployment's environment does not decide",
        "Super admins.",
    )
    .conditional()
    .also_fails(&[409])
    .answers(&[(204, Content::Nothing)]),
];

/// A setting.
const SETTING: Shape = Shape {
    name: "Setting",
    fields: &[
        required("id", Kind::Integer).about("From 1."),
        required("key", Kind::AnyText),
        required("valueType", input::TYPE),
        required("resolvedValue", Kind::OrNull(&Kind::Any)),
        required("lastUpdated", Kind::Instant),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: i32,
    key: String,
    value_type: String,
    resolved_value: Value,
    last_updated: Timestamp,
}

impl Shown {
    fn new(app: &App, setting: Setting) -> Self {
        let resolved_value = setting.value.unwrap_or_else(|| decided(app, &setting.key));
        Self {
            id: setting.id,
            key: setting.key,
            value_type: setting.value_type,
            resolved_value,
            last_updated: setting.last_updated,
        }
    }
}

/// What the deployment's environment decides.
fn decided(app: &App, key: &str) -> Value {
    match key {
        "site.url" => app.settings.site_url.as_str().into(),
        "upload.when_revoked" => match app.settings.when_revoked {
            WhenRevoked::Store => "store".into(),
            WhenRevoked::Reject => "reject".into(),
        },
        _ => Value::Null,
    }
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    match (request.method(), request.variable("id").is_some()) {
        (&Method::GET, false) => list(app, request, &actor).await,
        (&Method::GET, true) => {
            permit(app, request, &actor, Action::Read).await?;
            answer(app, StatusCode::OK, known(app, request.id_variable("id")?).await?)
        }
        (&Method::POST, _) => create(app, request, &actor).await,
        (&Method::PATCH, _) => change(app, request, &actor).await,
        _ => delete(app, request, &actor).await,
    }
}

async fn permit(app: &App, request: &Request, actor: &Actor, action: Action) -> Result<Context, Failure> {
    let context = request.audit(Some(actor), action, "Setting");
    request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    Ok(context)
}

async fn known(app: &App, id: i32) -> Result<Setting, Failure> {
    app.store().await?.setting(id).await?.ok_or(Failure::NotFound)
}

fn answer(app: &App, status: StatusCode, setting: Setting) -> Result<Response, Failure> {
    let last_updated = setting.last_updated;
    Ok(versioned(json(status, &Shown::new(app, setting))?, last_updated))
}

async fn list(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    permit(app, request, actor, Action::Search).await?;
    let list = rest::List::parse(app, request, actor.user).await?;
    let page = app.store().await?.settings(list.slice()).await?;
    let rows: Vec<Shown> = page.rows.into_iter().map(|setting| Shown::new(app, setting)).collect();
    let next = rows.last().filter(|_| page.more).map(|setting| i64::from(setting.id));
    list.page(app, actor.user, page.total, &rows, next).await
}

async fn create(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = permit(app, request, actor, Action::Create).await?;
    let fields = rest::Fields::parse(request)?;
    fields.check(&input::NEW, Completeness::Whole)?;
    let (key, kind) = (input::key(&fields.text("key", 100)?)?, fields.text("valueType", 10)?);
    let value = input::value(&key, &kind, fields.value("value").unwrap_or(&Value::Null))?;
    input::check_brands(&key, &kind, &value)?;
    let new = NewSetting { key: &key, value_type: &kind, value: &value };
    let setting = app.store().await?.create_setting(&context, &new).await.map_err(taken)?;
    answer(app, StatusCode::CREATED, setting)
}

async fn change(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = permit(app, request, actor, Action::Update).await?;
    let id = request.id_variable("id")?;
    let fields = rest::Fields::parse(request)?;
    fields.check(&input::NEW, Completeness::Part)?;
    let was = known(app, id).await?;
    let key = fields.optional_text("key", 100)?.map_or(Ok(was.key), |key| input::key(&key))?;
    let kind = fields.optional_text("valueType", 10)?.unwrap_or(was.value_type);
    // The value as it was must be of the new type too.
    let value = if was.value.is_none() {
        Value::Null
    } else {
        let value = input::value(&key, &kind, fields.value("value").or(was.value.as_ref()).unwrap_or(&Value::Null))?;
        input::check_brands(&key, &kind, &value)?;
        value
    };
    let new = NewSetting { key: &key, value_type: &kind, value: &value };
    done(app.store().await?.change_setting(&context, id, &request.expected(), &new).await.map_err(taken)?)?;
    answer(app, StatusCode::OK, known(app, id).await?)
}

async fn delete(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = permit(app, request, actor, Action::Delete).await?;
    let id = request.id_variable("id")?;
    done(app.store().await?.delete_setting(&context, id, &request.expected()).await?)?;
    Ok(no_content())
}

fn taken(error: StoreError) -> Failure {
    match error {
        StoreError::Duplicate(_) => Failure::field("key", "There is a setting with this key."),
        other => other.into(),
    }
}

fn done(change: Changed<SettingChange>) -> Result<(), Failure> {
    match change {
        Changed::Done(SettingChange::Done) => Ok(()),
        Changed::Done(SettingChange::Fixed) => {
            Err(Failure::Conflict("This setting is made where the deployment is configured."))
        }
        Changed::Stale => Err(Failure::Changed),
        Changed::Missing => Err(Failure::NotFound),
    }
}

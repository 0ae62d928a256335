//! Secrets replaced, in the four steps that Secrets Manager asks for (AWS Secrets Manager user guide, "Lambda rotation functions"):
//! the new version is made, set where it counts, tried, and then counts. Each step can be done twice.
//!
//! What a secret holds is in its tag `jhe-rotates`: `application` (the keys of links and forms), `factors` (the
//! key of second factors) or `database-user` (a login of the functions).

mod database_user;
mod keys;

use keys::Turned;
use runtime::{App, Failure, Hook, SetupError};
use secrecy::SecretString;
use secrets::{Rotation, SecretsError};
use serde::Deserialize;
use serde_json::{Value, json};

/// The function.
pub const FUNCTION: Hook = Hook::new("secrets-rotate", |app, event| Box::pin(handle(app, event)));

/// The tag that says what a secret holds.
const TAG: &str = "jhe-rotates";

/// What Secrets Manager asks for.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    step: Step,
    secret_id: String,
    client_request_token: String,
}

#[derive(Clone, Copy, Deserialize)]
enum Step {
    #[serde(rename = "createSecret")]
    Create,
    #[serde(rename = "setSecret")]
    Set,
    #[serde(rename = "testSecret")]
    Test,
    #[serde(rename = "finishSecret")]
    Finish,
}

/// What a secret holds.
#[derive(Clone, Copy)]
enum Kind {
    Keys(&'static [Turned]),
    DatabaseUser,
}

impl Kind {
    fn named(name: Option<&str>) -> Result<Self, Failure> {
        match name {
            Some("application") => Ok(Self::Keys(keys::APPLICATION)),
            Some("factors") => Ok(Self::Keys(keys::FACTORS)),
            Some("payloads") => Ok(Self::Keys(keys::PAYLOADS)),
            Some("database-user") => Ok(Self::DatabaseUser),
            _ => Err(Failure::Invalid(
                "The secret's tag jhe-rotates is none of application, factors, payloads and database-user.".to_owned(),
            )),
        }
    }
}

async fn handle(app: &App, event: Value) -> Result<Value, Failure> {
    let event: Event = serde_json::from_value(event)
        .map_err(|_| Failure::Invalid("The event is not one of a rotation.".to_owned()))?;
    let rotation =
        Rotation::new(app.variables(), &event.secret_id, &event.client_request_token).map_err(unavailable)?;
    let progress = rotation.progress(TAG).await.map_err(unavailable)?;
    let kind = Kind::named(progress.kind.as_deref())?;
    if rotation.is_done(&progress) {
        return Ok(json!({ "outcome": "done before" }));
    }
    let outcome = match event.step {
        Step::Create => create(kind, &rotation).await?,
        Step::Set => match kind {
            Kind::Keys(_) => "nothing to set",
            Kind::DatabaseUser => database_user::set(app, &pending(&rotation).await?).await?,
        },
        Step::Test => test(app, kind, &rotation).await?,
        Step::Finish => {
            // It is there, or nothing would count.
            pending(&rotation).await?;
            rotation.finish(&progress).await.map_err(unavailable)?;
            "replaced"
        }
    };
    Ok(json!({ "outcome": outcome }))
}

async fn create(kind: Kind, rotation: &Rotation) -> Result<&'static str, Failure> {
    if rotation.pending().await.map_err(unavailable)?.is_some() {
        return Ok("made before");
    }
    let current = rotation.current().await.map_err(unavailable)?;
    let next = match kind {
        Kind::Keys(keys) => keys::next(keys, &current)?,
        Kind::DatabaseUser => database_user::next(&current)?,
    };
    rotation.propose(&next).await.map_err(unavailable)?;
    Ok("made")
}

async fn test(app: &App, kind: Kind, rotation: &Rotation) -> Result<&'static str, Failure> {
    let pending = pending(rotation).await?;
    match kind {
        Kind::Keys(keys) => keys::test(keys, &rotation.current().await.map_err(unavailable)?, &pending)?,
        Kind::DatabaseUser => database_user::test(app, &pending).await?,
    }
    Ok("good")
}

/// The new version, which the first step made.
async fn pending(rotation: &Rotation) -> Result<SecretString, Failure> {
    rotation
        .pending()
        .await
        .map_err(unavailable)?
        .ok_or(Failure::Conflict("The new version of the secret is not there."))
}

/// A secret that cannot be read, or is not what it should be.
fn unavailable(error: SecretsError) -> Failure {
    SetupError::from(error).into()
}

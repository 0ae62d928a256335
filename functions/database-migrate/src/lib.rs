//! The database made ready for a version of the code: a custom resource of `CloudFormation`, on which the other functions depend
//! (AWS `CloudFormation` user guide, "Custom resource request objects" and "response objects").
//!
//! Migrations are applied as the owner (`DB_OWNER_USER`), the logins of the functions get the names, the passwords and the
//! rights that the secrets of `DB_LOGIN_SECRET_ARNS` say, and `pgaudit` is switched on where the server was started with it. All of that can be done
//! twice. It is done when the resource is made or changes; when it is deleted, nothing is: data outlives a stack.
//!
//! `CloudFormation` waits until its answer is put at the URL that it gives. When that fails, the call fails, and Lambda calls again.

mod call;

use call::{Answer, Call, RequestType};
use outbound::{Fetcher, Reach};
use runtime::{App, Failure, Hook, SetupError};
use secrets::{Document, Login, SecretsError};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use store::{LoginError, StoreError};

/// The function.
pub const FUNCTION: Hook = Hook::new("database-migrate", |app, event| Box::pin(handle(app, event)));

/// A proxy that was just made refuses connections for a while: how long until it is asked again.
const PAUSE: Duration = Duration::from_secs(2);

async fn handle(app: &App, event: Value) -> Result<Value, Failure> {
    let call = Call::parse(event)?;
    let outcome = match call.request_type {
        RequestType::Create | RequestType::Update => migrate(app, call.patience).await,
        RequestType::Delete => Ok(json!({ "outcome": "left as it is" })),
    };
    // What went wrong is in the log: others may read the events of a stack.
    let detail = outcome.as_ref().err().map(Failure::detail);
    let answer = detail.as_ref().map_or_else(|| Answer::success(&call), |detail| Answer::failure(&call, detail));
    tell(app, &call.response_url, &answer).await?;
    // CloudFormation knows, so that calling again is of no use.
    Ok(outcome.unwrap_or_else(|_| json!({ "outcome": "failed", "detail": detail })))
}

async fn migrate(app: &App, patience: Duration) -> Result<Value, Failure> {
    let outcome = prepare(app, patience).await;
    if let Err(failure) = &outcome {
        failure.log();
    }
    outcome
}

async fn prepare(app: &App, patience: Duration) -> Result<Value, Failure> {
    let logins = logins(app).await?;
    reachable(app, patience).await?;
    let applied = store::migrate(&app.owner()?).await?;
    // Made anew for each: a token of IAM is good for minutes only.
    for login in &logins {
        store::create_login(&app.owner()?, &login.username, &login.password, &login.role).await?;
    }
    let (minimum_days, notice_days) = app.retention_floor()?;
    store::set_retention_floor(&app.owner()?, minimum_days, notice_days).await?;
    let logged = store::log_changes(&app.owner()?).await?;
    Ok(json!({ "outcome": "migrated", "applied": applied, "pgaudit": logged.text() }))
}

/// The logins of the functions.
async fn logins(app: &App) -> Result<Vec<Login>, Failure> {
    const NAME: &str = "DB_LOGIN_SECRET_ARNS";
    let names = app.variable(NAME).ok_or(SetupError::Config(store::ConfigError::Missing(NAME)))?;
    let mut logins = Vec::new();
    for name in names.split(',') {
        logins.push(login(app, name).await.map_err(SetupError::from)?);
    }
    Ok(logins)
}

async fn login(app: &App, name: &str) -> Result<Login, SecretsError> {
    let stored = Document::named(app.variables(), name)?.read().await?;
    Login::parse(&stored.ok_or(SecretsError::LoginShape)?.text)
}

/// Waits until the owner can connect.
async fn reachable(app: &App, patience: Duration) -> Result<(), Failure> {
    let began = Instant::now();
    loop {
        match store::connect_owner(&app.owner()?).await {
            Err(LoginError::Store(StoreError::Unavailable(error))) if began.elapsed() < patience => {
                tracing::warn!(%error, "the database cannot be reached yet");
                tokio::time::sleep(PAUSE).await;
            }
            connected => return Ok(connected.map(drop)?),
        }
    }
}

/// Puts the answer where `CloudFormation` wants it: at S3. With authorities of one's own (`RESPONSE_CA_FILE`), anywhere.
async fn tell(app: &App, url: &str, answer: &Answer<'_>) -> Result<(), Failure> {
    let authorities = app.variable("RESPONSE_CA_FILE").filter(|path| !path.is_empty());
    let reach = if authorities.is_some() { Reach::Anywhere } else { Reach::Public };
    let told = async { Fetcher::new(reach, authorities.as_deref().map(Path::new))?.put(url, answer.text()).await };
    told.await.map_err(|error| Failure::Unavailable(Box::new(error)))
}

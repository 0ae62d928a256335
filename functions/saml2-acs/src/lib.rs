//! `POST /saml2/acs/`: the identity provider's answer, brought by the browser (SAML Profiles 4.1.3.5). Public.
//!
//! It comes from another site by design, so there is no form token. What binds it to the browser is the cookie of the
//! request that it answers; what it says is believed by the signature alone (crate `saml`).

use audit::{Action, Context, RefusedBy};
use authz::{Layer, UserId};
use jiff::Timestamp;
use oauth::{TokenHash, registration::is_legible};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, account, browser::field};
use saml::{Expectation, Pending, Refusal, SignIn};
use single_sign_on::{Purpose, SingleSignOn, clear_pending, pending, refuse};
use store::{Origin, Outsider, SsoAttempt};

/// The function.
pub const FUNCTION: Function =
    Function::new("saml2-acs", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let sign_on = SingleSignOn::of(app)?;
    let mut response = match sign_in(app, request, &sign_on).await {
        Err(refused @ Failure::Forbidden(_)) => refused.response(Protocol::Page),
        answered => answered?,
    };
    // Refused or not, the request was answered.
    clear_pending(&app.settings, &mut response, Purpose::SignIn);
    Ok(response)
}

async fn sign_in(app: &App, request: &Request, sign_on: &SingleSignOn) -> Result<Response, Failure> {
    let context = request.audit(None, Action::Execute, "Session");
    let now = app.now();
    let form = request.form()?;
    let Some(waiting) = pending(app, request, Purpose::SignIn, now).await? else {
        return Err(refuse_message(app, &context, Refusal::Unsolicited).await?);
    };
    let judged = match field(&form, "SAMLResponse") {
        Some(message) => judge(message, sign_on, &waiting, now).await?,
        None => Err(Refusal::Malformed),
    };
    let (person, issuer, email) = match judged {
        Ok(believed) => believed,
        Err(refusal) => return Err(refuse_message(app, &context, refusal).await?),
    };
    let assertion = TokenHash::of(&person.assertion_id);
    let account = match app.store().await?.begin_single_sign_on(&assertion, person.lapses_at, &email).await? {
        SsoAttempt::Replayed => return Err(refuse_message(app, &context, Refusal::Replayed).await?),
        SsoAttempt::Fresh(account) => account,
    };
    let user = match account {
        Some(account) => account::vouched_for(account),
        None => create(app, request, sign_on, &person, &email).await?,
    };
    match user {
        Ok(user) => go_on(app, request, user, &person, &issuer, &waiting.next).await,
        Err((refused_by, reason)) => Err(refuse(app, &context, refused_by, reason).await?),
    }
}

async fn refuse_message(app: &App, context: &Context, refusal: Refusal) -> Result<Failure, Failure> {
    refuse(app, context, RefusedBy::Layer(Layer::Token), refusal.name()).await
}

/// The person, who says so, and the address of the account.
async fn judge(
    message: &str,
    sign_on: &SingleSignOn,
    waiting: &Pending,
    now: Timestamp,
) -> Result<Result<(SignIn, String, String), Refusal>, Failure> {
    let identity_provider = sign_on.identity_provider(now).await?;
    let expectation = Expectation {
        identity_provider: &identity_provider,
        entity_id: &sign_on.settings.entity_id,
        acs_url: &sign_on.settings.acs_url,
        request_id: &waiting.request_id,
        not_before: waiting.not_before(),
        now,
    };
    Ok(SignIn::judge(message, &expectation).and_then(|person| {
        let email = person.email(&sign_on.settings.domains)?;
        Ok((person, identity_provider.entity_id.clone(), email))
    }))
}

/// A new account, where the deployment wants that.
async fn create(
    app: &App,
    request: &Request,
    sign_on: &SingleSignOn,
    person: &SignIn,
    email: &str,
) -> Result<Result<UserId, account::Barred>, Failure> {
    if !sign_on.settings.creates_accounts {
        return Ok(Err((RefusedBy::NotFound, "no_account")));
    }
    let context = request.audit(None, Action::Create, "Practitioner");
    let names = person.names(is_legible);
    let created = app.store().await?.create_practitioner(&context, email, &names.first, &names.last).await?;
    // Somebody made the account in this moment: the person starts again and finds it.
    Ok(created.ok_or((RefusedBy::Invalid, "account_made_meanwhile")))
}

/// To the session, which ends no later than the identity provider says, or first to the second step that the account or its
/// organization asks for.
async fn go_on(
    app: &App,
    request: &Request,
    user: UserId,
    person: &SignIn,
    issuer: &str,
    next: &str,
) -> Result<Response, Failure> {
    let account = app.store().await?.account_of(user).await?.ok_or(Failure::NotFound)?;
    let name = &person.name_id;
    let outsider = Outsider {
        issuer,
        name: &name.value,
        parts: [name.format.as_deref(), name.name_qualifier.as_deref(), name.sp_name_qualifier.as_deref()],
        session_index: person.session_index.as_deref(),
    };
    let origin =
        Origin { person: outsider, ends_at: person.session_ends_at, authenticated_at: person.authenticated_at };
    account::after_first_step(app, request, &account, Some(origin), next).await
}

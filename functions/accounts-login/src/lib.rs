//! `GET` and `POST /accounts/login/`: a person signs in with e-mail and password. Public.
//!
//! The page works without script. After ten wrong passwords in a row an account waits for fifteen minutes (NIST SP
//! 800-63B section 3.2.2). An unknown account is answered like a wrong password, with the same work.

mod form;

use audit::{Action, RefusedBy, Target};
use authz::{Layer, UserId};
use form::{Credentials, FORM};
use http::{Method, StatusCode};
use oauth::{Secret, TokenHash, password};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response,
    browser::{self, FORM_FIELD, FormCookie, field, local_path},
    html, redirect,
};
use store::{LoginAttempt, NewSession};
use tokio::sync::Semaphore;

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-login", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// Wrong passwords in a row before an account has to wait.
const LIMIT: i32 = 10;

/// How long it waits after the last one.
const WINDOW_SECONDS: i32 = 15 * 60;

/// Passwords checked at the same time. Each takes 19 MiB and a core.
static CHECKS: Semaphore = Semaphore::const_new(4);

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    match *request.method() {
        Method::GET => {
            let query = request.query();
            let cookie = FormCookie::read_or_make(request)?;
            show(app, &cookie, local_path(field(&query, "next")), None).await
        }
        Method::POST => sign_in(app, request).await,
        _ => Err(Failure::MethodNotAllowed),
    }
}

/// The page: empty, or after a wrong password with what was typed as the name.
async fn show(app: &App, cookie: &FormCookie, next: &str, refused: Option<&str>) -> Result<Response, Failure> {
    let token = app.form_key().await?.issue(FORM, cookie.binding())?;
    let mut response = html(StatusCode::OK, form::page(&token, next, refused, app.has_single_sign_on()));
    cookie.set(&app.settings, &mut response);
    Ok(response)
}

async fn sign_in(app: &App, request: &Request) -> Result<Response, Failure> {
    let form = request.form()?;
    let query = request.query();
    // Without a cookie there is nothing that a form could be bound to.
    let cookie = FormCookie::read(request);
    let binding = cookie.as_ref().map_or("", FormCookie::binding);
    let token = field(&form, FORM_FIELD).filter(|_| cookie.is_some());
    browser::check_form(app, request, FORM, binding, token).await?;
    let next = local_path(field(&form, "next").or_else(|| field(&query, "next")));
    let cookie = FormCookie::read_or_make(request)?;
    let Some(credentials) = Credentials::read(&form) else {
        return show(app, &cookie, next, Some("")).await;
    };
    match check(app, request, &credentials).await? {
        Some(user) => start(app, request, &credentials, user, next).await,
        None => show(app, &cookie, next, Some(&credentials.email)).await,
    }
}

/// The user whose password this is. Every failure is counted and recorded.
async fn check(app: &App, request: &Request, credentials: &Credentials) -> Result<Option<UserId>, Failure> {
    let store = app.store().await?;
    let key = account_key(&credentials.email);
    let attempt = store.begin_login(&credentials.email, key.as_bytes(), LIMIT, WINDOW_SECONDS).await?;
    let context = request.audit(None, Action::Execute, "Session");
    let account = match attempt {
        LoginAttempt::Counted(account) => account,
        LoginAttempt::Blocked(seconds) => {
            store.record_refusal(&context, &Target::nothing(), RefusedBy::Layer(Layer::Token)).await?;
            return Err(Failure::TooManyRequests(seconds));
        }
    };
    let stored = account.as_ref().and_then(|account| account.password_hash.clone());
    if verify(credentials.password.clone(), stored).await? {
        return Ok(account.map(|account| account.id));
    }
    store.record_refusal(&context, &Target::nothing(), RefusedBy::Layer(Layer::Token)).await?;
    Ok(None)
}

/// The work of a password hash is done beside the requests, not in their way, and not for too many at once.
async fn verify(password: Secret, stored: Option<String>) -> Result<bool, Failure> {
    let _permit = CHECKS.acquire().await.map_err(|error| Failure::Internal(Box::new(error)))?;
    tokio::task::spawn_blocking(move || password::verify(password.expose(), stored.as_deref()))
        .await
        .map_err(|error| Failure::Internal(Box::new(error)))
}

/// A new session with a new token, whatever the browser had before: nobody can plant one in advance.
async fn start(
    app: &App,
    request: &Request,
    credentials: &Credentials,
    user: UserId,
    next: &str,
) -> Result<Response, Failure> {
    let token = Secret::generate()?;
    let key = account_key(&credentials.email);
    let session = NewSession {
        token: token.hash(),
        user,
        expires_at: app.now() + app.settings.lifetimes.session,
        account_hash: key.as_bytes(),
        replaces: browser::session_token(&app.settings, request).map(|old| old.hash()),
    };
    let context = request.audit(None, Action::Execute, "Session");
    app.store().await?.start_session(&context, &session).await?;
    let mut response = redirect(next);
    browser::set_session(&app.settings, &mut response, &token);
    Ok(response)
}

/// The key under which failures are counted, whether there is an account or not.
fn account_key(email: &str) -> TokenHash {
    TokenHash::of(email)
}

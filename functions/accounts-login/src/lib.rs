//! `GET` and `POST /accounts/login/`: a person signs in with e-mail and password. Public.
//!
//! The page works without script. Who guesses waits longer and longer (`oauth::throttle`). An unknown account is answered
//! like a wrong password, with the same work.

mod form;

use audit::{Action, Context};
use form::{Credentials, Page};
use http::Method;
use mail::Notice;
use oauth::throttle::Policy;
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, account,
    browser::{self, FormCookie, SIGN_IN_FORM, field, local_path},
};
use store::Account;

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-login", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    match *request.method() {
        Method::GET => {
            let query = request.query()?;
            let cookie = FormCookie::read_or_make(request)?;
            let anew = field(&query, "again").is_some();
            let name = if anew { known_name(app, request).await? } else { None };
            let name = name.as_deref().unwrap_or_default();
            let page = Page { next: local_path(field(&query, "next")), name, anew, ..Page::default() };
            show(app, &cookie, page).await
        }
        Method::POST => sign_in(app, request).await,
        _ => Err(Failure::MethodNotAllowed),
    }
}

/// The name of who is signed in already.
async fn known_name(app: &App, request: &Request) -> Result<Option<String>, Failure> {
    let Some(signed_in) = browser::signed_in(app, request).await? else { return Ok(None) };
    Ok(app.store().await?.account_of(signed_in.session.user).await?.map(|account| account.email))
}

async fn show(app: &App, cookie: &FormCookie, page: Page<'_>) -> Result<Response, Failure> {
    let page = Page { organization: app.has_single_sign_on(), ..page };
    browser::anonymous_page(app, cookie, SIGN_IN_FORM, |token| form::page(token, &page)).await
}

async fn sign_in(app: &App, request: &Request) -> Result<Response, Failure> {
    let (form, cookie) = browser::anonymous_form(app, request, SIGN_IN_FORM).await?;
    let query = request.query()?;
    let next = local_path(field(&form, "next").or_else(|| field(&query, "next")));
    let anew = field(&form, "again") == Some("1");
    let refused = Page { next, anew, is_refused: true, ..Page::default() };
    let Some(credentials) = Credentials::read(&form) else {
        return show(app, &cookie, refused).await;
    };
    let context = request.audit(None, Action::Execute, "Session");
    let counted = account::attempt(app, request, &context, &Policy::PASSWORD, &credentials.email).await?;
    let judged = right_account(app, request, &context, &credentials, counted.tells);
    let found = if counted.tells { account::steady(judged).await? } else { judged.await? };
    let Some(account) = found else {
        return show(app, &cookie, Page { name: &credentials.email, ..refused }).await;
    };
    app.store().await?.attempt_succeeded(&counted.keys).await?;
    account::after_first_step(app, request, &account, None, next).await
}

/// The account, if the password is right. A failure is recorded; of the last one of a row (`tells`) the owner is told, whom
/// there may not be.
async fn right_account(
    app: &App,
    request: &Request,
    context: &Context,
    credentials: &Credentials,
    tells: bool,
) -> Result<Option<Account>, Failure> {
    let found = app.store().await?.account(&credentials.email).await?;
    let stored = found.as_ref().and_then(|account| account.password_hash.clone());
    if account::verify(credentials.password.clone(), stored).await? {
        return Ok(found);
    }
    account::guessed(app, context, &credentials.email).await?;
    if let Some(account) = found.filter(|_| tells) {
        mail::tell(app, request, &account.email, Notice::WrongPasswords).await;
    }
    Ok(None)
}

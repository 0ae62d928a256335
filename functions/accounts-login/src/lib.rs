//! `GET` and `POST /accounts/login/`: a person signs in with e-mail and password. Public.
//!
//! The page works without script. Who guesses waits longer and longer (`oauth::throttle`). An unknown account is answered
//! like a wrong password, with the same work.

mod form;

use audit::Action;
use form::{Credentials, FORM};
use http::Method;
use oauth::throttle::Policy;
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, account,
    browser::{self, FormCookie, field, local_path},
};

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-login", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

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
    browser::anonymous_page(app, cookie, FORM, |token| form::page(token, next, refused, app.has_single_sign_on())).await
}

async fn sign_in(app: &App, request: &Request) -> Result<Response, Failure> {
    let (form, cookie) = browser::anonymous_form(app, request, FORM).await?;
    let query = request.query();
    let next = local_path(field(&form, "next").or_else(|| field(&query, "next")));
    let Some(credentials) = Credentials::read(&form) else {
        return show(app, &cookie, next, Some("")).await;
    };
    let context = request.audit(None, Action::Execute, "Session");
    let keys = account::attempt(app, request, &context, &Policy::PASSWORD, &credentials.email).await?;
    let store = app.store().await?;
    let found = store.account(&credentials.email).await?;
    let stored = found.as_ref().and_then(|account| account.password_hash.clone());
    let is_right = account::verify(credentials.password, stored).await?;
    let Some(account) = found.filter(|_| is_right) else {
        account::refused(app, &context).await?;
        return show(app, &cookie, next, Some(&credentials.email)).await;
    };
    store.attempt_succeeded(&keys).await?;
    account::after_password(app, request, &account, next).await
}

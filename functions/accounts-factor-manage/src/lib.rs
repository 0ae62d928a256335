//! `GET` and `POST /accounts/second-factor/manage/`: whether a second factor is on, and turning it off. For who is signed in in
//! the browser; the password is asked for again.

use audit::Action;
use http::{Method, StatusCode};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, account,
    browser::{self, FORM_FIELD, SignedIn, field, with_next},
    html,
    pages::{self, Field, escape},
};
use store::Account;

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-factor-manage", Protocol::Page, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

/// The page, and the name of its form.
const PAGE: &str = "/accounts/second-factor/manage/";

const TITLE: &str = "Second factor";

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    if ![Method::GET, Method::POST].contains(request.method()) {
        return Err(Failure::MethodNotAllowed);
    }
    let Some(signed_in) = browser::signed_in(app, request).await? else {
        return Ok(browser::to_sign_in(PAGE));
    };
    let account = app.store().await?.account_of(signed_in.session.user).await?.ok_or(Failure::NotFound)?;
    match *request.method() {
        Method::POST => remove(app, request, &signed_in, &account).await,
        _ => show(app, &signed_in, &account, None).await,
    }
}

async fn show(app: &App, signed_in: &SignedIn, account: &Account, problem: Option<&str>) -> Result<Response, Failure> {
    let enrol = escape(&with_next("/accounts/second-factor/enrol/", PAGE));
    if !account.has_factor {
        let body = format!(
            "<p>Your account is protected by the password alone. With an authenticator app, who learns the password still \
             cannot sign in.</p><p class=\"links\"><a href=\"{enrol}\">Set up an authenticator app</a></p>"
        );
        return Ok(html(StatusCode::OK, pages::account(TITLE, PAGE, &body)));
    }
    let left = app.store().await?.recovery_codes_left(account.id).await?;
    let state = format!(
        "{}<p>You have {left} recovery codes left.</p>\
         <p class=\"links\"><a href=\"{enrol}\">Set up another app, with new recovery codes</a></p>",
        pages::done("An authenticator app is on.")
    );
    if account::must_have_factor(app, account) {
        let body = format!("{state}<p>Your account must have a second factor, so it cannot be turned off.</p>");
        return Ok(html(StatusCode::OK, pages::account(TITLE, PAGE, &body)));
    }
    let password = Field {
        name: "password",
        label: "Your password",
        kind: "password",
        autocomplete: "current-password",
        problem,
        ..Field::default()
    };
    browser::bound_page(app, PAGE, &signed_in.token, |token| {
        let form = pages::form(PAGE, &[(FORM_FIELD, token)], &[password], "Turn off");
        pages::account(TITLE, PAGE, &format!("{state}<h2>Turn it off</h2>{form}"))
    })
    .await
}

async fn remove(app: &App, request: &Request, signed_in: &SignedIn, account: &Account) -> Result<Response, Failure> {
    let form = browser::bound_form(app, request, PAGE, &signed_in.token).await?;
    if account::must_have_factor(app, account) {
        return Err(Failure::Forbidden("Your account must have a second factor."));
    }
    let context = request.audit(None, Action::Delete, "SecondFactor");
    if !account::confirm(app, request, &context, account, field(&form, "password")).await? {
        return show(app, signed_in, account, Some("This is not your password.")).await;
    }
    app.store().await?.remove_authenticator(&context, account.id).await?;
    let body = pages::done("The second factor is off. Your recovery codes are worth nothing any more.");
    Ok(html(StatusCode::OK, pages::account(TITLE, PAGE, &body)))
}

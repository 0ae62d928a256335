//! `GET` and `POST /accounts/password/`: a person changes the password. For who is signed in in the browser; the current
//! password is asked for again, after a recent sign-in (OWASP ASVS 5.0 sections 6.2.3 and 7.5.1). All other sessions and the access of all apps end.

use audit::Action;
use http::Method;
use mail::Notice;
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, account,
    browser::{self, FORM_FIELD, SignedIn, field},
    factor, html,
    pages::{self, Field},
};
use store::Account;

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-password", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// The page, and the name of its form.
const PAGE: &str = "/accounts/password/";

const TITLE: &str = "Change your password";

const CURRENT: Field<'static> = Field {
    name: "password",
    label: "Current password",
    kind: "password",
    autocomplete: "current-password",
    value: "",
    hint: None,
    problem: None,
    longest: 0,
};

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    if ![Method::GET, Method::POST].contains(request.method()) {
        return Err(Failure::MethodNotAllowed);
    }
    let Some(signed_in) = browser::signed_in(app, request).await? else {
        return Ok(browser::to_sign_in(PAGE));
    };
    let account = app.store().await?.account_of(signed_in.session.user).await?.ok_or(Failure::NotFound)?;
    if !factor::is_recent(app, &signed_in, &account) {
        return Ok(browser::to_sign_in_again(PAGE));
    }
    match *request.method() {
        Method::POST => change(app, request, &signed_in, &account).await,
        _ => show(app, &signed_in, CURRENT, account::NEW_PASSWORD).await,
    }
}

async fn show(
    app: &App,
    signed_in: &SignedIn,
    current: Field<'_>,
    [first, second]: [Field<'_>; 2],
) -> Result<Response, Failure> {
    browser::bound_page(app, PAGE, &signed_in.token, |token| {
        let form = pages::form(PAGE, &[(FORM_FIELD, token)], &[current, first, second], "Change password");
        let text = "<p>You stay signed in here. Other browsers are signed out, and apps have to be allowed again.</p>";
        pages::account(TITLE, PAGE, &format!("{text}{form}"))
    })
    .await
}

async fn change(app: &App, request: &Request, signed_in: &SignedIn, account: &Account) -> Result<Response, Failure> {
    let form = browser::bound_form(app, request, PAGE, &signed_in.token).await?;
    let context = request.audit(None, Action::Update, "Password");
    let chosen = account::chosen(app, &account.email, &form);
    if !account::confirm(app, request, &context, account, field(&form, CURRENT.name)).await? {
        let current = Field { problem: Some("This is not your current password."), ..CURRENT };
        return show(app, signed_in, current, chosen.err().map_or(account::NEW_PASSWORD, |fields| *fields)).await;
    }
    let password = match chosen {
        // It is the same in the two fields: `confirm` has just compared the first with what is stored.
        Ok(password) if field(&form, CURRENT.name) == Some(password.expose()) => {
            let [first, second] = account::NEW_PASSWORD;
            let first = Field { problem: Some("This is your current password. Choose another one."), ..first };
            return show(app, signed_in, CURRENT, [first, second]).await;
        }
        Ok(password) => password,
        Err(fields) => return show(app, signed_in, CURRENT, *fields).await,
    };
    let hash = account::hash(password).await?;
    let keep = signed_in.token.hash();
    app.store().await?.change_password(&context, account.id, &hash, &keep).await?;
    mail::tell(app, request, &account.email, Notice::PasswordChanged).await;
    let text = pages::done("Your password is changed. Everything else has been signed out.");
    Ok(html(http::StatusCode::OK, pages::account(TITLE, PAGE, &text)))
}

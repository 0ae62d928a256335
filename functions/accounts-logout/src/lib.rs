//! `GET` and `POST /accounts/logout/`: a person signs out of this browser. The page asks; only the form it sends ends the
//! session. Public: without a session there is nothing to end.

use audit::Action;
use http::Method;
use oauth::Secret;
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response,
    browser::{self, FORM_FIELD},
    pages, redirect,
};

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-logout", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// The page, and the name of its form.
const PAGE: &str = "/accounts/logout/";

/// Where one is sent who is signed out.
const SIGN_IN: &str = "/accounts/login/";

/// The way to sign out at one's organization too.
const BY_ORGANIZATION: &str = "<a class=\"button\" href=\"/saml2/logout/\">Sign out at your organization too</a>";

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let session = browser::session_token(&app.settings, request);
    match (request.method(), session) {
        (&Method::GET | &Method::POST, None) => Ok(redirect(SIGN_IN)),
        (&Method::GET, Some(session)) => show(app, &session).await,
        (&Method::POST, Some(session)) => sign_out(app, request, &session).await,
        _ => Err(Failure::MethodNotAllowed),
    }
}

async fn show(app: &App, session: &Secret) -> Result<Response, Failure> {
    browser::bound_page(app, PAGE, session, |token| {
        let form = pages::form(PAGE, &[(FORM_FIELD, token)], &[], "Sign out");
        let other = if app.has_single_sign_on() { BY_ORGANIZATION } else { "" };
        let text = "<p>You will be signed out in this browser. Apps that you allowed stay connected; \
                    <a href=\"/accounts/sessions/\">see which</a>.</p>";
        pages::page("Sign out", &format!("{text}{form}{other}"))
    })
    .await
}

async fn sign_out(app: &App, request: &Request, session: &Secret) -> Result<Response, Failure> {
    browser::bound_form(app, request, PAGE, session).await?;
    let context = request.audit(None, Action::Delete, "Session");
    app.store().await?.end_session(&context, &session.hash(), None).await?;
    let mut response = redirect(SIGN_IN);
    browser::clear_session(&app.settings, &mut response);
    Ok(response)
}

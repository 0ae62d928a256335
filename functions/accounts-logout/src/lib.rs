//! `GET` and `POST /accounts/logout/`: a person signs out of this browser. The page asks; only the form it sends ends the
//! session. Public: without a session there is nothing to end.

use audit::Action;
use http::{Method, StatusCode};
use oauth::Secret;
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response,
    browser::{self, FORM_FIELD, field},
    html,
    pages::{self, escape},
    redirect,
};

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-logout", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// The name of the form, for its token.
const FORM: &str = "logout";

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
    let token = app.form_key().await?.issue(FORM, session.expose())?;
    let body = format!(
        "<p>You will be signed out in this browser. Apps that you allowed stay connected.</p>\
         <form method=\"post\" action=\"/accounts/logout/\">\
         <input type=\"hidden\" name=\"{FORM_FIELD}\" value=\"{token}\"><button>Sign out</button></form>{other}",
        token = escape(&token),
        other = if app.has_single_sign_on() { BY_ORGANIZATION } else { "" },
    );
    Ok(html(StatusCode::OK, pages::page("Sign out", &body)))
}

async fn sign_out(app: &App, request: &Request, session: &Secret) -> Result<Response, Failure> {
    let form = request.form()?;
    browser::check_form(app, request, FORM, session.expose(), field(&form, FORM_FIELD)).await?;
    let context = request.audit(None, Action::Delete, "Session");
    app.store().await?.end_session(&context, &session.hash()).await?;
    let mut response = redirect(SIGN_IN);
    browser::clear_session(&app.settings, &mut response);
    Ok(response)
}

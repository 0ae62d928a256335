//! `GET` and `POST /saml2/logout/`: a person signs out here and at their organization (SAML Profiles 4.4). The page asks;
//! only the form that it sends ends the session. Public: without a session there is nothing to end.

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
use saml::{NameId, Pending};
use single_sign_on::{Purpose, SingleSignOn, set_pending, unusable};
use store::LinkedSession;

/// The function.
pub const FUNCTION: Function =
    Function::new("saml2-logout", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// The name of the form, for its token.
const FORM: &str = "saml2-logout";

/// Where one is sent who is signed out here.
const SIGN_IN: &str = "/accounts/login/";

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let sign_on = SingleSignOn::of(app)?;
    let session = browser::session_token(&app.settings, request);
    match (request.method(), session) {
        (&Method::GET | &Method::POST, None) => Ok(redirect(SIGN_IN)),
        (&Method::GET, Some(session)) => show(app, &session).await,
        (&Method::POST, Some(session)) => sign_out(app, request, &sign_on, &session).await,
        _ => Err(Failure::MethodNotAllowed),
    }
}

async fn show(app: &App, session: &Secret) -> Result<Response, Failure> {
    let token = app.form_key().await?.issue(FORM, session.expose())?;
    let body = format!(
        "<p>You will be signed out here and at your organization. Apps that you allowed stay connected.</p>\
         <form method=\"post\" action=\"/saml2/logout/\">\
         <input type=\"hidden\" name=\"{FORM_FIELD}\" value=\"{token}\"><button>Sign out everywhere</button></form>",
        token = escape(&token),
    );
    Ok(html(StatusCode::OK, pages::page("Sign out", &body)))
}

async fn sign_out(app: &App, request: &Request, sign_on: &SingleSignOn, session: &Secret) -> Result<Response, Failure> {
    let form = request.form()?;
    browser::check_form(app, request, FORM, session.expose(), field(&form, FORM_FIELD)).await?;
    let store = app.store().await?;
    let linked = store.linked_session(&session.hash()).await?;
    let context = request.audit(None, Action::Delete, "Session");
    store.end_session(&context, &session.hash(), None).await?;
    // The session here has ended, whatever becomes of the one there.
    let mut response = match linked {
        Some(linked) => go_on(app, sign_on, linked).await.unwrap_or_else(|failure| {
            tracing::warn!(?failure, "not signed out at the identity provider");
            redirect(SIGN_IN)
        }),
        None => redirect(SIGN_IN),
    };
    browser::clear_session(&app.settings, &mut response);
    Ok(response)
}

/// On to the identity provider that started the session, if it has single logout.
async fn go_on(app: &App, sign_on: &SingleSignOn, linked: LinkedSession) -> Result<Response, Failure> {
    let now = app.now();
    let identity_provider = sign_on.identity_provider(now).await?;
    if identity_provider.entity_id != linked.issuer {
        return Ok(redirect(SIGN_IN));
    }
    let [format, name_qualifier, sp_name_qualifier] = linked.parts;
    let name = NameId { value: linked.name, format, name_qualifier, sp_name_qualifier };
    let pending = Pending::new(Secret::generate()?.expose(), SIGN_IN, false, now);
    let provider = sign_on.provider(app).await?;
    let address = provider
        .ask_to_sign_out(&identity_provider, &pending.request_id, &name, linked.session_index.as_deref(), now)
        .map_err(unusable)?;
    let Some(address) = address else { return Ok(redirect(SIGN_IN)) };
    let mut response = redirect(&address);
    set_pending(app, &mut response, Purpose::SignOut, &pending).await?;
    Ok(response)
}

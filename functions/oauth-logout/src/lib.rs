//! `GET` and `POST /o/logout/`: a client sends the browser here to sign its user out (OpenID Connect RP-Initiated Logout
//! 1.0). Public.
//!
//! The page always asks, with a valid `id_token_hint` too (section 2: the provider SHOULD ask, and MUST without one): any
//! site can send a browser here, and a GET changes nothing. Only the form of the page ends the session. The browser then goes
//! back to the client, if the client registered the place.

use audit::Action;
use authz::ClientId;
use http::{Method, StatusCode};
use oauth::{Params, Secret, discovery::Endpoints, logout::LogoutRequest};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response,
    browser::{self, FORM_FIELD, field},
    html,
    pages::{self, escape},
    redirect,
};
use std::fmt::Write as _;
use store::LogoutClient;

/// The function.
pub const FUNCTION: Function =
    Function::new("oauth-logout", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// The name of the form, for its token.
const FORM: &str = "oauth-logout";

/// Where one is sent who is signed out and has no other place to go.
const SIGN_IN: &str = "/accounts/login/";

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let pairs = match *request.method() {
        Method::GET => request.query()?,
        Method::POST => request.form()?,
        _ => return Err(Failure::MethodNotAllowed),
    };
    let sent = field(&pairs, FORM_FIELD).map(str::to_owned);
    let asked = Asked::read(app, pairs).await?;
    let Some(session) = browser::session_token(&app.settings, request) else {
        return Ok(asked.leave());
    };
    match sent {
        Some(token) if request.method() == Method::POST => asked.sign_out(app, request, &session, &token).await,
        _ if browser::signed_in(app, request).await?.is_none() => Ok(asked.leave()),
        _ => asked.ask(app, &session).await,
    }
}

/// A request, and what became clear about it.
struct Asked {
    request: LogoutRequest,
    client: Option<LogoutClient>,
    destination: Option<String>,
}

impl Asked {
    async fn read(app: &App, pairs: Vec<(String, String)>) -> Result<Self, Failure> {
        let unacceptable = |error: oauth::OAuthError| Failure::Invalid(error.description.to_owned());
        let params = Params::from_pairs(pairs).map_err(unacceptable)?;
        let request = LogoutRequest::parse(&params).map_err(unacceptable)?;
        let hint = match &request.id_token_hint {
            Some(hint) => {
                signing_keys::keys(app).await?.verify_hint(hint, Endpoints::new(&app.settings.site_url).issuer())
            }
            None => None,
        };
        let client = match request.client(hint.as_ref()) {
            Some(client_id) => app.store().await?.logout_client(client_id).await?,
            None => None,
        };
        let destination = client.as_ref().and_then(|client| request.destination(&client.post_logout_redirect_uris));
        Ok(Self { request, client, destination })
    }

    /// Out of here, for who is signed out.
    fn leave(&self) -> Response {
        redirect(self.destination.as_deref().unwrap_or(SIGN_IN))
    }

    /// A form is good for one session, one client and one way back: what was shown is what happens.
    fn binding(&self, session: &Secret) -> String {
        let client = self.client.as_ref().map_or(0, |client| client.id);
        format!("{}\n{client}\n{}", session.expose(), self.destination.as_deref().unwrap_or_default())
    }

    async fn ask(&self, app: &App, session: &Secret) -> Result<Response, Failure> {
        let token = app.form_key().await?.issue(FORM, &self.binding(session))?;
        let fields = self.request.fields().fold(String::new(), |mut fields, (name, value)| {
            // Writing to a String does not fail.
            let _ = write!(fields, "<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value));
            fields
        });
        let who = self.client.as_ref().map_or_else(
            || "<p>You will be signed out in this browser.</p>".to_owned(),
            |client| {
                format!(
                    "<p><strong>{}</strong> asks to sign you out. You will be signed out in this browser.</p>",
                    escape(&client.name)
                )
            },
        );
        let body = format!(
            "{who}<form method=\"post\" action=\"/o/logout/\">\
             <input type=\"hidden\" name=\"{FORM_FIELD}\" value=\"{token}\">{fields}<button>Sign out</button></form>",
            token = escape(&token),
        );
        Ok(html(StatusCode::OK, pages::page("Sign out", &body)))
    }

    async fn sign_out(&self, app: &App, request: &Request, session: &Secret, token: &str) -> Result<Response, Failure> {
        browser::check_form(app, request, FORM, &self.binding(session), Some(token)).await?;
        let mut context = request.audit(None, Action::Delete, "Session");
        let client = self.client.as_ref().map(|client| client.id);
        context.client_id = client.map(ClientId);
        app.store().await?.end_session_for(&context, &session.hash(), client).await?;
        let mut response = self.leave();
        browser::clear_session(&app.settings, &mut response);
        Ok(response)
    }
}

//! `GET` and `POST /saml2/login/`: a person is sent to their organization to sign in (SAML Profiles 4.1.3.1 to 4.1.3.3).
//! Public. Only a button leads there, here or on the sign-in page: a link alone signs nobody in (OWASP ASVS 5.0 section
//! 7.6.2). Nothing is stored here: the request waits in a signed cookie of the browser.

use http::Method;
use oauth::Secret;
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response,
    browser::{self, FORM_FIELD, FormCookie, SIGN_IN_FORM, field, local_path, with_next},
    pages, redirect,
};
use saml::Pending;
use single_sign_on::{Purpose, SingleSignOn, set_pending, unusable};

/// The function. It needs the secrets, which it reads at the first request, and no database.
pub const FUNCTION: Function =
    Function::new("saml2-login", Protocol::Page, Needs::Nothing, |app, request| Box::pin(handle(app, request)));

/// The page.
const PAGE: &str = "/saml2/login/";

/// The longest way back: it lives in a cookie, for which browsers have some 4,000 characters.
const MAX_NEXT: usize = 2048;

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let sign_on = SingleSignOn::of(app)?;
    match *request.method() {
        Method::GET => {
            let query = request.query()?;
            show(app, request, way_back(&query)).await
        }
        Method::POST => {
            let (form, _) = browser::anonymous_form(app, request, SIGN_IN_FORM).await?;
            ask(app, &sign_on, way_back(&form), field(&form, "again") == Some("1")).await
        }
        _ => Err(Failure::MethodNotAllowed),
    }
}

fn way_back(fields: &[(String, String)]) -> &str {
    local_path(field(fields, "next").filter(|next| next.len() <= MAX_NEXT))
}

/// The page with the button, for who comes by a link.
async fn show(app: &App, request: &Request, next: &str) -> Result<Response, Failure> {
    let cookie = FormCookie::read_or_make(request)?;
    browser::anonymous_page(app, &cookie, SIGN_IN_FORM, |token| {
        let form = pages::form(PAGE, &[(FORM_FIELD, token), ("next", next)], &[], "Sign in with your organization");
        let other = pages::escape(&with_next("/accounts/login/", next));
        let links = format!("<p class=\"links\"><a href=\"{other}\">Sign in in another way</a></p>");
        pages::page(
            "Sign in",
            &format!("<p>Your organization asks you who you are, and sends you back here.</p>{form}{links}"),
        )
    })
    .await
}

/// On to the identity provider. Who is to sign in `anew` does so there, even if signed in.
async fn ask(app: &App, sign_on: &SingleSignOn, next: &str, anew: bool) -> Result<Response, Failure> {
    let now = app.now();
    let identity_provider = sign_on.identity_provider(now).await?;
    let pending = Pending::new(Secret::generate()?.expose(), next, anew, now);
    let provider = sign_on.provider(app).await?;
    let address = provider.ask_to_sign_in(&identity_provider, &pending.request_id, anew, now).map_err(unusable)?;
    let mut response = redirect(&address);
    set_pending(app, &mut response, Purpose::SignIn, &pending).await?;
    Ok(response)
}

//! `GET /saml2/login/?next=`: a person is sent to their organization to sign in (SAML Profiles 4.1.3.1 to 4.1.3.3).
//! Public. Nothing is stored here: the request waits in a signed cookie of the browser.

use oauth::Secret;
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response,
    browser::{field, local_path},
    redirect,
};
use saml::Pending;
use single_sign_on::{Purpose, SingleSignOn, set_pending, unusable};

/// The function. It needs the secrets, which it reads at the first request, and no database.
pub const FUNCTION: Function =
    Function::new("saml2-login", Protocol::Page, Needs::Nothing, |app, request| Box::pin(handle(app, request)));

/// The longest way back: it lives in a cookie, for which browsers have some 4,000 characters.
const MAX_NEXT: usize = 2048;

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let sign_on = SingleSignOn::of(app)?;
    let query = request.query();
    let next = local_path(field(&query, "next").filter(|next| next.len() <= MAX_NEXT));
    let now = app.now();
    let identity_provider = sign_on.identity_provider(now).await?;
    let pending = Pending::new(Secret::generate()?.expose(), next, now);
    let provider = sign_on.provider(app).await?;
    let address = provider.ask_to_sign_in(&identity_provider, &pending.request_id, now).map_err(unusable)?;
    let mut response = redirect(&address);
    set_pending(app, &mut response, Purpose::SignIn, &pending).await?;
    Ok(response)
}

//! `POST /o/introspect/`: what a token allows, for the client that holds it and for resource servers (RFC 7662). Public: the
//! client proves who it is in the request.

use audit::{Action, RefusedBy, Target};
use authz::{ClientId, Layer};
use http::{StatusCode, header};
use oauth::{
    Params,
    discovery::Endpoints,
    introspection::{Introspection, TokenQuestion, may_introspect},
};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, client, json};

/// The function.
pub const FUNCTION: Function =
    Function::new("oauth-introspect", Protocol::OAuth, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let params = Params::from_pairs(request.form()?)?;
    let mut context = request.audit(None, Action::Read, "Token");
    let authorization = request.header(header::AUTHORIZATION);
    let asked = match TokenQuestion::parse(authorization, &params) {
        Ok(asked) => asked,
        Err(error) => return Err(client::refused(app, &mut context, authorization, &params, error).await),
    };
    let client = client::authenticate(app, &context, &asked.client).await?;
    context.client_id = Some(ClientId(client.id));
    let store = app.store().await?;
    let refused = RefusedBy::Layer(Layer::Token);
    if let Err(error) = may_introspect(&client) {
        store.record_refusal(&context, &Target::nothing(), refused).await?;
        return Err(error.into());
    }
    let (site_url, admins) = (&app.settings.site_url, app.settings.super_admins_need_factor);
    let token = store.live_token(&asked.token.hash(), admins).await?;
    let token = token.filter(|token| token.is_shown_to(&client, site_url));
    let answer = if let Some(token) = token {
        Introspection::active(token, Endpoints::new(site_url).issuer(), site_url)
    } else {
        // Of a token that is not its own the client learns as little as of one that nobody has (RFC 7662 2.2).
        store.record_refusal(&context, &Target::nothing(), refused).await?;
        Introspection::inactive()
    };
    Ok(json(StatusCode::OK, &answer)?)
}

//! `GET /saml2/ls/` and `POST /saml2/ls/post/`: what an identity provider sends about signing out, by HTTP-Redirect and by
//! HTTP-POST (SAML Profiles 4.4.3). Public: its signature is what counts.
//!
//! A request by `GET` ends sessions here, as that binding has it. No other site can make a browser do that: only the
//! identity provider can sign one, for one person, for some minutes, and it counts once.

use audit::{Action, Context, RefusedBy};
use authz::Layer;
use http::{Method, StatusCode};
use jiff::Timestamp;
use oauth::{Secret, TokenHash};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, browser::field, html, pages, redirect};
use saml::{IdentityProvider, Kind, LogoutAnswer, LogoutOrder, Refusal, SignOut};
use single_sign_on::{Purpose, SingleSignOn, clear_pending, pending, refuse, unusable};
use store::SignOutOrder;

/// The function.
pub const FUNCTION: Function =
    Function::new("saml2-ls", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let sign_on = SingleSignOn::of(app)?;
    let context = request.audit(None, Action::Delete, "Session");
    let now = app.now();
    let identity_provider = sign_on.identity_provider(now).await?;
    match read(request, &sign_on, &identity_provider, now)? {
        Ok(SignOut::Order(order)) => obey(app, &context, &sign_on, &identity_provider, order, now).await,
        Ok(SignOut::Answer(answer)) => finish(app, request, &context, &answer, now).await,
        Err(refusal) => Err(refuse_message(app, &context, refusal).await?),
    }
}

async fn refuse_message(app: &App, context: &Context, refusal: Refusal) -> Result<Failure, Failure> {
    refuse(app, context, RefusedBy::Layer(Layer::Token), refusal.name()).await
}

fn read(
    request: &Request,
    sign_on: &SingleSignOn,
    from: &IdentityProvider,
    now: Timestamp,
) -> Result<Result<SignOut, Refusal>, Failure> {
    if *request.method() == Method::GET {
        let here = &sign_on.settings.logout_redirect_url;
        return Ok(SignOut::from_redirect(request.raw_query(), from, here, now));
    }
    let form = request.form()?;
    let (kind, message) = match (field(&form, "SAMLRequest"), field(&form, "SAMLResponse")) {
        (Some(message), None) => (Kind::Request, message),
        (None, Some(message)) => (Kind::Response, message),
        _ => return Ok(Err(Refusal::Malformed)),
    };
    let here = &sign_on.settings.logout_post_url;
    Ok(SignOut::from_form(kind, message, field(&form, "RelayState"), from, here, now))
}

/// Ends the sessions, and sends the browser back with the answer.
async fn obey(
    app: &App,
    context: &Context,
    sign_on: &SingleSignOn,
    identity_provider: &IdentityProvider,
    order: LogoutOrder,
    now: Timestamp,
) -> Result<Response, Failure> {
    let ended = SignOutOrder {
        id: TokenHash::of(&order.id),
        lapses_at: order.lapses_at,
        issuer: &identity_provider.entity_id,
        name: &order.name_id.value,
        session_indexes: &order.session_indexes,
    };
    if !app.store().await?.end_linked_sessions(context, &ended).await? {
        return Err(refuse_message(app, context, Refusal::Replayed).await?);
    }
    let id = format!("_{}", Secret::generate()?.expose());
    let address = sign_on
        .provider(app)
        .await?
        .answer_sign_out(identity_provider, &id, &order.id, order.relay_state.as_deref(), now)
        .map_err(unusable)?;
    Ok(address.map_or_else(|| signed_out(true), |address| redirect(&address)))
}

/// The answer to what this browser asked. The session here has ended before.
async fn finish(
    app: &App,
    request: &Request,
    context: &Context,
    answer: &LogoutAnswer,
    now: Timestamp,
) -> Result<Response, Failure> {
    let waiting = pending(app, request, Purpose::SignOut, now).await?;
    if waiting.is_none_or(|waiting| waiting.request_id != answer.in_response_to) {
        return Err(refuse_message(app, context, Refusal::Unsolicited).await?);
    }
    let mut response = signed_out(answer.succeeded);
    clear_pending(&app.settings, &mut response, Purpose::SignOut);
    Ok(response)
}

fn signed_out(everywhere: bool) -> Response {
    let text = if everywhere {
        "<p>You are signed out here and at your organization.</p>"
    } else {
        "<p role=\"alert\">You are signed out here. At your organization you may still be signed in: close the browser.</p>"
    };
    html(
        StatusCode::OK,
        pages::page("Signed out", &format!("{text}<p><a href=\"/accounts/login/\">Sign in again</a></p>")),
    )
}

//! `GET` and `POST /o/userinfo/`: claims about the user, by the scope of the access token (OpenID Connect Core 1.0
//! section 5.3). Errors are those of RFC 6750 section 3.

use http::{StatusCode, header};
use oauth::{
    ErrorCode, OAuthError,
    discovery::Endpoints,
    id_token::{Subject, UserClaims},
    scope::OPENID,
};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json};
use store::Profile;

/// The function.
pub const FUNCTION: Function =
    Function::new("oauth-userinfo", Protocol::OAuth, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let caller = request.authenticated(app).await.map_err(|failure| unauthenticated(request, failure))?;
    let scope = &caller.scope;
    if !scope.contains(OPENID) {
        return Err(OAuthError::insufficient_scope("The access token does not have the scope openid.").into());
    }
    let profile = app.store().await?.profile(caller.actor.user).await?.ok_or(Failure::Unauthenticated)?;
    let endpoints = Endpoints::new(&app.settings.site_url);
    Ok(json(StatusCode::OK, &UserClaims::for_scope(&subject(profile), scope, &endpoints))?)
}

/// RFC 6750 section 3.1: who sent no token is only told the scheme; who sent one is told that it is not valid.
fn unauthenticated(request: &Request, failure: Failure) -> Failure {
    match failure {
        Failure::Unauthenticated if request.header(header::AUTHORIZATION).is_some() => {
            OAuthError::new(ErrorCode::InvalidToken, "The access token is not valid.").into()
        }
        other => other,
    }
}

fn subject(profile: Profile) -> Subject {
    let known = |text: String| Some(text).filter(|text| !text.is_empty());
    Subject {
        user: profile.id,
        email: known(profile.email),
        email_verified: Some(profile.email_verified),
        given_name: known(profile.first_name),
        family_name: known(profile.last_name),
        patient: profile.patient,
        practitioner: profile.practitioner,
    }
}

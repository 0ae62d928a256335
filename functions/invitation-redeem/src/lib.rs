//! `POST /api/v1/invitation/{invitation}`: an app exchanges an invitation's token for an authorization code. Public: the
//! token is the proof. The code answers to the verifier that the token makes, so that the code alone is worth nothing
//! (RFC 7636). For a client set to static PKCE it answers to the deployment's one verifier.

use api::{Content, Kind, Operation, Shape, required};
use audit::{Action, RefusedBy, Target};
use authz::Layer;
use http::StatusCode;
use oauth::{
    Secret,
    discovery::Endpoints,
    pkce::{Challenge, Verifier},
    token::INVITATION_LENGTH,
};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json};
use serde_json::json;
use store::{InvitationCode, Redemption};

/// The function.
pub const FUNCTION: Function =
    Function::new("invitation-redeem", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const GRANT: Shape = Shape {
    name: "InvitationGrant",
    fields: &[
        required("grant_type", Kind::OneOf(&["authorization_code"])),
        required("redirect_uri", Kind::AnyText),
        required("client_id", Kind::AnyText),
        required("code", Kind::AnyText),
    ],
};

const REDEEMED: Shape = Shape {
    name: "RedeemedInvitation",
    fields: &[
        required("grant", Kind::Object(&GRANT)).about("What to send to the token endpoint, with the verifier."),
        required("token_endpoint", Kind::AnyText),
        required("expires", Kind::Instant).about("When the code ends."),
    ],
};

const OPERATIONS: [Operation; 1] = [Operation::new(
    "POST /api/v1/invitation/{invitation}",
    "Exchange an invitation's token for an authorization code",
    "Whoever has the token.",
)
.also_fails(&[403, 409, 410])
.public()
.answers(&[(200, Content::Object(&REDEEMED))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let store = app.store().await?;
    let context = request.audit(None, Action::Execute, "Invitation");
    let code = Secret::generate()?;
    let now = app.now();
    let expires_at = now + app.settings.lifetimes.code;
    let redemption = match request.variable("invitation").and_then(presented) {
        None => Redemption::Unknown,
        Some((token, challenge)) => {
            let new = InvitationCode {
                hash: code.hash(),
                challenge: &challenge,
                static_challenge: app.settings.static_challenge.as_ref(),
                now,
                expires_at,
            };
            let window = app.settings.invitation_window_seconds;
            store.redeem_invitation(&context, &token.hash(), window, &new).await?
        }
    };
    match redemption {
        Redemption::Redeemed { client_id, redirect_uri, static_pkce } => {
            if let Some(client) = static_pkce {
                tracing::warn!(client, "redeemed by static PKCE: the code answers to a verifier that every app has");
            }
            let body = json!({
                "grant": {
                    "grant_type": "authorization_code",
                    "redirect_uri": redirect_uri,
                    "client_id": client_id,
                    "code": code.expose(),
                },
                "token_endpoint": Endpoints::new(&app.settings.site_url).token(),
                "expires": format!("{expires_at:.6}"),
            });
            Ok(json(StatusCode::OK, &body)?)
        }
        Redemption::Unknown => {
            store.record_refusal(&context, &Target::nothing(), RefusedBy::Layer(Layer::Token)).await?;
            let body = json!({ "detail": "Invitation not found or already used." });
            Ok(json(StatusCode::NOT_FOUND, &body)?)
        }
        Redemption::Used => Err(Failure::Conflict("Invitation has already been used.")),
        Redemption::Cancelled => Err(Failure::Forbidden("Invitation has been cancelled.")),
        Redemption::Expired => Err(Failure::Gone("Invitation has expired.")),
    }
}

/// A token of the right form, and the challenge that its bearer can meet.
fn presented(text: &str) -> Option<(Secret, Challenge)> {
    let is_token = text.len() == INVITATION_LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let token = is_token.then(|| Secret::presented(text))?;
    let challenge = Verifier::of_invitation(&token)?.challenge();
    Some((token, challenge))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_token_is_looked_up() {
        assert!(presented("8NG3Sz7fULsoyypl9vmutzYOa6kkbgny").is_some());
        let long = "a".repeat(INVITATION_LENGTH + 1);
        for bad in ["", "short", "8NG3Sz7fULsoyypl9vmutzYOa6kkbgn-", "8NG3Sz7fULsoyypl9vmutzYOa6kkbgn\0", &long] {
            assert!(presented(bad).is_none(), "{bad:?}");
        }
    }
}

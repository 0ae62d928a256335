//! `POST /api/v1/invitation`: a coordinator invites a patient's app. The token is in the answer and nowhere else; only
//! its hash is kept.

use audit::{Action, Target};
use authz::{PatientId, Permission};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use oauth::Secret;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, rest::Fields};
use serde::Serialize;
use store::{Issue, NewInvitation};

/// The function.
pub const FUNCTION: Function =
    Function::new("invitation-create", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// The invitation as issued. `client_id`, the row of the client, keeps its underscore as OAuth has it.
#[derive(Serialize)]
struct Invitation<'a> {
    id: i32,
    #[serde(rename = "patientId")]
    patient_id: i32,
    client_id: i32,
    #[serde(rename = "tokenHash")]
    token_hash: String,
    token: &'a str,
    status: &'static str,
    #[serde(rename = "lastUpdated")]
    last_updated: Timestamp,
    #[serde(rename = "invitationLink")]
    link: Option<String>,
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let fields = Fields::parse(request)?;
    let patient = PatientId(fields.id("patientId")?);
    let context = request.audit(Some(&actor), Action::Create, "Invitation");
    let store = app.store().await?;
    let role = store.role_over_patient(actor.practitioner(), patient).await?;
    request.permit(app, &context, &Target::patient(patient), &actor, Permission::Invite, role).await?;
    let client = fields.id("client_id")?;
    if fields.flag("sendEmail")? == Some(true) {
        return Err(Failure::field("sendEmail", "E-mail delivery is not configured. Send the link yourself."));
    }
    fields.only(&["patientId", "client_id", "sendEmail"])?;
    let token = Secret::invitation()?;
    let new = NewInvitation {
        patient,
        client,
        token: token.hash(),
        issued_by: actor.user,
        expires_at: app.now() + SignedDuration::from_secs(app.settings.invitation_seconds),
    };
    let issued = match store.issue_invitation(&context, &new).await? {
        Issue::Issued(issued) => issued,
        Issue::NoPatient => return Err(Failure::NotFound),
        Issue::NoClient => {
            return Err(Failure::field("client_id", "There is no client with this id that can be invited."));
        }
    };
    let body = Invitation {
        id: issued.id,
        patient_id: patient.0,
        client_id: client,
        token_hash: URL_SAFE_NO_PAD.encode(token.hash().as_bytes()),
        token: token.expose(),
        status: "issued",
        last_updated: issued.last_updated,
        link: issued.invitation_url.map(|url| link(&url, &app.settings.site_url, token.expose())),
    };
    Ok(json(StatusCode::CREATED, &body)?)
}

/// The client's link with `CODE` replaced by `<host>_<token>`: the app learns where to redeem what.
fn link(invitation_url: &str, site_url: &str, token: &str) -> String {
    let host = site_url.split_once("://").map_or(site_url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host);
    let code: String = form_urlencoded::byte_serialize(format!("{host}_{token}").as_bytes()).collect();
    invitation_url.replace("CODE", &code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_says_where_to_redeem_what() {
        for (url, site, expected) in [
            (
                "https://carex.ai/invitation/CODE",
                "http://localhost:8000",
                "https://carex.ai/invitation/localhost%3A8000_8NG3",
            ),
            (
                "https://a.example?invitation=CODE",
                "https://jhe.example",
                "https://a.example?invitation=jhe.example_8NG3",
            ),
            ("https://a.example/CODE", "https://jhe.example/base", "https://a.example/jhe.example_8NG3"),
        ] {
            assert_eq!(link(url, site, "8NG3"), expected);
        }
    }
}

//! `POST /api/v1/invitation`: a coordinator invites a patient's app.
//! `POST /api/v1/invitation/{invitation}/reissue`: the same patient and app again, and the earlier invitation ends.
//!
//! The token is in the answer, or with `sendEmail` in a mail to the patient; never in both, and nowhere else. Only its hash
//! is kept.

mod mail_text;

use api::{Completeness, Content, Kind, Operation, Shape, optional, required, shapes::clients::INVITATION_STATUSES};
use audit::{Action, Context, RefusedBy, Target};
use authz::{Actor, PatientId, Permission};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use mail::{MailError, Mailer, Message};
use oauth::Secret;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, rest::Fields};
use serde::Serialize;
use std::sync::Arc;
use store::{InvitationOf, Issue, IssuedInvitation, NewInvitation, Rate};

/// The function.
pub const FUNCTION: Function =
    Function::new("invitation-create", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const SEND_EMAIL: &str = "sendEmail";

const SEND: api::Field = optional(SEND_EMAIL, Kind::OrNull(&Kind::Boolean)).about(
    "Send the link to the address of the patient's account, and show it to nobody else. Must be true for a patient who is also of \
     an organization in which the caller is neither member nor manager; super admins excepted.",
);

const NEW: Shape = Shape {
    name: "NewInvitation",
    fields: &[
        required("patientId", Kind::Integer),
        required("client_id", Kind::Integer).about("The client's row; written with an underscore."),
        SEND,
    ],
};

const AGAIN: Shape = Shape { name: "ReissuedInvitation", fields: &[SEND] };

const ISSUED: Shape = Shape {
    name: "IssuedInvitation",
    fields: &[
        required("id", Kind::Integer).about("From 101."),
        required("patientId", Kind::Integer),
        required("client_id", Kind::Integer),
        required("tokenHash", Kind::AnyText).about("The SHA-256 of the token. Nothing takes it in place of the token."),
        required("token", Kind::OrNull(&Kind::AnyText)).about("Shown here and nowhere else; null when it was sent."),
        required("status", Kind::OneOf(&INVITATION_STATUSES)),
        required("lastUpdated", Kind::Instant),
        required("invitationLink", Kind::OrNull(&Kind::AnyText)).about("Null when it was sent."),
    ],
};

const OPERATIONS: [Operation; 2] = [
    Operation::new(
        "POST /api/v1/invitation",
        "Invite a patient's app; open invitations of the same patient, app and organization end",
        "Members and managers of an organization of the patient; super admins.",
    )
    .also_fails(&[404])
    .takes(&NEW)
    .answers(&[(201, Content::Object(&ISSUED))]),
    Operation::new(
        "POST /api/v1/invitation/{invitation}/reissue",
        "Invite the same patient and app again, and end the earlier invitation",
        "Members and managers of an organization that issued it; super admins.",
    )
    .takes(&AGAIN)
    .answers(&[(201, Content::Object(&ISSUED))]),
];

/// Enough for a patient who deletes a mail by mistake, and too few to annoy anybody.
const RATE: Rate = Rate { per_patient_and_day: 5, per_sender_and_hour: 100 };

/// How long to wait when enough was sent, in seconds.
const WAIT: u32 = 3600;

/// The invitation as issued. `client_id`, the row of the client, keeps its underscore as OAuth has it.
#[derive(Serialize)]
struct Invitation<'a> {
    id: i32,
    #[serde(rename = "patientId")]
    patient_id: i32,
    client_id: i32,
    #[serde(rename = "tokenHash")]
    token_hash: String,
    token: Option<&'a str>,
    status: &'static str,
    #[serde(rename = "lastUpdated")]
    last_updated: Timestamp,
    #[serde(rename = "invitationLink")]
    link: Option<String>,
}

/// What is asked for, when it is allowed.
struct Asked {
    patient: PatientId,
    client: i32,
    replaces: Option<i32>,
    /// How to send it, if it is to be sent.
    mailer: Option<Arc<Mailer>>,
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let context = request.audit(Some(&actor), Action::Create, "Invitation");
    let asked = match request.variable("invitation") {
        None => asked_anew(app, request, &actor, &context).await?,
        Some(_) => asked_again(app, request, &actor, &context).await?,
    };
    let token = Secret::invitation()?;
    let new = NewInvitation {
        patient: asked.patient,
        client: asked.client,
        token: token.hash(),
        issued_by: actor.user,
        expires_at: app.now() + SignedDuration::from_secs(app.settings.invitation_seconds),
        emailed: asked.mailer.as_ref().map(|_| RATE),
        replaces: asked.replaces,
        static_challenge: app.settings.static_challenge.as_ref(),
    };
    let issued = match app.store().await?.issue_invitation(&context, &new).await? {
        Issue::Issued(issued) => issued,
        Issue::NoPatient => return Err(Failure::NotFound),
        Issue::NoClient => {
            return Err(Failure::field("client_id", "There is no client with this id that can be invited."));
        }
        Issue::NoChallenge => {
            return Err(Failure::field(
                "client_id",
                "This client is set to static PKCE, which is not configured here.",
            ));
        }
        Issue::StudiesEnded => {
            return Err(Failure::Conflict("The patient's studies that use this app have ended."));
        }
        Issue::ByEmailOnly => {
            return Err(Failure::field(
                SEND_EMAIL,
                "This patient is also of an organization in which you are no member: set sendEmail, so that only the patient \
                 gets the link.",
            ));
        }
        Issue::TooMany => return Err(Failure::TooManyRequests(WAIT)),
    };
    if issued.static_pkce {
        tracing::warn!(client = asked.client, "invited by static PKCE: whoever has the link and the app can use it");
    }
    let link = link(&issued.invitation_url, &app.settings.site_url, token.expose());
    let shown = match &asked.mailer {
        None => Some((token.expose(), link)),
        Some(mailer) => {
            if let Err(error) = send(app, mailer, &issued, &link, new.expires_at).await {
                // Nobody has the token. The invitation must not look as if it were on its way.
                let ended = request.audit(Some(&actor), Action::Delete, "Invitation");
                app.store().await?.cancel_invitation(&ended, issued.id).await?;
                return Err(undelivered(error));
            }
            None
        }
    };
    let (token_shown, link) = shown.unzip();
    let body = Invitation {
        id: issued.id,
        patient_id: asked.patient.0,
        client_id: asked.client,
        token_hash: URL_SAFE_NO_PAD.encode(token.hash().as_bytes()),
        token: token_shown,
        status: "issued",
        last_updated: issued.last_updated,
        link,
    };
    Ok(json(StatusCode::CREATED, &body)?)
}

async fn asked_anew(app: &App, request: &Request, actor: &Actor, context: &Context) -> Result<Asked, Failure> {
    let fields = Fields::parse(request)?;
    let patient = PatientId(fields.id("patientId")?);
    let role = app.store().await?.role_over_patient(actor.practitioner(), patient).await?;
    request.permit(app, context, &Target::patient(patient), actor, Permission::Invite, role).await?;
    fields.check(&NEW, Completeness::Whole)?;
    let client = fields.id("client_id")?;
    let mailer = mailer(app, &fields)?;
    Ok(Asked { patient, client, replaces: None, mailer })
}

async fn asked_again(app: &App, request: &Request, actor: &Actor, context: &Context) -> Result<Asked, Failure> {
    let id = request.id_variable("invitation")?;
    let store = app.store().await?;
    let Some(InvitationOf { patient, client, role }) = store.invitation_of(id, actor.practitioner()).await? else {
        store.record_refusal(context, &Target::nothing(), RefusedBy::NotFound).await?;
        return Err(Failure::NotFound);
    };
    request.permit(app, context, &Target::patient(patient), actor, Permission::Invite, role).await?;
    let fields = Fields::optional(request)?;
    fields.check(&AGAIN, Completeness::Whole)?;
    let mailer = mailer(app, &fields)?;
    Ok(Asked { patient, client, replaces: Some(id), mailer })
}

/// The mailer, if `sendEmail` asks for it. Before anything is issued: what cannot be sent must not end an earlier
/// invitation.
fn mailer(app: &App, fields: &Fields) -> Result<Option<Arc<Mailer>>, Failure> {
    if fields.flag(SEND_EMAIL)? != Some(true) {
        return if app.settings.invitation_email_only {
            Err(Failure::field(SEND_EMAIL, "Here invitations are only sent by e-mail."))
        } else {
            Ok(None)
        };
    }
    match Mailer::of(app) {
        Ok(mailer) => Ok(Some(mailer)),
        Err(MailError::Off) => {
            Err(Failure::field(SEND_EMAIL, "E-mail delivery is not configured. Send the link yourself."))
        }
        Err(error) => Err(error.into()),
    }
}

/// Sends the link to the address of the patient's account: no request names where it goes.
async fn send(
    app: &App,
    mailer: &Mailer,
    issued: &IssuedInvitation,
    link: &str,
    expires_at: Timestamp,
) -> Result<(), MailError> {
    let message = Message::new(&issued.email, mail_text::SUBJECT, &mail_text::text(link, expires_at))?;
    mailer.send(app, &message).await
}

fn undelivered(error: MailError) -> Failure {
    match error {
        MailError::Message(_) => Failure::field(SEND_EMAIL, "The patient's address cannot be written to."),
        error => error.into(),
    }
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

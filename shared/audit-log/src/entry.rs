//! An event as managers and super admins see it.

use api::{Kind, Shape, required};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use store::{LoggedActor, LoggedEvent, Named};

/// A study, an organization or an app.
pub const NAMED: Shape =
    Shape { name: "Named", fields: &[required("id", Kind::Integer), required("name", Kind::AnyText)] };

/// A person, by the account.
pub const ACTOR: Shape = Shape {
    name: "AccessLogActor",
    fields: &[required("id", Kind::Integer), required("email", Kind::AnyText), required("name", Kind::AnyText)],
};

/// What was done.
pub const ACTIONS: [&str; 6] = ["read", "search", "create", "update", "delete", "execute"];

/// How it ended.
pub const OUTCOMES: [&str; 3] = ["allowed", "denied", "failed"];

/// What kind of user it was, if any.
pub const ACTOR_TYPE: Kind = Kind::OneOf(&["anonymous", "patient", "practitioner", "super_admin", "system"]);

/// The role that was used, if it took one.
pub const ROLE: Kind = Kind::OrNull(&Kind::OneOf(&["viewer", "member", "manager"]));

/// An event.
pub const ENTRY: Shape = Shape {
    name: "AuditEvent",
    fields: &[
        required("id", Kind::Long),
        required("occurredAt", Kind::Instant),
        required("requestId", Kind::AnyText).about("As in the answer's X-Request-Id."),
        required("session", Kind::OrNull(&Kind::AnyText))
            .about("What ties the events of one sign-in together. Null for managers."),
        required("actor", Kind::OrNull(&Kind::Object(&ACTOR)))
            .about("Null when nobody was signed in, or it was a patient of another organization."),
        required("actorType", ACTOR_TYPE),
        required("role", ROLE),
        required("client", Kind::OrNull(&Kind::Object(&NAMED))).about("The app."),
        required("studies", Kind::List(&Kind::Object(&NAMED), 10_000)),
        required("organizations", Kind::List(&Kind::Object(&NAMED), 10_000)),
        required("action", Kind::OneOf(&ACTIONS)),
        required("resourceType", Kind::AnyText),
        required("patientIds", Kind::List(&Kind::Integer, 100_000))
            .about("For managers, those of the organization's patients."),
        required("observationIds", Kind::List(&Kind::AnyText, 100_000)),
        required("onBehalfOf", Kind::OrNull(&Kind::Integer)).about("The patient for whom was decided."),
        required("outcome", Kind::OneOf(&OUTCOMES)),
        required("refusedBy", Kind::OrNull(&Kind::AnyText)).about("The layer that refused."),
        required("privileged", Kind::Boolean).about("Whether it was a super admin."),
        required("reason", Kind::OrNull(&Kind::AnyText)).about("Why, as who asked said it."),
        required("sourceAddress", Kind::OrNull(&Kind::AnyText))
            .about("From where. Null for managers where it was a patient."),
        required("subjectUserId", Kind::OrNull(&Kind::Integer))
            .about("The account that somebody tried to open. Null for managers."),
        required("detail", Kind::OrNull(&Kind::Document)).about("What else is known of it. Null for managers."),
    ],
};

/// A person.
#[derive(Debug, Serialize)]
pub struct Actor<'a> {
    id: i32,
    email: &'a str,
    name: &'a str,
}

impl<'a> From<&'a LoggedActor> for Actor<'a> {
    fn from(actor: &'a LoggedActor) -> Self {
        Self { id: actor.user, email: &actor.email, name: &actor.name }
    }
}

/// An event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry<'a> {
    id: i64,
    occurred_at: Timestamp,
    request_id: &'a str,
    session: Option<&'a str>,
    actor: Option<Actor<'a>>,
    actor_type: &'a str,
    role: Option<&'a str>,
    client: Option<&'a Named>,
    studies: &'a [Named],
    organizations: &'a [Named],
    action: &'a str,
    resource_type: &'a str,
    patient_ids: &'a [i32],
    /// As texts, as FHIR writes ids.
    observation_ids: Vec<String>,
    on_behalf_of: Option<i32>,
    outcome: &'a str,
    refused_by: Option<&'a str>,
    privileged: bool,
    reason: Option<&'a str>,
    source_address: Option<&'a str>,
    subject_user_id: Option<i32>,
    detail: Option<&'a Value>,
}

impl<'a> From<&'a LoggedEvent> for Entry<'a> {
    fn from(event: &'a LoggedEvent) -> Self {
        Self {
            id: event.id,
            occurred_at: event.occurred_at,
            request_id: &event.request_id,
            session: event.session.as_deref(),
            actor: event.actor.as_ref().map(Actor::from),
            actor_type: &event.actor_type,
            role: event.role.as_deref(),
            client: event.client.as_ref(),
            studies: &event.studies,
            organizations: &event.organizations,
            action: &event.action,
            resource_type: &event.resource_type,
            patient_ids: &event.patient_ids,
            observation_ids: event.observation_ids.iter().map(i64::to_string).collect(),
            on_behalf_of: event.on_behalf_of,
            outcome: &event.outcome,
            refused_by: event.refused_by.as_deref(),
            privileged: event.privileged,
            reason: event.reason.as_deref(),
            source_address: event.source_address.as_deref(),
            subject_user_id: event.subject_user_id,
            detail: event.detail.as_ref(),
        }
    }
}

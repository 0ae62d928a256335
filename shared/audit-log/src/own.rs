//! An event as the patient whom it concerns sees it.

use crate::{ACTIONS, ACTOR, ACTOR_TYPE, Actor, NAMED, OUTCOMES, ROLE};
use api::{Kind, Shape, required};
use audit::summary::{Found, Told, summary};
use authz::UserId;
use jiff::Timestamp;
use serde::Serialize;
use store::{LoggedActor, LoggedEvent, Named};

/// An event.
pub const OWN_ENTRY: Shape = Shape {
    name: "AccessLogEntry",
    fields: &[
        required("id", Kind::Long),
        required("occurredAt", Kind::Instant),
        required("summary", Kind::AnyText).about("The event as a sentence. It says kinds of data, never values."),
        required("actor", Kind::OrNull(&Kind::Object(&ACTOR)))
            .about("Null when nobody was signed in, or it was another patient."),
        required("actorType", ACTOR_TYPE),
        required("role", ROLE),
        required("client", Kind::OrNull(&Kind::Object(&NAMED))).about("The app."),
        required("studies", Kind::List(&Kind::Object(&NAMED), 10_000)),
        required("organizations", Kind::List(&Kind::Object(&NAMED), 10_000)),
        required("action", Kind::OneOf(&ACTIONS)),
        required("resourceType", Kind::AnyText),
        required("observationIds", Kind::List(&Kind::AnyText, 100_000)),
        required("onBehalfOf", Kind::OrNull(&Kind::Integer))
            .about("The patient for whom somebody else decided: the one who asks."),
        required("outcome", Kind::OneOf(&OUTCOMES)),
        required("refusedBy", Kind::OrNull(&Kind::AnyText)).about("The layer that refused."),
        required("privileged", Kind::Boolean).about("Whether it was a super admin."),
        required("reason", Kind::OrNull(&Kind::AnyText)).about("Why, as who asked said it."),
    ],
};

/// An event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnEntry<'a> {
    id: i64,
    /// When.
    pub occurred_at: Timestamp,
    /// The event as a sentence.
    pub summary: String,
    actor: Option<Actor<'a>>,
    actor_type: &'a str,
    role: Option<&'a str>,
    client: Option<&'a Named>,
    studies: &'a [Named],
    organizations: &'a [Named],
    action: &'a str,
    resource_type: &'a str,
    /// As texts, as FHIR writes ids.
    observation_ids: Vec<String>,
    on_behalf_of: Option<i32>,
    outcome: &'a str,
    refused_by: Option<&'a str>,
    privileged: bool,
    reason: Option<&'a str>,
}

impl<'a> OwnEntry<'a> {
    /// What `reader` is told of an event.
    #[must_use]
    pub fn of(event: &'a LoggedEvent, reader: UserId) -> Self {
        Self {
            id: event.id,
            occurred_at: event.occurred_at,
            summary: sentence(event, reader),
            actor: event.actor.as_ref().map(Actor::from),
            actor_type: &event.actor_type,
            role: event.role.as_deref(),
            client: event.client.as_ref(),
            studies: &event.studies,
            organizations: &event.organizations,
            action: &event.action,
            resource_type: &event.resource_type,
            observation_ids: event.observation_ids.iter().map(i64::to_string).collect(),
            on_behalf_of: event.on_behalf_of,
            outcome: &event.outcome,
            refused_by: event.refused_by.as_deref(),
            privileged: event.privileged,
            reason: event.reason.as_deref(),
        }
    }
}

fn sentence(event: &LoggedEvent, reader: UserId) -> String {
    let studies: Vec<&str> = event.studies.iter().map(|study| study.name.as_str()).collect();
    let own = event.organizations.iter().filter(|organization| event.acted_in.contains(&organization.id));
    let organizations: Vec<&str> = own.map(|organization| organization.name.as_str()).collect();
    summary(&Told {
        actor_type: &event.actor_type,
        actor: event.actor.as_ref().map(LoggedActor::shown),
        is_self: event.actor.as_ref().is_some_and(|actor| actor.user == reader.0),
        organizations: &organizations,
        is_stranger: event.outcome == "denied" && event.acted_in.is_empty(),
        is_on_behalf: event.on_behalf_of.is_some(),
        studies: &studies,
        action: &event.action,
        resource_type: &event.resource_type,
        found: match event.counted {
            Some(counted) => Found::Counted(counted),
            None if event.is_found => Found::Something,
            None => Found::Nothing,
        },
        observations: event.observation_ids.len(),
        kinds: &event.kinds,
        outcome: &event.outcome,
    })
}

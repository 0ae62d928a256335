//! `GET /api/v1/patients/me/access-log`: who has viewed or changed the data of the patient who asks, newest first.

use api::{Content, Kind, Operation, PAGE, Shape, required};
use audit::{Action, Target};
use jiff::Timestamp;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, rest::List};
use serde::Serialize;
use store::{AccessLogEntry, Named};

/// The function.
pub const FUNCTION: Function =
    Function::new("access-log", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const NAMED: Shape = Shape { name: "Named", fields: &[required("id", Kind::Integer), required("name", Kind::AnyText)] };

const ACTOR: Shape = Shape {
    name: "AccessLogActor",
    fields: &[required("id", Kind::Integer), required("email", Kind::AnyText), required("name", Kind::AnyText)],
};

const ENTRY: Shape = Shape {
    name: "AccessLogEntry",
    fields: &[
        required("id", Kind::Long),
        required("occurredAt", Kind::Instant),
        required("actor", Kind::OrNull(&Kind::Object(&ACTOR)))
            .about("Null when nobody was signed in, or it was another patient."),
        required("actorType", Kind::OneOf(&["anonymous", "patient", "practitioner", "super_admin", "system"])),
        required("role", Kind::OrNull(&Kind::OneOf(&["viewer", "member", "manager"]))),
        required("client", Kind::OrNull(&Kind::Object(&NAMED))).about("The app."),
        required("studies", Kind::List(&Kind::Object(&NAMED), 10_000)),
        required("organizations", Kind::List(&Kind::Object(&NAMED), 10_000)),
        required("action", Kind::OneOf(&["read", "search", "create", "update", "delete", "execute"])),
        required("resourceType", Kind::AnyText),
        required("observationIds", Kind::List(&Kind::AnyText, 100_000)),
        required("outcome", Kind::OneOf(&["allowed", "denied", "failed"])),
        required("refusedBy", Kind::OrNull(&Kind::AnyText)).about("The layer that refused."),
        required("privileged", Kind::Boolean).about("Whether it was a super admin."),
        required("reason", Kind::OrNull(&Kind::AnyText)).about("Why, as who asked said it."),
    ],
};

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/patients/me/access-log",
    "Who has viewed or changed the data of the patient who asks, newest first",
    "Patients.",
)
.with(&[&PAGE])
.answers(&[(200, Content::Page(&ENTRY))])];

/// An event of the audit.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    id: i64,
    occurred_at: Timestamp,
    actor: Option<User<'a>>,
    actor_type: &'a str,
    role: Option<&'a str>,
    client: Option<Client<'a>>,
    studies: &'a [Named],
    organizations: &'a [Named],
    action: &'a str,
    resource_type: &'a str,
    /// As texts, as FHIR writes ids.
    observation_ids: Vec<String>,
    outcome: &'a str,
    refused_by: Option<&'a str>,
    privileged: bool,
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct User<'a> {
    id: i32,
    email: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct Client<'a> {
    id: i32,
    name: &'a str,
}

impl<'a> From<&'a AccessLogEntry> for Row<'a> {
    fn from(entry: &'a AccessLogEntry) -> Self {
        Self {
            id: entry.id,
            occurred_at: entry.occurred_at,
            actor: entry.actor.as_ref().map(|(id, email, name)| User { id: *id, email, name }),
            actor_type: &entry.actor_type,
            role: entry.role.as_deref(),
            client: entry.client.as_ref().map(|(id, name)| Client { id: *id, name }),
            studies: &entry.studies,
            organizations: &entry.organizations,
            action: &entry.action,
            resource_type: &entry.resource_type,
            observation_ids: entry.observation_ids.iter().map(i64::to_string).collect(),
            outcome: &entry.outcome,
            refused_by: entry.refused_by.as_deref(),
            privileged: entry.privileged,
            reason: entry.reason.as_deref(),
        }
    }
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let context = request.audit(Some(&actor), Action::Search, "AuditEvent");
    let patient = match actor.patient() {
        Ok(patient) => patient,
        Err(refusal) => return Err(request.refuse(app, &context, &Target::nothing(), refusal).await),
    };
    let list = List::parse(app, request, actor.user).await?;
    let page = app.store().await?.access_log(&context, patient, list.slice()).await?;
    let rows: Vec<Row<'_>> = page.rows.iter().map(Row::from).collect();
    let next = rows.last().filter(|_| page.more).map(|row| row.id);
    list.page(app, actor.user, page.total, &rows, next).await
}

//! `GET /api/v1/security-findings`: what the security monitor found unusual, the newest first.
//! `GET /api/v1/security-findings/{id}`: one of them, with the events behind it.
//! `PATCH /api/v1/security-findings/{id}`: what became of it.

use anomaly::Kind as Found;
use api::{Completeness, Content, Kind, Operation, PAGE, Parameter, Shape, optional, parameter, required};
use audit::{Action, Context, Target};
use authz::{Actor, Layer, Refusal};
use http::{Method, StatusCode};
use jiff::{Timestamp, civil::Date};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, json,
    rest::{Fields, List},
    versioned,
};
use serde::Serialize;
use store::{Changed, FindingChange, FindingFilter, SecurityFinding};

/// The function.
pub const FUNCTION: Function =
    Function::new("security-findings", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const STATUSES: [&str; 3] = ["open", "acknowledged", "closed"];

const KINDS: [&str; 8] = {
    let [a, b, c, d, e, f, g, h] = Found::ALL;
    [a.name(), b.name(), c.name(), d.name(), e.name(), f.name(), g.name(), h.name()]
};

const FINDING: Shape = Shape {
    name: "SecurityFinding",
    fields: &[
        required("id", Kind::Integer).about("From 1."),
        required("kind", Kind::OneOf(&KINDS)),
        required("userId", Kind::OrNull(&Kind::Integer)).about("Whose account it is about."),
        required("sourceAddress", Kind::OrNull(&Kind::AnyText)).about("Or which address."),
        required("day", Kind::Date).about("In the time zone of the deployment."),
        required("windowStart", Kind::Instant).about("No event behind it is before."),
        required("windowEnd", Kind::Instant).about("No event behind it is at this time or after."),
        required("measured", Kind::Long).about("How much there was."),
        required("expected", Kind::Long).about("The most that would have been usual."),
        required("score", Kind::Long).about("How far beyond it is, in spreads of what is usual."),
        required("foundAt", Kind::Instant),
        required("notifiedAt", Kind::OrNull(&Kind::Instant)).about("When somebody was told."),
        required("status", Kind::OneOf(&STATUSES)),
        required("note", Kind::OrNull(&Kind::AnyText)).about("What whoever looked into it says."),
        required("changedBy", Kind::OrNull(&Kind::Integer)).about("The super admin who did."),
        required("lastUpdated", Kind::Instant),
        optional("eventIds", Kind::List(&Kind::Long, 1000))
            .about("Of one finding: the events of the audit that it was found by, the newest thousand."),
        optional("events", Kind::AnyText).about("Of one finding: where these events are listed."),
    ],
};

const CHANGE: Shape = Shape {
    name: "SecurityFindingChange",
    fields: &[
        required("status", Kind::OneOf(&STATUSES)),
        required("note", Kind::Lines(2000)).about("What was found out, without anybody's health data."),
    ],
};

const FILTERS: [Parameter; 3] = [
    parameter("status", Kind::OneOf(&STATUSES), "With this status."),
    parameter("kind", Kind::OneOf(&KINDS), "Of this kind."),
    parameter("user_id", Kind::Integer, "About this account."),
];

const OPERATIONS: [Operation; 3] = [
    Operation::new(
        "GET /api/v1/security-findings",
        "What the security monitor found, the newest first",
        "Super admins.",
    )
    .with(&[&FILTERS, &PAGE])
    .answers(&[(200, Content::Page(&FINDING))]),
    Operation::new("GET /api/v1/security-findings/{id}", "A finding, with the events behind it", "Super admins.")
        .versioned()
        .answers(&[(200, Content::Object(&FINDING))]),
    Operation::new(
        "PATCH /api/v1/security-findings/{id}",
        "Say what became of a finding",
        "Super admins, but not of what is about their own account.",
    )
    .versioned()
    .conditional()
    .changes(&CHANGE)
    .answers(&[(200, Content::Object(&FINDING))]),
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    id: i32,
    kind: &'a str,
    user_id: Option<i32>,
    source_address: Option<&'a str>,
    day: Date,
    window_start: Timestamp,
    window_end: Timestamp,
    measured: i64,
    expected: i64,
    score: i64,
    found_at: Timestamp,
    notified_at: Option<Timestamp>,
    status: &'a str,
    note: Option<&'a str>,
    changed_by: Option<i32>,
    last_updated: Timestamp,
}

/// One finding, with what is behind it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    #[serde(flatten)]
    finding: Shown<'a>,
    event_ids: &'a [i64],
    events: String,
}

impl<'a> From<&'a SecurityFinding> for Shown<'a> {
    fn from(finding: &'a SecurityFinding) -> Self {
        Self {
            id: finding.id,
            kind: &finding.kind,
            user_id: finding.user,
            source_address: finding.address.as_deref(),
            day: finding.day,
            window_start: finding.window.0,
            window_end: finding.window.1,
            measured: finding.measured,
            expected: finding.expected,
            score: finding.score,
            found_at: finding.found_at,
            notified_at: finding.notified_at,
            status: &finding.status,
            note: finding.note.as_deref(),
            changed_by: finding.changed_by,
            last_updated: finding.last_updated,
        }
    }
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    match (request.method(), request.variable("id").is_some()) {
        (&Method::GET, false) => list(app, request, &actor).await,
        (&Method::GET, true) => {
            permit(app, request, &actor, Action::Read).await?;
            answer(app, &known(app, request.id_variable("id")?).await?)
        }
        _ => change(app, request, &actor).await,
    }
}

async fn permit(app: &App, request: &Request, actor: &Actor, action: Action) -> Result<Context, Failure> {
    let context = request.audit(Some(actor), action, "SecurityFinding");
    request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    Ok(context)
}

async fn known(app: &App, id: i32) -> Result<SecurityFinding, Failure> {
    app.store().await?.finding(id).await?.ok_or(Failure::NotFound)
}

fn answer(app: &App, finding: &SecurityFinding) -> Result<Response, Failure> {
    let ((from, to), site) = (finding.window, &app.settings.site_url);
    let events = format!("{site}/api/v1/audit-events?finding={}&from={from}&to={to}", finding.id);
    let whole = Whole { finding: Shown::from(finding), event_ids: &finding.events, events };
    Ok(versioned(json(StatusCode::OK, &whole)?, finding.last_updated))
}

async fn list(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    permit(app, request, actor, Action::Search).await?;
    let list = List::parse(app, request, actor.user).await?;
    list.only(&[&FILTERS])?;
    let filter = FindingFilter {
        status: list.one_of("status", &STATUSES)?,
        kind: list.one_of("kind", &KINDS)?,
        user: list.id("user_id")?,
    };
    let page = app.store().await?.findings(filter, list.slice()).await?;
    let rows: Vec<Shown<'_>> = page.rows.iter().map(Shown::from).collect();
    let next = rows.last().filter(|_| page.more).map(|finding| i64::from(finding.id));
    list.page(app, actor.user, page.total, &rows, next).await
}

async fn change(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = permit(app, request, actor, Action::Update).await?;
    let id = request.id_variable("id")?;
    let fields = Fields::parse(request)?;
    fields.check(&CHANGE, Completeness::Part)?;
    let (status, note) = (fields.optional_text("status", 20)?, optional_lines(&fields, "note", 2000)?);
    if known(app, id).await?.user == Some(actor.user.0) {
        // Who is suspected does not judge it.
        let refusal = Refusal::known(Layer::UserType);
        return Err(request.refuse(app, &context, &Target::user(actor.user), refusal).await);
    }
    let change = FindingChange { status: status.as_deref(), note: note.as_deref() };
    match app.store().await?.change_finding(&context, id, &request.expected(), actor.user, change).await? {
        Changed::Done(()) => answer(app, &known(app, id).await?),
        Changed::Stale => Err(Failure::Changed),
        Changed::Missing => Err(Failure::NotFound),
    }
}

fn optional_lines(fields: &Fields, name: &str, limit: usize) -> Result<Option<String>, Failure> {
    if fields.value(name).is_none() { Ok(None) } else { fields.lines(name, limit).map(Some) }
}

//! `POST /api/v1/patients/import?organization_id=`: create many patients of an organization, from CSV (`text/csv`) or NDJSON
//! (`application/x-ndjson`). Each row has its own fate, which the answer tells by the row's number.
//! `GET /api/v1/patients/imports?organization_id=`: how far the last imports are, also those that run.
//!
//! Rows are read one by one and stored in batches. A request that would take too long, or whose answer would be too large,
//! ends before its last row and says where to go on. A row that was stored is refused when it is sent again, so the same
//! file can be sent until all of it is in.

mod answer;
mod batch;
mod row;
mod rows;

use answer::Answer;
use api::{Content, Kind, Operation, Parameter, Shape, optional, parameter, required};
use audit::{Action, Context, Target};
use authz::{Actor, OrganizationId, Permission};
use batch::Import;
use http::{Method, StatusCode};
use rows::{Format, MAX_ROWS, Rows};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, rest::List};

/// The function.
pub const FUNCTION: Function =
    Function::new("patients-import", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const IMPORT: Shape = Shape {
    name: "PatientImport",
    fields: &[
        required("id", Kind::Integer),
        required("organizationId", Kind::Integer),
        required("startedBy", Kind::Integer).about("The account that sent it."),
        required("startedAt", Kind::Instant),
        required("lastUpdated", Kind::Instant).about("When the last batch was stored."),
        required("finishedAt", Kind::OrNull(&Kind::Instant))
            .about("Null while it runs, and when it ended before the last row."),
        required("rowsRead", Kind::Integer),
        required("rowsCreated", Kind::Integer),
        required("rowsRefused", Kind::Integer),
    ],
};

const ROW: Shape = Shape {
    name: "ImportedRow",
    fields: &[
        required("row", Kind::Integer).about("From 1; a header is not counted."),
        required("status", Kind::OneOf(&["created", "conflict", "invalid"])),
        required("id", Kind::OrNull(&Kind::Integer))
            .about("The patient; of a conflict, who has the e-mail and is of the organization."),
        optional("problems", Kind::Document).about("What is wrong, by field."),
    ],
};

const ANSWER: Shape = Shape {
    name: "ImportAnswer",
    fields: &[
        required("import", Kind::Object(&IMPORT)),
        required("nextRow", Kind::OrNull(&Kind::Integer))
            .about("Where to go on by `first_row`; null when all rows were read."),
        required("results", Kind::List(&Kind::Object(&ROW), MAX_ROWS)),
    ],
};

const ORGANIZATION: Parameter =
    Parameter { required: true, ..parameter("organization_id", Kind::Integer, "The patients' organization.") };

const WHO: &str = "Members and managers of the organization; super admins.";

const OPERATIONS: [Operation; 2] = [
    Operation::new("POST /api/v1/patients/import", "Create up to 10,000 patients of an organization", WHO)
        .also_fails(&[404])
        .with(&[&[ORGANIZATION, parameter("first_row", Kind::Integer, "The row to begin with: 1 if absent.")]])
        .takes_media(&["text/csv", "application/x-ndjson"])
        .answers(&[(200, Content::Object(&ANSWER))]),
    Operation::new("GET /api/v1/patients/imports", "The last 100 imports into an organization", WHO)
        .also_fails(&[404])
        .with(&[&[ORGANIZATION]])
        .answers(&[(200, Content::List(&IMPORT))]),
];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let reads = *request.method() == Method::GET;
    let action = if reads { Action::Search } else { Action::Create };
    let context = request.audit(Some(&actor), action, if reads { "PatientImport" } else { "Patient" });
    let list = List::parse(app, request, actor.user).await?;
    let organization = permitted(app, request, &actor, &context, &list).await?;
    if reads {
        return Ok(json(StatusCode::OK, &app.store().await?.imports(&context, organization).await?)?);
    }
    let first = list.id("first_row")?.unwrap_or(1);
    let first = usize::try_from(first).ok().filter(|first| *first > 0);
    let first = first.ok_or_else(|| list.problem("first_row", "Rows are counted from 1."))?;
    let rows = Rows::new(Format::of(request)?, request.body()?)?;
    let answer = run(app, &actor, &context, organization, rows, first).await?;
    Ok(json(StatusCode::OK, &answer)?)
}

/// The organization that the query names, if the caller manages its patients.
async fn permitted(
    app: &App,
    request: &Request,
    actor: &Actor,
    context: &Context,
    list: &List,
) -> Result<OrganizationId, Failure> {
    let named = list.id("organization_id")?;
    let organization = OrganizationId(named.ok_or_else(|| list.problem("organization_id", "This field is required."))?);
    let role = app.store().await?.role_in_organization(actor.practitioner(), organization).await?;
    let target = Target::organization(organization);
    request.permit(app, context, &target, actor, Permission::ManagePatients, role).await?;
    Ok(organization)
}

async fn run(
    app: &App,
    actor: &Actor,
    context: &Context,
    organization: OrganizationId,
    rows: Rows<'_>,
    first: usize,
) -> Result<Answer, Failure> {
    let store = app.store().await?;
    let id = store.begin_import(organization, actor.user).await?;
    // Only a super admin gets here with an organization that does not exist.
    let id = id.ok_or_else(|| Failure::field("organization_id", "There is no such organization."))?;
    let mut import = Import::new(store, context, organization, id);
    let mut next_row = None;
    for (row, fields) in rows.numbered().skip(first - 1) {
        if !import.has_room() || !import.take(row, row::patient(fields, app.now())).await? {
            next_row = Some(import.resumes_at(row));
            break;
        }
    }
    if next_row.is_none() && !import.finish().await? {
        next_row = Some(import.resumes_at(usize::MAX));
    }
    let progress = store.end_import(id, next_row.is_none()).await?;
    Ok(Answer { import: progress, next_row, results: import.into_results() })
}
